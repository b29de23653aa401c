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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import aliased

from .. import clock
from ..app import settings
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
    Reason,
    Status,
    WhatsAppSession,
)
from ..models.message import WAITING
from . import crash_points, gateways, progress

ATTEMPTS = 8
TRY_FOR = timedelta(hours=24)
LEASE = timedelta(seconds=90)  # longer than any call to a gateway may take
OFFLINE_RETRY = timedelta(seconds=15)  # the gateway says it is offline; the next check will tell us too
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 600.0


def drain(stop: Callable[[], bool] = lambda: False) -> int:
    """Hand over what is due, session by session in turn, until nothing is; how many attempts were made."""
    attempts = 0
    while not stop():
        due = sessions_with_work(clock.now())
        made = sum(deliver_next(session_id) for session_id in due if not stop())
        if not made:  # what is due waits behind an earlier message to the same recipient
            break
        attempts += made
    return attempts


def sessions_with_work(now: datetime) -> list[int]:
    """Sessions that can send and have a message due."""
    query = (
        select(WhatsAppSession.id)
        .where(_can_send(now))
        .where(exists().where(Message.session_id == WhatsAppSession.id, _is_due(now)))
        .order_by(WhatsAppSession.next_send_at)
    )
    with db.engine.connect() as connection:
        return list(connection.scalars(query))


def deliver_next(session_id: int) -> bool:
    """Claim the session's next due message and hand it over; False when there was none to claim."""
    crash_points.reach("before_claim")
    claim = _claim(session_id, clock.now())
    if claim is None:
        return False
    crash_points.reach("after_claim")
    try:
        provider_id = _hand_over(claim)
    except GatewayError as error:
        crash_points.reach("before_result")
        _record_failure(claim, error, clock.now())
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
            _close_open_delivery(message, now)
            _doubt(message, "interrupted", now)
    return len(left)


def expire() -> int:
    """End what waited beyond its time."""
    now = clock.now()
    with writing():
        query = select(Message).where(
            Message.status == MessageStatus.QUEUED,
            or_(Message.valid_until < now, and_(Message.attempts > 0, Message.queued_at < now - TRY_FOR)),
        )
        over = list(db.session.scalars(query.limit(500)))
        for message in over:
            progress.move(message, MessageStatus.EXPIRED, now)
            message.error_code = message.error_code or "expired"
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


def _claim(session_id: int, now: datetime) -> Claim | None:
    """The next due message, oldest first per recipient; its attempt is committed here."""
    with writing():
        wa_session = db.session.scalar(
            select(WhatsAppSession).where(WhatsAppSession.id == session_id, _can_send(now))
        )
        if wa_session is None:
            return None
        earlier = aliased(Message)
        held_up = exists().where(
            earlier.session_id == Message.session_id,
            earlier.recipient == Message.recipient,
            earlier.id < Message.id,
            earlier.status.in_(WAITING),
        )
        message = db.session.scalar(
            select(Message)
            .where(Message.session_id == session_id, _is_due(now), ~held_up)
            .order_by(Message.id)
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
        pace = timedelta(seconds=settings().send_interval_seconds)
        db.session.execute(
            update(WhatsAppSession).where(WhatsAppSession.id == session_id).values(next_send_at=now + pace)
        )
        db.session.flush()
        return Claim(
            message_id=message.id,
            delivery_id=delivery.id,
            session_id=session_id,
            gateway_id=wa_session.gateway_id,
            instance=wa_session.session_id,
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
    if isinstance(error, Unreachable | BadKey):
        gateways.failed(claim.gateway_id, error, now)
    with writing():
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
    gateway = message.session.gateway if message.session else None
    can_ask_again = gateway is not None and "ids_in_advance" in gateway.capabilities.split(",")
    if can_ask_again and code != OutcomeUnknown.code and message.attempts < ATTEMPTS:
        _later(message, now + timedelta(seconds=FIRST_RETRY_SECONDS * message.attempts), now)
    else:
        progress.move(message, MessageStatus.UNCERTAIN, now)


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


def _close_open_delivery(message: Message, now: datetime) -> None:
    query = select(Delivery).filter_by(message_id=message.id, outcome=None)
    for delivery in db.session.scalars(query):
        delivery.finished_at, delivery.outcome, delivery.error_code = now, Outcome.UNCERTAIN, "interrupted"


def _can_send(now: datetime) -> ColumnElement[bool]:
    """As WhatsAppSession.can_send, and its pace allows the next message."""
    return and_(
        WhatsAppSession.is_active,
        WhatsAppSession.status == Status.CONNECTED,
        or_(WhatsAppSession.reason.is_(None), WhatsAppSession.reason != Reason.GATEWAY_UNREACHABLE),
        WhatsAppSession.paused_at.is_(None),
        or_(WhatsAppSession.next_send_at.is_(None), WhatsAppSession.next_send_at <= now),
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        Message.status == MessageStatus.QUEUED,
        Message.next_at <= now,
        or_(Message.valid_until.is_(None), Message.valid_until > now),
    )
