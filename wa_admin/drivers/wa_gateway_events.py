"""What wa-gateway reports: two webhooks, told apart by what is in them, and the states of its sessions."""

from __future__ import annotations

import json
import re
from typing import Any

from .contract import BadAnswer, FileSeen, MessageSeen, Seen, State, StateSeen
from .evolution_events import GROUP, LID, PERSON, number_of
from .shapes import object_of, text_of

KINDS = ("image", "video", "document", "audio")
NAME = re.compile(r"[\w-]{1,100}\.\w{1,8}")
STATUS = {
    "connected": ("connected", None),
    "connecting": ("connecting", None),
    "unknown": ("connecting", None),  # started, nothing heard yet
    # it says so when it has thrown the login away, and of a short break never
    "disconnected": ("disconnected", "logged_out"),
}


def read(body: bytes) -> list[Seen]:
    """What a webhook says. Raises BadAnswer when it is none of wa-gateway."""
    said = parsed(body)
    instance = text_of(said, "session") or ""
    if "status" in said:
        state = state_of(said)
        return [StateSeen(instance, state)] if state.status else []
    return _message(instance, said)


def parsed(body: bytes) -> dict[str, Any]:
    """Raises BadAnswer when the webhook is none of wa-gateway."""
    try:
        said = object_of(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the webhook is not JSON") from error
    if not text_of(said, "session"):
        raise BadAnswer("the webhook is not one of wa-gateway")
    return said


def state_of(said: dict[str, Any]) -> State:
    """From `GET /session/<name>` or a webhook. A word that is unknown yields no status."""
    word = text_of(said, "status") or ""
    status, reason = STATUS.get(word, (None, None))
    details = object_of(said.get("details"))
    return State(status, reason, word, number_in(details), text_of(details, "name"))


def number_in(details: dict[str, Any]) -> str | None:
    """Of the login that it has, connected or not. It cuts a JID at its colon, if there is one."""
    number = (text_of(details, "phoneNumber") or "").removesuffix(PERSON)
    return number if number.isdecimal() else None


def _message(instance: str, said: dict[str, Any]) -> list[Seen]:
    """It tells no id, no time and, in a group, no sender."""
    chat = text_of(said, "from") or ""
    if not chat.endswith((PERSON, LID, GROUP)):
        return []  # channels are no chats
    media = object_of(said.get("media"))
    kind = next((kind for kind in KINDS if media.get(kind)), "text")
    return [
        MessageSeen(
            instance=instance,
            provider_id="",
            chat=chat,
            sender_number=number_of(chat),
            sender_lid=chat if chat.endswith(LID) else None,
            push_name=None,
            text=text_of(said, "message") or "",
            kind=kind,
            file=_file(kind, text_of(media, kind) or "") if kind != "text" else None,
        )
    ]


def _file(kind: str, name: str) -> FileSeen:
    """It lies at /media/<name>; that of a document has lost its ending, and with it its address."""
    is_there = kind != "document" and NAME.fullmatch(name)
    return FileSeen(source={"name": name} if is_there else {})
