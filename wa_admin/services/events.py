"""Take in what gateways report: states, codes, receipts, messages. Duplicates and reordering are harmless."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import singledispatch

from sqlalchemy import select, update

from .. import clock
from ..drivers.contract import (
    CodeShown,
    InstanceGone,
    MessageSeen,
    ReceiptSeen,
    Seen,
    SentSeen,
    State,
    StateSeen,
)
from ..extensions import db, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from . import chats, progress, status, tidings

REPEATED_FOR = timedelta(minutes=30)  # Evolution tries a webhook for 20; clocks are put back by an hour


def take_in(gateway: Gateway, seen: list[Seen], now: datetime | None = None) -> None:
    """All events of one webhook, in one transaction; `now` is when it came. Those of sessions that we do not
    know are dropped."""
    now = now or clock.now()
    with writing():
        for event in seen:
            wa_session = _session_of(gateway.id, event.instance)
            if wa_session is not None:
                _apply(event, wa_session, now)
                _note_age(wa_session.id, now)


@singledispatch
def _apply(event: Seen, wa_session: WhatsAppSession, now: datetime) -> None:
    raise TypeError(f"unknown event {type(event).__name__}")


@_apply.register
def _(event: StateSeen, wa_session: WhatsAppSession, now: datetime) -> None:
    if _is_overtaken(event, wa_session.state_event_at):
        return
    # a clock ahead of ours must not outdate what follows
    at = min(event.at, now) if event.at else event.turn
    wa_session.state_event_at = at or wa_session.state_event_at
    if _means_scanned(wa_session, event.state, now):
        status.scanned(wa_session, now=now)
    else:
        status.heard(wa_session, event.state, actor="gateway", now=now)


@_apply.register
def _(event: CodeShown, wa_session: WhatsAppSession, now: datetime) -> None:
    status.show_code(wa_session, event.code, now=now)


@_apply.register
def _(event: ReceiptSeen, wa_session: WhatsAppSession, now: datetime) -> None:
    at = min(event.at or now, now)
    if event.kind in ("delivered", "read", "played"):
        status.proven(wa_session.id, "delivery", at)
    progress.take_receipt(wa_session, event.provider_id, event.kind, at)


@_apply.register
def _(event: SentSeen, wa_session: WhatsAppSession, now: datetime) -> None:
    progress.take_receipt(wa_session, event.provider_id, "sent", min(event.at or now, now))


@_apply.register
def _(event: MessageSeen, wa_session: WhatsAppSession, now: datetime) -> None:
    status.proven(wa_session.id, "message", now)
    chats.take_in(wa_session, event, now)
    tidings.message_received(wa_session, event, now)


@_apply.register
def _(event: InstanceGone, wa_session: WhatsAppSession, now: datetime) -> None:
    status.move(wa_session, Status.DISCONNECTED, Reason.LOGGED_OUT, actor="gateway", now=now)


def _is_overtaken(event: StateSeen, last: datetime | None) -> bool:
    """Whether a newer one came first; a clock that jumps far back was set, and is followed."""
    if last is None:
        return False
    if event.at is not None:
        return event.at < last <= clock.now()
    return event.turn is not None and timedelta() < last - event.turn < REPEATED_FOR


def _session_of(gateway_id: int, instance: str) -> WhatsAppSession | None:
    query = select(WhatsAppSession).filter_by(gateway_id=gateway_id, instance=instance)
    return db.session.scalar(query)


def _means_scanned(wa_session: WhatsAppSession, state: State, now: datetime) -> bool:
    """While a code waits, "connecting" comes only when the phone has read it."""
    return (
        wa_session.status == Status.QR_PENDING
        and state.status == Status.CONNECTING
        and state.reason is None
        and wa_session.qr_expires_at is not None
        and wa_session.qr_expires_at > now
    )


def _note_age(session_id: int, now: datetime) -> None:
    """What was read late is not what came last."""
    last = WhatsAppSession.last_event_at
    newer = update(WhatsAppSession).where(WhatsAppSession.id == session_id, last.is_(None) | (last < now))
    db.session.execute(newer.values(last_event_at=now))
