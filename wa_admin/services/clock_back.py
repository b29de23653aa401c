"""After the clock of this machine was set back, dates from before lie further ahead than any date could.

Left alone, they would hold up what waits for them for as long as the clock was wrong: each is brought back
to the latest moment that can be meant. A clock that was set forward only ends leases early, which is what a
crash looks like: nothing leaves twice for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, select, update

from .. import drivers
from ..extensions import db, writing
from ..models import (
    Call,
    CallStatus,
    HookCall,
    Message,
    MessageStatus,
    Notice,
    NoticeStatus,
    WhatsAppSession,
)
from ..models.types import Word
from . import calls, claiming, doubts, due, inbox, notices, watch

GRACE = timedelta(seconds=60)  # machines on one database may differ by less

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bound:
    """`column` is never later than `longest` from now, in the rows where `holds`."""

    column: Any
    longest: timedelta
    holds: ColumnElement[bool]


def mend() -> int:
    """Bring back every date that no clock of today has written; how many there were."""
    now = due.moment()
    return sum(_mend(bound, now) for bound in _bounds(now))


def _mend(bound: Bound, now: datetime) -> int:
    table = bound.column.class_
    too_late = and_(bound.holds, bound.column > now + bound.longest)
    if not db.session.scalar(select(exists().where(too_late))):
        return 0
    with writing():
        brought_back = update(table).where(too_late).values({bound.column: now + bound.longest})
        count: int = db.session.execute(brought_back).rowcount  # type: ignore[attr-defined]
    _log.warning("the clock was set back: %d dates of %s brought back", count, bound.column)
    return count


def _bounds(now: datetime) -> list[Bound]:
    starts_for = max(driver.starts_for_seconds for driver in drivers.DRIVERS.values())
    written_later = now + GRACE
    in_doubt = _is(Message.status, MessageStatus.UNCERTAIN)
    return [
        Bound(Message.lease_until, claiming.LEASE, due.is_under_way()),
        # what waits for its turn, or to be tried again: for long only because it was told to, after this
        Bound(
            Message.next_at,
            timedelta(0),
            and_(_is(Message.status, MessageStatus.QUEUED), Message.status_at > written_later),
        ),
        # while the gateway is asked whether it left: these looks are counted from the status
        Bound(Message.status_at, GRACE, and_(in_doubt, Message.next_at.is_not(None))),
        Bound(Message.next_at, doubts.LOOK_AGAIN, in_doubt),
        Bound(
            HookCall.next_at,
            max(inbox.LEASE, timedelta(seconds=max(inbox.WAITS_SECONDS))),
            and_(HookCall.sealed_body.is_not(None), HookCall.parked_at.is_(None)),
        ),
        Bound(Call.lease_until, calls.LEASE, _is(Call.status, CallStatus.WAITING)),
        Bound(
            Call.next_at,
            timedelta(0),
            and_(_is(Call.status, CallStatus.WAITING), Call.written_at > written_later),
        ),
        # where the wait for the end of quiet hours was meant, it is found out anew
        Bound(
            Notice.next_at,
            notices.LEASE,
            and_(_is(Notice.status, NoticeStatus.WAITING), Notice.written_at > written_later),
        ),
        Bound(
            WhatsAppSession.starting_until,
            timedelta(seconds=starts_for),
            WhatsAppSession.starting_until.is_not(None),
        ),
        Bound(
            WhatsAppSession.reconnect_at,
            timedelta(seconds=watch.LONGEST_RETRY_SECONDS),
            WhatsAppSession.reconnect_at.is_not(None),
        ),
    ]


def _is(column: Any, word: Any) -> ColumnElement[bool]:
    """Spelled out in the statement: SQLite finds no partial index for a parameter."""
    literal = bindparam(None, word, Word(type(word)), literal_execute=True)
    is_it: ColumnElement[bool] = column == literal
    return is_it
