"""What calls hold and answers look like. Read on the first call, since marshmallow takes its time to load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import RAISE, Schema, ValidationError, fields

from .. import phone, words
from ..models import Message, MessageStatus, Reason, Status, WhatsAppSession
from ..refusal import Refusal
from ..services.outbox import LONGEST_VALIDITY_SECONDS, TEXT_LENGTH
from ..services.session_fields import DESCRIPTION_LENGTH, NAME_LENGTH
from .fields import FAULTS, Bytes, Choice, Fault, Moment, Nested, Number, Seconds, Text, YesNo

LONGEST_ID = 64
LONGEST_SESSION_NAME = 255  # a name that a gateway gave may be longer than ours
LONGEST_FILE_NAME = 120
BIGGEST_ID = 2**63 - 1


class BadField(Refusal):
    """A field of the call cannot be used; `code` says what is wrong with it."""

    def __init__(self, field: str, fault: Fault) -> None:
        super().__init__(fault.sentence, code=fault.code, field=field)


def load(name: str, data: Any) -> dict[str, Any]:
    """The fields of a call, checked. Raises BadField about the first one that cannot be used."""
    try:
        return dict(of(name).load(data))
    except ValidationError as error:
        raise BadField(*_first(error.messages)) from error


def dump(name: str, value: Any) -> Any:
    return of(name).dump(value)


@lru_cache(maxsize=64)
def of(name: str) -> Schema:
    schema = globals()[f"{name}Schema"]
    return schema()  # type: ignore[no-any-return]


def _first(messages: Any, path: str = "") -> tuple[str, Fault]:
    """Where the first fault lies, as `media.data`, and what it is."""
    if isinstance(messages, Mapping):
        name, inner = next(iter(messages.items()))
        return _first(inner, path if name == "_schema" else f"{path}.{name}".strip(".")[:80])
    fault = messages[0]
    return path, fault if isinstance(fault, Fault) else Fault("wrong_type", FAULTS["wrong_type"])


class Call(Schema):
    """Something a caller sends: a field we do not know is refused, so that a slip of the pen is noticed."""

    error_messages: dict[str, Any] = {
        "unknown": Fault("unknown_field", FAULTS["unknown_field"]),
        "type": Fault("wrong_type", FAULTS["wrong_type"]),
    }

    class Meta:
        unknown = RAISE


class Answer(Schema):
    """Something we answer."""


def told(field_type: type[fields.Field[Any]], description: Any = "", example: Any = None, **more: Any) -> Any:
    """A field of an answer, with what the document says of it."""
    metadata = {key: value for key, value in (("description", description), ("example", example)) if value}
    return field_type(metadata=metadata, **more)


# --- sessions ------------------------------------------------------------------------------------


class NothingSchema(Call):
    pass


class NewSessionSchema(Call):
    instance_name = Text(
        longest=NAME_LENGTH,
        required=True,
        metadata={"description": _l("The name for people, unique in the panel."), "example": "Support line"},
    )
    session_id = Text(
        longest=LONGEST_ID,
        allow_none=True,
        metadata={
            "description": _l("The gateway's identifier; made from the name when none is given."),
            "pattern": "^[a-z0-9_-]{1,64}$",
            "example": "support_line",
        },
    )
    phone_number = Text(
        longest=phone.LONGEST,
        allow_none=True,
        may_be_empty=True,
        metadata={
            "description": _l("The number that is expected to scan; a different one is reported."),
            "example": "0812-3456-7890",
        },
    )
    description = Text(longest=DESCRIPTION_LENGTH, lines=True, may_be_empty=True, allow_none=True)
    gateway = Text(
        longest=80,
        allow_none=True,
        metadata={"description": _l("The gateway's name; the only one there is when none is given.")},
    )


class LinkCallSchema(Call):
    phone = Text(
        longest=phone.LONGEST,
        allow_none=True,
        metadata={
            "description": _l("Ask for a pairing code for this phone number, beside the QR code."),
            "example": "0812-3456-7890",
        },
    )


class QrQuerySchema(Call):
    phone = Text(
        longest=phone.LONGEST,
        metadata={"description": _l("Answer with the pairing code that was asked for.")},
    )


class DeleteQuerySchema(Call):
    force = YesNo(
        from_text=True,
        metadata={"description": _l("Remove the default session too, and unlink its phone.")},
    )


class SessionSchema(Answer):
    id = told(fields.Integer, _l("Its number in the panel."), 1)
    instance_name = told(fields.String, _l("The name for people."), "Support line", attribute="name")
    session_id = told(fields.String, _l("The gateway's identifier."), "support_line")
    status = fields.String(metadata={"enum": [word.value for word in Status], "example": "connected"})
    reason = fields.String(
        allow_none=True,
        metadata={
            "enum": [*[word.value for word in Reason], None],
            "description": _l("Why it is not connected, or not to be trusted."),
        },
    )
    phone_number = told(
        fields.String,
        _l("The number that is linked, else the one expected: E.164 digits."),
        "6281234567890",
        attribute="number",
        allow_none=True,
    )
    profile_name = told(fields.String, example="Toko Sari", allow_none=True)
    description = fields.String()
    is_primary = told(fields.Boolean, _l("Used when a message names no session."), attribute="is_default")
    is_active = told(fields.Boolean, _l("Whether it is switched on."))
    is_paused = fields.Function(
        lambda one: one.paused_at is not None,
        metadata={"type": "boolean", "description": _l("Whether a person holds its messages back.")},
    )
    queued_count = told(fields.Integer, _l("Messages that wait to be sent."), attribute="waiting_count")
    status_at = Moment(metadata={"description": _l("When it came into this status.")})
    checked_at = Moment(
        allow_none=True, metadata={"description": _l("When the gateway last confirmed that.")}
    )
    connected_at = Moment(allow_none=True)
    last_active_at = fields.Function(
        lambda one: _last_active(one),
        metadata={
            "type": ["string", "null"],
            "format": "date-time",
            "description": _l("When anything last came through: a message or a receipt."),
        },
    )
    qr_expires_at = Moment(allow_none=True)
    created_at = Moment()


class SessionsSchema(Answer):
    sessions = fields.List(fields.Nested(SessionSchema))
    total_count = fields.Integer(metadata={"example": 1})
    connected_count = fields.Integer(metadata={"example": 1})
    limit = told(fields.Integer, _l("How many sessions this panel may have."), 1)


class QrSchema(Answer):
    code = told(fields.String, _l("The text of the QR code, as WhatsApp wants it."), allow_none=True)
    svg = told(fields.String, _l("The same as a picture, ready to be put into a page."), allow_none=True)
    expires_at = Moment()
    sequence = told(fields.Integer, _l("Which of the six codes of a set this is."), 1)
    pairing_code = told(
        fields.String,
        _l("The code to type on the phone, when one was asked for."),
        "WZYEH1YY",
        allow_none=True,
    )


class DeletedSchema(Answer):
    id = fields.Integer(metadata={"example": 1})
    instance_name = fields.String(metadata={"example": "Support line"})


class SyncedSchema(Answer):
    synced = fields.List(fields.Nested(SessionSchema))
    existing = fields.List(fields.Nested(SessionSchema))


def _last_active(wa_session: WhatsAppSession) -> str | None:
    moments = [at for at in (wa_session.last_event_at, wa_session.last_proof_at) if at is not None]
    return _moment(max(moments, default=None))


def _moment(at: datetime | None) -> str | None:
    return Moment()._serialize(at, None, None)


# --- messages ------------------------------------------------------------------------------------


class MediaSchema(Call):
    kind = Choice(["image", "document"], required=True)
    filename = Text(longest=LONGEST_FILE_NAME, required=True, metadata={"example": "invoice.pdf"})
    mimetype = Text(longest=120, required=True, metadata={"example": "application/pdf"})
    data = Bytes(required=True, metadata={"description": _l("The file itself, as base64.")})


class NewMessageSchema(Call):
    recipient = Text(
        longest=phone.LONGEST,
        required=True,
        metadata={
            "description": _l("A phone number in any human form, a group id, or a WhatsApp id."),
            "example": "+62 812-3456-7890",
        },
    )
    message = Text(
        longest=TEXT_LENGTH,
        lines=True,
        may_be_empty=True,
        metadata={
            "description": _l("The text, or the caption of a file. Needed unless there is a file."),
            "example": "Halo!",
        },
    )
    session_id = Text(
        longest=LONGEST_SESSION_NAME,
        allow_none=True,
        metadata={
            "description": _l(
                "The session to send from, by session_id, name or number; “auto” takes the connected one "
                "with the fewest messages waiting. The default session when none is given."
            ),
        },
    )
    media = Nested(MediaSchema, allow_none=True)
    valid_for_seconds = Seconds(
        1,
        LONGEST_VALIDITY_SECONDS,
        allow_none=True,
        metadata={"description": _l("Give up when it could not be sent within this time.")},
    )


class MessagesQuerySchema(Call):
    status = Choice([word.value for word in MessageStatus])
    session_id = Text(longest=LONGEST_SESSION_NAME, metadata={"description": _l("Only this session's.")})
    cursor = Number(
        -BIGGEST_ID,
        BIGGEST_ID,
        from_text=True,
        metadata={"description": _l("next_cursor or previous_cursor of another page.")},
    )
    limit = Number(1, 100, from_text=True, load_default=50, metadata={"default": 50})


class FaultSchema(Answer):
    code = fields.String(metadata={"example": "not_on_whatsapp"})
    message = fields.String()


class FileSchema(Answer):
    kind = fields.String()
    filename = fields.String()
    mimetype = fields.String()
    size_bytes = fields.Integer()


class MessageSchema(Answer):
    id = fields.Integer(metadata={"example": 42})
    status = fields.String(metadata={"enum": [word.value for word in MessageStatus], "example": "queued"})
    session_id = fields.Function(
        lambda one: one.session.session_id if one.session else None,
        metadata={
            "type": ["string", "null"],
            "description": _l("The session it goes out from; null when that was removed."),
        },
    )
    session_name = fields.String(metadata={"example": "Support line"})
    recipient = told(
        fields.String, _l("What is used: E.164 digits, or a whole WhatsApp id."), "6281234567890"
    )
    recipient_typed = told(fields.String, _l("What was given."), "+62 812-3456-7890", attribute="typed")
    message = told(fields.String, example="Halo!", attribute="body")
    media = fields.Nested(FileSchema, attribute="attachment", allow_none=True)
    provider_id = told(
        fields.String, _l("WhatsApp's id of it, once it has left."), "3EB0C767D26B1A6A", allow_none=True
    )
    error = fields.Function(
        lambda one: _fault(one.error_code),
        metadata={"oneOf": [{"$ref": "#/components/schemas/Fault"}, {"type": "null"}]},
    )
    source = told(fields.String, _l("Who asked for it."), "key:orders-api")
    attempts = fields.Integer(metadata={"example": 1})
    created_at = Moment()
    status_at = Moment()
    next_attempt_at = fields.Function(
        lambda one: _moment(one.next_at if one.status == MessageStatus.QUEUED else None),
        metadata={"type": ["string", "null"], "format": "date-time"},
    )
    valid_until = Moment(allow_none=True)
    sent_at = Moment(allow_none=True)


class StepSchema(Answer):
    kind = fields.String(
        metadata={
            "enum": ["accepted", "attempt", "receipt", "ended"],
            "description": _l("accepted, attempt (one try to hand it over), receipt, or ended."),
        }
    )
    at = Moment()
    finished_at = Moment(allow_none=True)
    outcome = told(
        fields.String,
        _l("Of an attempt sent, retry, failed or uncertain; of a receipt its word; of the end the status."),
        allow_none=True,
    )
    error = fields.Nested(FaultSchema, allow_none=True)


class MessageWithStepsSchema(MessageSchema):
    steps = fields.Function(
        lambda one: of("Step").dump(list(steps(one)), many=True),
        metadata={"type": "array", "items": {"$ref": "#/components/schemas/Step"}},
    )


class MessagesSchema(Answer):
    messages = fields.List(fields.Nested(MessageSchema))
    next_cursor = told(fields.Integer, _l("Leads to older messages."), allow_none=True)
    previous_cursor = told(fields.Integer, _l("Leads to newer messages."), allow_none=True)


def steps(message: Message) -> list[dict[str, Any]]:
    """What happened to a message, oldest first."""
    found: list[dict[str, Any]] = [_step("accepted", message.created_at, None)]
    for tried in message.deliveries:
        step = _step("attempt", tried.started_at, tried.outcome, tried.error_code)
        found.append(step | {"finished_at": tried.finished_at})
    found += [_step("receipt", receipt.at, receipt.kind) for receipt in message.receipts]
    if message.status in (MessageStatus.CANCELLED, MessageStatus.EXPIRED):
        found.append(_step("ended", message.status_at, message.status, message.error_code))
    return sorted(found, key=lambda step: step["at"])


def _step(kind: str, at: datetime, outcome: str | None, error_code: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "at": at, "finished_at": None, "outcome": outcome, "error": _fault(error_code)}


def _fault(code: str | None) -> dict[str, str] | None:
    return {"code": code, "message": " ".join(words.error_words(code))} if code else None


# --- the admin API, in camelCase -----------------------------------------------------------------


class NewAdminSessionSchema(Call):
    name = Text(longest=NAME_LENGTH, required=True, metadata={"example": "Customer Support"})
    session_id = Text(
        longest=LONGEST_ID,
        allow_none=True,
        may_be_empty=True,
        data_key="sessionId",
        metadata={"example": "customer_support"},
    )
    phone_number = Text(
        longest=phone.LONGEST,
        allow_none=True,
        may_be_empty=True,
        data_key="phoneNumber",
        metadata={"example": "+6285117132297"},
    )
    is_active = YesNo(data_key="isActive")
    is_default = YesNo(data_key="isDefault", metadata={"example": False})
    description = Text(
        longest=DESCRIPTION_LENGTH,
        lines=True,
        may_be_empty=True,
        allow_none=True,
        metadata={"example": "Main customer support session"},
    )


class AdminSessionEditSchema(NewAdminSessionSchema):
    id = Number(1, BIGGEST_ID, required=True, metadata={"example": 1})
    name = Text(longest=NAME_LENGTH, metadata={"example": "Customer Support"})


class AdminDeleteQuerySchema(Call):
    id = Text(longest=LONGEST_SESSION_NAME, required=True, metadata={"example": "1"})


class AdminSessionSchema(Answer):
    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata={"example": "Customer Support"})
    session_id = fields.String(data_key="sessionId", metadata={"example": "customer_support"})
    phone_number = fields.String(
        data_key="phoneNumber", attribute="number", allow_none=True, metadata={"example": "6285117132297"}
    )
    is_active = fields.Boolean(data_key="isActive")
    is_default = fields.Boolean(data_key="isDefault")
    description = fields.String()
    status = fields.String(metadata={"enum": [word.value for word in Status], "example": "connected"})
    reason = fields.String(allow_none=True)
    is_connected = fields.Boolean(data_key="isConnected")
    created_at = Moment(data_key="createdAt")
    updated_at = Moment(data_key="updatedAt")


class AdminDeletedSchema(Answer):
    message = fields.String(metadata={"example": "Session deleted"})
