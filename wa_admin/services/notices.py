"""Tells channels what they are to know: once each, not in their quiet hours, and again when it failed.

A notice is claimed before it leaves, and what came of it lies in a receipt until it is on record: whoever
takes over from a scheduler that was killed in between finds it there instead of telling twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytz  # type: ignore[import-untyped]
from sqlalchemy import select, update

from .. import clock, teller
from ..app import settings, vault
from ..extensions import db, writing
from ..models import AlertChannel, Notice, NoticeStatus, Outage, WhatsAppSession
from ..teller import Errand, Outcome
from . import alert_texts, crash_points, timeline

MOST_ATTEMPTS = 8
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=30), timedelta(hours=1)
LEASE = timedelta(seconds=2 * (teller.SECONDS + teller.START_SECONDS))
AT_ONCE = 4  # channels


@dataclass(frozen=True)
class Batch:
    """All that one channel is told now, in one go."""

    channel_id: int
    notices: list[Notice]
    errand: Errand


def tell(now: datetime | None = None) -> int:
    """Tell what is due; how many channels were tried."""
    now = now or clock.now()
    batches = [batch for id in _channels_with_news(now) if (batch := _claim(id, now))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = threads.map(teller.run, [batch.errand for batch in batches])
        for batch, outcome in zip(batches, outcomes, strict=True):
            crash_points.reach("before_notice_result")
            _record(batch.channel_id, batch.notices, outcome)
    return len(batches)


def quiet_until(channel: AlertChannel, now: datetime) -> datetime | None:
    """When the channel's quiet hours end, while it has them."""
    begin, end = channel.quiet_from, channel.quiet_until
    if begin is None or end is None or begin == end:
        return None
    zone = pytz.timezone(channel.time_zone or "UTC")
    local = now.astimezone(zone)
    minute = 60 * local.hour + local.minute
    if not (begin <= minute < end if begin < end else minute >= begin or minute < end):
        return None
    day = local.date() + timedelta(days=1 if minute >= end else 0)
    wall: datetime = zone.localize(datetime(day.year, day.month, day.day, *divmod(end, 60)))
    return wall.astimezone(UTC)


def forget(channel_id: int) -> None:
    """What waits for the channel is not told any more. Inside writing()."""
    waiting = update(Notice).filter_by(channel_id=channel_id, status=NoticeStatus.WAITING)
    db.session.execute(waiting.values(status=NoticeStatus.NEEDLESS))


# --- steps ---------------------------------------------------------------------------------------


def _channels_with_news(now: datetime) -> list[int]:
    query = select(Notice.channel_id).join(AlertChannel, AlertChannel.id == Notice.channel_id)
    due = Notice.status == NoticeStatus.WAITING, Notice.next_at <= now, AlertChannel.is_active
    return list(db.session.scalars(query.where(*due).distinct()))


def _claim(channel_id: int, now: datetime) -> Batch | None:
    """Take what is due for this channel; nobody else gets it within the lease."""
    with writing():
        channel = db.session.get(AlertChannel, channel_id)
        due = _due(channel_id, now)
        if channel is None or not due:
            return None
        rest = [notice for notice in due if not _was_told(notice)]
        if quiet := quiet_until(channel, now):
            for notice in rest:
                notice.next_at = quiet
            return None
        claimed = [notice for notice in rest if _is_news(notice) and _is_ours(notice, now)]
    for notice in set(due) - set(rest):
        _receipt(notice).unlink(missing_ok=True)
    if not claimed:
        return None
    return Batch(channel_id, claimed, _errand(channel, claimed))


def _due(channel_id: int, now: datetime) -> list[Notice]:
    query = select(Notice).where(
        Notice.channel_id == channel_id, Notice.status == NoticeStatus.WAITING, Notice.next_at <= now
    )
    return list(db.session.scalars(query.order_by(Notice.id)))


def _was_told(notice: Notice) -> bool:
    """Whether an attempt came through that nobody lived to put on record; if so, it is now."""
    receipt = _receipt(notice)
    outcome = teller.read(receipt.read_bytes()) if notice.attempts and receipt.exists() else None
    if outcome is None or not outcome.is_told:
        return False
    _settle(notice, outcome)
    return True


def _is_news(notice: Notice) -> bool:
    """That something began is none when it is over already: only its end is told then."""
    if notice.is_end or db.session.get_one(Outage, notice.outage_id).ended_at is None:
        return True
    notice.status = NoticeStatus.NEEDLESS
    return False


def _is_ours(notice: Notice, now: datetime) -> bool:
    claim = update(Notice).filter_by(id=notice.id, attempts=notice.attempts, status=NoticeStatus.WAITING)
    values = {"attempts": notice.attempts + 1, "next_at": now + LEASE}
    claimed = db.session.execute(claim.values(**values), execution_options={"synchronize_session": False})
    db.session.refresh(notice)
    return claimed.rowcount == 1  # type: ignore[attr-defined]


def _errand(channel: AlertChannel, notices: Sequence[Notice]) -> Errand:
    with alert_texts.written_for(channel):
        text = alert_texts.of(notices)
    receipts = [_receipt(notice) for notice in notices]
    receipts[0].parent.mkdir(mode=0o700, exist_ok=True)
    return Errand(
        url=vault().open(channel.sealed_url),
        title=text.title,
        body=text.body,
        allow_private=channel.allow_private,
        receipts=[str(path) for path in receipts],
    )


def _record(channel_id: int, notices: Sequence[Notice], outcome: Outcome) -> None:
    with writing():
        for notice in notices:
            if current := db.session.get(Notice, notice.id):
                _settle(current, outcome)
        note(db.session.get(AlertChannel, channel_id), outcome)
    for notice in notices:
        _receipt(notice).unlink(missing_ok=True)


def note(channel: AlertChannel | None, outcome: Outcome) -> None:
    """Keep on the channel how it went. Inside writing()."""
    if channel is None:
        return
    if outcome.is_told:
        channel.last_told_at, channel.last_error = clock.now(), None
    else:
        channel.last_error = outcome.code


def _settle(notice: Notice, outcome: Outcome) -> None:
    now, outage = clock.now(), db.session.get_one(Outage, notice.outage_id)
    if outcome.is_told:
        notice.status, notice.told_at, notice.error = NoticeStatus.TOLD, now, None
        outage.told_at = outage.told_at or now
        _say(notice, outage, _told_of(outage))
        return
    notice.error = outcome.code
    notice.next_at = now + min(FIRST_RETRY * 3 ** max(0, notice.attempts - 1), LONGEST_RETRY)
    if notice.attempts >= MOST_ATTEMPTS:
        notice.status = NoticeStatus.FAILED
        _say(notice, outage, "alert_failed")


def _told_of(outage: Outage) -> str:
    if outage.subscription_id is not None:
        return "webhook_alert_told"
    return "alert_told" if outage.session_id else "gateway_alert_told"


def _say(notice: Notice, outage: Outage, kind: str) -> None:
    channel = db.session.get_one(AlertChannel, notice.channel_id)
    wa_session = db.session.get(WhatsAppSession, outage.session_id) if outage.session_id else None
    timeline.record(wa_session, kind, workspace_id=outage.workspace_id, actor="scheduler", name=channel.name)


def _receipt(notice: Notice) -> Path:
    return settings().data_dir / "alerts" / f"{notice.id}.json"
