"""Find out whether what may have left did leave: by looking it up, or by what the gateway tells of itself.

    uncertain ─┬─> sent     the gateway has it, or told of it
               ├─> queued   nobody could say for two minutes, and WA_RESEND_UNCERTAIN is set
               └─> (a person decides)

Found is a message of ours to the same recipient that says the same and that no other message of ours is known
to be. That none is found proves nothing: it may still be on its way, or the gateway keeps no such list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from .. import clock
from ..app import settings
from ..crypto import new_token
from ..drivers.contract import GatewayError, SentSeen
from ..drivers.deadline import deadline
from ..drivers.evolution_events import number_of
from ..extensions import db, writing
from ..models import Delivery, Gateway, Message, MessageStatus, Outcome, WhatsAppSession
from . import gateways, progress, timeline

LOOKS = tuple(timedelta(seconds=seconds) for seconds in (5, 20, 60, 120))  # after the doubt began
LOOK_AGAIN, LOOK_UNTIL = timedelta(minutes=10), timedelta(hours=24)  # while the gateway cannot be asked
PATIENCE_SECONDS = 10.0
AT_ONCE = 50
SENDS = 3  # of one message by itself, its first one included
# WhatsApp tells whole seconds, and the gateway's clock is not ours
CLOCKS_APART = timedelta(seconds=10)
TOLD_WITHIN = timedelta(minutes=10)

FOUND, TOLD, RESENT = "found_at_gateway", "told_by_gateway", "resent_in_doubt"


def begin(message: Message, now: datetime) -> None:
    """It has just become uncertain: have it looked up, where the gateway can or nobody is to be asked."""
    gateway = message.session.gateway if message.session else None
    if gateway and (gateways.can(gateway, "look_up_sent") or settings().resend_uncertain):
        message.next_at = now + LOOKS[0]


def is_being_checked(message: Message, now: datetime) -> bool:
    """Whether a person had better wait for what the gateway says; for two minutes at most."""
    is_watched = message.status == MessageStatus.UNCERTAIN and message.next_at is not None
    return is_watched and now - message.status_at < LOOKS[-1]


def look() -> int:
    """Ask about what is due; how many were found."""
    silent: set[int] = set()  # gateways that have just not answered are not waited for again
    return sum(_look(doubt, silent) for doubt in _due(clock.now()))


def hear(wa_session: WhatsAppSession, seen: SentSeen, now: datetime) -> None:
    """A gateway told that a message of ours left: settle the one that was in doubt, or is about to be.

    Belongs into the transaction of the event. Where two say the same to the same, nobody can tell which.
    """
    if not (wa_session.waiting_count or wa_session.uncertain_count):
        return
    found = db.session.scalars(
        select(Message)
        .where(
            Message.workspace_id == wa_session.workspace_id,
            Message.session_id == wa_session.id,
            Message.recipient == _address(seen.recipient),
            Message.status.in_([MessageStatus.SENDING, MessageStatus.UNCERTAIN]),
            Message.provider_id.is_(None),
            Message.status_at > now - TOLD_WITHIN,
        )
        .order_by(Message.id)
    ).all()
    same = [one for one in found if _is_it(one.body, one.attachment_id is not None, seen)]
    if len(same) != 1 or _known(wa_session.id, [seen.provider_id]):
        return
    (message,) = same
    since = _since(message)
    if since is None or (seen.at and seen.at < since):
        return
    if message.status == MessageStatus.SENDING:  # should its answer still come, it says nothing new
        under_way = update(Delivery).where(Delivery.message_id == message.id, Delivery.outcome.is_(None))
        db.session.execute(under_way.values(outcome=Outcome.SENT, finished_at=now))
        progress.has_left(message, seen.provider_id, now)
    else:
        _settle(message, seen.provider_id, TOLD, now)


# --- steps ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doubt:
    """What is needed to ask about one message."""

    message_id: int
    session_id: int
    gateway_id: int
    instance: str
    to: str
    since: datetime
    can_be_asked: bool = field(default=True)


def _due(now: datetime) -> list[Doubt]:
    query = (
        select(Message)
        .join(Message.session)
        .where(Message.status == MessageStatus.UNCERTAIN, Message.next_at <= now)
        .order_by(Message.next_at, Message.id)
        .limit(AT_ONCE)
    )
    found = []
    for message in db.session.scalars(query):
        assert message.session is not None  # noqa: S101 - the join
        gateway = message.session.gateway
        found.append(
            Doubt(
                message.id,
                message.session.id,
                gateway.id,
                message.session.instance,
                message.recipient,
                _since(message) or message.status_at,
                # a file without words under it looks like any other
                gateways.can(gateway, "look_up_sent") and bool(message.body.strip()),
            )
        )
    return found


def _look(doubt: Doubt, silent: set[int]) -> bool:
    found = _asked(doubt, silent)
    now = clock.now()
    with writing(session_id=doubt.session_id):
        message = db.session.get(Message, doubt.message_id)
        if message is None or message.status != MessageStatus.UNCERTAIN or message.next_at is None:
            return False
        provider_id = _its_own(message, found or [], doubt.since)
        if provider_id:
            _settle(message, provider_id, FOUND, now)
        else:
            _go_on(message, now, is_answered=found is not None or not doubt.can_be_asked)
    return provider_id is not None


def _asked(doubt: Doubt, silent: set[int]) -> list[SentSeen] | None:
    """What left to this recipient since; None when nobody can say. No transaction stays open meanwhile."""
    if not doubt.can_be_asked or doubt.gateway_id in silent:
        return None
    driver = gateways.driver(db.session.get_one(Gateway, doubt.gateway_id))
    db.session.rollback()
    try:
        with deadline(PATIENCE_SECONDS):
            return driver.find_sent(doubt.instance, doubt.to, doubt.since)
    except GatewayError:
        silent.add(doubt.gateway_id)
        return None


def _its_own(message: Message, found: Iterable[SentSeen], since: datetime) -> str | None:
    """Of what left that which is this message and no other: their ids are known, or they come first."""
    same = [one for one in found if _is_it(message.body, message.attachment_id is not None, one)]
    known = _known(message.session_id, [one.provider_id for one in same])
    free = sorted({one.provider_id: one.at or since for one in same}.items(), key=lambda one: one[1])
    free = [one for one in free if one[0] not in known]
    others = _twins(message, since)
    if not free or any(one == MessageStatus.SENDING for one in others):
        return None  # what is being sent right now has no id yet
    taken = sum(one != MessageStatus.UNCERTAIN for one in others)
    return free[taken][0] if taken < len(free) else None


def _settle(message: Message, provider_id: str, how: str, now: datetime) -> None:
    progress.has_left(message, provider_id, now)
    _tell(message, how)


def _twins(message: Message, since: datetime) -> list[MessageStatus]:
    """Where others are that say the same to the same, may have left since, and have no id either."""
    attempted = select(Delivery.message_id).where(
        Delivery.message_id == Message.id,
        Delivery.started_at >= since,
        Delivery.outcome.is_(None) | (Delivery.outcome == Outcome.UNCERTAIN),
    )
    query = select(Message.status).where(
        Message.workspace_id == message.workspace_id,
        Message.session_id == message.session_id,
        Message.recipient == message.recipient,
        Message.body == message.body,
        Message.provider_id.is_(None),
        Message.id != message.id,
        attempted.exists(),
    )
    return list(db.session.scalars(query))


def _go_on(message: Message, now: datetime, *, is_answered: bool) -> None:
    """The next look, or after the last one a person; or it is sent again, where that is set."""
    elapsed = now - message.status_at
    message.next_at = next((message.status_at + one for one in LOOKS if one > elapsed), None)
    if message.next_at is not None:
        return
    if _may_be_sent_again(message, now):
        _send_again(message, now)
    elif not is_answered and elapsed < LOOK_UNTIL:
        message.next_at = now + LOOK_AGAIN


def _may_be_sent_again(message: Message, now: datetime) -> bool:
    is_wanted = message.valid_until is None or message.valid_until > now
    return settings().resend_uncertain and is_wanted and message.can_retry and message.attempts < SENDS


def _send_again(message: Message, now: datetime) -> None:
    """Under a new reference: the gateway has lost track of the old one."""
    message.reference = new_token()
    progress.move(message, MessageStatus.QUEUED, now)
    message.next_at = now
    _tell(message, RESENT)


def _tell(message: Message, kind: str) -> None:
    timeline.record(
        message.session, kind, workspace_id=message.workspace_id, actor="gateway", message=message.id
    )


def _since(message: Message) -> datetime | None:
    """When its first attempt without a clear answer began, since somebody last wanted it sent."""
    query = select(func.min(Delivery.started_at)).where(
        Delivery.message_id == message.id,
        Delivery.started_at >= message.queued_at,
        Delivery.outcome.is_(None) | (Delivery.outcome == Outcome.UNCERTAIN),
    )
    began = db.session.scalar(query)
    return began and began - CLOCKS_APART


def _known(session_id: int | None, provider_ids: list[str]) -> set[str]:
    query = select(Message.provider_id).where(
        Message.session_id == session_id, Message.provider_id.in_(provider_ids)
    )
    return {one for one in db.session.scalars(query) if one}


def _is_it(body: str, is_file: bool, seen: SentSeen) -> bool:
    return bool(body.strip()) and (body.strip(), is_file) == (seen.text.strip(), seen.is_file)


def _address(jid: str) -> str:
    """As `phone.recipient` writes it."""
    return number_of(jid) or jid
