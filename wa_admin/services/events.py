"""Take in what gateways report: states, codes, receipts, messages. Duplicates and reordering are harmless."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache, partial, singledispatch
from typing import cast

from sqlalchemy import Table, bindparam, or_, select, update

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
from . import chats, doubts, progress, status, tidings

REPEATED_FOR = timedelta(minutes=30)  # Evolution tries a webhook for 20; clocks are put back by an hour

_SESSION = cast(Table, WhatsAppSession.__table__)
# what was read late is not what came last
_LAST = _SESSION.c.last_event_at
_NOTE_AGE = (
    update(_SESSION)
    .where(_SESSION.c.id == bindparam("of"), or_(_LAST.is_(None), bindparam("now") > _LAST))
    .values(last_event_at=bindparam("now"))
)


def take_in(gateway: Gateway, seen: list[Seen], now: datetime | None = None) -> None:
    """All events of one webhook, in one transaction; `now` is when it came. Those of sessions that we do not
    know are dropped."""
    take_in_all(gateway, [(seen, now or clock.now())])


def take_in_all(gateway: Gateway, calls: Iterable[tuple[list[Seen], datetime]]) -> None:
    """The same of several webhooks, each with when it came."""
    session_of = cache(partial(_session_of, gateway.id))
    ages: dict[int, datetime] = {}
    with writing():
        for seen, now in calls:
            for event in seen:
                wa_session = session_of(event.instance)
                if wa_session is not None:
                    _apply(event, wa_session, now)
                    ages[wa_session.id] = max(now, ages.get(wa_session.id, now))
        for session_id, last in ages.items():
            db.session.connection().execute(_NOTE_AGE, {"of": session_id, "now": last})


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
    doubts.hear(wa_session, event, now)
    progress.take_receipt(wa_session, event.provider_id, "sent", min(event.at or now, now))


@_apply.register
def _(event: MessageSeen, wa_session: WhatsAppSession, now: datetime) -> None:
    status.proven(wa_session.id, "message", now)
    line = chats.take_in(wa_session, event, now)
    if line is not None:
        tidings.message_received(wa_session, line, event, now)


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
