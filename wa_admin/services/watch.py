"""Keeps sessions alive: compares what we believe with what gateways say, and reconnects what may be.

Events make things fast; these duties make them true. Each claims its rows, so that running twice at
once is harmless.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from .. import clock
from ..app import settings
from ..drivers.contract import (
    BadKey,
    Code,
    Driver,
    GatewayError,
    InstanceNotFound,
    State,
    TimedOut,
    Unreachable,
)
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import NEEDS_A_PERSON, Gateway, Message, MessageStatus, Reason, Status, WhatsAppSession
from . import checkup, gateways, outages, starts, status, timeline

_log = logging.getLogger(__name__)

CONNECTING_FOR_LONG = timedelta(minutes=3)
PASSKEY_FOR_LONG = timedelta(minutes=10)  # so long WhatsApp waits for it
# "connected" is not claimed on news that is older than 60 s, and `age` looks every 3
UNCONFIRMED_FOR_LONG = timedelta(seconds=57)
POLL_SECONDS = 5.0  # for a code: what takes longer is asked for again
UNACKNOWLEDGED_FOR_LONG = timedelta(minutes=10)
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 15 * 60.0


def reconcile() -> None:
    """Ask every gateway for the live state of every active session, and mend a lost webhook."""
    checkup.look(db.session.scalars(select(Gateway).order_by(Gateway.id)).all())
    age(clock.now())
    look_for_silence(clock.now())


def look_for_lost_gateways() -> None:
    """Ask those that did not answer, so that nothing waits longer for one than it is away."""
    lost = select(Gateway).where(Gateway.failure.in_([Unreachable.code, TimedOut.code]))
    if found := db.session.scalars(lost.order_by(Gateway.id)).all():
        checkup.look(found)


def age(now: datetime) -> None:
    """What nobody could confirm for a minute is not called connected."""
    oldest = now - _stale_after()
    seen_at = func.coalesce(WhatsAppSession.checked_at, WhatsAppSession.status_at)
    query = select(WhatsAppSession.id).where(
        WhatsAppSession.is_active, WhatsAppSession.status == Status.CONNECTED, seen_at < oldest
    )
    for id in db.session.scalars(query).all():
        with writing():
            current = db.session.get_one(WhatsAppSession, id)
            if current.status == Status.CONNECTED and (current.checked_at or current.status_at) < oldest:
                status.move(current, Status.DISCONNECTED, Reason.GATEWAY_UNREACHABLE, actor="check", now=now)


def refresh(wa_session: WhatsAppSession) -> WhatsAppSession:
    """Ask the gateway for this session's state now. Raises GatewayError."""
    id, rev, instance = wa_session.id, wa_session.rev, wa_session.instance
    driver = gateways.driver(wa_session.gateway)
    end_reading()
    began = time.monotonic()
    try:
        state = driver.state(instance)
    except InstanceNotFound:
        state = State(Status.DISCONNECTED, checkup.lost(wa_session.linked_at is not None), "not found")
    latency_ms = int(1000 * (time.monotonic() - began))
    now = clock.now()
    gateways.answered(wa_session.gateway_id, latency_ms, None, now)
    with writing():
        current = db.session.get(WhatsAppSession, id)
        # an event that came while we asked is newer than our answer
        if current is not None and current.rev == rev:
            status.heard(current, state, actor="check", now=now)
        if state.status is not None:
            _checked(id, now)
    return wa_session


def reconnect_due(jitter: Callable[[], float] = random.random) -> int:
    """Reconnect what is down without a person being needed; how many were tried."""
    tried = 0
    for wa_session in _down(clock.now()):
        if _claim_reconnect(wa_session, clock.now(), jitter):
            _reconnect(wa_session)
            tried += 1
    return tried


def expire_codes() -> None:
    """End what waited for too long: a code nobody scanned, a login that never finished."""
    now = clock.now()
    overdue = select(WhatsAppSession).where(
        WhatsAppSession.status.in_([Status.QR_PENDING, Status.CONNECTING])
    )
    for wa_session in db.session.scalars(overdue).all():
        if _is_overdue(wa_session, now):
            with writing():
                _end_waiting(db.session.get(WhatsAppSession, wa_session.id), now)


def poll_links() -> int:
    """Ask the gateways that tell no codes by themselves for those of the links under way; how many."""
    waiting = select(WhatsAppSession).where(
        WhatsAppSession.is_active,
        WhatsAppSession.linked_at.is_(None),
        WhatsAppSession.status.in_([Status.CONNECTING, Status.QR_PENDING]),
    )
    return sum(map(poll_link, db.session.scalars(waiting.order_by(WhatsAppSession.id)).all()))


def poll_link(wa_session: WhatsAppSession) -> bool:
    """The same for one link under way; False when its gateway tells codes by itself."""
    driver = gateways.driver(wa_session.gateway)
    if not driver.tells_codes:
        _poll(driver, wa_session)
    return not driver.tells_codes


def look_for_silence(now: datetime) -> None:
    """Say of the sessions where nothing comes through that they are silent."""
    query = select(WhatsAppSession).filter_by(is_active=True, status=Status.CONNECTED)
    connected = list(db.session.scalars(query))
    silent = [one for one in connected if _is_silent(one, now)]
    are_silent, there = (Counter(one.gateway_id for one in some) for some in (silent, connected))
    for wa_session in connected:
        gateway_id = wa_session.gateway_id
        if wa_session in silent and wa_session.reason is None:
            is_storm = outages.is_storm(are_silent[gateway_id], there[gateway_id])
            _fall_silent(wa_session, now, may_restart=not is_storm)
        elif wa_session not in silent and wa_session.reason == Reason.SILENT:
            with writing():
                if _is_still(wa_session.id, Reason.SILENT):
                    status.move(wa_session, Status.CONNECTED, None, actor="check", now=now)


def _poll(driver: Driver, wa_session: WhatsAppSession) -> None:
    id, rev, instance = wa_session.id, wa_session.rev, wa_session.instance
    end_reading()
    try:
        with deadline(POLL_SECONDS):
            answer = driver.code(instance)
    except GatewayError as error:
        _log.info("session %s: no code yet: %s", id, error.code)
        return
    with writing():
        current = db.session.get(WhatsAppSession, id)
        if current is None or current.rev != rev:
            return  # something newer was told while we asked
        if isinstance(answer, Code):
            status.show_code(current, answer, now=clock.now())
        elif not _proves_nothing(answer):
            status.heard(current, answer, actor="check", now=clock.now())


def _proves_nothing(state: State) -> bool:
    """While a link is under way a gateway without a code may say that it waits for a scan of what it showed,
    or still that nobody is linked."""
    is_bare = state.status == Status.DISCONNECTED and state.reason is None
    return is_bare or (state.status == Status.QR_PENDING and state.reason is None)


def _checked(session_id: int, now: datetime) -> None:
    db.session.execute(update(WhatsAppSession).where(WhatsAppSession.id == session_id).values(checked_at=now))


def _stale_after() -> timedelta:
    """Two checks, so that one odd answer proves nothing."""
    return max(UNCONFIRMED_FOR_LONG, timedelta(seconds=1.9 * settings().health_check_seconds))


def _is_silent(wa_session: WhatsAppSession, now: datetime) -> bool:
    known = (wa_session.last_proof_at, wa_session.connected_at, wa_session.gateway.listening_since)
    last = max((at for at in known if at is not None), default=wa_session.status_at)
    if now - last > timedelta(seconds=settings().silent_after_seconds):
        return True
    if "receipts" not in wa_session.gateway.capabilities.split(","):
        return False  # what it sends is never acknowledged
    oldest = db.session.scalar(
        select(func.min(Message.sent_at)).where(
            Message.workspace_id == wa_session.workspace_id,  # for the index of those sent
            Message.session_id == wa_session.id,
            Message.status == MessageStatus.SENT,
            Message.sent_at > last,
        )
    )
    return oldest is not None and now - oldest > UNACKNOWLEDGED_FOR_LONG


def _fall_silent(wa_session: WhatsAppSession, now: datetime, may_restart: bool) -> None:
    """Say so, and restart it once; a second silence without a proof in between is for a person.

    When most sessions of a gateway are silent the fault is not theirs: restarts would only cut them off.
    """
    restarted = wa_session.silent_restart_at
    proof = wa_session.last_proof_at
    restart = may_restart and (restarted is None or (proof is not None and proof > restarted))
    with writing():
        if not _is_still(wa_session.id, None):
            return
        status.move(wa_session, Status.CONNECTED, Reason.SILENT, actor="check", now=now)
        if restart:
            wa_session.silent_restart_at = now
            timeline.record(
                wa_session, "restarted_for_silence", workspace_id=wa_session.workspace_id, actor="check"
            )
    driver = gateways.driver(wa_session.gateway)
    if restart and "restart" in driver.capabilities:
        try:
            starts.restart(driver, wa_session)
        except GatewayError as error:
            _note_failure(wa_session, error)


def _is_still(id: int, reason: Reason | None) -> bool:
    """Connected for this reason; it may have been unlinked or removed since it was looked at."""
    current = db.session.get(WhatsAppSession, id)
    return current is not None and (current.status, current.reason) == (Status.CONNECTED, reason)


def _down(now: datetime) -> list[WhatsAppSession]:
    query = select(WhatsAppSession).where(
        WhatsAppSession.is_active,
        WhatsAppSession.linked_at.is_not(None),
        WhatsAppSession.status == Status.DISCONNECTED,
        (WhatsAppSession.reconnect_at.is_(None)) | (WhatsAppSession.reconnect_at <= now),
    )
    # one gateway that is down is one problem: its sessions come back with it
    waits = NEEDS_A_PERSON | {Reason.GATEWAY_UNREACHABLE}
    return [found for found in db.session.scalars(query).all() if found.reason not in waits]


def _claim_reconnect(wa_session: WhatsAppSession, now: datetime, jitter: Callable[[], float]) -> bool:
    """Exactly one process gets it; the next attempt is set before this one begins."""
    id, attempts, rev = wa_session.id, wa_session.reconnect_attempts, wa_session.rev
    # after some days of attempts the power would be no float any more
    longest = min(FIRST_RETRY_SECONDS * 3 ** min(attempts, 9), LONGEST_RETRY_SECONDS)
    wait = timedelta(seconds=longest * (0.5 + 0.5 * jitter()))
    with writing():
        claimed = db.session.execute(
            update(WhatsAppSession)
            .where(WhatsAppSession.id == id, WhatsAppSession.rev == rev)
            .values(reconnect_attempts=attempts + 1, reconnect_at=now + wait, rev=rev + 1)
        )
    return claimed.rowcount == 1  # type: ignore[attr-defined]


def _reconnect(wa_session: WhatsAppSession) -> None:
    gateway = db.session.get_one(Gateway, wa_session.gateway_id)
    try:
        answer = starts.connect(gateways.driver(gateway), wa_session)
    except GatewayError as error:
        _note_failure(wa_session, error)
        return
    now = clock.now()
    with writing():
        current = db.session.get(WhatsAppSession, wa_session.id)
        if current is None or current.status == Status.CONNECTED:
            return  # an event was quicker
        if isinstance(answer, Code):
            # the login is gone: showing codes to nobody helps nobody
            status.move(current, Status.DISCONNECTED, Reason.LOGGED_OUT, actor="check", now=now)
        else:
            status.heard(current, answer, actor="check", now=now)


def _note_failure(wa_session: WhatsAppSession, error: GatewayError) -> None:
    if isinstance(error, Unreachable | BadKey):
        gateways.failed(wa_session.gateway_id, error, clock.now())
    with writing():
        timeline.record(
            wa_session,
            "reconnect_failed",
            workspace_id=wa_session.workspace_id,
            actor="check",
            failure=error.code,
        )


def _is_overdue(wa_session: WhatsAppSession, now: datetime) -> bool:
    if wa_session.status == Status.CONNECTING:
        longest = PASSKEY_FOR_LONG if wa_session.asks_for_passkey else CONNECTING_FOR_LONG
        return now - wa_session.status_at > longest
    # the next code follows within a second or two; without one the set is over
    ends = wa_session.qr_expires_at or wa_session.status_at
    return now - ends > timedelta(seconds=10)


def _end_waiting(wa_session: WhatsAppSession | None, now: datetime) -> None:
    if wa_session is None or not _is_overdue(wa_session, now):
        return
    if wa_session.status == Status.QR_PENDING:
        reason = Reason.QR_EXPIRED
    else:
        reason = wa_session.reason or Reason.NETWORK
    status.move(wa_session, Status.DISCONNECTED, reason, actor="check", now=now)
