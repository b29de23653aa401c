"""Make the calls that subscriptions wait for: claim, post, settle.

    waiting ─> delivered
       ▲  └──> failed      (tried for a day and a half, or its subscription was disabled)
       └──┘    (no 2xx: later again, with the same webhook-id)

A call that was under way when the process ended is made again when its lease is over: an app may hear the
same event twice and knows it by its webhook-id. Calls of one subscription are begun in the order of what
happened; several may be under way at once, and one that failed comes later than those behind it.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from .. import clock
from ..app import settings, vault
from ..extensions import db, writing
from ..models import Call, CallStatus, Subscription
from ..models.types import Word
from ..refusal import Refusal
from . import crash_points, keyset, subscriptions, timeline
from .keyset import Page

if TYPE_CHECKING:
    from ..drivers.outbound import Outbound, Reply

# after each try; the rest of the wait is drawn, so that the calls of an outage do not come back as one
RETRY_SECONDS = (5, 30, 120, 600, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600)
JITTER = 0.2
LEASE = timedelta(seconds=45)  # longer than a call may take: outbound.DEADLINE_SECONDS
AT_ONCE, AT_ONCE_WHILE_FAILING = 4, 1  # of one subscription
KEEP_DELIVERED = timedelta(days=7)
GONE = 410

# spelled out in the statement: SQLite finds no partial index for a parameter
_WAITING = bindparam("waiting", CallStatus.WAITING, Word(CallStatus), literal_execute=True)

_log = logging.getLogger(__name__)


class CallNotFound(Refusal):
    code = "call_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such call; old ones are forgotten after 30 days."))


@dataclass(frozen=True)
class Work:
    """So many calls of a subscription are due, as far as they may be under way `at_once`."""

    subscription_id: int
    count: int
    at_once: int


@dataclass(frozen=True)
class Claim:
    """What is needed for one try, read in the transaction that claimed it."""

    call_id: int
    subscription_id: int
    attempt: int
    uid: str
    sealed_url: str = field(repr=False)
    sealed_secrets: tuple[str, ...] = field(repr=False)
    payload: str = field(repr=False)


def due(now: datetime) -> list[Work]:
    """Which subscriptions have calls to make; only reads."""
    found = []
    with db.engine.connect() as connection:
        rows = connection.execute(
            select(Subscription.id, Subscription.failing_since).where(
                Subscription.is_active,
                select(Call.id).where(Call.subscription_id == Subscription.id, _is_due(now)).exists(),
            )
        ).all()
        for id, failing_since in rows:
            limit = _at_once(failing_since)
            ids = connection.execute(
                select(Call.id).where(Call.subscription_id == id, _is_due(now)).limit(limit)
            )
            found.append(Work(id, len(ids.all()), limit))
    return found


def deliver_next(subscription_id: int, outbound: Outbound) -> bool:
    """Claim the subscription's next due call and make it; False when there was none to claim."""
    claim = _claim(subscription_id)
    if claim is None:
        return False
    crash_points.reach("after_call_claim")
    reply = _made(claim, outbound)
    crash_points.reach("before_call_result")
    _settle(claim, reply, clock.now())
    return True


def find(workspace_id: int, call_id: int) -> Call:
    """Raises CallNotFound."""
    query = select(Call).join(Subscription).where(Subscription.workspace_id == workspace_id)
    found = db.session.scalar(query.where(Call.id == call_id))
    if found is None:
        raise CallNotFound
    return found


def page(
    workspace_id: int, subscription: int | str, cursor: int | None = None, limit: int = 50
) -> Page[Call]:
    """The log, newest first; a negative cursor means newer than its absolute value."""
    of = subscriptions.find(workspace_id, subscription)
    return keyset.page(Call, select(Call).filter_by(subscription_id=of.id), cursor, limit)


def counts(workspace_id: int) -> dict[int, dict[CallStatus, int]]:
    """How many calls each subscription has in each status."""
    query = (
        select(Call.subscription_id, Call.status, func.count())
        .join(Subscription)
        .where(Subscription.workspace_id == workspace_id)
        .group_by(Call.subscription_id, Call.status)
    )
    found: dict[int, dict[CallStatus, int]] = {}
    for id, status, count in db.session.execute(query):
        found.setdefault(id, {})[status] = count
    return found


def resend(workspace_id: int, call_id: int) -> Call:
    """Make a call at once, whatever became of it, under the same webhook-id. Raises Paused, CallNotFound."""
    with writing():
        call = find(workspace_id, call_id)
        _refuse_paused(workspace_id, call.subscription_id)
        now = clock.now()
        if call.lease_until is None or call.lease_until <= now:
            call.status, call.attempts, call.next_at = CallStatus.WAITING, 0, now
            call.error = call.answer_status = call.delivered_at = call.lease_until = None
    return call


def resend_failed(workspace_id: int, subscription: int | str) -> int:
    """Make every failed call again; how many. Raises Paused, SubscriptionNotFound."""
    with writing():
        of = _refuse_paused(workspace_id, subscription)
        failed = update(Call).where(Call.subscription_id == of.id, Call.status == CallStatus.FAILED)
        return db.session.execute(  # type: ignore[attr-defined,no-any-return]
            failed.values(status=CallStatus.WAITING, attempts=0, next_at=clock.now(), lease_until=None)
        ).rowcount


def forget_old(now: datetime) -> int:
    """Drop the log of what arrived a week ago, and of all else after the days of the settings."""
    keep = timedelta(days=settings().keep_webhook_days)
    old = or_(
        Call.created_at < now - keep,
        and_(Call.status == CallStatus.DELIVERED, Call.delivered_at < now - min(keep, KEEP_DELIVERED)),
    )
    with writing():
        return db.session.execute(delete(Call).where(old)).rowcount  # type: ignore[attr-defined,no-any-return]


# --- steps ---------------------------------------------------------------------------------------


def _claim(subscription_id: int) -> Claim | None:
    """The call that is due the longest; its try is committed here, before the first byte leaves."""
    with writing():
        now = clock.now()
        to = db.session.get(Subscription, subscription_id)
        if to is None or not to.is_active or _under_way(to.id, now) >= _at_once(to.failing_since):
            return None
        call = db.session.scalar(
            select(Call)
            .where(Call.subscription_id == to.id, _is_due(now))
            .order_by(Call.next_at, Call.id)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has one writer at a time anyway
        )
        if call is None:
            return None
        call.attempts += 1
        call.lease_until = now + LEASE
        overlaps = to.sealed_old_secret and to.old_secret_until and to.old_secret_until > now
        return Claim(
            call_id=call.id,
            subscription_id=to.id,
            attempt=call.attempts,
            uid=call.uid,
            sealed_url=to.sealed_url,
            sealed_secrets=(to.sealed_secret, to.sealed_old_secret) if overlaps else (to.sealed_secret,),  # type: ignore[arg-type]
            payload=call.payload,
        )


def _made(claim: Claim, outbound: Outbound) -> Reply:
    """How the app answered; a fault of ours counts as a failed try, so that it cannot repeat for ever."""
    from ..drivers.outbound import Reply

    try:
        headers = _signed(claim, clock.now())
        url = vault().open(claim.sealed_url)
        return outbound.post(url, headers, claim.payload.encode())
    except Exception:
        _log.exception("call %d could not be made", claim.call_id)
        return Reply(error="internal")


def _signed(claim: Claim, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: with two secrets in use, two signatures."""
    from standardwebhooks import Webhook  # nobody without webhooks need wait for it

    signatures = [
        Webhook(vault().open(sealed)).sign(claim.uid, now, claim.payload) for sealed in claim.sealed_secrets
    ]
    return {
        "webhook-id": claim.uid,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _settle(claim: Claim, reply: Reply, now: datetime) -> None:
    with writing():
        call = db.session.get(Call, claim.call_id)
        to = db.session.get(Subscription, claim.subscription_id)
        if call is None or to is None or not _is_ours(call, claim):
            return
        call.lease_until, call.answer_status, call.error = None, reply.status, reply.error
        if reply.is_success:
            call.status, call.delivered_at, call.next_at = CallStatus.DELIVERED, now, None
            to.failing_since = None
            return
        to.failing_since = to.failing_since or now
        if reply.status == GONE or to.is_worn_out(now):
            _fail(call)
            _disable(to, now)
        elif claim.attempt > len(RETRY_SECONDS):
            _fail(call)
        else:
            call.next_at = now + _wait(claim.attempt, reply.retry_after_seconds)


def _is_ours(call: Call, claim: Claim) -> bool:
    """Not taken up by another process meanwhile, nor sent again by a person."""
    return (
        call.status == CallStatus.WAITING and call.attempts == claim.attempt and call.lease_until is not None
    )


def _fail(call: Call) -> None:
    call.status, call.next_at = CallStatus.FAILED, None


def _disable(to: Subscription, now: datetime) -> None:
    """Its app is gone, or takes nothing: `outages` sees it by the date and has it told."""
    to.is_active, to.disabled_at = False, now
    waiting = update(Call).where(Call.subscription_id == to.id, Call.status == CallStatus.WAITING)
    db.session.execute(
        waiting.values(status=CallStatus.FAILED, next_at=None, lease_until=None, error="disabled")
    )
    timeline.record(None, "webhook_disabled", workspace_id=to.workspace_id, actor="scheduler", name=to.name)


def _wait(attempt: int, retry_after_seconds: float | None) -> timedelta:
    """At least what the schedule says, and what the app asked for."""
    planned = RETRY_SECONDS[attempt - 1] * random.uniform(1, 1 + JITTER)  # noqa: S311 (no secret)
    return timedelta(seconds=max(planned, retry_after_seconds or 0))


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        Call.status == _WAITING,
        Call.next_at <= now,
        or_(Call.lease_until.is_(None), Call.lease_until <= now),
    )


def _under_way(subscription_id: int, now: datetime) -> int:
    """They were due the longest when they were claimed: no other of thousands need be looked at."""
    query = select(Call.lease_until).where(Call.subscription_id == subscription_id, Call.status == _WAITING)
    first = db.session.scalars(query.order_by(Call.next_at, Call.id).limit(2 * AT_ONCE))
    return sum(until is not None and until > now for until in first)


def _at_once(failing_since: datetime | None) -> int:
    return AT_ONCE if failing_since is None else AT_ONCE_WHILE_FAILING


def _refuse_paused(workspace_id: int, subscription: int | str) -> Subscription:
    of = subscriptions.find(workspace_id, subscription)
    if not of.is_active:
        raise subscriptions.Paused
    return of
