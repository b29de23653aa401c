"""What is kept of one person: given out as a whole, or erased from wherever it lies.

Erasing leaves the counts, and the messages as lines without number, text and file. It goes in stretches, so
that nobody waits for it; what a crash leaves over, the next erasure takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, delete, inspect, or_, select, text, update

from .. import clock, phone
from ..app import settings, vault
from ..crypto import WrongEncryptionKey
from ..extensions import db, writing
from ..models import (
    Attachment,
    Call,
    Chat,
    Contact,
    Delivery,
    HookCall,
    IncomingFile,
    Line,
    Message,
    MessageStatus,
    Subscription,
    WhatsAppSession,
)
from ..models.chat import SEARCH
from ..refusal import Refusal
from . import progress, scope, timeline

AT_A_TIME = 500
NOBODY = -1  # no contact has this number, and none of nothing is meant by it
ERASED = "erased"  # stands for a recipient that nobody shall find again
MERGED_PAGES = 500  # of the index, in one go


class NobodyThere(Refusal):
    code = "contact_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("Nothing is kept of this number."))


@dataclass(frozen=True)
class Person:
    """By what somebody is found: where messages to them went, and as whom they wrote."""

    workspace_id: int
    addresses: tuple[str, ...]
    contact_id: int = NOBODY
    name: str = ""


@dataclass(frozen=True)
class Erased:
    lines: int
    messages: int
    files: int


def find(workspace_id: int, typed: str) -> Person:
    """Raises BadNumber, or NobodyThere when nothing is kept of this number."""
    digits = phone.digits(typed, settings().default_region)
    contact = db.session.scalar(select(Contact).filter_by(workspace_id=workspace_id, phone=digits))
    if contact is not None:
        return _person(contact)
    found = Person(workspace_id, (digits,))
    if db.session.scalar(_messages(found).limit(1)) is None:
        raise NobodyThere
    return found


def of_chat(chat: Chat) -> Person:
    """Raises NobodyThere for a group."""
    if chat.contact is None:
        raise NobodyThere
    return _person(chat.contact)


def _person(contact: Contact) -> Person:
    addresses = tuple(filter(None, (contact.phone, contact.lid)))
    return Person(contact.workspace_id, addresses, contact.id, contact.name)


# --- giving out ----------------------------------------------------------------------------------


def export(person: Person, *, actor: str) -> dict[str, Any]:
    """All of it, as JSON can hold it: who, the chats with what came in, and what was sent."""
    with writing():
        timeline.record(None, "contact_exported", workspace_id=person.workspace_id, actor=actor)
    return {
        "exported_at": _iso(clock.now()),
        "addresses": list(person.addresses),
        "name": person.name,
        "written": [_told(line) for line in _all(_lines(person), Line)],
        "sent": [_sent(message) for message in _all(_messages(person), Message)],
    }


def _told(line: Line) -> dict[str, Any]:
    chat, file = db.session.get_one(Chat, line.chat_id), line.file
    return {
        "at": _iso(line.at),
        "session": chat.session_name,
        "chat": chat.name or chat.address,
        "by": "us, on the phone" if line.from_me else "them",
        "kind": line.kind,
        "text": line.text,
        "quoted": line.quoted or None,
        "file": file and {"name": file.filename, "type": file.mimetype, "size_bytes": file.size_bytes},
    }


def _sent(message: Message) -> dict[str, Any]:
    return {
        "at": _iso(message.created_at),
        "session": message.session_name,
        "to": message.recipient,
        "text": message.body,
        "file": message.attachment.filename if message.attachment else None,
        "status": message.status.value,
        "status_at": _iso(message.status_at),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


# --- erasing -------------------------------------------------------------------------------------


def erase(person: Person, *, actor: str) -> Erased:
    """Remove what they wrote and what was written to them, with files, search and webhooks both ways."""
    if db.engine.dialect.name == "sqlite":
        _overwrite_what_is_deleted()
    _erase_hooks(person)
    files, lines = _erase_lines(person)
    files_sent, messages = _erase_messages(person)
    _erase_calls(person)
    erased = Erased(lines, messages, files + files_sent)
    with writing():
        db.session.execute(delete(Chat).where(Chat.contact_id == person.contact_id))
        db.session.execute(delete(Contact).where(Contact.id == person.contact_id))
        timeline.record(
            None,
            "contact_erased",
            workspace_id=person.workspace_id,
            actor=actor,
            lines=lines,
            messages=messages,
        )
    if db.engine.dialect.name == "sqlite":
        _tidy_index()
    return erased


def _erase_lines(person: Person) -> tuple[int, int]:
    """How many files and lines."""
    files = lines = 0
    while True:
        with writing():
            ids = list(db.session.scalars(_lines(person).with_only_columns(Line.id).limit(AT_A_TIME)))
            if not ids:
                return files, lines
            files += drop_files(ids)
            lines += len(ids)
            db.session.execute(delete(Line).where(Line.id.in_(ids)))


def drop_files(line_ids: list[int]) -> int:
    """Remove the files of these lines, inside the caller's transaction; how many there were."""
    of_lines = select(IncomingFile.attachment_id).where(IncomingFile.line_id.in_(line_ids))
    kept = list(db.session.scalars(of_lines.where(IncomingFile.attachment_id.is_not(None))))
    db.session.execute(delete(IncomingFile).where(IncomingFile.line_id.in_(line_ids)))
    db.session.execute(delete(Attachment).where(Attachment.id.in_(kept)))
    return len(kept)


def _erase_messages(person: Person) -> tuple[int, int]:
    """How many files and messages; what waits is taken back first."""
    files = messages = 0
    while True:
        with writing():
            some = list(db.session.scalars(_messages(person).limit(AT_A_TIME)))
            if not some:
                return files, messages
            messages += len(some)
            for message in some:
                files += message.attachment_id is not None
                _blank(message)


def _blank(message: Message) -> None:
    if message.status == MessageStatus.QUEUED:
        progress.move(message, MessageStatus.CANCELLED, clock.now())
    attachment_id, message.attachment_id = message.attachment_id, None
    message.recipient, message.typed, message.body = ERASED, ERASED, ""
    message.idempotency_key = message.fingerprint = message.error_detail = None
    db.session.flush()
    db.session.execute(update(Delivery).where(Delivery.message_id == message.id).values(error_detail=None))
    if attachment_id is not None:
        db.session.execute(delete(Attachment).where(Attachment.id == attachment_id))


def _erase_hooks(person: Person) -> None:
    """What gateways posted about them and nobody could read so far, but for sessions of other workspaces."""
    names_them = _naming(person)
    theirs = select(WhatsAppSession.instance).where(WhatsAppSession.workspace_id != person.workspace_id)
    others = db.session.scalars(theirs, execution_options=scope.EVERYWHERE).all()
    unread = select(HookCall.id).where(HookCall.sealed_body.is_not(None))
    for id in db.session.scalars(unread).all():  # few, and a file may be in each
        body = _opened(db.session.scalar(select(HookCall.sealed_body).filter_by(id=id)))
        if names_them.search(body) and not any(json.dumps(one) in body for one in others):
            with writing():  # its digest stays: the same one comes again in vain
                forgotten = update(HookCall).filter_by(id=id).values(sealed_body=None, parked_at=None)
                db.session.execute(forgotten)


def _naming(person: Person) -> re.Pattern[str]:
    """Finds their numbers, and none that only begins or ends like one of them."""
    numbers = "|".join(re.escape(one.partition("@")[0]) for one in person.addresses)
    return re.compile(rf"(?<!\d)(?:{numbers})(?!\d)")


def _opened(sealed: str | None) -> str:
    try:
        return vault().open(sealed) if sealed else ""
    except WrongEncryptionKey:
        return ""  # it says nothing to anybody any more


def _erase_calls(person: Person) -> None:
    """What apps were told of them lies in the calls of webhooks, for some days."""
    ours = select(Subscription.id).filter_by(workspace_id=person.workspace_id)
    holds = [Call.payload.contains(address, autoescape=True) for address in person.addresses]
    query = select(Call.id, Call.payload).where(Call.subscription_id.in_(ours), or_(*holds))
    names_them = _naming(person)
    told = [{"of": id} for id, payload in db.session.execute(query) if names_them.search(payload)]
    if told:
        with writing():
            db.session.connection().execute(delete(Call).where(Call.id == bindparam("of")), told)


def _lines(person: Person) -> Any:
    """Of the chats with them, and of theirs in groups."""
    chats = select(Chat.id).where(Chat.contact_id == person.contact_id)
    is_theirs = or_(Line.chat_id.in_(chats), Line.contact_id == person.contact_id)
    return select(Line).where(is_theirs).order_by(Line.id)


def _messages(person: Person) -> Any:
    query = select(Message).where(Message.workspace_id == person.workspace_id)
    return query.where(Message.recipient.in_(person.addresses)).order_by(Message.id)


def _all(query: Any, model: type[Line] | type[Message]) -> Iterator[Any]:
    """In stretches, so that a long history is not in memory twice."""
    last = 0
    while rows := db.session.scalars(query.where(model.id > last).limit(AT_A_TIME)).all():
        yield from rows
        last = rows[-1].id


# --- what SQLite would leave behind --------------------------------------------------------------


def _overwrite_what_is_deleted() -> None:
    """SQLite leaves deleted rows in free pages until something else needs them."""
    with writing():
        db.session.execute(text("PRAGMA secure_delete = ON"))


def _tidy_index() -> None:
    """FTS5 keeps the words of deleted lines until all of its index is merged, here a stretch at a time. Then
    the log is emptied, which holds what the pages were before."""
    if not inspect(db.engine).has_table(SEARCH):
        return
    pages = -MERGED_PAGES  # once with a minus: every part of the index is to be merged
    while _merged(pages) >= 2:  # sqlite.org/fts5.html: less says that nothing was left to do
        pages = MERGED_PAGES
    db.session.rollback()  # whoever reads keeps the log as it is
    plain = db.engine.raw_connection()
    try:
        plain.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        plain.close()


def _merged(pages: int) -> int:
    """How many rows of the index that changed."""
    changes = text("SELECT total_changes()")
    with writing():
        before: int = db.session.scalar(changes) or 0
        merge = text("INSERT INTO chat_line_text(chat_line_text, rank) VALUES ('merge', :pages)")
        db.session.execute(merge, {"pages": pages})
        return (db.session.scalar(changes) or 0) - before
