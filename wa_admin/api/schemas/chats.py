"""Chats, as calls ask for them and answers show them."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from marshmallow import fields

from ...app import settings
from ...models import Chat, FileState, IncomingFile, MessageStatus
from ...services import incoming_files
from ...services.conversation import Entry
from ..fields import Choice, Moment, Number, Text
from .shape import Answer, Call, told

LONGEST_CURSOR = 40
_CURSOR = {"description": _l("next_cursor of another page."), "example": "1767171600000000.42"}


class ChatsQuerySchema(Call):
    state = Choice(["unread"], metadata={"description": _l("unread: what nobody has read to the end.")})
    cursor = Text(longest=LONGEST_CURSOR, metadata=_CURSOR)
    limit = Number(1, 100, from_text=True, load_default=50, metadata={"default": 50})


class ChatMessagesQuerySchema(Call):
    cursor = Text(longest=LONGEST_CURSOR, metadata={**_CURSOR, "example": "815.42"})
    limit = Number(1, 100, from_text=True, load_default=50, metadata={"default": 50})


class LastLineSchema(Answer):
    at = Moment()
    from_me = fields.Boolean()
    kind = fields.String(metadata={"example": "text"})
    text = told(fields.String, _l("Its beginning, on one line."), "Halo, masih buka?")


class ChatSchema(Answer):
    id = fields.Integer(metadata={"example": 42})
    session_id = fields.Function(
        lambda one: one.session.session_id if one.session else None,
        metadata={
            "type": ["string", "null"],
            "description": _l("Whom they write to; null when that session was removed."),
        },
    )
    session_name = fields.String(metadata={"example": "Support line"})
    recipient = told(
        fields.String, _l("What a message to it has as recipient."), "6281234567890", attribute="address"
    )
    is_group = fields.Boolean()
    name = fields.Function(
        lambda one: _name(one),
        metadata={
            "type": ["string", "null"],
            "description": _l("What they call themselves, or the subject of the group."),
        },
    )
    phone_number = fields.Function(
        lambda one: one.phone,
        metadata={"type": ["string", "null"], "description": _l("Null while WhatsApp tells only a LID.")},
    )
    lid = fields.Function(
        lambda one: one.contact.lid if one.contact else None, metadata={"type": ["string", "null"]}
    )
    unread_count = fields.Integer(metadata={"example": 2})
    last = fields.Function(
        lambda one: LastLineSchema().dump(_last(one)), metadata={"$ref": "#/components/schemas/LastLine"}
    )


class ChatsSchema(Answer):
    chats = fields.List(fields.Nested(ChatSchema))
    next_cursor = told(fields.String, _l("Leads to chats that were quiet for longer."), allow_none=True)


class ChatFileSchema(Answer):
    filename = fields.String(metadata={"example": "invoice.pdf"})
    mimetype = fields.String(allow_none=True)
    size_bytes = fields.Integer(allow_none=True)
    state = fields.String(metadata={"enum": [word.value for word in FileState]})
    url = told(
        fields.String,
        _l("Opens the file for 15 minutes, for whoever holds it; null while there is none."),
        allow_none=True,
    )


class ChatEntrySchema(Answer):
    at = Moment()
    direction = fields.Function(
        lambda one: "out" if one.is_ours else "in", metadata={"enum": ["in", "out"], "type": "string"}
    )
    kind = told(fields.String, _l("In WhatsApp’s words: text, image, location …"), "text")
    text = fields.String(metadata={"example": "Halo, masih buka?"})
    sender_name = fields.Function(
        lambda one: one.sender or None,
        metadata={"type": ["string", "null"], "description": _l("In a group: who wrote it.")},
    )
    sender_number = fields.String(allow_none=True)
    quoted = fields.Function(
        lambda one: one.quoted or None,
        metadata={"type": ["string", "null"], "description": _l("The beginning of what it answers.")},
    )
    provider_id = told(fields.String, _l("WhatsApp’s id of it."), "3EB0C767D26B1A6A", allow_none=True)
    message_id = told(
        fields.Integer, _l("Of a message sent through wa-admin, its number there."), allow_none=True
    )
    status = told(
        fields.String,
        _l("Of a message sent through wa-admin: %(words)s.", words=", ".join(MessageStatus)),
        allow_none=True,
    )
    file = fields.Function(
        lambda one: ChatFileSchema().dump(_file(one)) if one.file else None,
        metadata={"oneOf": [{"$ref": "#/components/schemas/ChatFile"}, {"type": "null"}]},
    )


class ChatMessagesSchema(Answer):
    messages = fields.List(fields.Nested(ChatEntrySchema), metadata={"description": _l("Oldest first.")})
    next_cursor = told(fields.String, _l("Leads further back."), allow_none=True)


def _name(chat: Chat) -> str | None:
    return (chat.contact.name if chat.contact else chat.name) or None


def _last(chat: Chat) -> dict[str, Any]:
    return {
        "at": chat.last_at,
        "from_me": chat.last_from_me,
        "kind": chat.last_kind,
        "text": chat.last_text,
    }


def _file(entry: Entry) -> dict[str, Any]:
    file = entry.file
    if not isinstance(file, IncomingFile):
        sent = {"filename": file.filename, "size_bytes": file.size_bytes} if file else {}
        return sent | {"mimetype": None, "state": FileState.KEPT, "url": None}
    url = None
    if file.state == FileState.KEPT:
        url = settings().panel_url + url_for("chats.open_file", token=incoming_files.pass_to(file.id))
    return {
        "filename": file.filename,
        "mimetype": file.mimetype or None,
        "size_bytes": file.size_bytes,
        "state": file.state,
        "url": url,
    }
