"""neonize's protobuf events put into ours. It knows them by name and field, so it imports nothing of neonize.

Messages carry milliseconds, receipts and send answers seconds. Chats and people come as LID (`...@lid`) or as
phone number (`...@s.whatsapp.net`); one is never made up from the other, `*_alt` has what WhatsApp added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wa_admin.gateway.engines.contract import Event

PHONE_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"


def event_of(message: Any) -> Event | None:
    """Translate one event of neonize; None when it says nothing the gateway asks for."""
    translate = TRANSLATIONS.get(message.DESCRIPTOR.name)
    return translate(message) if translate else None


def opened(device: Any) -> Event:
    """The login is complete. `device` is our own account; it has no push name before the first sync."""
    account = {
        "number": device.JID.User,
        "lid": jid_text(device.LID),
        "profile_name": profile_name(device),
        "platform": device.Platform,
    }
    return _state("open", None) | {key: value for key, value in account.items() if value}


def profile_name(device: Any) -> str:
    return str(device.PushName or device.BussinessName)


def sent(response: Any) -> dict[str, Any]:
    """The answer to a send: message id, chat (a LID for people), Unix seconds of the server."""
    return {"id": response.ID, "jid": jid_text(response.Chat), "at": response.Timestamp}


def checked(number: str, answer: Any | None) -> dict[str, Any]:
    """Whether a number is on WhatsApp; no answer for it means that it is not."""
    found: dict[str, Any] = {"number": number, "jid": f"{number}@{PHONE_SERVER}", "exists": False}
    if answer is None:
        return found
    found["exists"] = answer.IsIn
    if answer.JID.Server == LID_SERVER:
        found["lid"] = jid_text(answer.JID)
    elif answer.JID.Server == PHONE_SERVER:
        found["jid"] = jid_text(answer.JID)
    return found


def jid_text(jid: Any) -> str:
    """A JID as text without its device part; "" for an empty one."""
    return f"{jid.User}@{jid.Server}" if jid.User and jid.Server else ""


def _paired(event: Any) -> Event:
    if _enum(event, "Status") != "SUCCESS":
        return _state("close", "auth_failure")
    return _state("connecting", None) | {"number": event.ID.User, "platform": event.Platform}


def _logged_out(event: Any) -> Event:
    # 406, UNKNOWN_LOGOUT here, is BANNED in WhatsApp's own web client: whatsmeow types/events/events.go
    return _state("close", "banned" if _enum(event, "Reason") == "UNKNOWN_LOGOUT" else "logged_out")


def _banned(event: Any) -> Event:
    return _state("close", "banned") | {"ban_seconds": event.Expire}


def _refused(event: Any) -> Event:
    return _state(*REFUSALS.get(_enum(event, "Reason"), ("close", "auth_failure")))


def _message(event: Any) -> Event | None:
    kind, content = _content(event.Message)
    if kind is None:
        return None
    source = event.Info.MessageSource
    chat, sender = jid_text(source.Chat), jid_text(source.Sender)
    translated: Event = {
        "event": "message",
        "id": event.Info.ID,
        "chat": chat,
        "chat_alt": _chat_alt(source),
        "sender": sender,
        "sender_alt": jid_text(source.SenderAlt),
        "from_me": source.IsFromMe,
        "group": source.IsGroup,
        "push_name": event.Info.Pushname,
        "at": event.Info.Timestamp // 1000,
        "type": "editedMessage" if event.IsEdit else kind,
    }
    more = {"text": _text(kind, content), "quoted": _quoted(content), "file": _file(content)}
    return translated | {name: value for name, value in more.items() if value}


def _chat_alt(source: Any) -> str:
    """The other name of a chat with one person; a group has none."""
    if source.IsGroup:
        return ""
    return jid_text(source.RecipientAlt if source.IsFromMe else source.SenderAlt)


def _content(message: Any) -> tuple[str | None, Any]:
    for field, value in message.ListFields():
        if field.name in ENVELOPE:
            continue
        if field.name == "protocolMessage" and _enum(value, "type") not in PROTOCOL_OF_PEOPLE:
            return None, None
        # as Evolution: all plain text is a conversation, with a link, quoted or not
        return ("conversation" if field.name == "extendedTextMessage" else field.name), value
    return None, None


def _text(kind: str, content: Any) -> str:
    if kind == "conversation":
        return str(content if isinstance(content, str) else content.text)
    if kind == "reactionMessage":
        return str(content.text)
    return str(getattr(content, "caption", ""))


def _quoted(content: Any) -> str:
    """The text that it answers; a plain text has no room for one."""
    context = getattr(content, "contextInfo", None)
    kind, quoted = _content(context.quotedMessage) if context is not None else (None, None)
    return _text(kind, quoted) if kind else ""


def _file(content: Any) -> dict[str, Any] | None:
    """What the sender says of the file; only what has a key to be opened with is one."""
    if not getattr(content, "mediaKey", b""):
        return None
    told = {"mimetype": content.mimetype, "filename": getattr(content, "fileName", "")}
    return told | {"size_bytes": content.fileLength}


def _receipt(event: Any) -> Event | None:
    kind = RECEIPTS.get(_enum(event, "Type"))
    if kind is None:
        return None
    return {
        "event": "receipt",
        "ids": list(event.MessageIDs),
        "type": kind,
        "chat": jid_text(event.MessageSource.Chat),
        "at": event.Timestamp,
    }


def _stream_error(event: Any) -> Event:
    return {"event": "log", "level": "warning", "text": f"WhatsApp ended the stream with code {event.Code}"}


def _enum(message: Any, field: str) -> str:
    """The name of an enum field's value; "" for one this neonize does not name."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    value = descriptor.enum_type.values_by_number.get(getattr(message, field))
    return str(value.name) if value else ""


def _state(state: str, reason: str | None) -> Event:
    return {"event": "state", "state": state, "reason": reason}


# Around every content or beside it, never the content itself.
ENVELOPE = {
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
}

# The rest of protocolMessage is our own phone handing over keys and history.
PROTOCOL_OF_PEOPLE = {"REVOKE", "MESSAGE_EDIT"}

# What else there is speaks of our own other devices, or asks whatsmeow to send once more, which it does.
RECEIPTS = {"DELIVERED": "delivered", "INACTIVE": "delivered", "READ": "read", "PLAYED": "played"}

REFUSALS = {
    "LOGGED_OUT": ("close", "logged_out"),
    "MAIN_DEVICE_GONE": ("close", "logged_out"),
    "TEMP_BANNED": ("close", "banned"),
    "UNKNOWN_LOGOUT": ("close", "banned"),
    "CLIENT_OUTDATED": ("close", "outdated"),
    "BAD_USER_AGENT": ("close", "outdated"),  # 409: the version we say we are; only a newer neonize helps
    "INTERNAL_SERVER_ERROR": ("connecting", "network"),  # whatsmeow connects again after these two
    "SERVICE_UNAVAILABLE": ("connecting", "network"),
}

TRANSLATIONS: dict[str, Callable[[Any], Event | None]] = {
    "PairStatus": _paired,
    "Disconnected": lambda event: _state("connecting", "network"),
    "KeepAliveTimeout": lambda event: _state("connecting", "network"),
    "LoggedOut": _logged_out,
    "StreamReplaced": lambda event: _state("close", "replaced"),
    "TemporaryBan": _banned,
    "ClientOutdated": lambda event: _state("close", "outdated"),
    "ConnectFailure": _refused,
    "StreamError": _stream_error,
    "Message": _message,
    "Receipt": _receipt,
}
