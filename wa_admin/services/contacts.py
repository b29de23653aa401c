"""People who write to us, and that two names of one person are one contact.

All of it runs inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, or_, select, update

from ..extensions import db
from ..models import Chat, Contact, Line
from ..prepared import Prepared

LONGEST_NAME = 120

_BY_PHONE, _BY_LID = (
    Prepared(
        select(Contact.id, Contact.phone, Contact.lid, Contact.name).where(
            Contact.workspace_id == bindparam("workspace_id"), column == bindparam("named")
        )
    )
    for column in (Contact.phone, Contact.lid)
)


class Person(NamedTuple):
    """As much of a contact as a message has to do with."""

    id: int
    phone: str | None
    lid: str | None
    name: str


def met(
    workspace_id: int, phone: str | None, lid: str | None, now: datetime, name: str | None = None
) -> Person:
    """The person with this number or LID, one of them at least; known from now on by both."""
    known = _known(workspace_id, phone, lid)
    if known and (not name or shown(name) in ("", known.name)):
        return known
    contact = _introduced(workspace_id, phone, lid, now, name)
    return Person(contact.id, contact.phone, contact.lid, contact.name)


def _known(workspace_id: int, phone: str | None, lid: str | None) -> Person | None:
    """Who has this number and LID on record: so it is almost always, and then nothing is to be done."""
    connection = db.session.connection()
    if phone:
        row = _BY_PHONE.first(connection, workspace_id=workspace_id, named=phone)
        return Person(*row) if row and lid in (None, row[2]) else None
    row = _BY_LID.first(connection, workspace_id=workspace_id, named=lid)
    return Person(*row) if row else None


def _introduced(
    workspace_id: int, phone: str | None, lid: str | None, now: datetime, name: str | None
) -> Contact:
    by_phone = _find(workspace_id, phone=phone) if phone else None
    by_lid = _find(workspace_id, lid=lid) if lid else None
    contact = by_phone or (by_lid if by_lid and (by_lid.phone is None or phone is None) else None)
    if contact is None:
        contact = _added(workspace_id, phone, None if by_lid else lid, now)
    if by_lid is not None and by_lid is not contact:
        _hand_over(by_lid, contact)
    if phone and contact.phone is None:
        contact.phone = phone
        _readdress(contact)
    if lid and contact.lid is None:
        contact.lid = lid
    if name and (name := shown(name)) and contact.name != name:
        contact.name = name
        db.session.execute(update(Chat).where(Chat.contact_id == contact.id).values(rev=Chat.rev + 1))
    db.session.flush()
    return contact


def shown(name: str) -> str:
    """Anybody can call themselves anything: one line of it."""
    return " ".join("".join(one if one.isprintable() else " " for one in name).split())[:LONGEST_NAME]


def insert_new(model: Any, **values: Any) -> int | None:
    """The id of a new row; None when there is one already that a unique key takes for the same."""
    connection = db.session.connection()
    made: int | None = connection.scalar(_inserting(model, connection.dialect.name), values)
    return made


@cache
def _inserting(model: Any, dialect: str) -> Any:
    """Built once: every message and receipt that comes in is one."""
    row = import_module(f"sqlalchemy.dialects.{dialect}").insert(model.__table__)
    return row.on_conflict_do_nothing().returning(model.__table__.c.id)


def _find(workspace_id: int, **named: str) -> Contact | None:
    return db.session.scalar(select(Contact).filter_by(workspace_id=workspace_id, **named))


def _added(workspace_id: int, phone: str | None, lid: str | None, now: datetime) -> Contact:
    insert_new(Contact, workspace_id=workspace_id, phone=phone, lid=lid, name="", created_at=now)
    is_theirs = [column == value for column, value in ((Contact.phone, phone), (Contact.lid, lid)) if value]
    query = select(Contact).where(Contact.workspace_id == workspace_id, or_(*is_theirs))
    return db.session.scalars(query.limit(1)).one()


def _hand_over(other: Contact, to: Contact) -> None:
    """`other` has a LID that belongs to `to`: the person whom we took for two, or who changed the number."""
    lid, other.lid = other.lid, None
    db.session.flush()  # a LID is nobody's before it is another's
    to.lid = lid
    if other.phone is not None:
        return
    for model in (Chat, Line):
        db.session.execute(
            update(model).where(model.contact_id == other.id).values(contact_id=to.id)  # type: ignore[attr-defined]
        )
    to.name = to.name or other.name
    db.session.delete(other)
    db.session.flush()
    _readdress(to)


def _readdress(contact: Contact) -> None:
    """Chats that had to be known by a LID go by the number; into the chat of that number, if there is one.

    Those of sessions that are gone stay apart: nothing tells which of them was whose.
    """
    query = select(Chat).where(Chat.contact_id == contact.id, Chat.address != contact.phone)
    for chat in db.session.scalars(query.execution_options(populate_existing=True)).all():
        same = select(Chat).where(Chat.session_id == chat.session_id, Chat.address == contact.phone)
        if chat.session_id and (there := db.session.scalar(same)) is not None:
            _join(chat, there)
        else:
            chat.address, chat.rev = contact.phone or chat.address, chat.rev + 1


def _join(chat: Chat, into: Chat) -> None:
    db.session.execute(update(Line).where(Line.chat_id == chat.id).values(chat_id=into.id))
    into.unread_count += chat.unread_count
    into.rev += 1
    if chat.last_at > into.last_at:
        into.last_text, into.last_kind = chat.last_text, chat.last_kind
        into.last_from_me, into.last_at = chat.last_from_me, chat.last_at
    db.session.execute(delete(Chat).where(Chat.id == chat.id))
