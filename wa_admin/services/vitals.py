"""What machines ask of us: is everything there that a message needs, and how much of what is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from .. import storage
from ..app import settings
from ..extensions import db
from ..models import DailyCount, Gateway, Lease, Message, Status, WhatsAppSession
from . import due

LEASE = "scheduler"  # the row in which the leader says that it follows the timetable
LEASE_IS_DEAD_AFTER = timedelta(seconds=20)  # the leader renews it every 5
MISSED_CHECKS = 4


@dataclass(frozen=True)
class Figures:
    """Ages in seconds, None when there is nothing to take the age of."""

    sessions: dict[str, int]  # by status
    waiting: int
    uncertain: int
    oldest_waiting_seconds: float | None
    accepted: int
    sent: int
    delivered: int
    failed: int
    scheduler_tick_seconds: float | None
    gateways: dict[str, bool]  # name: whether it answered last time
    gateway_seconds: dict[str, float]  # name: how long its last answer took


def problems(now: datetime) -> dict[str, str]:
    """What is missing, by part: database, scheduler, gateway. Empty when messages can flow."""
    try:
        db.session.execute(text("SELECT 1"))
        found = {"scheduler": _scheduler(now), "gateway": _gateway(now)}
    except SQLAlchemyError:
        return {"database": "does not answer"}
    if trouble := storage.trouble_now():
        found["database"] = {storage.FULL: "has no room", storage.READ_ONLY: "is read-only"}[trouble]
    return {part: problem for part, problem in found.items() if problem}


def figures(now: datetime) -> Figures:
    """Counts from columns that are kept anyway, and one look at what waits; no message is counted."""
    by_status = {str(status): 0 for status in Status}
    waiting = uncertain = 0
    columns = WhatsAppSession.status, WhatsAppSession.waiting_count, WhatsAppSession.uncertain_count
    for status, its_waiting, its_uncertain in db.session.execute(select(*columns)):
        by_status[status] += 1
        waiting += its_waiting
        uncertain += its_uncertain
    sums = func.sum(DailyCount.sent), func.sum(DailyCount.delivered), func.sum(DailyCount.failed)
    sent, delivered, failed = db.session.execute(select(*sums)).one()
    gateways = db.session.execute(select(Gateway.name, Gateway.failing_since, Gateway.latency_ms)).all()
    oldest = db.session.scalar(select(func.min(Message.created_at)).where(due.is_open()))
    lease = scheduler_lease()
    return Figures(
        sessions=by_status,
        waiting=waiting,
        uncertain=uncertain,
        oldest_waiting_seconds=_age(oldest, now),
        accepted=db.session.scalar(select(func.max(Message.id))) or 0,  # numbered as they are accepted
        sent=sent or 0,
        delivered=delivered or 0,
        failed=failed or 0,
        scheduler_tick_seconds=_age(lease.renewed_at if lease else None, now),
        gateways={gateway.name: gateway.failing_since is None for gateway in gateways},
        gateway_seconds={g.name: g.latency_ms / 1000 for g in gateways if g.latency_ms is not None},
    )


def scheduler_lease() -> Lease | None:
    """Who leads, and when it last said so; None when nobody ever did."""
    return db.session.get(Lease, LEASE)


def _scheduler(now: datetime) -> str | None:
    lease = scheduler_lease()
    if lease is None:
        return "has never run"
    return "does not run" if now - lease.renewed_at > LEASE_IS_DEAD_AFTER else None


def _gateway(now: datetime) -> str | None:
    gateway = db.session.execute(
        select(Gateway.failure, Gateway.checked_at).order_by(Gateway.id).limit(1)
    ).first()
    if gateway is None or (gateway.checked_at is None and gateway.failure is None):
        return "has not been asked yet"
    if gateway.failure is not None:
        return str(gateway.failure)
    is_old = now - gateway.checked_at > MISSED_CHECKS * timedelta(seconds=settings().health_check_seconds)
    return "was not asked lately" if is_old else None


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
