"""A long history, written by the database itself: a million rows take some ten seconds so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    String,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
)

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Chat, Contact, DailyCount, Line, Message, MessageStatus, WhatsAppSession
from wa_admin.models.chat import SEARCH
from wa_admin.models.types import UtcDateTime
from wa_admin.services import gateways

from . import postgresql

SESSIONS = 10  # the last one was used at the beginning only
CHATS = 100  # the first one holds a third of all there is, the last one no more than RARE
RARE = 60  # so many lines say it, and so many messages failed: more than a page
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

_MADE_IN_SQLITE = """SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')
    AND tbl_name IN ('chat_line', 'message') AND sql IS NOT NULL"""
_MADE_IN_POSTGRESQL = """SELECT 'index', indexname, indexdef FROM pg_indexes
    WHERE tablename IN ('chat_line', 'message') AND indexname NOT IN (SELECT conname FROM pg_constraint)"""


def seed(count: int) -> None:
    """So many rows, one half of them lines, in the database of the application."""
    gateways.ensure()
    with writing():
        db.session.execute(insert(WhatsAppSession), [_session(number) for number in range(SESSIONS)])
        db.session.execute(insert(Contact), [_contact(number) for number in range(CHATS)])
        db.session.execute(insert(Chat), [_chat(number, count) for number in range(CHATS)])
        db.session.execute(insert(DailyCount), list(_counts(max(14, min(count // 1000, 365)))))
    with writing(), _indexed_afterwards():
        for model, columns in ((Line, _line), (Message, _message)):
            values = columns(_numbers(count // 2).c.i, count // 2)
            db.session.execute(insert(model).from_select(list(values), select(*values.values())))
    postgresql.settle()


@contextmanager
def _indexed_afterwards() -> Iterator[None]:
    """Rows go in without indexes, triggers and foreign keys, which takes a third of the time."""
    run = db.session.execute
    is_sqlite = db.engine.dialect.name == "sqlite"
    if not is_sqlite:
        run(text("SET LOCAL session_replication_role = replica"))
    made = run(text(_MADE_IN_SQLITE if is_sqlite else _MADE_IN_POSTGRESQL)).all()
    for kind, name, _ in made:
        run(text(f"DROP {kind} {name}"))
    yield
    for _, _, definition in made:
        db.session.connection().exec_driver_sql(definition)
    if is_sqlite:
        run(text(f"INSERT INTO {SEARCH}({SEARCH}) VALUES ('rebuild')"))


def _numbers(count: int) -> CTE:
    first = select(literal_column("0").label("i")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.i + 1).where(first.c.i < count - 1))


def _line(i: Any, count: int) -> dict[str, Any]:
    chat = _chat_of(i, count)
    is_rare = i % (count // RARE) == 0
    words = case(
        (i % 3 == 0, "pesanan kue lapis "), (i % 3 == 1, "besok kirim paket "), else_="terima kasih "
    )
    return {
        "chat_id": chat + 1,
        "session_id": _session_of(chat, i) + 1,
        "provider_id": literal("3EB0").concat(_text(i)),
        "from_me": literal(False),
        "kind": literal("text"),
        "text": words.concat(_text(i)).concat(case((is_rare, " zirkon"), else_="")),
        "quoted": literal(""),
        "at": _moment(2 * i),
    }


def _message(i: Any, count: int) -> dict[str, Any]:
    chat = _chat_of(i, count)
    session = _session_of(chat, i)
    status = case((i % (count // RARE) == 0, MessageStatus.FAILED.value), else_=MessageStatus.READ.value)
    address = literal("62811000").concat(_text(10_000 + chat))
    body = literal("Terima kasih, pesanan ").concat(_text(i)).concat(" sudah kami terima.")
    return {
        "workspace_id": literal(1),
        "session_id": session + 1,
        "session_name": literal("session-").concat(_text(session)),
        "typed": address,
        "recipient": address,
        "body": body,
        "source": literal("key:orders-api"),
        "status": status,
        "provider_id": literal("3EB1").concat(_text(i)),
        "reference": literal("bench").concat(_text(i)),
        "attempts": literal(1),
        **dict.fromkeys(("queued_at", "created_at", "status_at", "sent_at"), _moment(2 * i + 1)),
        "rev": literal(1),
    }


def _chat_of(i: Any, count: int) -> ColumnElement[int]:
    return case((i % (count // RARE) == 1, CHATS - 1), (i % 3 == 0, 0), else_=1 + i % (CHATS - 2))


def _session_of(chat: Any, i: Any) -> ColumnElement[int]:
    """That of the chat; the last one handed its chats over after some rows."""
    return case((i < 150, chat % SESSIONS), else_=chat % (SESSIONS - 1))


def _text(i: Any) -> ColumnElement[str]:
    return cast(i, String)


def _moment(seconds: Any) -> Any:
    """So many seconds after the beginning, as each database keeps it."""
    at = seconds + int(BEGIN.timestamp())
    if db.engine.dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d %H:%M:%S.000000", at, "unixepoch")
    return func.to_timestamp(at, type_=UtcDateTime)


def _session(number: int) -> dict[str, Any]:
    name = f"session-{number}"
    return {
        "workspace_id": 1,
        "gateway_id": 1,
        **dict.fromkeys(("name", "name_key", "session_id", "instance"), name),
        **dict.fromkeys(("status_at", "created_at", "updated_at"), BEGIN),
        "is_default": number == 0,
    }


def _address(number: int) -> str:
    return f"62811000{10_000 + number}"


def _contact(number: int) -> dict[str, Any]:
    return {"workspace_id": 1, "phone": _address(number), "name": f"Person {number}", "created_at": BEGIN}


def _chat(number: int, count: int) -> dict[str, Any]:
    return {
        "workspace_id": 1,
        "session_id": number % SESSIONS + 1,
        "session_name": f"session-{number % SESSIONS}",
        "address": _address(number),
        "contact_id": number + 1,
        "unread_count": int(number % 7 == 0),
        "last_text": "pesanan",
        "last_at": BEGIN + timedelta(seconds=count, microseconds=number),
        "created_at": BEGIN,
    }


def _counts(days: int) -> Iterator[dict[str, Any]]:
    """Of each session, the last so many days until now."""
    for number in range(days):
        day = (clock.now() - timedelta(days=number)).date()
        for session in range(SESSIONS):
            yield {"session_id": session + 1, "day": day, "sent": 100, "delivered": 90, "failed": 1}
