"""The one place where a message changes its status, and what WhatsApp's receipts do to it.

All of it runs inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Table, Update, bindparam, func, literal_column, select, update

from ..drivers.contract import (
    BadKey,
    ForbiddenAddress,
    NotConnected,
    NotTrusted,
    Unlicensed,
    Unreachable,
)
from ..extensions import db
from ..models import Delivery, Message, MessageStatus, Outcome, Receipt, WhatsAppSession
from ..models.message import PROGRESS, WAITING
from ..models.types import UtcDateTime
from ..prepared import Prepared
from . import contacts, stats, tidings, timeline

CANCELLED_AT_ONCE = 500
# spelled out in the statement: SQLite finds no partial index for a parameter
_QUEUED: ColumnElement[str] = literal_column(f"'{MessageStatus.QUEUED}'")

_SESSION = cast(Table, WhatsAppSession.__table__)
_MESSAGE = cast(Table, Message.__table__)
# in a burst of receipts, what one of them changed is written with what the others did
_WITH_RECEIPT = (
    select(Message)
    .where(Message.session_id == bindparam("session_id"), Message.provider_id == bindparam("provider_id"))
    .limit(1)
    .execution_options(autoflush=False)
)
_EARLY = Prepared(
    select(Receipt.id)
    .where(Receipt.session_id == bindparam("session_id"), Receipt.provider_id == bindparam("provider_id"))
    .limit(1)
)
_TAKEN = (
    update(_MESSAGE)
    .where(
        _MESSAGE.c.id == bindparam("of"),
        _MESSAGE.c.status == MessageStatus.SENDING,
        select(func.max(Delivery.id)).where(Delivery.message_id == bindparam("of")).scalar_subquery()
        == bindparam("attempt"),
    )
    .values(
        status=MessageStatus.SENT,
        status_at=bindparam("now"),
        sent_at=func.coalesce(_MESSAGE.c.sent_at, bindparam("now", type_=UtcDateTime)),
        lease_until=None,
        provider_id=bindparam("called"),
        error_code=None,
        error_detail=None,
        rev=_MESSAGE.c.rev + 1,
    )
    .returning(_MESSAGE.c.workspace_id, _MESSAGE.c.session_id)
)
_SOME_WAITING = (
    select(_MESSAGE.c.id)
    .where(_MESSAGE.c.session_id == bindparam("of"), _MESSAGE.c.status == _QUEUED)
    .limit(CANCELLED_AT_ONCE)
)
_CANCELLED = (
    update(_MESSAGE)
    .where(_MESSAGE.c.id.in_(_SOME_WAITING))
    .values(status=MessageStatus.CANCELLED, status_at=bindparam("now"), rev=_MESSAGE.c.rev + 1)
    .returning(*tidings.OF_MESSAGE)
)
# why a message waits that is not to blame itself
AWAY = [error.code for error in (Unreachable, NotTrusted, ForbiddenAddress, NotConnected, BadKey, Unlicensed)]


def move(message: Message, status: MessageStatus, now: datetime) -> None:
    """Bring the message to this status; the counters follow."""
    before = message.status
    if before == status:
        return
    message.status, message.status_at = status, now
    if status != MessageStatus.SENDING:
        message.lease_until = None
    if status == MessageStatus.UNCERTAIN:
        message.next_at = None  # `doubts.begin` sets it where there is somebody to ask
    if status == MessageStatus.SENT and message.sent_at is None:
        message.sent_at = now
    tidings.message_moved(message, now)
    if message.session_id is not None:
        _count(message.session_id, before, status, now)


def cancel_queued(wa_session: WhatsAppSession, now: datetime) -> int:
    """Cancel all that waits there, many in one statement, and tell the apps of each; how many there were."""
    db.session.flush()
    connection, given = db.session.connection(), {"of": wa_session.id, "now": now}
    is_told, count = tidings.has_listeners(wa_session.workspace_id), 0
    while rows := connection.execute(_CANCELLED, given).all():
        count += len(rows)
        if is_told:
            tidings.messages_moved(wa_session, sorted(rows, key=attrgetter("id")), now)
    count_waiting(wa_session.id, -count)
    db.session.expire_all()
    return count


def may_have_left(message: Message) -> bool:
    """Whether an attempt had no clear answer; what came after it does not make that known."""
    query = select(Delivery.id).filter_by(message_id=message.id, outcome=Outcome.UNCERTAIN)
    return db.session.scalar(query.limit(1)) is not None


def fail(message: Message, now: datetime) -> None:
    """End it as failed, with a line in the timeline; its `error_code` is set already."""
    move(message, MessageStatus.FAILED, now)
    timeline.record(
        message.session,
        "failed",
        workspace_id=message.workspace_id,
        actor="gateway",
        message=message.id,
        failure=message.error_code,
    )


def take_receipt(wa_session: WhatsAppSession, provider_id: str, kind: str, at: datetime) -> None:
    """What WhatsApp said of a message; kept even when our own send has not been answered yet."""
    message = db.session.scalar(_WITH_RECEIPT, {"session_id": wa_session.id, "provider_id": provider_id})
    if message is not None:
        at = _after_sending(message, at)
    is_new = contacts.insert_new(
        Receipt,
        session_id=wa_session.id,
        message_id=message.id if message else None,
        provider_id=provider_id,
        kind=kind,
        at=at,
    )
    if is_new and message is not None:
        _advance(message, kind, at)


def _advance(message: Message, kind: str, at: datetime) -> None:
    """A receipt moves a message forward, never back; a refusal counts while it has not arrived."""
    if kind == "failed":
        if message.status in (MessageStatus.SENT, MessageStatus.SENDING, MessageStatus.UNCERTAIN):
            message.error_code = "refused_by_whatsapp"
            fail(message, at)
        return
    reached = MessageStatus(kind)
    order = {status: place for place, status in enumerate(PROGRESS)}
    is_refused = message.error_code == "refused_by_whatsapp"
    if message.status == MessageStatus.FAILED and (reached == MessageStatus.SENT or not is_refused):
        return
    if order[reached] > order.get(message.status, -1):
        message.error_code = message.error_detail = None
        message.sent_at = message.sent_at or at
        move(message, reached, at)


def has_left(message: Message, provider_id: str, now: datetime) -> None:
    """The gateway says so, and what WhatsApp calls it."""
    message.provider_id = provider_id
    message.error_code = message.error_detail = None
    move(message, MessageStatus.SENT, now)
    _apply_early_receipts(message)


def was_taken(message_id: int, delivery_id: int, provider_id: str, now: datetime) -> bool:
    """As `has_left`, of a message under way whose latest attempt this is; False when it is that no more.

    In the tables, not in entities: every message comes by here.
    """
    connection = db.session.connection()
    given = {"of": message_id, "attempt": delivery_id, "called": provider_id, "now": now}
    taken = connection.execute(_TAKEN, given).first()
    if taken is None:
        return False
    if tidings.has_listeners(taken.workspace_id):
        tidings.message_moved(db.session.get_one(Message, message_id), now)
    if taken.session_id is not None:
        _count(taken.session_id, MessageStatus.SENDING, MessageStatus.SENT, now)
        if _EARLY.first(connection, session_id=taken.session_id, provider_id=provider_id):
            _apply_early_receipts(db.session.get_one(Message, message_id))
    return True


def _apply_early_receipts(message: Message) -> None:
    """Take over the receipts that came before the answer to its send did."""
    query = select(Receipt).filter_by(session_id=message.session_id, provider_id=message.provider_id)
    for receipt in db.session.scalars(query.order_by(Receipt.at)).all():
        receipt.message_id = message.id
        receipt.at = _after_sending(message, receipt.at)
        _advance(message, receipt.kind, receipt.at)


def _after_sending(message: Message, at: datetime) -> datetime:
    """WhatsApp tells whole seconds, so a quick receipt seems older than the sending it answers."""
    return max(at, message.sent_at or message.created_at)


def release(session_id: int, now: datetime) -> None:
    """The session is back: what waits for nothing else may leave at once."""
    back = (_MESSAGE.c.session_id == session_id) & (_MESSAGE.c.status == MessageStatus.QUEUED)
    waits = (_MESSAGE.c.next_at > now) & _MESSAGE.c.error_code.in_(AWAY)
    db.session.execute(update(_MESSAGE).where(back, waits).values(next_at=now))


def _count(session_id: int, before: MessageStatus, after: MessageStatus, now: datetime) -> None:
    count_waiting(session_id, (after in WAITING) - (before in WAITING))
    doubt = (after == MessageStatus.UNCERTAIN) - (before == MessageStatus.UNCERTAIN)
    _bump(session_id, _SESSION.c.uncertain_count, doubt)
    stats.count(session_id, before, after, now)


def count_waiting(session_id: int, change: int) -> None:
    """So many messages more, or fewer, are queued or being sent."""
    _bump(session_id, _SESSION.c.waiting_count, change)


def _bump(session_id: int, counter: Column[Any], change: int) -> None:
    """In the table, not in the entity: an entity costs more than the message it counts."""
    if change:
        db.session.connection().execute(_bumping(counter), {"of": session_id, "change": change})


@cache
def _bumping(counter: Column[Any]) -> Update:
    """Built once: every message counts."""
    by_id = update(_SESSION).where(_SESSION.c.id == bindparam("of"))
    return by_id.values({counter: counter + bindparam("change")})
