"""Outgoing webhooks, as calls hold and answers show them, and what apps are told through them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields

from ...models import CallStatus, MessageStatus, Reason, Status
from ...services import tidings
from ...services.subscriptions import LONGEST_NAME, LONGEST_URL
from ..fields import Choice, Moment, Number, Text, YesNo, moment
from .shape import BIGGEST_ID, Answer, Call, told

NUMBER = "6281234567890"
CHAT = f"{NUMBER}@s.whatsapp.net"
AN_ID = "msg_5f1c0a7be1f2464d9f3a1c2b7d8e9f00"


def _events(**more: Any) -> Any:
    """Which kinds of events; `empty` is refused by the service."""
    example = [tidings.RECEIVED, tidings.PROGRESS]
    return fields.List(Choice(list(tidings.KINDS)), metadata={"minItems": 1, "example": example}, **more)


def _url(**more: Any) -> Any:
    metadata = {
        "description": _l("Where to POST to. It is kept encrypted and not shown again."),
        "example": "https://93.184.216.34/whatsapp",
    }
    return Text(longest=LONGEST_URL, metadata=metadata, **more)


class NewWebhookSchema(Call):
    name = Text(longest=LONGEST_NAME, required=True, metadata={"example": "orders-app"})
    url = _url(required=True)
    events = _events(required=True)


class WebhookEditSchema(Call):
    name = Text(longest=LONGEST_NAME, metadata={"example": "orders-app"})
    url = _url()
    events = _events()
    is_active = YesNo(metadata={"description": _l("False pauses it, true resumes it.")})


class WebhookCallsQuerySchema(Call):
    cursor = Number(
        -BIGGEST_ID,
        BIGGEST_ID,
        from_text=True,
        metadata={"description": _l("next_cursor or previous_cursor of another page.")},
    )
    limit = Number(1, 100, from_text=True, load_default=50, metadata={"default": 50})


class WebhookSchema(Answer):
    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata={"example": "orders-app"})
    host = told(fields.String, _l("What is shown of its address."), "app.example.com")
    events = fields.Function(
        lambda one: one.events.split(","),
        metadata={
            "type": "array",
            "items": {"type": "string", "enum": list(tidings.KINDS)},
            "example": [tidings.RECEIVED],
        },
    )
    is_active = told(fields.Boolean, _l("False while it is paused or switched off."))
    failing_since = Moment(allow_none=True, metadata={"description": _l("Since when no call went through.")})
    disabled_at = Moment(
        allow_none=True, metadata={"description": _l("When it was switched off, if it was.")}
    )
    old_secret_until = Moment(
        allow_none=True, metadata={"description": _l("Until when the secret before this one signs too.")}
    )
    created_by = told(fields.String, example="key:orders-api")
    created_at = Moment()


class WebhookWithSecretSchema(WebhookSchema):
    secret = told(
        fields.String,
        _l("What its calls are signed with; told this once."),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
    )


class WebhooksSchema(Answer):
    webhooks = fields.List(fields.Nested(WebhookSchema))


class WebhookCallSchema(Answer):
    id = fields.Integer(metadata={"example": 7})
    webhook_id = told(fields.String, _l("The header of the same name."), AN_ID, attribute="uid")
    type = told(fields.String, _l("Which kind of event."), tidings.RECEIVED, attribute="kind")
    status = fields.String(metadata={"enum": [word.value for word in CallStatus], "example": "delivered"})
    attempts = fields.Integer(metadata={"example": 1})
    answer_status = told(fields.Integer, _l("How the app answered the last time."), 204, allow_none=True)
    error = told(fields.String, _l("Why it did not answer, in a word."), allow_none=True)
    next_attempt_at = fields.Function(
        lambda one: moment(one.next_at if one.status == CallStatus.WAITING else None),
        metadata={"type": ["string", "null"], "format": "date-time"},
    )
    created_at = Moment()
    delivered_at = Moment(allow_none=True)


class WebhookCallsSchema(Answer):
    calls = fields.List(fields.Nested(WebhookCallSchema))
    next_cursor = told(fields.Integer, _l("Leads to older calls."), allow_none=True)
    previous_cursor = told(fields.Integer, _l("Leads to newer calls."), allow_none=True)


class ResentSchema(Answer):
    count = told(fields.Integer, _l("How many calls are made again."), 2)


# --- what apps are told: as services/tidings.py writes it ------------------------------------------


class _OfASession(Answer):
    session_id = told(
        fields.String,
        _l("As in the API; null when the session was removed."),
        "support_line",
        allow_none=True,
    )
    session_name = told(fields.String, example="Support line")


class MessageReceivedDataSchema(_OfASession):
    provider_id = told(
        fields.String, _l("WhatsApp's id of it, where known."), "3EB0C767D26B1A6A", allow_none=True
    )
    chat_id = told(fields.Integer, _l("As in the API: GET /api/v1/chats/{id}/messages/."), 42)
    is_group = fields.Boolean()
    chat = told(fields.String, _l("WhatsApp's id of the person or group."), CHAT)
    sender_number = told(
        fields.String, _l("E.164 digits; null when WhatsApp hides the number."), NUMBER, allow_none=True
    )
    sender_lid = told(fields.String, _l("WhatsApp's hidden id of the sender, where known."), allow_none=True)
    push_name = told(fields.String, _l("What the sender calls himself."), "Sari", allow_none=True)
    kind = told(fields.String, _l("text, image, audio, location and so on."), "text")
    text = told(fields.String, _l("The text or caption; empty where there is none."), "Halo!")


class MessageStatusDataSchema(_OfASession):
    id = told(fields.Integer, _l("As in the API: GET /api/v1/messages/{id}/."), 42)
    status = fields.String(
        metadata={
            "enum": [word.value for word in MessageStatus if word not in tidings.UNTOLD],
            "example": "delivered",
        }
    )
    recipient = told(fields.String, example=NUMBER)
    provider_id = told(fields.String, example="3EB0C767D26B1A6A", allow_none=True)
    error_code = told(fields.String, _l("Why it failed."), allow_none=True)
    source = told(fields.String, _l("Who asked for it."), "key:orders-api")


class SessionStatusDataSchema(Answer):
    id = told(fields.Integer, _l("As in the API."), 1)
    instance_name = told(fields.String, example="Support line")
    session_id = told(fields.String, example="support_line")
    status = fields.String(metadata={"enum": [word.value for word in Status], "example": "disconnected"})
    reason = fields.String(
        allow_none=True,
        metadata={"enum": [*[word.value for word in Reason], None], "example": "logged_out"},
    )
    phone_number = told(fields.String, example=NUMBER, allow_none=True)


class WebhookTestDataSchema(Answer):
    id = told(fields.Integer, _l("The webhook's number."), 1)
    name = told(fields.String, example="orders-app")


# kind of event: what it means, and the schema of its data
TOLD: dict[str, tuple[Any, str]] = {
    tidings.RECEIVED: (
        _l("Somebody wrote to one of the sessions. What the owner writes on the phone is not told."),
        "MessageReceivedData",
    ),
    tidings.PROGRESS: (
        _l("A message of ours was sent, delivered, read, or came to another end."),
        "MessageStatusData",
    ),
    tidings.SESSION: (_l("A session came into another status."), "SessionStatusData"),
    tidings.TEST: (_l("Somebody asked for a test event."), "WebhookTestData"),
}
