"""Messages, as calls hold and answers show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields

from ... import phone, words
from ...models import Message, MessageStatus
from ...services.outbox import LONGEST_VALIDITY_SECONDS, TEXT_LENGTH
from ..fields import Bytes, Choice, Moment, Nested, Number, Seconds, Text, moment
from .shape import BIGGEST_ID, LONGEST_SESSION_NAME, Answer, Call, told

LONGEST_FILE_NAME = 120


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
                "The session to send from, by session_id, name or number; the default one when none is "
                "given. “auto”, where Settings allow it, keeps a recipient on the session that wrote to "
                "them last and gives a new one to the connected session with the fewest messages today."
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
        lambda one: moment(one.next_at if one.status == MessageStatus.QUEUED else None),
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


_STEPS = StepSchema(many=True)


class MessageWithStepsSchema(MessageSchema):
    steps = fields.Function(
        lambda one: _STEPS.dump(steps(one)),
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
