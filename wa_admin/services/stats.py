"""Counts per session and day, kept as messages move, so that no page counts messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import and_, select, text

from ..extensions import db
from ..models import DailyCount, Message, MessageStatus, WhatsAppSession
from ..models.message import ARRIVED

OLDEST_WAITING = (
    select(Message.created_at)
    # written out, not as parameters: SQLite takes a partial index only for the very words of its condition
    .where(Message.session_id == WhatsAppSession.id, text("message.status IN ('queued', 'sending')"))
    .order_by(Message.id)
    .limit(1)
    .scalar_subquery()
)


@dataclass(frozen=True)
class Today:
    sent: int
    delivered_percent: int | None  # of those sent today; None before the first
    failed: int
    waiting: int
    oldest_waiting_at: datetime | None


@dataclass(frozen=True)
class Day:
    day: date
    sent: int
    failed: int


def count(session_id: int, before: MessageStatus, after: MessageStatus, now: datetime) -> None:
    """Follow one move of a message of this session, in the caller's transaction. Days are UTC."""
    gone = ARRIVED | {MessageStatus.SENT}
    sent = after in gone and before not in gone
    delivered = after in ARRIVED and before not in ARRIVED
    failed = after in (MessageStatus.FAILED, MessageStatus.EXPIRED)
    if not (sent or delivered or failed):
        return
    changes = {"sent": int(sent), "delivered": int(delivered), "failed": int(failed)}
    where = {"session_id": session_id, "day": now.date()}
    connection = db.session.connection()
    connection.execute(_counting(connection.dialect.name), where | changes)


@cache
def _counting(dialect: str) -> Any:
    """Built once: every message counts."""
    # only the one in use: PostgreSQL's takes as long to load as all of Flask-Login
    row = import_module(f"sqlalchemy.dialects.{dialect}").insert(DailyCount.__table__)
    names = ("sent", "delivered", "failed")
    return row.on_conflict_do_update(
        index_elements=["session_id", "day"],
        set_={name: getattr(DailyCount, name) + row.excluded[name] for name in names},
    )


def today(wa_session: WhatsAppSession, now: datetime) -> Today:
    counts = (DailyCount.sent, DailyCount.delivered, DailyCount.failed)
    counted = and_(DailyCount.session_id == WhatsAppSession.id, DailyCount.day == now.date())
    query = select(*counts, OLDEST_WAITING).select_from(WhatsAppSession).outerjoin(DailyCount, counted)
    row = db.session.execute(query.where(WhatsAppSession.id == wa_session.id)).one()
    sent, delivered, failed, oldest = row
    return summed_up(sent or 0, delivered or 0, failed or 0, wa_session.waiting_count, oldest)


def summed_up(sent: int, delivered: int, failed: int, waiting: int, oldest: datetime | None) -> Today:
    # a delivery may belong to a message of yesterday
    percent = min(100, round(100 * delivered / sent)) if sent else None
    return Today(sent, percent, failed, waiting, oldest if waiting else None)


def days(wa_session: WhatsAppSession, now: datetime, count: int = 14) -> list[Day]:
    """The last `count` days, oldest first, days without messages included."""
    first = now.date() - timedelta(days=count - 1)
    query = select(DailyCount).where(DailyCount.session_id == wa_session.id, DailyCount.day >= first)
    by_day = {row.day: row for row in db.session.scalars(query)}
    result = []
    for number in range(count):
        day = first + timedelta(days=number)
        row = by_day.get(day)
        result.append(Day(day, row.sent if row else 0, row.failed if row else 0))
    return result
