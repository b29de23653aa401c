"""What gateways post to us: kept before it is answered, read after, in order, each with one effect.

    kept ─> read            (its effects and its mark are one transaction)
      ▲ └─> parked          (three tries failed, or ended with the process)
      └─┘   (later again, with those behind it read meanwhile)

The panel that answered a webhook reads it; what is left behind by a kill, the scheduler does. One of them
at a time is at the webhooks of a gateway, so that they are read in the order in which they came.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import Integer, and_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from ..app import vault
from ..drivers.contract import GatewayError, Seen
from ..drivers.deadline import deadline
from ..extensions import db, will_pass, writing
from ..models import Gateway, HookCall
from ..models.types import UtcDateTime
from ..prepared import Prepared
from ..together import Together
from . import contacts, crash_points, events, gateways

WAITS_SECONDS = (5, 30, 0)  # after each try; the last one is followed by parking
LEASE = timedelta(seconds=10)
PATIENCE_SECONDS = 5.0  # where a driver has to ask the gateway what is meant
BATCH, BATCHES = 20, 50  # read in one transaction; in one go
# gateways repeat for half an hour, the bundled one for a day
KEEP_DIGEST, KEEP_PARKED = timedelta(days=2), timedelta(days=30)

_log = logging.getLogger(__name__)

_NOW, _GATEWAY = bindparam("now", type_=UtcDateTime()), bindparam("gateway", type_=Integer())
_UNREAD = and_(HookCall.sealed_body.is_not(None), HookCall.parked_at.is_(None))
_IS_HOPELESS = HookCall.tries >= len(WAITS_SECONDS)
_IS_IN_HAND = and_(HookCall.tries > 0, HookCall.error_code.is_(None), HookCall.next_at > _NOW)
_IS_DUE = and_(~_IS_HOPELESS, HookCall.next_at <= _NOW)

_GATEWAYS = Prepared(select(Gateway.id))
# asked once and more for every webhook
_WAITING = Prepared(
    select(
        HookCall.id,
        HookCall.digest,
        HookCall.sealed_body,
        HookCall.received_at,
        HookCall.tries,
        HookCall.next_at,
    )
    .where(HookCall.gateway_id == _GATEWAY, _UNREAD, or_(_IS_DUE, _IS_IN_HAND))
    .order_by(HookCall.id)
    .limit(BATCH)
)
# webhooks go on coming in meanwhile
_ONE_AT_A_TIME = select(Gateway.id).where(Gateway.id == _GATEWAY).with_for_update(key_share=True)
_IN_HAND = select(exists().where(HookCall.gateway_id == _GATEWAY, _UNREAD, _IS_IN_HAND))
_TAKE = (
    update(HookCall)
    .where(HookCall.id.in_(bindparam("ids", expanding=True)), _UNREAD, _IS_DUE)
    .values(tries=HookCall.tries + 1, next_at=bindparam("until", type_=UtcDateTime()), error_code=None)
    .returning(HookCall.id)
)
_MARK = (
    update(HookCall)
    .where(HookCall.id.in_(bindparam("ids", expanding=True)), _UNREAD)
    .values(sealed_body=None)
)


class GatewayGone(Exception):
    """It was removed in the very moment in which a webhook of it came."""


@dataclass(frozen=True)
class Kept:
    """A webhook that is being read."""

    id: int
    digest: str | None
    sealed_body: str = field(repr=False)
    received_at: datetime
    tries: int
    next_at: datetime


@dataclass(frozen=True)
class Parked:
    """So many webhooks of a gateway could not be read, the last of which came at `last_at`."""

    gateway_id: int
    gateway: str
    count: int
    last_at: datetime


def keep(gateway: Gateway, body: bytes, now: datetime) -> bool:
    """Put a webhook on disk; False when it has been there before.

    Raises BadAnswer when it is not this gateway's, GatewayGone, OperationalError when the database stays
    locked.
    """
    identity = gateways.driver(gateway).identity(body)
    values = {
        "gateway_id": gateway.id,
        "digest": hashlib.sha256(identity).hexdigest() if identity else None,
        "sealed_body": vault().seal(body.decode("latin-1")),
        "received_at": now,
        "next_at": now,
        "tries": 0,
    }
    # SQLite has one writer; in PostgreSQL two that hold several digests could wait for each other
    is_new = _keeping.do(values) if db.engine.dialect.name == "sqlite" else _keep([values])[0]
    crash_points.reach("after_hook_kept")
    if is_new is None:
        raise GatewayGone
    return is_new


def _keep(arrived: list[dict[str, Any]]) -> list[bool | None]:
    """Which of them are new; None for one whose gateway is gone, which must not take the others along."""
    with writing(alone=False):  # until the end no gateway is removed
        there = {id for (id,) in _GATEWAYS.raw(db.session.connection())}
        return [
            contacts.insert_new(HookCall, **values) is not None if values["gateway_id"] in there else None
            for values in arrived
        ]


_keeping = Together(_keep)


def read(gateway_id: int, batches: int = BATCHES) -> bool:
    """Read what this gateway has posted, until nothing is left that may be read or somebody else is at it;
    False when that is so."""
    for _ in range(batches):
        calls = _take(gateway_id, clock.now())
        if not calls:
            return False
        _read(gateway_id, calls)
    return True


def read_left_over() -> None:
    """Read what nobody reads, and park what three tries did not get through."""
    now = clock.now()
    hopeless = and_(_UNREAD, _IS_HOPELESS, HookCall.next_at <= now)
    if db.session.scalar(select(exists().where(hopeless))):
        with writing():
            why = func.coalesce(HookCall.error_code, "interrupted")
            db.session.execute(update(HookCall).where(hopeless).values(parked_at=now, error_code=why))
        _log.error("webhooks that cannot be read are put aside; see the health page")
    due = select(HookCall.gateway_id).where(_UNREAD, HookCall.next_at <= now).distinct()
    for gateway_id in db.session.scalars(due).all():
        read(gateway_id)


def parked() -> list[Parked]:
    """What is put aside, by gateway."""
    query = (
        select(Gateway.id, Gateway.name, func.count(), func.max(HookCall.received_at))
        .join(HookCall, HookCall.gateway_id == Gateway.id)
        .where(HookCall.parked_at.is_not(None))
        .group_by(Gateway.id, Gateway.name)
        .order_by(Gateway.id)
    )
    return [Parked(*row) for row in db.session.execute(query)]


def retry(now: datetime) -> int:
    """Have everything that is put aside read once more; how many."""
    again = update(HookCall).where(HookCall.parked_at.is_not(None))
    with writing():
        return db.session.execute(  # type: ignore[attr-defined,no-any-return]
            again.values(parked_at=None, tries=0, next_at=now, error_code=None)
        ).rowcount


def forget_old(now: datetime) -> int:
    """Drop the digests of what was read two days ago, and what has been put aside for a month."""
    old = or_(
        and_(HookCall.sealed_body.is_(None), HookCall.received_at < now - KEEP_DIGEST),
        HookCall.parked_at < now - KEEP_PARKED,
    )
    with writing():
        return db.session.execute(delete(HookCall).where(old)).rowcount  # type: ignore[attr-defined,no-any-return]


# --- steps ---------------------------------------------------------------------------------------


def _take(gateway_id: int, now: datetime) -> list[Kept]:
    """Claim the oldest; the try is committed before it begins, so that one which ends the process counts."""
    rows = _WAITING.raw(db.engine, gateway=gateway_id, now=now)
    waiting = [Kept(*_WAITING.read(db.engine, row)) for row in rows]
    if not waiting or any(call.next_at > now for call in waiting):
        return []
    # what failed before is tried alone, so that it takes nothing down with it
    calls = list(takewhile(lambda call: not call.tries, waiting)) or waiting[:1]
    with writing(alone=False):
        connection, ids = db.session.connection(), [call.id for call in calls]
        connection.execute(_ONE_AT_A_TIME, {"gateway": gateway_id})
        if connection.scalar(_IN_HAND, {"gateway": gateway_id, "now": now}):
            return []
        taken = set(connection.scalars(_TAKE, {"ids": ids, "now": now, "until": now + LEASE}))
    return [call for call in calls if call.id in taken]  # the others were read meanwhile


def _read(gateway_id: int, calls: list[Kept]) -> None:
    """All in one transaction; when one of them does not go through, each in its own."""
    gateway = db.session.get(Gateway, gateway_id)
    if gateway is None:
        return  # it was removed this moment, and they with it
    crash_points.reach("before_hook_read")
    try:
        said = [_understood(gateway, call) for call in calls]
        with writing():
            _mark(calls)
            events.take_in_all(gateway, zip(said, (call.received_at for call in calls), strict=True))
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and will_pass(error):
            raise  # no fault of theirs: they are read again when the lease is over
        if len(calls) == 1:
            _put_back(calls[0], error, clock.now())
        else:
            for call in calls:
                _read(gateway_id, [call])


def _understood(gateway: Gateway, call: Kept) -> list[Seen]:
    """Outside of any transaction: a driver may have to ask its gateway."""
    body = vault().open(call.sealed_body).encode("latin-1")
    with deadline(PATIENCE_SECONDS):
        return gateways.driver(gateway).read_events(body)


def _mark(calls: list[Kept]) -> None:
    """Raises RuntimeError when somebody else has read one of them after our lease."""
    connection, ids = db.session.connection(), [call.id for call in calls]
    if connection.execute(_MARK, {"ids": ids}).rowcount != len(calls):
        raise RuntimeError("it took longer than the lease")
    if nameless := [call.id for call in calls if call.digest is None]:
        connection.execute(delete(HookCall).where(HookCall.id.in_(nameless)))


def _put_back(call: Kept, why: Exception, now: datetime) -> None:
    tries, name = call.tries + 1, type(why).__name__
    # without what it says, which may quote a customer
    trace = Exception, Exception(name), why.__traceback__
    _log.error("webhook %s could not be read, try %s: %s", call.id, tries, name, exc_info=trace)
    code = why.code if isinstance(why, GatewayError) else name[:60]
    wait = timedelta(seconds=WAITS_SECONDS[min(tries, len(WAITS_SECONDS)) - 1])
    with writing(alone=False):
        db.session.execute(
            update(HookCall)
            .where(HookCall.id == call.id, _UNREAD)
            .values(error_code=code, next_at=now + wait)
        )
