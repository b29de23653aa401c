"""Chats: what comes in is kept here, and who looks at it, answers it or has read it goes through here.

A line is kept once, however often a gateway tells of it. Lists read counters and last lines, never lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, Table, and_, bindparam, func, literal_column, or_, select, update
from sqlalchemy.orm import contains_eager

from .. import plain
from ..drivers.contract import MessageSeen
from ..extensions import db, writing
from ..models import Chat, Line, Message, WhatsAppSession
from ..models.chat import GROUP, LID
from ..prepared import Prepared
from ..refusal import Refusal
from . import contacts, incoming_files, last_lines, outbox
from .attachments import NewAttachment

PAGE = 50
COUNTED_UP_TO = 99
LONGEST_TEXT = 65_536
LONGEST_QUOTE = 300
PERSON = "@s.whatsapp.net"
# written out: SQLite takes a partial index only for the very words of its condition
IS_UNREAD = Chat.unread_count > literal_column("0")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# asked for every message that comes in
_LINE, _MESSAGE = (
    Prepared(
        select(one.id)
        .where(one.session_id == bindparam("session_id"), one.provider_id == bindparam("provider_id"))
        .limit(1)
    )
    for one in (Line, Message)
)
_CHAT = Prepared(
    select(Chat.id).where(Chat.session_id == bindparam("session_id"), Chat.address == bindparam("address"))
)
_CALLED = (
    update(cast(Table, Chat.__table__)).where(Chat.id == bindparam("of")).values(name=bindparam("called"))
)


class ChatNotFound(Refusal):
    code = "chat_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such chat."))


class BadCursor(Refusal, ValueError):
    code = "bad_cursor"

    def __init__(self) -> None:
        super().__init__(_l("This cursor is none that an answer gave."), field="cursor")


class SessionGone(Refusal):
    code = "session_gone"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l("The session of this chat was removed, so nothing can be sent in it. Write a new message.")
        )


# --- what comes in -------------------------------------------------------------------------------


def take_in(wa_session: WhatsAppSession, seen: MessageSeen, now: datetime) -> Line | None:
    """Keep a message that came in, or that was written on the phone; None when we have it already.

    Runs inside the caller's transaction. The line is a copy of what was stored, of no session: entities would
    cost more than all the rest.
    """
    if _is_known(wa_session.id, seen):
        _take_in_late_file(wa_session.id, seen, now)
        return None
    at = min(seen.at or now, now)
    is_group = seen.chat.endswith(GROUP)
    chat_id = _chat_of(wa_session, seen, at, now)
    sender = _sender(wa_session, seen, now) if is_group and not seen.from_me else None
    values = {
        "chat_id": chat_id,
        "session_id": wa_session.id,
        "provider_id": seen.provider_id or None,
        "contact_id": sender,
        "from_me": seen.from_me,
        "kind": seen.kind[:20],
        "text": plain.storable(seen.text[:LONGEST_TEXT]),
        "quoted": plain.storable(seen.quoted[:LONGEST_QUOTE]),
        "at": at,
    }
    line_id = contacts.insert_new(Line, **values)
    if line_id is None:
        return None
    line = Line(id=line_id, **values)
    if seen.file is not None:
        incoming_files.note(line, seen.file, now)
    if seen.group_name and is_group:
        name = contacts.shown(seen.group_name)
        db.session.connection().execute(_CALLED, {"of": chat_id, "called": name})
    last_lines.came(chat_id, seen, at)
    return line


# --- looking -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chats:
    """The newest first. `older` leads to the rest, None at the end; `is_newest`: nothing is newer."""

    items: list[Chat]
    older: str | None
    is_newest: bool

    @property
    def version(self) -> str:
        """Changes when anything on the list does."""
        last_at = max((one.last_at for one in self.items), default=None)
        return version_of(sum(one.id for one in self.items), sum(one.rev for one in self.items), last_at)


def listed(workspace_id: int, *, unread: bool = False, cursor: str | None = None, limit: int = PAGE) -> Chats:
    """A page of the chats by their last message."""
    query = select(Chat).where(Chat.workspace_id == workspace_id).outerjoin(Chat.contact)
    if unread:
        query = query.where(IS_UNREAD)
    if cursor is not None:
        at, id = read_cursor(cursor)
        query = query.where(or_(Chat.last_at < at, and_(Chat.last_at == at, Chat.id < id)))
    query = query.order_by(Chat.last_at.desc(), Chat.id.desc()).limit(limit + 1)
    rows = list(db.session.scalars(query.options(contains_eager(Chat.contact))))
    items = rows[:limit]
    return Chats(items, cursor_of(items[-1]) if len(rows) > limit else None, cursor is None)


def version(workspace_id: int) -> str:
    """Of the newest page of all chats, without reading the chats."""
    newest = select(Chat.id, Chat.rev, Chat.last_at).where(Chat.workspace_id == workspace_id)
    rows = newest.order_by(Chat.last_at.desc(), Chat.id.desc()).limit(PAGE).subquery()
    sums = select(func.sum(rows.c.id), func.sum(rows.c.rev), func.max(rows.c.last_at))
    return version_of(*db.session.execute(sums).one())


def version_of(ids: int | None, revs: int | None, last_at: datetime | None) -> str:
    """From sums over a page, and its newest moment: every change raises a rev, every move the moment."""
    micros = (last_at - EPOCH) // timedelta(microseconds=1) if last_at else 0
    return f"{ids or 0}.{revs or 0}.{micros}"


def unread(workspace_id: int) -> int:
    """How many chats nobody has read to the end; never counts further than one past COUNTED_UP_TO."""
    some = select(Chat.id).where(Chat.workspace_id == workspace_id, IS_UNREAD)
    return db.session.scalar(_counted(some)) or 0


def find(workspace_id: int, id: int) -> Chat:
    """Raises ChatNotFound."""
    query = select(Chat).where(Chat.workspace_id == workspace_id, Chat.id == id).outerjoin(Chat.contact)
    found = db.session.scalar(query.options(contains_eager(Chat.contact)))
    if found is None:
        raise ChatNotFound
    return found


def read_cursor(cursor: str) -> tuple[datetime, int]:
    """Raises BadCursor."""
    micros, _, id = cursor.partition(".")
    if not (micros.isdecimal() and id.isdecimal() and len(micros) < 18 and len(id) < 18):
        raise BadCursor
    return EPOCH + timedelta(microseconds=int(micros)), int(id)


def cursor_of(chat: Chat) -> str:
    return f"{(chat.last_at - EPOCH) // timedelta(microseconds=1)}.{chat.id}"


# --- acting --------------------------------------------------------------------------------------


def mark_read(workspace_id: int, id: int) -> Chat:
    """Somebody has seen all of it. Raises ChatNotFound."""
    with writing():
        chat = find(workspace_id, id)
        if chat.unread_count:
            chat.unread_count, chat.rev = 0, chat.rev + 1
    return chat


def reply(
    workspace_id: int,
    id: int,
    text: str,
    *,
    attached: NewAttachment | None = None,
    key: str | None = None,
    source: str,
) -> Message:
    """Answer from the number that was written to; it waits and leaves as any other message does.

    Raises ChatNotFound, SessionGone, and what `outbox.send` does.
    """
    chat = find(workspace_id, id)
    if chat.session_id is None:
        raise SessionGone
    return outbox.send(
        workspace_id,
        chat.address,
        text,
        session_name=chat.session_id,
        attached=attached,
        key=key,
        source=source,
    )


# --- steps ---------------------------------------------------------------------------------------


def _is_known(session_id: int, seen: MessageSeen) -> bool:
    if not seen.provider_id:
        return False  # its gateway names no message: it cannot tell twice so that we would know
    connection = db.session.connection()
    named = {"session_id": session_id, "provider_id": seen.provider_id}
    if _LINE.first(connection, **named):
        return True
    # some gateways report what we sent through them as if it had been written on the phone
    return seen.from_me and _MESSAGE.first(connection, **named) is not None


def _take_in_late_file(session_id: int, seen: MessageSeen, now: datetime) -> None:
    """Some gateways tell a message first, and its file when they have it."""
    if seen.file is None or seen.file.content is None:
        return
    line = db.session.scalar(select(Line).filter_by(session_id=session_id, provider_id=seen.provider_id))
    if line is not None:
        incoming_files.note(line, seen.file, now)
        last_lines.changed(line.chat_id)


def _chat_of(wa_session: WhatsAppSession, seen: MessageSeen, at: datetime, now: datetime) -> int:
    contact = None if seen.chat.endswith(GROUP) else _counterpart(wa_session, seen, now)
    address = (contact and (contact.phone or contact.lid)) or seen.chat
    connection, there = db.session.connection(), {"session_id": wa_session.id, "address": address}
    if found := _CHAT.first(connection, **there):
        id: int = found[0]
        return id
    contacts.insert_new(
        Chat,
        workspace_id=wa_session.workspace_id,
        session_name=wa_session.name,
        contact_id=contact.id if contact else None,
        name="",
        unread_count=0,
        last_text="",
        last_kind="text",
        last_from_me=False,
        last_at=at,
        created_at=now,
        rev=1,
        **there,
    )
    return connection.scalars(select(Chat.id).filter_by(**there)).one()


def _counterpart(wa_session: WhatsAppSession, seen: MessageSeen, now: datetime) -> contacts.Person:
    """Whom the chat is with; the sender is nobody else, unless it is us."""
    phone = _name(seen.chat, PERSON) or (None if seen.from_me else seen.sender_number)
    lid = seen.chat if seen.chat.endswith(LID) else (seen.chat_lid if seen.from_me else seen.sender_lid)
    return contacts.met(wa_session.workspace_id, phone, lid, now, None if seen.from_me else seen.push_name)


def _sender(wa_session: WhatsAppSession, seen: MessageSeen, now: datetime) -> int | None:
    if not (seen.sender_number or seen.sender_lid):
        return None
    named = seen.sender_number, seen.sender_lid
    return contacts.met(wa_session.workspace_id, *named, now, seen.push_name).id


def _name(jid: str, server: str) -> str | None:
    name = jid.removesuffix(server).partition(":")[0] if jid.endswith(server) else ""
    return name if name.isdecimal() and len(name) <= 20 else None


def _counted(some: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(some.limit(COUNTED_UP_TO + 1).subquery())
