"""Sessions, as calls hold and answers show them."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from marshmallow import fields

from ... import phone
from ...models import Reason, Status, WhatsAppSession
from ...services.session_fields import DESCRIPTION_LENGTH, NAME_LENGTH
from ..fields import Moment, Object, Text, YesNo, moment
from .shape import Answer, Call, told

LONGEST_ID = 64


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
        metadata={"description": _l("The gateway's name; the first one when none is given.")},
    )


class MoveCallSchema(Call):
    gateway = Text(
        longest=80, required=True, metadata={"description": _l("The gateway's name."), "example": "office"}
    )


class SyncCallSchema(Call):
    gateway = Text(
        longest=80,
        allow_none=True,
        metadata={
            "description": _l("The gateway's name; all of them when none is given."),
            "example": "office",
        },
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
    only_here = YesNo(
        from_text=True,
        metadata={
            "description": _l(
                "Remove it here even if the gateway does not, where its login may then live on."
            )
        },
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
    image = told(
        fields.String,
        _l("The code as a data URI, from a gateway that gives a picture and no text."),
        allow_none=True,
    )
    expires_at = Moment()
    sequence = told(fields.Integer, _l("Which code of its set this is."), 1)
    codes = told(
        fields.Integer,
        _l("How many the set has; 1 where no second one follows by itself, null when that is not known."),
        6,
        allow_none=True,
    )
    pairing_code = told(
        fields.String,
        _l("The code to type on the phone, when one was asked for."),
        "WZYEH1YY",
        allow_none=True,
    )


class PasskeyAnswerSchema(Call):
    assertion = Object(
        required=True,
        metadata={
            "description": _l("What the extension gave: WebAuthn's credential.toJSON()."),
            "example": {"id": "AX8bTgH2", "type": "public-key", "response": {"signature": "MEUCIQD…"}},
        },
    )


class PasskeyComparisonSchema(Call):
    is_same = YesNo(required=True, metadata={"example": True})


class PasskeyStepSchema(Answer):
    is_asked = told(fields.Boolean, _l("Whether WhatsApp waits for it right now."))
    code = told(
        fields.String, _l("The code that the phone shows as well, to be compared."), "1234", allow_none=True
    )


class PasskeyChallengeSchema(Answer):
    challenge = told(
        fields.Dict,
        _l("The request options, as the gateway gave them."),
        {"challenge": "9WVUYm9AsQ", "rpId": "web.whatsapp.com", "timeout": 60000},
    )


class DeletedSchema(Answer):
    id = fields.Integer(metadata={"example": 1})
    instance_name = fields.String(metadata={"example": "Support line"})


class MovedSchema(Answer):
    session = fields.Nested(SessionSchema)
    left_behind = told(
        fields.String,
        _l("The code of why the old gateway may hold it still."),
        "gateway_unreachable",
        allow_none=True,
    )


class SkippedSchema(Answer):
    name = told(fields.String, _l("What the gateway calls it."), "Totale Bot")
    reason = told(
        fields.String,
        _l("limit, no_webhook (it is here, but does not report), or the code of the gateway's trouble."),
        "limit",
    )


class SyncedSchema(Answer):
    synced = fields.List(fields.Nested(SessionSchema))
    existing = fields.List(fields.Nested(SessionSchema))
    skipped = fields.List(fields.Nested(SkippedSchema))


def _last_active(wa_session: WhatsAppSession) -> str | None:
    moments = [at for at in (wa_session.last_event_at, wa_session.last_proof_at) if at is not None]
    return moment(max(moments, default=None))
