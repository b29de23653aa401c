"""What happened: one line per act or change, written in the transaction that made it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from .. import clock
from ..extensions import db
from ..models import Event, Status, WhatsAppSession
from . import audit, keyset
from .keyset import Page

SLOTS = 48
SLOT = timedelta(minutes=30)
BLINK = timedelta(seconds=30)  # a restart of the gateway is no interruption worth counting


@dataclass(frozen=True)
class Strip:
    """The last 24 hours in half-hours, oldest first: up, degraded (down for less than half), down or none."""

    slots: list[str]
    up_percent: float | None
    interruptions: int
    down_seconds: int


def record(
    wa_session: WhatsAppSession | None,
    kind: str,
    *,
    workspace_id: int,
    actor: str,
    status: str | None = None,
    reason: str | None = None,
    **detail: Any,
) -> Event:
    """Add one line, and an entry of the audit log when a person or an app did it; belongs into the
    transaction of the act. `detail` holds no text and no secret."""
    event = Event(
        workspace_id=workspace_id,
        session_id=wa_session.id if wa_session else None,
        session_name=wa_session.name if wa_session else None,
        kind=kind,
        actor=actor,
        status=status,
        reason=reason,
        detail=detail,
        at=clock.now(),
    )
    db.session.add(event)
    if audit.is_act(kind, actor):
        audit.record(kind, workspace_id=workspace_id, actor=actor, object=event.session_name, **detail)
    return event


def page(
    workspace_id: int,
    cursor: int | None = None,
    session_id: int | None = None,
    limit: int = 50,
    kinds: Collection[str] | None = None,
) -> Page[Event]:
    """Lines older than `cursor`, newest first. A negative cursor means newer than its absolute value."""
    query = select(Event).filter_by(workspace_id=workspace_id)
    if session_id is not None:
        query = query.filter_by(session_id=session_id)
    if kinds is not None:
        query = query.where(Event.kind.in_(kinds))
    return keyset.page(Event, query, cursor, limit)


def strip(wa_session: WhatsAppSession, now: datetime) -> Strip:
    """How the session lived through the last 24 hours, from its changes of status."""
    begin = now - SLOTS * SLOT
    spans = _spans(wa_session, begin, now)
    slots = [_slot(spans, begin + n * SLOT, begin + (n + 1) * SLOT) for n in range(SLOTS)]
    seconds = {"up": 0.0, "degraded": 0.0, "down": 0.0}
    for look, start, end in spans:
        if look in seconds:
            seconds[look] += (end - start).total_seconds()
    known = sum(seconds.values())
    return Strip(
        slots=slots,
        up_percent=100 * (seconds["up"] + seconds["degraded"]) / known if known else None,
        interruptions=sum(look == "down" and end - start > BLINK for look, start, end in spans),
        down_seconds=int(seconds["down"]),
    )


def _spans(
    wa_session: WhatsAppSession, begin: datetime, now: datetime
) -> list[tuple[str, datetime, datetime]]:
    """(up | degraded | down | none, from, to), joined where nothing changed."""
    of_session = (Event.session_id == wa_session.id, Event.kind == "status")
    last_before = select(func.max(Event.at)).where(*of_session, Event.at < begin).scalar_subquery()
    changes = db.session.execute(
        select(Event.at, Event.status, Event.reason)
        .where(*of_session, Event.at >= func.coalesce(last_before, begin))
        .order_by(Event.at, Event.id)
    ).all()
    look = "none"
    spans: list[tuple[str, datetime, datetime]] = []
    since = begin
    for at, status, reason in changes:
        following = _look(status, reason)
        if at < begin:
            look = following
        if following == look:
            continue
        if at > since:
            spans.append((look, since, at))
        look, since = following, at
    spans.append((look, since, now))
    return spans


def _look(status: str | None, reason: str | None) -> str:
    if reason == "never_linked":
        return "none"
    if status == Status.CONNECTED:
        return "degraded" if reason else "up"
    return "down"


def _slot(spans: list[tuple[str, datetime, datetime]], start: datetime, end: datetime) -> str:
    lasted = dict.fromkeys(("down", "degraded", "up"), timedelta())
    for look, begin, finish in spans:
        if look in lasted and begin < end and finish > start:
            lasted[look] += min(finish, end) - max(begin, start)
    if not any(lasted.values()):
        return "none"
    if lasted["down"] >= sum(lasted.values(), timedelta()) / 2:
        return "down"
    return "degraded" if lasted["down"] > BLINK or lasted["degraded"] else "up"
