"""The words for chats: whom one is with, what its last line is, and why a file is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from .models import Chat, Contact, FileState
from .models.chat import GROUP
from .phone import for_reading

# what WhatsApp's kinds of messages are called; those of a text need no word
KINDS: Mapping[str, tuple[Any, str]] = {
    "image": (_l("Picture"), "image"),
    "video": (_l("Video"), "file"),
    "video_note": (_l("Video"), "file"),
    "ptv": (_l("Video"), "file"),
    "audio": (_l("Voice message"), "file"),
    "ptt": (_l("Voice message"), "file"),
    "document": (_l("File"), "file"),
    "documentWithCaption": (_l("File"), "file"),
    "sticker": (_l("Sticker"), "image"),
    "location": (_l("Location"), "globe"),
    "liveLocation": (_l("Location"), "globe"),
    "contact": (_l("Contact"), "user"),
    "contactsArray": (_l("Contacts"), "user"),
    "reaction": (_l("Reaction"), "heart"),
    "edited": (_l("Changed a message. The phone shows how it reads now."), "edit"),
    "protocol": (_l("Deleted or changed a message"), "trash"),
}
UNKNOWN_KIND = (_l("A message that only the phone can show"), "phone")
FILES: Mapping[FileState, Any] = {
    FileState.WAITING: _l("is being fetched"),
    FileState.TOO_LARGE: _l("is too large to be kept here; the phone has it"),
    FileState.REFUSED: _l("is of a type that could do harm, so it is not kept"),
    FileState.FAILED: _l("could not be fetched; the phone has it"),
    FileState.DROPPED: _l("is no longer kept"),
}


def title(chat: Chat) -> str:
    """The name of the group or person, or else the number; a LID is never shown as one."""
    if chat.is_group:
        return chat.name or gettext("Group %(id)s", id=chat.address.removesuffix(GROUP))
    return called(chat.contact) or for_reading(chat.phone) or gettext("Somebody without a number")


def called(contact: Contact | None) -> str:
    return (contact.name or for_reading(contact.phone)) if contact else ""


def number(chat: Chat) -> str:
    """The number beside a name; nothing where the title is the number, or there is none."""
    return for_reading(chat.phone) if chat.phone and chat.contact and chat.contact.name else ""


def kind(word: str) -> tuple[Any, str]:
    """What a line is that is no text: its word and icon."""
    return ("", "") if word == "text" else KINDS.get(word, UNKNOWN_KIND)


def preview(chat: Chat) -> str:
    """The last line in one."""
    return chat.last_text or str(kind(chat.last_kind)[0])
