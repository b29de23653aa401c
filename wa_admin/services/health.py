"""How wa-admin itself is doing, from the database and this machine alone: no gateway is asked."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from flask_babel import format_decimal, format_timedelta, ngettext
from flask_babel import gettext as _
from sqlalchemy import func, select, text

from .. import clock, moments, storage
from ..app import settings
from ..backups import record
from ..extensions import db
from ..models import Gateway, Message, WhatsAppSession
from ..models.message import WAITING
from ..words import error_words, readable_size
from . import gateways, inbox
from .vitals import LEASE_IS_DEAD_AFTER, MISSED_CHECKS, scheduler_lease

SLOW_DATABASE_MS = 250
QUEUE_IS_STUCK_AFTER = timedelta(minutes=5)
BACKUP_IS_OLD_AFTER = timedelta(days=7)
LOW_DISK_BYTES = 500 * 1024**2


@dataclass(frozen=True)
class Check:
    """`ok` is None while there is nothing to judge. `next_step` is empty when nothing needs doing."""

    name: str
    ok: bool | None
    sentence: str
    next_step: str = ""


def look(workspace_id: int, now: datetime | None = None) -> list[Check]:
    """Every part that a message depends on, in the order in which it would be missed."""
    now = now or clock.now()
    sessions = WhatsAppSession.of_workspace(workspace_id)
    found = _gateways(sessions)
    return [
        _database(),
        _scheduler(now),
        _outbox(workspace_id, sessions, now),
        *([_gateway(one, now, is_alone=len(found) == 1) for one in found] or [_gateway(None, now)]),
        _webhook(sessions, now),
        *_unread({one.id for one in found}, now),
        _limit(len(sessions)),
        _disk(settings().data_dir),
        _backup(settings().data_dir, now),
        _versions(found),
    ]


def _database() -> Check:
    name = _("Database")
    begin = perf_counter()
    db.session.execute(text("SELECT 1"))
    took_ms = max(1, round(1000 * (perf_counter() - begin)))
    kind = _database_kind()
    path = db.engine.url.database
    if kind == "SQLite" and path and Path(path).exists():
        sentence = _(
            "%(kind)s answers in %(ms)s ms and takes %(size)s.",
            kind=kind,
            ms=took_ms,
            size=readable_size(_size_bytes(Path(path))),
        )
    else:
        sentence = _("%(kind)s answers in %(ms)s ms.", kind=kind, ms=took_ms)
    if trouble := storage.trouble_now():
        step = {
            storage.FULL: _("Make room on its disk. Until then messages and webhooks are turned away."),
            storage.READ_ONLY: _("Give it back the right to write. Until then everything is turned away."),
        }[trouble]
        return Check(name, False, _("The last thing to be stored was refused."), step)
    if took_ms < SLOW_DATABASE_MS:
        return Check(name, True, sentence)
    return Check(name, False, sentence, _("That is slow. See what else keeps the disk of this machine busy."))


def _size_bytes(database: Path) -> int:
    """With what has not been written back yet."""
    log = database.with_name(f"{database.name}-wal")
    return sum(path.stat().st_size for path in (database, log) if path.exists())


def _scheduler(now: datetime) -> Check:
    name = _("Scheduler")
    start = _(
        "Start it with “wa-admin up”, or on its own with “wa-admin scheduler run”. Messages wait until then."
    )
    lease = scheduler_lease()
    if lease is None:
        return Check(name, False, _("It has never run here."), start)
    said = {"holder": lease.holder, "ago": _ago(lease.renewed_at, now)}
    if now - lease.renewed_at > LEASE_IS_DEAD_AFTER:
        return Check(name, False, _("Stopped: %(holder)s was last seen %(ago)s.", **said), start)
    return Check(name, True, _("Runs as %(holder)s, last tick %(ago)s.", **said))


def _outbox(workspace_id: int, sessions: list[WhatsAppSession], now: datetime) -> Check:
    name = _("Outbox")
    waiting = sum(one.waiting_count for one in sessions)
    oldest = db.session.scalar(
        select(func.min(Message.created_at)).filter_by(workspace_id=workspace_id).where(_is_waiting())
    )
    if oldest is None:
        return Check(name, True, _("Empty: nothing waits."))
    sentence = ngettext(
        "%(num)s message waits, for %(time)s.",
        "%(num)s messages wait, the oldest for %(time)s.",
        max(waiting, 1),
        time=moments.span((now - oldest).total_seconds()),
    )
    if not any(one.can_send for one in sessions):
        step = _("They leave by themselves once a session is connected and not paused. See the session page.")
        return Check(name, None, sentence, step)
    if now - oldest > QUEUE_IS_STUCK_AFTER:
        step = _("The session is connected, so they should be leaving: check the scheduler and the gateway.")
        return Check(name, False, sentence, step)
    return Check(name, True, sentence)


def _is_waiting() -> Any:
    return Message.status.in_(sorted(WAITING))


def _gateways(sessions: list[WhatsAppSession]) -> list[Gateway]:
    """Those that hold the sessions; before there is one, the one that will."""
    if sessions:
        return sorted({one.gateway for one in sessions}, key=lambda one: one.id)
    return list(db.session.scalars(select(Gateway).order_by(Gateway.id).limit(1)))


def _gateway(gateway: Gateway | None, now: datetime, is_alone: bool = True) -> Check:
    name = _("Gateway") if is_alone or gateway is None else _("Gateway %(name)s", name=gateway.name)
    if gateway is None:
        return Check(name, None, _("None is known yet."), _("Start it with “wa-admin up”, which adds it."))
    if gateway.failing_since is not None:
        sentence = _(
            "Out of order for %(time)s.", time=moments.span((now - gateway.failing_since).total_seconds())
        )
        return Check(name, False, sentence, " ".join(error_words(gateway.failure)))
    if gateway.checked_at is None:
        step = _("The scheduler asks it within a minute of its start.")
        return Check(name, None, _("It has not been asked yet."), step)
    sentence = _(
        "Answered in %(ms)s ms, %(ago)s.",
        ms=format_decimal(gateway.latency_ms or 0),
        ago=_ago(gateway.checked_at, now),
    )
    if now - gateway.checked_at > MISSED_CHECKS * timedelta(seconds=settings().health_check_seconds):
        return Check(name, None, sentence, _("That was too long ago to be sure: check the scheduler."))
    return Check(name, True, sentence)


def _webhook(sessions: list[WhatsAppSession], now: datetime) -> Check:
    """Events arrive only while a phone is linked, so their silence alone is no fault."""
    name = _("Events from the gateway")
    heard = max((one.last_event_at for one in sessions if one.last_event_at), default=None)
    linked = any(one.is_connected and gateways.can(one.gateway, "set_webhook") for one in sessions)
    if heard is None and not linked:
        return Check(name, None, _("None yet: they begin when a phone is linked."))
    if heard is None:
        step = _("Delivery ticks cannot arrive. Restart the session; that installs the webhook again.")
        return Check(name, False, _("A phone is linked, but no event has ever come."), step)
    return Check(name, True, _("The last one came %(ago)s.", ago=_ago(heard, now)))


def _unread(gateway_ids: set[int], now: datetime) -> list[Check]:
    """Only where there is something to tell: almost nobody ever needs it."""
    parked = [one for one in inbox.parked() if one.gateway_id in gateway_ids]
    if not parked:
        return []
    sentence = ngettext(
        "%(num)s could not be read in three tries, and was put aside. It came %(ago)s.",
        "%(num)s could not be read in three tries, and were put aside. The last one came %(ago)s.",
        sum(one.count for one in parked),
        ago=_ago(max(one.last_at for one in parked), now),
    )
    step = _(
        "All others go on. The log says why; after an update of wa-admin, have them read once more with "
        "“wa-admin gateways events --retry”. They are kept for 30 days."
    )
    return [Check(_("Events put aside"), False, sentence, step)]


def _limit(count: int) -> Check:
    name, limit = _("Sessions"), settings().max_sessions
    sentence = _("%(count)s of %(limit)s that are allowed.", count=count, limit=limit)
    if count <= limit:
        return Check(name, True, sentence)
    step = _(
        "All of them go on working, and none can be added. Raise WA_MAX_SESSIONS, or remove the newest with "
        "“wa-admin sessions cleanup --keep %(limit)s”.",
        limit=limit,
    )
    return Check(name, None, sentence, step)


def _disk(data_dir: Path) -> Check:
    name = _("Disk")
    usage = shutil.disk_usage(data_dir)
    room = {"free": readable_size(usage.free), "total": readable_size(usage.total)}
    sentence = _("%(free)s of %(total)s free.", **room)
    if usage.free > LOW_DISK_BYTES:
        return Check(name, True, sentence)
    step = _("Make room: once the disk is full, no message can be accepted.")
    return Check(name, False, sentence, step)


def _backup(data_dir: Path, now: datetime) -> Check:
    name = _("Backup")
    step = _("Write one with “wa-admin backup FILE”, better every night, and keep it on another machine.")
    last = record.last(data_dir)
    if last is None:
        return Check(
            name, None, _("None was written here yet: a broken disk would take everything along."), step
        )
    sentence = _(
        "The last one was written %(ago)s and takes %(size)s.",
        ago=_ago(last.at, now),
        size=readable_size(last.size_bytes),
    )
    return (
        Check(name, True, sentence)
        if now - last.at < BACKUP_IS_OLD_AFTER
        else Check(name, None, sentence, step)
    )


def _versions(found: list[Gateway]) -> Check:
    database = f"{_database_kind()} {'.'.join(map(str, db.engine.dialect.server_version_info or ()))}"
    ours = {"wa": version("wa-admin"), "python": platform.python_version(), "database": database.strip()}
    sentence = _("wa-admin %(wa)s on Python %(python)s and %(database)s.", **ours)
    for version_told in dict.fromkeys(gateway.version for gateway in found if gateway.version):
        sentence += " " + _("Gateway %(version)s.", version=version_told)
    return Check(_("Versions"), True, sentence)


def _ago(then: datetime, now: datetime) -> str:
    return format_timedelta(min(then - now, timedelta()), add_direction=True)


def _database_kind() -> str:
    return "SQLite" if db.engine.dialect.name == "sqlite" else "PostgreSQL"
