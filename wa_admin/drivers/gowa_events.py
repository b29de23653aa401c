"""What GOWA reports, in our words: states, and the webhooks of its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from .contract import BadAnswer, MessageSeen, ReceiptSeen, Seen, SentSeen, State
from .evolution_events import GROUP, LID, PERSON, moment, number_of
from .shapes import object_of, text_of

STATUS = {
    "logged_in": "connected",
    "connected": "qr_pending",  # the socket is up, and nobody is logged in
    "connecting": "connecting",
    "disconnected": "disconnected",
}
# read-self and sender are of our own devices, retry says that nobody could read it
RECEIPTS = {"delivered": "delivered", "read": "read", "played": "played"}
MEDIA = ("image", "video", "audio", "document", "sticker", "video_note", "location", "contact")


def read(body: bytes, instance_of: Callable[[str], str | None]) -> list[Seen]:
    """What a webhook says; of an event or a device that we do not know, nothing.

    `instance_of` finds our id by the JID, all that GOWA names before 8.8.0. Raises BadAnswer.
    """
    said = _parsed(body)
    reader = READERS.get(said["event"])
    payload = said.get("payload")
    if reader is None or not isinstance(payload, dict):
        return []
    device = text_of(said, "device_id") or ""
    instance = text_of(said, "session_id") or instance_of(device)
    return list(reader(instance, device, payload, said)) if instance else []


def identity(body: bytes) -> bytes:
    """It gives no id, but what it repeats is the same to the byte, its time included. Raises BadAnswer."""
    said = _parsed(body)
    has_time = text_of(said, "timestamp") or text_of(object_of(said.get("payload")), "timestamp")
    return body if has_time else b""


def state_of(device: dict[str, Any]) -> State:
    """From a device as GOWA describes it. A word that is unknown or missing yields no status."""
    word = text_of(device, "state") or ""
    number = number_of(device.get("jid"))
    name = text_of(device, "display_name")
    reason = None
    if word == "disconnected" and number is None and name is not None:
        reason = "logged_out"  # unlinking clears the JID and keeps the name that the phone gave
    return State(STATUS.get(word), reason, word, number, name)


def sent(instance: str, messages: list[Any], recipient: str) -> Iterator[SentSeen]:
    """Those of a chat that are ours."""
    for message in map(object_of, messages):
        provider_id = text_of(message, "id")
        if provider_id and message.get("is_from_me") is True:
            yield SentSeen(
                instance,
                provider_id,
                recipient,
                moment(message.get("timestamp")),
                text=text_of(message, "content") or "",
                is_file=text_of(message, "media_type") is not None,
            )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the webhook is not JSON") from error
    if not isinstance(said, dict) or not text_of(said, "event"):
        raise BadAnswer("the webhook is not one of GOWA")
    return said


def _receipts(
    instance: str, device: str, payload: dict[str, Any], said: dict[str, Any]
) -> Iterator[ReceiptSeen]:
    """Matched by id alone, since the chat may stay a LID."""
    kind, ids = RECEIPTS.get(text_of(payload, "receipt_type") or ""), payload.get("ids")
    for provider_id in ids if kind and isinstance(ids, list) else []:
        if isinstance(provider_id, str) and provider_id and kind:
            yield ReceiptSeen(instance, provider_id, kind, moment(said.get("timestamp")))


def _messages(
    instance: str, device: str, payload: dict[str, Any], said: dict[str, Any]
) -> Iterator[MessageSeen]:
    chat, provider_id = text_of(payload, "chat_id") or "", text_of(payload, "id")
    if not provider_id or not chat.endswith((PERSON, LID, GROUP)):
        return  # status updates and channels are no chats
    from_me = payload.get("is_from_me") is True
    yield MessageSeen(
        instance=instance,
        provider_id=provider_id,
        chat=chat,
        sender_number=number_of(device if from_me else payload.get("from")),
        sender_lid=None if from_me else text_of(payload, "from_lid"),
        push_name=text_of(payload, "from_name"),
        text=text_of(payload, "body") or "",
        kind=next((name for name in MEDIA if name in payload), "text"),
        from_me=from_me,
        at=moment(payload.get("timestamp")),
    )


READERS: dict[str, Callable[[str, str, dict[str, Any], dict[str, Any]], Iterator[Seen]]] = {
    "message": _messages,
    "message.ack": _receipts,
}
