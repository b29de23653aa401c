"""One chat from its newest line back: what came in, what was written on the phone, and what we sent.

Lines and messages lie in two tables, each in the order of its numbers, and are laid together by their times.
So a page has two edges, a line and a message, and a page of the deepest past costs what the newest does.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import exists, func, select

from ..extensions import db
from ..models import Attachment, Chat, Contact, IncomingFile, Line, Message, MessageStatus
from . import search
from .chats import PAGE, BadCursor

LAST = 2**62
MOMENT = timedelta(microseconds=1)  # the shortest there is


@dataclass(frozen=True)
class Edges:
    """Where a page ends: only what is older than these two."""

    line: int = LAST
    message: int = LAST

    @classmethod
    def read(cls, cursor: str) -> Edges:
        """Raises BadCursor."""
        line, _, message = cursor.partition(".")
        if not (line.isdecimal() and message.isdecimal() and len(line) < 20 and len(message) < 20):
            raise BadCursor
        return cls(min(int(line), LAST), min(int(message), LAST))

    def __str__(self) -> str:
        return f"{self.line}.{self.message}"


@dataclass(frozen=True)
class Sent:
    """A file that went with a message of ours."""

    filename: str
    size_bytes: int


@dataclass(frozen=True)
class Entry:
    """One bubble. `message_id` and `status` are of what we sent, `line_id` of all else."""

    at: datetime
    text: str
    kind: str
    is_ours: bool
    line_id: int | None = None
    message_id: int | None = None
    status: MessageStatus | None = None
    error_code: str | None = None
    source: str | None = None  # who sent it through us
    sender: str = ""  # in a group
    sender_number: str | None = None
    quoted: str = ""
    provider_id: str | None = None
    file: IncomingFile | Sent | None = None


@dataclass(frozen=True)
class Conversation:
    """Oldest first. `older` leads further back, None where the chat begins; `version` as below."""

    entries: list[Entry]
    older: str | None
    version: str


# how far the newest of our messages in a chat have come; it changes when one moves or another is written
_newest = (
    select(Message.id, Message.rev)
    .where(
        Message.workspace_id == Chat.workspace_id,
        Message.recipient == Chat.address,
        Message.session_id.is_not_distinct_from(Chat.session_id),
    )
    .order_by(Message.id.desc())
    .limit(PAGE)
    .correlate(Chat)
    .subquery()
)
VERSION = (
    Chat.rev,
    select(func.max(_newest.c.id)).correlate(Chat).scalar_subquery(),
    select(func.sum(_newest.c.rev)).correlate(Chat).scalar_subquery(),
)


def page(chat: Chat, cursor: str | None = None, limit: int = PAGE) -> Conversation:
    """The newest entries older than `cursor`. Raises BadCursor."""
    before = Edges.read(cursor) if cursor else Edges()
    lines = _rows(_lines(chat, before.line), limit)
    messages = [_rows(query, max(limit, PAGE)) for query in _messages(chat, before.message)]
    sources = [map(_of_line, lines), *(map(_of_message, rows) for rows in messages)]
    # each is in the order of its numbers; laid together by the time of whichever is next
    merged = list(heapq.merge(*sources, key=attrgetter("at"), reverse=True))
    entries = merged[:limit]
    older = str(_edges(entries, before)) if len(merged) > limit else None
    newest = [row[0] for row in messages[0][:PAGE]]
    seen = version_of(chat.rev, newest[0].id if newest else 0, sum(one.rev for one in newest))
    return Conversation(entries[::-1], older, seen)


def up_to(chat: Chat, line_id: int) -> str | None:
    """The cursor of the page that ends with this line; None when it is not in this chat."""
    at = db.session.scalar(select(Line.at).where(Line.chat_id == chat.id, Line.id == line_id))
    if at is None:
        return None
    return str(Edges(line_id + 1, search.first_since(chat.workspace_id, at + MOMENT)))


def version(workspace_id: int, chat_id: int) -> str | None:
    """Changes when the newest page does: a line comes, a message moves. None when there is no such chat."""
    query = select(*VERSION).where(Chat.workspace_id == workspace_id, Chat.id == chat_id)
    row = db.session.execute(query).first()
    return version_of(*row) if row else None


def version_of(rev: int, newest_id: int | None, revs: int | None) -> str:
    """From the columns of VERSION."""
    return f"{rev}.{newest_id or 0}.{revs or 0}"


def _rows(query: Any, limit: int) -> Sequence[Any]:
    return db.session.execute(query.limit(limit + 1)).all()


def _edges(entries: Iterable[Entry], before: Edges) -> Edges:
    line, message = before.line, before.message
    for entry in entries:
        line = min(line, entry.line_id or LAST)
        message = min(message, entry.message_id or LAST)
    return Edges(line, message)


def _lines(chat: Chat, before: int) -> Any:
    """Without echoes of what we sent, which some gateways tell before they answer for the sending."""
    is_echo = exists().where(
        Line.from_me, Message.session_id == Line.session_id, Message.provider_id == Line.provider_id
    )
    return (
        select(Line, Contact.name, Contact.phone, IncomingFile)
        .outerjoin(Contact, Contact.id == Line.contact_id)
        .outerjoin(IncomingFile, IncomingFile.line_id == Line.id)
        .where(Line.chat_id == chat.id, Line.id < before, ~is_echo)
        .order_by(Line.id.desc())
    )


def _messages(chat: Chat, before: int) -> list[Any]:
    """To the address of the chat; and to the LID by which it went before the number was known."""
    lid = chat.contact.lid if chat.contact else None
    return [
        select(Message, Attachment.filename, Attachment.kind, Attachment.size_bytes)
        .outerjoin(Attachment, Attachment.id == Message.attachment_id)
        .where(Message.workspace_id == chat.workspace_id, Message.session_id == chat.session_id)
        .where(Message.recipient == address, Message.id < before)
        .order_by(Message.id.desc())
        for address in dict.fromkeys(filter(None, (chat.address, lid)))
    ]


def _of_line(row: Any) -> Entry:
    line, name, number, file = row
    return Entry(
        at=line.at,
        text=line.text,
        kind=line.kind,
        is_ours=line.from_me,
        line_id=line.id,
        sender=name or number or "",
        sender_number=number,
        quoted=line.quoted,
        provider_id=line.provider_id,
        file=file,
    )


def _of_message(row: Any) -> Entry:
    message, filename, kind, size_bytes = row
    return Entry(
        at=message.created_at,
        text=message.body,
        kind=kind or "text",
        is_ours=True,
        message_id=message.id,
        status=message.status,
        error_code=message.error_code,
        source=message.source,
        provider_id=message.provider_id,
        file=Sent(filename, size_bytes) if filename else None,
    )
