"""Hand accepted messages to their gateways: claim, call, record.

    queued ─> sending ─> sent
      ▲          ├─> failed
      └──────────┤   (it certainly did not leave: later again)
                 └─> uncertain   (it may have left: see `doubts`)

An attempt is on disk before its first byte leaves. A gateway with `ids_in_advance` is given a reference
per message, and then even an uncertain attempt can be made again: the same reference never leaves twice.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from sqlalchemy import Table, and_, bindparam, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from .. import clock, drivers
from ..drivers.contract import (
    Attached,
    BadKey,
    GatewayError,
    NotConnected,
    OutcomeUnknown,
    RateLimited,
    Unreachable,
)
from ..extensions import db, will_pass, writing
from ..models import (
    Attachment,
    Delivery,
    Message,
    MessageStatus,
    Outcome,
)
from . import claiming, crash_points, doubts, due, gateways, progress
from .claiming import Claim

ATTEMPTS = 8
INTERRUPTED, INTERRUPTIONS = "interrupted", 3  # what breaks its own sending that often is for a person
TRY_FOR = timedelta(hours=24)
OFFLINE_RETRY = timedelta(seconds=15)  # unless it comes back sooner: then `progress.release` lets it go
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0
RECORD_FOR_SECONDS = 20.0

_SENT = (
    update(cast(Table, Delivery.__table__))
    .where(Delivery.id == bindparam("of"))
    .values(outcome=Outcome.SENT, finished_at=bindparam("now"))
)

_log = logging.getLogger(__name__)


class HeldUp(GatewayError):
    """It certainly did not leave: whoever had claimed it was frozen since, and others may have it by now, or
    could not read what is needed to hand it over."""

    code = INTERRUPTED


def drain(stop: Callable[[], bool] = lambda: False) -> int:
    """Hand over what is due, one after the other, until nothing is; how many attempts were made.

    For the command line: the scheduler's `Couriers` let no session wait for another.
    """
    attempts = 0
    while not stop():
        now = clock.now()
        ready = [work.session_id for work in due.plan(now) if work.at <= now]
        made = sum(deliver_next(session_id) for session_id in ready if not stop())
        if not made:
            break
        attempts += made
    return attempts


def deliver_next(session_id: int) -> bool:
    """Claim the session's next due message and hand it over; False when there was none to claim."""
    claims = claim([session_id])
    for one in claims:
        deliver(one)
    return bool(claims)


def claim(session_ids: Collection[int]) -> list[Claim]:
    """For each of these sessions the message that is due the longest, per recipient the oldest, unless its
    state or pace holds it back. The attempts are committed here, for all of them at once."""
    crash_points.reach("before_claim")
    with writing(alone=False):
        now = due.moment()  # not before we have the lock: a message may expire while we wait for it
        claims = claiming.take(session_ids, now)
    crash_points.reach("after_claim")
    return claims


def deliver(claim: Claim) -> None:
    """Hand over what was claimed, and record how that went."""
    crash_points.reach("before_hand_over")
    try:
        provider_id = _hand_over(claim)
    except SQLAlchemyError as error:  # all that is read is read before the first byte leaves
        _log.warning("message %d could not be handed over yet: %s", claim.message_id, type(error).__name__)
        _surely(partial(_record_failure, claim, HeldUp()))
    except GatewayError as error:
        crash_points.reach("before_result")
        _surely(partial(_record_failure, claim, error))
    except Exception:
        with writing():  # a fault of ours: others must not wait for this message
            if message := _claimed(claim):
                _take_up(message, clock.now())
        raise
    else:
        crash_points.reach("before_result")
        _surely(partial(_record_sent, claim, provider_id))


def settle_leases() -> int:
    """Take up what a crash left in the middle; how many there were."""
    with writing():
        now = due.moment()
        left = list(db.session.scalars(select(Message).where(due.is_under_way(), Message.lease_until < now)))
        for message in left:
            _take_up(message, now)
    return len(left)


def interrupt(session_ids: Collection[int]) -> None:
    """Give up what is under way for these sessions, as if a crash had left it in the middle."""
    now = clock.now()
    with writing():
        query = select(Message).where(due.is_under_way(), Message.session_id.in_(session_ids))
        for message in db.session.scalars(query).all():
            _take_up(message, now)


def give_up_references(session_id: int, now: datetime) -> None:
    """Of what may have left, nothing is asked for again: another gateway knows none of our references.

    Belongs into the transaction that changes the gateway.
    """
    query = select(Message).where(Message.session_id == session_id, due.is_open())
    for message in db.session.scalars(query):
        if message.status == MessageStatus.SENDING or _is_asked_again(message):
            progress.move(message, MessageStatus.UNCERTAIN, now)


def expire() -> int:
    """End what waited beyond its time; how many there were, 500 at most."""
    now = clock.now()
    with writing():
        query = select(Message).where(
            Message.status == MessageStatus.QUEUED,
            or_(Message.valid_until <= now, and_(Message.attempts > 0, Message.queued_at < now - TRY_FOR)),
        )
        over = list(db.session.scalars(query.limit(500)))
        for message in over:
            if progress.may_have_left(message):
                progress.move(message, MessageStatus.UNCERTAIN, now)
            else:
                message.error_code = message.error_code or "expired"
                progress.move(message, MessageStatus.EXPIRED, now)
    return len(over)


# --- steps ---------------------------------------------------------------------------------------


def _hand_over(claim: Claim) -> str:
    """The gateway's id of the message. Raises GatewayError."""
    if claim.is_late:
        raise HeldUp
    driver = gateways.driver_of(claim.gateway_id)
    if claim.attachment_id is None:
        return driver.send_text(claim.instance, claim.to, claim.body, claim.reference)
    file = db.session.get_one(Attachment, claim.attachment_id)
    attached = Attached(file.kind, file.content, file.mimetype, file.filename)
    db.session.rollback()  # no transaction stays open while HTTP is under way
    return driver.send_media(claim.instance, claim.to, claim.body, attached, claim.reference)


def _surely(record: Callable[[datetime], None]) -> None:
    """The gateway has answered: a database that is busy or away for a moment must not make that a doubt."""
    ends = time.monotonic() + RECORD_FOR_SECONDS
    while True:
        try:
            return record(clock.now())
        except SQLAlchemyError as error:
            if not will_pass(error) or time.monotonic() > ends:
                raise
            _log.warning("an answer could not be recorded yet: %s", type(error).__name__)
            time.sleep(1)


def _record_sent(claim: Claim, provider_id: str, now: datetime) -> None:
    with writing(session_id=claim.session_id):
        if progress.was_taken(claim.message_id, claim.delivery_id, provider_id, now):
            db.session.connection().execute(_SENT, {"of": claim.delivery_id, "now": now})


def _record_failure(claim: Claim, error: GatewayError, now: datetime) -> None:
    """Each kind of failure has its place: see the table in the README."""
    if isinstance(error, Unreachable | BadKey):
        gateways.failed(claim.gateway_id, error, now)
    with writing(session_id=claim.session_id):
        message = _claimed(claim)
        if message is None:
            return
        message.error_code, message.error_detail = error.code, error.detail or None
        if isinstance(error, BadKey):
            # our key is wrong, not the message: it waits until somebody has mended that
            _close(claim, Outcome.RETRY, error, now)
            _later(message, now + timedelta(seconds=60), now)
            message.attempts -= 1
        elif error.permanent:
            _close(claim, Outcome.FAILED, error, now)
            progress.fail(message, now)
        elif error.may_have_left:
            _close(claim, Outcome.UNCERTAIN, error, now)
            _doubt(message, error.code, now)
        else:
            _close(claim, Outcome.RETRY, error, now)
            _try_later(message, error, now)


def _try_later(message: Message, error: GatewayError, now: datetime) -> None:
    """It certainly did not leave."""
    if isinstance(error, NotConnected | Unreachable):
        message.attempts -= 1  # the session is down, the message is not to blame
        _later(message, now + OFFLINE_RETRY, now)
        return
    if message.attempts == 1:
        message.queued_at = now  # what it waited for before does not count
    if message.attempts >= ATTEMPTS or now - message.queued_at > TRY_FOR:
        progress.fail(message, now)
        return
    longest = min(FIRST_RETRY_SECONDS * 3 ** max(message.attempts - 1, 0), LONGEST_RETRY_SECONDS)
    wait_seconds = longest * random.uniform(0.2, 1.0)  # noqa: S311 - jitter, no secret
    if isinstance(error, RateLimited) and error.retry_after_seconds is not None:
        wait_seconds = error.retry_after_seconds
    _later(message, now + timedelta(seconds=wait_seconds), now)


def _later(message: Message, at: datetime, now: datetime) -> None:
    message.next_at = at
    # while it was under way it may have been erased, or its session removed
    is_over = message.is_blank or message.session_id is None
    progress.move(message, MessageStatus.CANCELLED if is_over else MessageStatus.QUEUED, now)


def _doubt(message: Message, code: str, now: datetime) -> None:
    """It may have left: asking again is safe where the gateway knows our reference, else it is looked up."""
    message.error_code = code
    most = INTERRUPTIONS if code == INTERRUPTED else ATTEMPTS
    if _can_ask_again(message) and code != OutcomeUnknown.code and message.attempts < most:
        _later(message, now + timedelta(seconds=FIRST_RETRY_SECONDS * message.attempts), now)
    else:
        progress.move(message, MessageStatus.UNCERTAIN, now)
        doubts.begin(message, now)


def _can_ask_again(message: Message) -> bool:
    """Whether the gateway, as it is now, drops what it has seen under the same reference."""
    if (
        message.is_blank
        or message.session is None
        or not gateways.can(message.session.gateway, "ids_in_advance")
    ):
        return False
    return message.attachment_id is None or drivers.DRIVERS[message.session.gateway.kind].files_in_advance


def _is_asked_again(message: Message) -> bool:
    """Under the reference that it has now it may have left already."""
    query = select(Delivery.id).filter_by(message_id=message.id, outcome=Outcome.UNCERTAIN)
    since = query.where(Delivery.started_at >= message.queued_at)
    return db.session.scalar(since.limit(1)) is not None


def _claimed(claim: Claim) -> Message | None:
    """The message of this claim, unless its lease ran out and somebody else has settled it."""
    message = db.session.get(Message, claim.message_id)
    if message is None or message.status != MessageStatus.SENDING:
        return None
    last = db.session.scalar(
        select(Delivery.id).filter_by(message_id=message.id).order_by(Delivery.id.desc()).limit(1)
    )
    return message if last == claim.delivery_id else None


def _close(claim: Claim, outcome: Outcome, error: GatewayError, now: datetime) -> None:
    delivery = db.session.get_one(Delivery, claim.delivery_id)
    delivery.finished_at, delivery.outcome = now, outcome
    delivery.error_code, delivery.error_detail = error.code, error.detail or None


def _take_up(message: Message, now: datetime) -> None:
    """Its attempt was cut short, and nobody will record how it ended."""
    query = select(Delivery).filter_by(message_id=message.id, outcome=None)
    for delivery in db.session.scalars(query):
        delivery.finished_at, delivery.outcome, delivery.error_code = now, Outcome.UNCERTAIN, INTERRUPTED
    _doubt(message, INTERRUPTED, now)
