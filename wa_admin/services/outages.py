"""What is wrong right now that somebody must know of: one row per outage, opened once and closed once.

A duty compares what is with what is on record, so that nothing is missed whatever moved a session, and a
crash in between costs nothing. The unique indexes keep two schedulers from opening one outage twice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..app import settings
from ..extensions import db, writing
from ..models import (
    NEEDS_A_PERSON,
    AlertChannel,
    Event,
    Gateway,
    Notice,
    Outage,
    Reason,
    Status,
    Subscription,
    WhatsAppSession,
)

UNREACHABLE = Reason.GATEWAY_UNREACHABLE
STORM = "storm"  # the reason of a gateway that answers, but lost most of its sessions at once
SILENT_STORM = "silent_storm"  # likewise, but they are connected and nothing comes through
STORM_SESSIONS = 3
STORM_SETTLES = timedelta(seconds=10)  # its sessions do not all go in the same second

# a person looks after these already, or never meant the session to be there
NOBODY_IS_TOLD = frozenset({Reason.NEVER_LINKED, Reason.STOPPED})


@dataclass(frozen=True)
class Trouble:
    """A session that does not come back by itself, or has not for too long."""

    wa_session: WhatsAppSession
    reason: str
    since: datetime


def look(now: datetime | None = None) -> None:
    """Open what has begun and close what is over, with the notices that tell of it."""
    now = now or clock.now()
    _close_what_is_over(now)
    told = _gateways_told_of()
    for gateway in db.session.scalars(select(Gateway).where(Gateway.failing_since.is_not(None))).all():
        for workspace_id in _workspaces_of(gateway.id):
            if _is_down(gateway, now) and (workspace_id, gateway.id) not in told:
                since = gateway.failing_since or now
                _open(workspace_id, gateway.failure or UNREACHABLE, since, now, gateway=gateway.id)
    doubtful = [one for one in _sessions_in_doubt() if (one.workspace_id, one.gateway_id) not in told]
    troubles = [trouble for one in doubtful if (trouble := _trouble(one, now))]
    for (workspace_id, gateway_id), held in _by_gateway(troubles).items():
        _open_for_sessions(workspace_id, gateway_id, held, now)
    for webhook in _webhooks_nobody_knows_of():
        if why := webhook.switched_off:
            _open(webhook.workspace_id, why, webhook.disabled_at or now, now, subscription=webhook.id)


def open_ones(workspace_id: int) -> list[Outage]:
    """What is wrong right now, the oldest first."""
    query = select(Outage).filter_by(workspace_id=workspace_id, ended_at=None).order_by(Outage.began_at)
    return list(db.session.scalars(query))


def is_storm(count: int, of: int) -> bool:
    """Whether so many sessions in trouble, of all that a gateway has, are one problem: the gateway's."""
    return count >= max(STORM_SESSIONS, math.ceil(of / 2))


def _gateways_told_of() -> set[tuple[int, int | None]]:
    """(workspace, gateway): an outage of a gateway stands for those of its sessions."""
    query = select(Outage.workspace_id, Outage.gateway_id)
    return {
        (workspace_id, gateway_id)
        for workspace_id, gateway_id in db.session.execute(
            query.where(Outage.ended_at.is_(None), Outage.gateway_id.is_not(None))
        )
    }


def _webhooks_nobody_knows_of() -> list[Subscription]:
    """Those that were switched off because their app takes nothing, and stand in no open outage yet."""
    known = select(Outage.id).where(Outage.subscription_id == Subscription.id, Outage.ended_at.is_(None))
    query = select(Subscription).where(Subscription.disabled_at.is_not(None), ~known.exists())
    return list(db.session.scalars(query))


# --- what is wrong -------------------------------------------------------------------------------


def _sessions_in_doubt() -> list[WhatsAppSession]:
    query = select(WhatsAppSession).where(
        WhatsAppSession.is_active,
        (WhatsAppSession.status != Status.CONNECTED) | (WhatsAppSession.reason.is_not(None)),
    )
    return list(db.session.scalars(query))


def _trouble(wa_session: WhatsAppSession, now: datetime) -> Trouble | None:
    reason = wa_session.reason
    if wa_session.status == Status.CONNECTED and reason == Reason.SILENT:
        since = _silent_since(wa_session)
        tried = max(filter(None, (since, wa_session.silent_restart_at)), default=now)
        return Trouble(wa_session, reason, since or tried) if now - tried >= _grace() else None
    if reason in NOBODY_IS_TOLD or (reason == Reason.GATEWAY_UNREACHABLE and wa_session.gateway.is_failing):
        return None
    if reason in NEEDS_A_PERSON and wa_session.status == Status.DISCONNECTED:
        return None if _somebody_links(wa_session) else Trouble(wa_session, reason, wa_session.status_at)
    if wa_session.linked_at is None or wa_session.status == Status.QR_PENDING:
        return None
    away = wa_session.away_since or wa_session.status_at
    is_hopeless = now - away >= _grace_of_session() and now - _gateway_back(wa_session) >= _grace_of_session()
    return Trouble(wa_session, reason or Reason.NETWORK, away) if is_hopeless else None


def _silent_since(wa_session: WhatsAppSession) -> datetime | None:
    query = select(func.max(Event.at)).filter_by(session_id=wa_session.id, kind="status")
    return db.session.scalar(query.where(Event.reason == Reason.SILENT))


def _somebody_links(wa_session: WhatsAppSession) -> bool:
    """Codes ran out before the eyes of whoever asked for them: nobody else need come."""
    if wa_session.reason != Reason.QR_EXPIRED:
        return False
    since = wa_session.connected_at
    query = select(Event.id).filter_by(session_id=wa_session.id, kind="link_started")
    if since is None:
        return True
    return db.session.scalar(query.where(Event.at > since).limit(1)) is not None


def _is_down(gateway: Gateway, now: datetime) -> bool:
    return gateway.failing_since is not None and now - gateway.failing_since >= _grace()


def _workspaces_of(gateway_id: int) -> list[int]:
    query = select(WhatsAppSession.workspace_id).filter_by(gateway_id=gateway_id, is_active=True).distinct()
    return list(db.session.scalars(query))


def _grace() -> timedelta:
    return timedelta(seconds=settings().alert_grace_seconds)


def _grace_of_session() -> timedelta:
    """Longer than the gateway's: once it answers again, its sessions wait for a check of their own."""
    return _grace() + timedelta(seconds=2 * settings().health_check_seconds)


def _gateway_back(wa_session: WhatsAppSession) -> datetime:
    query = select(func.max(Outage.ended_at)).filter_by(
        workspace_id=wa_session.workspace_id, gateway_id=wa_session.gateway_id
    )
    return db.session.scalar(query) or wa_session.created_at


def _by_gateway(troubles: Iterable[Trouble]) -> dict[tuple[int, int], list[Trouble]]:
    found = defaultdict(list)
    for trouble in troubles:
        found[trouble.wa_session.workspace_id, trouble.wa_session.gateway_id].append(trouble)
    return found


def _open_for_sessions(workspace_id: int, gateway_id: int, troubles: list[Trouble], now: datetime) -> None:
    """One outage each; many at once are one of their gateway, which then stands for all of them."""
    told = {outage.session_id for outage in open_ones(workspace_id)}
    new = [trouble for trouble in troubles if trouble.wa_session.id not in told]
    there = _active_sessions(workspace_id, gateway_id)
    if len(there) >= STORM_SESSIONS:  # wait until it is clear how many there are
        if not any(now - trouble.since >= STORM_SETTLES for trouble in new):
            return
        if is_storm(len(new), len(there)):
            began = min(trouble.since for trouble in new)
            is_silent = all(trouble.reason == Reason.SILENT for trouble in new)
            _open(workspace_id, SILENT_STORM if is_silent else STORM, began, now, gateway=gateway_id)
            return
    for trouble in new:
        _open(workspace_id, trouble.reason, trouble.since, now, session=trouble.wa_session.id)


def _active_sessions(workspace_id: int, gateway_id: int) -> list[int]:
    query = select(WhatsAppSession.id).filter_by(
        workspace_id=workspace_id, gateway_id=gateway_id, is_active=True
    )
    return list(db.session.scalars(query))


# --- on record -----------------------------------------------------------------------------------


def _open(
    workspace_id: int,
    reason: str,
    began_at: datetime,
    now: datetime,
    *,
    session: int | None = None,
    gateway: int | None = None,
    subscription: int | None = None,
) -> None:
    held = {
        "workspace_id": workspace_id,
        "session_id": session,
        "gateway_id": gateway,
        "subscription_id": subscription,
    }
    try:
        with writing():
            if db.session.scalar(select(Outage.id).filter_by(**held, ended_at=None)) is None:
                outage = Outage(**held, reason=reason, began_at=began_at)
                db.session.add(outage)
                db.session.flush()
                _give_notice(outage, now, is_end=False)
    except IntegrityError:
        return  # another scheduler was faster


def _close_what_is_over(now: datetime) -> None:
    for outage in db.session.scalars(select(Outage).filter_by(ended_at=None)).all():
        if _is_over(outage, now):
            with writing():
                current = db.session.get(Outage, outage.id)
                if current is not None and current.ended_at is None and _is_over(current, now):
                    current.ended_at = now
                    _give_notice(current, now, is_end=True)


def _is_over(outage: Outage, now: datetime) -> bool:
    if outage.session_id is not None:
        wa_session = db.session.get_one(WhatsAppSession, outage.session_id)
        return _is_well(wa_session) or not wa_session.is_active or wa_session.reason == Reason.STOPPED
    if outage.subscription_id is not None:
        return db.session.get_one(Subscription, outage.subscription_id).disabled_at is None
    gateway = db.session.get_one(Gateway, outage.gateway_id)
    if gateway.is_failing:
        return False
    if outage.reason not in (STORM, SILENT_STORM):
        return True
    own = {one.session_id for one in open_ones(outage.workspace_id)}
    held = [one for one in _sessions_in_doubt() if one.gateway_id == gateway.id and one.id not in own]
    return not any(_trouble(one, now) for one in held if one.workspace_id == outage.workspace_id)


def _is_well(wa_session: WhatsAppSession) -> bool:
    return wa_session.is_connected and wa_session.reason is None


def _give_notice(outage: Outage, now: datetime, *, is_end: bool) -> None:
    """One for each channel that is listened to; channels made later are not told of old troubles."""
    query = select(AlertChannel).filter_by(workspace_id=outage.workspace_id, is_active=True)
    if is_end:  # nobody hears the end of what it never heard of
        query = query.where(
            AlertChannel.id.in_(select(Notice.channel_id).filter_by(outage_id=outage.id, is_end=False))
        )
    for channel in db.session.scalars(query):
        db.session.add(Notice(outage_id=outage.id, channel_id=channel.id, is_end=is_end, next_at=now))
