"""What WAHA reports, in our words: states, ids, and the webhooks of its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from .contract import BadAnswer, FileSeen, MessageSeen, ReceiptSeen, Seen, SentSeen, State, StateSeen
from .evolution_events import GROUP, LID, PERSON, number_of
from .shapes import object_of, text_of

FILES = "/api/files/"
USER = "@c.us"  # what WAHA writes where WhatsApp's own JID has @s.whatsapp.net
STATUS = {
    "WORKING": "connected",
    "STARTING": "connecting",
    "SCAN_QR_CODE": "qr_pending",
    "PASSKEY_REQUIRED": "connecting",
    "PASSKEY_CONFIRMATION_REQUIRED": "connecting",
    "STOPPED": "disconnected",
    "FAILED": "disconnected",
}
RECEIPTS = {-1: "failed", 1: "sent", 2: "delivered", 3: "read", 4: "played"}  # 0, PENDING, says nothing new


@dataclass(frozen=True)
class Envelope:
    """One webhook."""

    event: str
    instance: str
    payload: dict[str, Any]
    me: dict[str, Any]
    at: datetime | None


def read(body: bytes) -> list[Seen]:
    """What a webhook says; of an event that we do not know, nothing. Raises BadAnswer."""
    said = _parsed(body)
    envelope = Envelope(
        event=said["event"],
        instance=text_of(said, "session") or "",
        payload=object_of(said.get("payload")),
        me=object_of(said.get("me")),
        at=_moment(said.get("timestamp"), 1000),
    )
    reader = READERS.get(envelope.event)
    return list(reader(envelope)) if reader else []


def identity(body: bytes) -> bytes:
    """Its id. Raises BadAnswer."""
    return (text_of(_parsed(body), "id") or "").encode()


def state_of(said: dict[str, Any]) -> State:
    """From a session as WAHA describes it, or a session.status. A word that is unknown or missing yields no
    status."""
    word, me = text_of(said, "status") or "", object_of(said.get("me"))
    number = number_of(jid_of(text_of(me, "id") or ""))
    return State(
        status=STATUS.get(word),
        reason=_reason(word, _words_of(said), is_linked=number is not None),
        word=word,
        number=number,
        profile_name=text_of(me, "pushName"),
        passkey_code=text_of(object_of(said.get("data")), "code") if "CONFIRMATION" in word else None,
    )


def jid_of(chat: str) -> str:
    """WhatsApp's own form of a chat id."""
    return chat.removesuffix(USER) + PERSON if chat.endswith(USER) else chat


def message_id(said: Any) -> str | None:
    """WhatsApp's id, the same whichever engine writes it.

    true_6281…@c.us_3EB0… and true_1203…@g.us_3EB0…_99@lid hold it in third place (the chat can come back as
    a LID, so only that part is matched); WEBJS nests it in `_serialized`, raw Baileys answers in `key`.
    """
    if isinstance(said, dict):
        found = said.get("_serialized") or said.get("id") or object_of(said.get("key")).get("id")
        return message_id(found)
    if not isinstance(said, str) or not said:
        return None
    parts = said.split("_")
    return parts[2] if len(parts) > 2 and parts[0] in ("true", "false") else said


def sent(instance: str, messages: list[Any], recipient: str) -> Iterator[SentSeen]:
    """Those of a chat that are ours and that WhatsApp did not refuse."""
    for message in map(object_of, messages):
        provider_id = message_id(message.get("id"))
        if provider_id and message.get("fromMe") is True and RECEIPTS.get(_ack(message)) != "failed":
            yield SentSeen(
                instance,
                provider_id,
                recipient,
                _moment(message.get("timestamp"), 1),
                text=text_of(message, "body") or "",
                is_file=message.get("hasMedia") is True,
            )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the webhook is not JSON") from error
    if not isinstance(said, dict) or not text_of(said, "event") or not text_of(said, "session"):
        raise BadAnswer("the webhook is not one of WAHA")
    return said


def _words_of(said: dict[str, Any]) -> list[Any]:
    """The last three states, the present one included; only events hold them."""
    found = said.get("statuses")
    return [object_of(one).get("status") for one in found] if isinstance(found, list) else []


def _reason(word: str, words: list[Any], *, is_linked: bool) -> str | None:
    if word.startswith("PASSKEY"):
        return "passkey_required"
    if word == "STOPPED":
        return "stopped" if is_linked else None
    if word != "FAILED" or is_linked:
        return None
    if words[-2:-1] == ["SCAN_QR_CODE"]:
        return "qr_expired"  # six codes, then it gives up
    return "logged_out" if "WORKING" in words else None


def _states(envelope: Envelope) -> Iterator[Seen]:
    said = {"me": envelope.me, **envelope.payload}
    if STATUS.get(text_of(said, "status") or ""):
        yield StateSeen(envelope.instance, state_of(said), envelope.at)


def _receipts(envelope: Envelope) -> Iterator[Seen]:
    payload = envelope.payload
    kind, provider_id = RECEIPTS.get(_ack(payload)), message_id(payload.get("id"))
    if kind and provider_id and payload.get("fromMe") is not False:
        yield ReceiptSeen(envelope.instance, provider_id, kind, envelope.at)


def _ack(message: dict[str, Any]) -> int:
    ack = message.get("ack")
    return ack if isinstance(ack, int) else 0


def _messages(envelope: Envelope) -> Iterator[Seen]:
    payload = envelope.payload
    from_me = payload.get("fromMe") is True
    # `to` is the chat of what the owner wrote on the phone
    chat = jid_of(text_of(payload, "to" if from_me else "from") or "")
    provider_id = message_id(payload.get("id"))
    if not provider_id or not chat.endswith((PERSON, LID, GROUP)):
        return  # status updates and channels are no chats
    sender = jid_of(text_of(payload, "participant") or chat)
    owner = number_of(jid_of(text_of(envelope.me, "id") or ""))
    more = object_of(payload.get("_data"))
    yield MessageSeen(
        instance=envelope.instance,
        provider_id=provider_id,
        chat=chat,
        sender_number=owner if from_me else number_of(sender),
        sender_lid=sender if sender.endswith(LID) and not from_me else None,
        push_name=text_of(more, "notifyName") or text_of(more, "pushName"),  # WEBJS, NOWEB
        text=text_of(payload, "body") or "",
        kind=_kind(payload),
        from_me=from_me,
        at=_moment(payload.get("timestamp"), 1),
        quoted=text_of(object_of(payload.get("replyTo")), "body") or "",
        file=_file(payload),
    )


READERS: dict[str, Callable[[Envelope], Iterator[Seen]]] = {
    "session.status": _states,
    "message": _messages,
    "message.ack": _receipts,
    "message.ack.group": _receipts,
}


def _kind(payload: dict[str, Any]) -> str:
    if payload.get("hasMedia") is not True:
        return "text"
    family = (text_of(object_of(payload.get("media")), "mimetype") or "").partition("/")[0]
    return family if family in ("image", "video", "audio") else "document"


def _file(payload: dict[str, Any]) -> FileSeen | None:
    """WAHA keeps it for some minutes. The host it names is its own idea of itself: only the path counts."""
    if payload.get("hasMedia") is not True:
        return None
    media = object_of(payload.get("media"))
    path = urlsplit(text_of(media, "url") or "").path
    source = {"path": path} if path.startswith(FILES) and ".." not in path else {}
    return FileSeen(text_of(media, "mimetype") or "", text_of(media, "filename"), source=source)


def _moment(value: Any, per_second: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value) / per_second, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
