"""What Evolution reports, in our words: live states, reasons, and the webhooks of its contract."""

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
    InstanceGone,
    MessageSeen,
    ReceiptSeen,
    Seen,
    SentSeen,
    State,
    StateSeen,
)
from .shapes import bytes_of, object_of, text_of

STATUS = {
    "open": "connected",
    "connecting": "connecting",
    "close": "disconnected",
    "closed": "disconnected",  # status.instance
    "refused": "disconnected",  # nobody scanned
}
REASONS = frozenset(
    {
        "never_linked",
        "qr_expired",
        "passkey_required",
        "auth_failure",
        "logged_out",
        "replaced",
        "banned",
        "outdated",
        "network",
        "stopped",
    }
)
# Baileys' DisconnectReason; 402, 405, 406 are WhatsApp's own (whatsmeow types/events ConnectFailureReason)
REASON_OF_CODE = {
    401: "logged_out",
    402: "banned",
    403: "banned",
    405: "outdated",
    406: "logged_out",
    408: "network",
    411: "auth_failure",
    428: "network",
    440: "replaced",
    500: "auth_failure",
    503: "network",
    515: "network",
}
# PENDING says nothing new, and DELETED stands for a status that Evolution does not know
RECEIPTS = {
    "SERVER_ACK": "sent",
    "DELIVERY_ACK": "delivered",
    "READ": "read",
    "PLAYED": "played",
    "ERROR": "failed",
}
PERSON, LID, GROUP = "@s.whatsapp.net", "@lid", "@g.us"

ReadCode = Callable[[str, dict[str, Any]], Code | None]


@dataclass(frozen=True)
class Envelope:
    """One webhook. `at` is None where the gateway's clock cannot be believed, whose word is `turn`."""

    event: str
    instance: str
    data: Any
    at: datetime | None
    turn: datetime | None
    owner_number: str | None


def read(body: bytes, read_code: ReadCode, *, believe_clock: bool) -> list[Seen]:
    """What a webhook says; of an event that we do not know, nothing. Raises BadAnswer."""
    said = _parsed(body)
    told_at = moment(said.get("date_time"))
    envelope = Envelope(
        event=said["event"],
        instance=text_of(said, "instance") or "",
        data=said.get("data"),
        at=told_at if believe_clock else None,
        turn=told_at,
        owner_number=number_of(said.get("sender")),
    )
    if envelope.event == "qrcode.updated":
        return list(_codes(envelope, read_code))
    reader = READERS.get(envelope.event)
    return list(reader(envelope)) if reader else []


def instance_of(body: bytes) -> str:
    """Whom a webhook is about. Raises BadAnswer."""
    return text_of(_parsed(body), "instance") or ""


def identity(body: bytes) -> bytes:
    """A webhook that is tried again is the same to the byte, its time included. Raises BadAnswer."""
    return body if text_of(_parsed(body), "date_time") else b""


def state_of(said: dict[str, Any]) -> State:
    """From connectionState or connection.update. A word that is unknown or missing yields no status."""
    word = text_of(said, "state") or text_of(said, "status") or ""
    status = STATUS.get(word)
    reason = _reason(said, word)
    if reason is not None and reason not in REASONS:
        word, reason = reason, None  # kept for the curious, such as "crashed"
    return State(
        status=status,
        reason=reason,
        word=word,
        number=text_of(said, "number") or number_of(said.get("wuid")),
        profile_name=text_of(said, "profileName"),
        ban_ends_at=moment(said.get("banExpiresAt")),
    )


def receipts(instance: str, updates: Any, at: datetime | None = None) -> Iterator[ReceiptSeen]:
    """From messages.update or findStatusMessage."""
    for update in _each(updates):
        kind, provider_id = RECEIPTS.get(text_of(update, "status") or ""), text_of(update, "keyId")
        if kind and provider_id and update.get("fromMe") is not False:
            yield ReceiptSeen(instance, provider_id, kind, at)


def sent(instance: str, messages: Any) -> Iterator[SentSeen]:
    """From send.message or findMessages."""
    for message in _each(messages):
        key = object_of(message.get("key"))
        provider_id, recipient = text_of(key, "id"), _chat(key)
        content, kind = _opened(object_of(message.get("message")), text_of(message, "messageType") or "")
        if provider_id and recipient and key.get("fromMe") is not False and not _is_refused(message):
            yield SentSeen(
                instance,
                provider_id,
                recipient,
                _unix(message.get("messageTimestamp")),
                text=_words(content, kind),
                is_file="mimetype" in object_of(content.get(kind)),
            )


def number_of(jid: Any) -> str | None:
    """4915100000001:7@s.whatsapp.net is the number 4915100000001; a LID or a group is none."""
    if not isinstance(jid, str) or not jid.endswith(PERSON):
        return None
    digits = jid.removesuffix(PERSON).partition(":")[0]
    return digits if digits.isdecimal() else None


def moment(text: Any) -> datetime | None:
    """An ISO time with its zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the webhook is not JSON") from error
    if not isinstance(said, dict) or not text_of(said, "event") or not text_of(said, "instance"):
        raise BadAnswer("the webhook is not one of Evolution")
    return said


def _reason(said: dict[str, Any], word: str) -> str | None:
    if "reason" in said:  # the bundled gateway says so itself
        return text_of(said, "reason")
    if word == "refused":
        return "qr_expired"
    if STATUS.get(word) != "disconnected":
        return None
    code = said.get("statusReason", said.get("disconnectionReasonCode"))
    return REASON_OF_CODE.get(code) if isinstance(code, int) else None


def _codes(envelope: Envelope, read_code: ReadCode) -> Iterator[Seen]:
    data = object_of(envelope.data)
    if code := read_code(envelope.instance, object_of(data.get("qrcode"))):
        yield CodeShown(envelope.instance, code)
    elif "statusCode" in data:  # the limit of codes is reached
        yield StateSeen(
            envelope.instance, State("disconnected", "qr_expired", "refused"), envelope.at, envelope.turn
        )


def _states(envelope: Envelope) -> Iterator[Seen]:
    state = state_of(object_of(envelope.data))
    if state.status is not None:
        yield StateSeen(envelope.instance, state, envelope.at, envelope.turn)


def _logout(envelope: Envelope) -> Iterator[Seen]:
    yield StateSeen(
        envelope.instance, State("disconnected", "logged_out", "logout"), envelope.at, envelope.turn
    )


def _gone(envelope: Envelope) -> Iterator[Seen]:
    yield InstanceGone(envelope.instance)


def _receipts(envelope: Envelope) -> Iterator[Seen]:
    return receipts(envelope.instance, envelope.data, envelope.at)


def _sent(envelope: Envelope) -> Iterator[Seen]:
    return sent(envelope.instance, envelope.data)


def _messages(envelope: Envelope) -> Iterator[Seen]:
    for message in _each(envelope.data):
        key = object_of(message.get("key"))
        chat = _chat(key)
        provider_id = text_of(key, "id")
        if not provider_id or not chat.endswith((PERSON, LID, GROUP)):
            continue  # status updates and channels are no chats
        from_me = key.get("fromMe") is True
        number, lid = (envelope.owner_number, None) if from_me else _sender(key)
        kind = text_of(message, "messageType") or ""
        content = object_of(message.get("message"))
        context = object_of(message.get("contextInfo"))
        yield MessageSeen(
            instance=envelope.instance,
            provider_id=provider_id,
            chat=chat,
            sender_number=number,
            sender_lid=lid,
            push_name=text_of(message, "pushName"),
            text=_words(content, kind),
            kind="text" if kind in ("conversation", "extendedTextMessage") else kind.removesuffix("Message"),
            from_me=from_me,
            at=_unix(message.get("messageTimestamp")),
            chat_lid=_lid_of_chat(key) if from_me else None,  # else the sender says it
            group_name=text_of(message, "groupSubject"),  # which only the bundled gateway tells
            quoted=_quoted(object_of(context.get("quotedMessage"))),
            file=_file(content, kind, provider_id),
        )


READERS: dict[str, Callable[[Envelope], Iterator[Seen]]] = {
    "connection.update": _states,
    "status.instance": _states,
    "logout.instance": _logout,
    "remove.instance": _gone,
    "instance.delete": _gone,
    "messages.update": _receipts,
    "send.message": _sent,
    "messages.upsert": _messages,
}


def _chat(key: dict[str, Any]) -> str:
    """The JID with the phone number when there is one: either of the two can be the LID, or missing."""
    jids = [text_of(key, "remoteJid") or "", text_of(key, "remoteJidAlt") or ""]
    return next((jid for jid in jids if jid.endswith(PERSON)), jids[0] or jids[1])


def _sender(key: dict[str, Any]) -> tuple[str | None, str | None]:
    """The number and the LID of who wrote; in a group the key names the group and the participant."""
    in_group = (text_of(key, "remoteJid") or "").endswith(GROUP)
    name = "participant" if in_group else "remoteJid"
    jids = [jid for jid in (text_of(key, name), text_of(key, name + "Alt")) if jid]
    number = next(filter(None, map(number_of, jids)), None)
    return number, next((jid for jid in jids if jid.endswith(LID)), None)


def _words(message: dict[str, Any], kind: str) -> str:
    content = object_of(message.get(kind))
    return text_of(message, "conversation") or text_of(content, "text") or text_of(content, "caption") or ""


def _lid_of_chat(key: dict[str, Any]) -> str | None:
    jids = (text_of(key, "remoteJid") or "", text_of(key, "remoteJidAlt") or "")
    return next((jid for jid in jids if jid.endswith(LID)), None)


def _quoted(message: dict[str, Any]) -> str:
    return next(filter(None, (_words(message, kind) for kind in ("conversation", *message))), "")


def _file(message: dict[str, Any], kind: str, provider_id: str) -> FileSeen | None:
    """What Evolution fetches from WhatsApp by the id of the message, or has put into the webhook."""
    message, kind = _opened(message, kind)
    said = object_of(message.get(kind))
    mimetype = text_of(said, "mimetype")
    if mimetype is None:
        return None
    return FileSeen(
        mimetype=mimetype,
        filename=text_of(said, "fileName"),
        size_bytes=_whole(said.get("fileLength")),
        source={"id": provider_id},
        content=bytes_of(message.get("base64")),
    )


def _opened(message: dict[str, Any], kind: str) -> tuple[dict[str, Any], str]:
    """A document with words under it is wrapped once more."""
    if kind != "documentWithCaptionMessage":
        return message, kind
    return object_of(object_of(message.get(kind)).get("message")), "documentMessage"


def _is_refused(message: dict[str, Any]) -> bool:
    """By the updates that findMessages tells with it."""
    updates = message.get("MessageUpdate")
    return isinstance(updates, list) and any(object_of(one).get("status") == "ERROR" for one in updates)


def _whole(value: Any) -> int | None:
    """A number, a text of digits, or Baileys' 64-bit object."""
    value = value.get("low") if isinstance(value, dict) else value
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _unix(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(_whole(seconds) or 0, UTC) if _whole(seconds) is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _each(data: Any) -> list[dict[str, Any]]:
    """Some events come as an object or as an array of them."""
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else [object_of(data)]
