"""Which messages may leave, and when: only reads. `deliveries` claims by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, literal_column, or_, select

from .. import clock
from ..app import settings
from ..extensions import db
from ..models import Message, MessageStatus, Reason, Status, WhatsAppSession
from ..models.message import WAITING
from ..models.types import UtcDateTime

# spelled out in the statement: SQLite finds no partial index for a list of parameters
_OPEN: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(WAITING)]
# the statements are built once, and what changes from one moment to the next comes from `moments`
NOW = bindparam("now", type_=UtcDateTime)
_LATEST_PACE = bindparam("latest_pace", type_=UtcDateTime)

_EARLIER = Message.__table__.alias("earlier")  # an alias of the entity costs a fifth of what sending costs


@dataclass(frozen=True)
class Work:
    """A session has a message that may leave at this moment, or could have left since."""

    session_id: int
    gateway_id: int
    at: datetime


def plan(now: datetime) -> list[Work]:
    """The next message of every session that can send, the longest due first."""
    with db.engine.connect() as connection:
        rows = connection.execute(_PLAN, {"now": now}).all()
    found = [
        Work(id, gateway_id, max(_believed(paced_at, now) or at, at))
        for id, gateway_id, paced_at, at in rows
        if at is not None
    ]
    return sorted(found, key=lambda work: work.at)


def moment() -> datetime:
    """Now, by the clock that all share who claim messages: of several machines none has the right one."""
    if db.engine.dialect.name == "sqlite":
        return clock.now()
    at: datetime = db.session.connection().execute(_CLOCK).scalar_one()
    return at


def moments(now: datetime) -> dict[str, datetime]:
    """What `is_paced` and `may_leave` ask for."""
    return {"now": now, "latest_pace": _latest_pace(now)}


def next_expiry() -> datetime | None:
    """When the next waiting message will have waited for too long."""
    with db.engine.connect() as connection:
        return connection.scalar(_NEXT_EXPIRY)


def is_open() -> ColumnElement[bool]:
    """Queued or on its way; beside a status of these it leads to an index of the few that are."""
    return Message.status.in_(_OPEN)


def is_under_way() -> ColumnElement[bool]:
    """A gateway has it right now, or had when its process ended."""
    return and_(is_open(), Message.status == MessageStatus.SENDING)


def is_able() -> ColumnElement[bool]:
    """As WhatsAppSession.can_send."""
    return and_(
        WhatsAppSession.is_active,
        WhatsAppSession.status == Status.CONNECTED,
        or_(WhatsAppSession.reason.is_(None), WhatsAppSession.reason != Reason.GATEWAY_UNREACHABLE),
        WhatsAppSession.paused_at.is_(None),
    )


def is_paced() -> ColumnElement[bool]:
    """Its pace allows the next message."""
    paced_at = WhatsAppSession.next_send_at
    return or_(paced_at.is_(None), paced_at <= NOW, paced_at > _LATEST_PACE)


def may_leave() -> ColumnElement[bool]:
    """Waits, is still wanted, and nothing earlier to the same recipient is on its way."""
    return and_(
        Message.status == MessageStatus.QUEUED,
        or_(Message.valid_until.is_(None), Message.valid_until > NOW),
        ~exists().where(
            _EARLIER.c.session_id == Message.session_id,
            _EARLIER.c.recipient == Message.recipient,
            _EARLIER.c.id < Message.id,
            _EARLIER.c.status.in_(_OPEN),
        ),
    )


def pace() -> timedelta:
    return timedelta(seconds=settings().send_interval_seconds)


def _believed(paced_at: datetime | None, now: datetime) -> datetime | None:
    return None if paced_at is None or paced_at > _latest_pace(now) else paced_at


def _latest_pace(now: datetime) -> datetime:
    """A later one was written before the clock was set back, and must not hold up the session."""
    return now + pace() + timedelta(seconds=1)


_PLAN = select(
    WhatsAppSession.id,
    WhatsAppSession.gateway_id,
    WhatsAppSession.next_send_at,
    select(Message.next_at)
    .where(Message.session_id == WhatsAppSession.id, may_leave(), Message.next_at.is_not(None))
    .order_by(Message.next_at)
    .limit(1)
    .scalar_subquery(),
).where(is_able())
_NEXT_EXPIRY = select(func.min(Message.valid_until)).where(
    Message.status == MessageStatus.QUEUED, Message.valid_until.is_not(None)
)
_CLOCK = select(func.clock_timestamp(type_=UtcDateTime))
