"""Hand accepted messages to their gateways: claim, call, record.

    queued ─> sending ─> sent
      ▲          ├─> failed
      └──────────┤   (it certainly did not leave: later again)
                 └─> uncertain   (it may have left: never again by itself)

An attempt is on disk before its first byte leaves. A gateway with `ids_in_advance` is given a reference
per message, and then even an uncertain attempt can be made again: the same reference never leaves twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select, update

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
from ..extensions import db, writing
from ..models import (
    Attachment,
    Delivery,
    Gateway,
    Message,
    MessageStatus,
    Outcome,
    WhatsAppSession,
)
from . import crash_points, due, gateways, progress

ATTEMPTS = 8
INTERRUPTED, INTERRUPTIONS = "interrupted", 3  # what breaks its own sending that often is for a person
TRY_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=90)  # longer than any call to a gateway may take
OFFLINE_RETRY = timedelta(seconds=15)  # unless it comes back sooner: then `progress.release` lets it go
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0


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
    crash_points.reach("before_claim")
    claim = _claim(session_id)
    if claim is None:
        return False
    crash_points.reach("after_claim")
    try:
        provider_id = _hand_over(claim)
    except GatewayError as error:
        crash_points.reach("before_result")
        _record_failure(claim, error, clock.now())
    except Exception:
        with writing():  # a fault of ours: others must not wait for this message
            if message := _claimed(claim, clock.now()):
                _take_up(message, clock.now())
        raise
    else:
        crash_points.reach("before_result")
        _record_sent(claim, provider_id, clock.now())
    return True


def settle_leases() -> int:
    """Take up what a crash left in the middle; how many there were."""
    now = clock.now()
    with writing():
        query = select(Message).where(Message.status == MessageStatus.SENDING, Message.lease_until < now)
        left = list(db.session.scalars(query))
        for message in left:
            _take_up(message, now)
    return len(left)


def interrupt(session_ids: Collection[int]) -> None:
    """Give up what is under way for these sessions, as if a crash had left it in the middle."""
    now = clock.now()
    with writing():
        query = select(Message).where(
            Message.status == MessageStatus.SENDING, Message.session_id.in_(session_ids)
        )
        for message in db.session.scalars(query).all():
            _take_up(message, now)


def give_up_references(session_id: int, now: datetime) -> None:
    """Of what may have left, nothing is asked for again: another gateway knows none of our references.

    Belongs into the transaction that changes the gateway.
    """
    query = select(Message).where(
        Message.session_id == session_id,
        Message.status.in_([MessageStatus.QUEUED, MessageStatus.SENDING]),
    )
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


@dataclass(frozen=True)
class Claim:
    """What is needed to hand over one message, read in the transaction that claimed it."""

    message_id: int
    delivery_id: int
    session_id: int
    gateway_id: int
    instance: str
    to: str
    body: str
    attachment_id: int | None
    reference: str


def _claim(session_id: int) -> Claim | None:
    """The message that is due the longest, per recipient the oldest; its attempt is committed here."""
    with writing():
        now = clock.now()  # not before we have the lock: the message may expire while we wait for it
        wa_session = db.session.scalar(
            select(WhatsAppSession).where(WhatsAppSession.id == session_id, due.is_able(), due.is_paced(now))
        )
        if wa_session is None:
            return None
        message = db.session.scalar(
            select(Message)
            .where(Message.session_id == session_id, due.may_leave(now), Message.next_at <= now)
            .order_by(Message.next_at, Message.id)
            .limit(1)
        )
        if message is None:
            return None
        message.attempts += 1
        message.lease_until = now + LEASE
        progress.move(message, MessageStatus.SENDING, now)
        number = db.session.query(Delivery).filter_by(message_id=message.id).count() + 1
        delivery = Delivery(message_id=message.id, attempt=number, started_at=now)
        db.session.add(delivery)
        db.session.execute(
            update(WhatsAppSession)
            .where(WhatsAppSession.id == session_id)
            .values(next_send_at=now + due.pace())
        )
        db.session.flush()
        return Claim(
            message_id=message.id,
            delivery_id=delivery.id,
            session_id=session_id,
            gateway_id=wa_session.gateway_id,
            instance=wa_session.instance,
            to=message.recipient,
            body=message.body,
            attachment_id=message.attachment_id,
            reference=message.reference,
        )


def _hand_over(claim: Claim) -> str:
    """The gateway's id of the message. Raises GatewayError."""
    driver = gateways.driver(db.session.get_one(Gateway, claim.gateway_id))
    if claim.attachment_id is None:
        db.session.rollback()  # no transaction stays open while HTTP is under way
        return driver.send_text(claim.instance, claim.to, claim.body, claim.reference)
    file = db.session.get_one(Attachment, claim.attachment_id)
    attached = Attached(file.kind, file.content, file.mimetype, file.filename)
    db.session.rollback()
    return driver.send_media(claim.instance, claim.to, claim.body, attached, claim.reference)


def _record_sent(claim: Claim, provider_id: str, now: datetime) -> None:
    with writing():
        message = _claimed(claim, now)
        if message is None:
            return
        _close(claim, Outcome.SENT, None, now)
        message.provider_id = provider_id
        message.error_code = message.error_detail = None
        progress.move(message, MessageStatus.SENT, now)
        progress.apply_early_receipts(message)


def _record_failure(claim: Claim, error: GatewayError, now: datetime) -> None:
    """Each kind of failure has its place: see the table in the README."""
    with writing():
        if isinstance(error, Unreachable | BadKey):
            gateways.failed(claim.gateway_id, error, now)
        message = _claimed(claim, now)
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
    progress.move(message, MessageStatus.QUEUED, now)


def _doubt(message: Message, code: str, now: datetime) -> None:
    """It may have left: asking again is safe where the gateway knows our reference, else a person decides."""
    message.error_code = code
    most = INTERRUPTIONS if code == INTERRUPTED else ATTEMPTS
    if _can_ask_again(message) and code != OutcomeUnknown.code and message.attempts < most:
        _later(message, now + timedelta(seconds=FIRST_RETRY_SECONDS * message.attempts), now)
    else:
        progress.move(message, MessageStatus.UNCERTAIN, now)


def _can_ask_again(message: Message) -> bool:
    """Whether the gateway, as it is now, drops what it has seen under the same reference."""
    if message.session is None or not gateways.can(message.session.gateway, "ids_in_advance"):
        return False
    return message.attachment_id is None or drivers.DRIVERS[message.session.gateway.kind].files_in_advance


def _is_asked_again(message: Message) -> bool:
    """Under the reference that it has now it may have left already."""
    query = select(Delivery.id).filter_by(message_id=message.id, outcome=Outcome.UNCERTAIN)
    since = query.where(Delivery.started_at >= message.queued_at)
    return db.session.scalar(since.limit(1)) is not None


def _claimed(claim: Claim, now: datetime) -> Message | None:
    """The message of this claim, unless its lease ran out and somebody else has settled it."""
    message = db.session.get(Message, claim.message_id)
    if message is None or message.status != MessageStatus.SENDING:
        return None
    last = db.session.scalar(
        select(Delivery.id).filter_by(message_id=message.id).order_by(Delivery.id.desc()).limit(1)
    )
    return message if last == claim.delivery_id else None


def _close(claim: Claim, outcome: Outcome, error: GatewayError | None, now: datetime) -> None:
    delivery = db.session.get_one(Delivery, claim.delivery_id)
    delivery.finished_at, delivery.outcome = now, outcome
    if error is not None:
        delivery.error_code, delivery.error_detail = error.code, error.detail or None


def _take_up(message: Message, now: datetime) -> None:
    """Its attempt was cut short, and nobody will record how it ended."""
    query = select(Delivery).filter_by(message_id=message.id, outcome=None)
    for delivery in db.session.scalars(query):
        delivery.finished_at, delivery.outcome, delivery.error_code = now, Outcome.UNCERTAIN, INTERRUPTED
    _doubt(message, INTERRUPTED, now)
