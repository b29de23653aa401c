"""What wwebjs-api reports, in our words: states of the page, and the webhooks of its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .contract import (
    BadAnswer,
    Code,
    CodeShown,
    FileSeen,
    MessageSeen,
    ReceiptSeen,
    Seen,
    SentSeen,
    State,
    StateSeen,
)
from .evolution_events import GROUP, LID, PERSON
from .shapes import bytes_of, object_of, text_of

USER = "@c.us"
UNPAIRED = ("UNPAIRED", "UNPAIRED_IDLE")
NOT_FOUND, CRASHED = "session_not_found", ("browser tab closed", "session closed")
PAIRING_CODE_SECONDS = 180

STATES = {
    "CONNECTED": ("connected", None),
    **dict.fromkeys(("OPENING", "PAIRING", "UNLAUNCHED", "TIMEOUT"), ("connecting", None)),
    **dict.fromkeys(CRASHED, ("disconnected", None)),
    "CONFLICT": ("disconnected", "replaced"),
    # nothing that trying again would mend
    "DEPRECATED_VERSION": ("disconnected", "outdated"),
    "PROXYBLOCK": ("disconnected", "auth_failure"),
    "TOS_BLOCK": ("disconnected", "banned"),
    "SMB_TOS_BLOCK": ("disconnected", "banned"),
}
WORDS = frozenset({NOT_FOUND, *UNPAIRED, *STATES})
ACKS = {-1: "failed", 1: "sent", 2: "delivered", 3: "read", 4: "played"}
WITH_WORDS = ("chat", "image", "video", "document")  # the body of a location is a picture


@dataclass(frozen=True)
class Envelope:
    """One webhook. It has neither an id nor a time."""

    event: str
    instance: str
    data: dict[str, Any]


def parsed(body: bytes) -> Envelope:
    """Raises BadAnswer when the webhook is none of wwebjs-api."""
    try:
        said = object_of(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the webhook is not JSON") from error
    event, instance = text_of(said, "dataType"), text_of(said, "sessionId")
    if not event or not instance:
        raise BadAnswer("the webhook is not one of wwebjs-api")
    return Envelope(event, instance, object_of(said.get("data")))


def read(envelope: Envelope, read_code: Callable[[str], Code]) -> list[Seen]:
    """What a webhook says; of an event that we do not know, nothing."""
    if envelope.event == "qr":
        qr = text_of(envelope.data, "qr")
        return [CodeShown(envelope.instance, read_code(qr))] if qr else []
    reader = READERS.get(envelope.event)
    return list(reader(envelope)) if reader else []


def sent(instance: str, messages: list[Any], recipient: str) -> Iterator[SentSeen]:
    """Those of a chat that are ours and that WhatsApp did not refuse."""
    for message in map(object_of, messages):
        provider_id = id_of(message)
        if provider_id and message.get("fromMe") is True and message.get("ack") != -1:
            yield SentSeen(
                instance,
                provider_id,
                recipient,
                _moment(message.get("timestamp")),
                text=(text_of(message, "body") or "") if text_of(message, "type") in WITH_WORDS else "",
                is_file=message.get("hasMedia") is True,
            )


def state_of(word: str) -> State:
    """Of a word that is not about codes; one that is unknown stands for a page in trouble."""
    status, reason = STATES.get(word, ("connecting", None))
    return State(status, reason, word)


def phone_jid(chat: str) -> str:
    """WhatsApp's own form of what whatsapp-web.js calls 628…@c.us."""
    return chat.removesuffix(USER) + PERSON if chat.endswith(USER) else chat


def number_of(chat: str | None) -> str | None:
    digits = (chat or "").removesuffix(USER).partition(":")[0]
    return digits if chat and chat.endswith(USER) and digits.isdecimal() else None


def id_of(message: dict[str, Any]) -> str | None:
    return text_of(object_of(message.get("id")), "_serialized")


def _pairing_codes(envelope: Envelope) -> Iterator[Seen]:
    if code := text_of(envelope.data, "code"):
        yield CodeShown(envelope.instance, Code(None, code, lifetime_seconds=PAIRING_CODE_SECONDS))


def _connecting(envelope: Envelope) -> Iterator[Seen]:
    yield StateSeen(envelope.instance, State("connecting", word=envelope.event))


def _ready(envelope: Envelope) -> Iterator[Seen]:
    yield StateSeen(envelope.instance, State("connected", word="ready"))


def _changes(envelope: Envelope) -> Iterator[Seen]:
    word = text_of(envelope.data, "state")
    if word in STATES:  # an UNPAIRED shows its next code or reports that it was unlinked
        yield StateSeen(envelope.instance, state_of(word))


def _disconnections(envelope: Envelope) -> Iterator[Seen]:
    word = text_of(envelope.data, "reason") or ""
    reason = "logged_out" if word in ("LOGOUT", *UNPAIRED) else STATES.get(word, ("", None))[1]
    yield StateSeen(envelope.instance, State("disconnected", reason, word))


def _auth_failures(envelope: Envelope) -> Iterator[Seen]:
    yield StateSeen(envelope.instance, State("disconnected", "auth_failure", "auth_failure"))


def _receipts(envelope: Envelope) -> Iterator[Seen]:
    message, ack = object_of(envelope.data.get("message")), envelope.data.get("ack")
    kind, provider_id = ACKS.get(ack) if isinstance(ack, int) else None, id_of(message)
    if kind and provider_id and object_of(message["id"]).get("fromMe") is not False:
        yield ReceiptSeen(envelope.instance, provider_id, kind)


def _messages(envelope: Envelope) -> Iterator[Seen]:
    message = object_of(envelope.data.get("message"))
    provider_id, chat = id_of(message), text_of(message, "from") or ""
    if not provider_id or not chat.endswith((USER, LID, GROUP)):
        return  # status updates and channels are no chats
    sender = text_of(message, "author") or chat
    kind = text_of(message, "type") or ""
    yield MessageSeen(
        instance=envelope.instance,
        provider_id=provider_id,
        chat=phone_jid(chat),
        sender_number=number_of(sender),
        sender_lid=sender if sender.endswith(LID) else None,
        push_name=text_of(object_of(message.get("_data")), "notifyName"),
        text=(text_of(message, "body") or "") if kind in WITH_WORDS else "",
        kind="text" if kind == "chat" else kind,
        from_me=message.get("fromMe") is True,
        at=_moment(message.get("timestamp")),
        file=_file(message, object_of(envelope.data.get("messageMedia"))),
    )


def _file(message: dict[str, Any], media: dict[str, Any]) -> FileSeen | None:
    """The same message comes twice: as itself, and as `media` with its file."""
    if message.get("hasMedia") is not True:
        return None
    content = bytes_of(media.get("data"))
    return FileSeen(text_of(media, "mimetype") or "", text_of(media, "filename"), content=content)


def _moment(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


# without message_create, which tells our own messages over again
READERS: dict[str, Callable[[Envelope], Iterator[Seen]]] = {
    "code": _pairing_codes,
    "authenticated": _connecting,
    "loading_screen": _connecting,
    "ready": _ready,
    "change_state": _changes,
    "disconnected": _disconnections,
    "status": _auth_failures,
    "message_ack": _receipts,
    "message": _messages,
    "media": _messages,
}
