"""What gateways post to us: kept before it is answered, read after, in order, each with one effect.

    kept ─> read            (its effects and its mark are one transaction)
      ▲ └─> parked          (three tries failed, or ended with the process)
      └─┘   (later again, with those behind it read meanwhile)

The thread that answered a webhook reads it; what is left behind by a kill, the scheduler does. One of them
at a time is at the webhooks of a gateway, so that they are read in the order in which they came.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..app import vault
from ..drivers.contract import GatewayError, Seen
from ..drivers.deadline import deadline
from ..extensions import db, writing
from ..models import Gateway, HookCall
from . import crash_points, events, gateways

WAITS_SECONDS = (5, 30, 0)  # after each try; the last one is followed by parking
LEASE = timedelta(seconds=10)
PATIENCE_SECONDS = 5.0  # where a driver has to ask the gateway what is meant
BATCH, BATCHES = 20, 50  # read in one transaction; in one go
# gateways repeat for half an hour, the bundled one for a day
KEEP_DIGEST, KEEP_PARKED = timedelta(days=2), timedelta(days=30)

_log = logging.getLogger(__name__)

_UNREAD = and_(HookCall.sealed_body.is_not(None), HookCall.parked_at.is_(None))


@dataclass(frozen=True)
class Parked:
    """So many webhooks of a gateway could not be read, the last of which came at `last_at`."""

    gateway_id: int
    gateway: str
    count: int
    last_at: datetime


def keep(gateway: Gateway, body: bytes, now: datetime) -> bool:
    """Put a webhook on disk; False when it has been there before.

    Raises BadAnswer when it is not this gateway's, OperationalError when the database stays locked.
    """
    identity = gateways.driver(gateway).identity(body)
    call = HookCall(
        gateway_id=gateway.id,
        digest=hashlib.sha256(identity).hexdigest() if identity else None,
        sealed_body=vault().seal(body.decode("latin-1")),
        received_at=now,
        next_at=now,
    )
    try:
        with writing(alone=False):
            db.session.add(call)
    except IntegrityError:
        return False
    crash_points.reach("after_hook_kept")
    return True


def read(gateway_id: int, batches: int = BATCHES) -> None:
    """Read what this gateway has posted, until nothing is left that may be read or somebody else is at it."""
    for _ in range(batches):
        calls = _take(gateway_id, clock.now())
        if not calls:
            break
        _read(gateway_id, calls)


def read_left_over() -> None:
    """Read what nobody reads, and park what three tries did not get through."""
    now = clock.now()
    hopeless = and_(_UNREAD, HookCall.tries >= len(WAITS_SECONDS), HookCall.next_at <= now)
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


def _take(gateway_id: int, now: datetime) -> list[HookCall]:
    """Claim the oldest; the try is committed before it begins, so that one which ends the process counts."""
    if not db.session.scalar(select(exists().where(_is_due(gateway_id, now)))):
        return []
    with writing(alone=False):
        # one at a time looks for what is next; webhooks go on coming in
        db.session.execute(select(Gateway.id).where(Gateway.id == gateway_id).with_for_update(key_share=True))
        if db.session.scalar(select(exists().where(_is_in_hand(gateway_id, now)))):
            return []
        due = select(HookCall).where(_is_due(gateway_id, now)).order_by(HookCall.id).limit(BATCH)
        calls = _without_company(db.session.scalars(due).all())
        for call in calls:
            call.tries, call.next_at, call.error_code = call.tries + 1, now + LEASE, None
    return calls


def _without_company(calls: Sequence[HookCall]) -> list[HookCall]:
    """What failed before is tried alone, so that it takes nothing down with it."""
    return list(takewhile(lambda call: not call.tries, calls)) or list(calls[:1])


def _read(gateway_id: int, calls: list[HookCall]) -> None:
    gateway = db.session.get_one(Gateway, gateway_id)
    said = {call.id: _understood(gateway, call) for call in calls}
    crash_points.reach("before_hook_read")
    with writing():
        now = clock.now()
        ours = select(HookCall).where(HookCall.id.in_(said), _UNREAD).order_by(HookCall.id)
        for call in db.session.scalars(ours.with_for_update()).all():
            why = _take_in(gateway, call, said[call.id])
            if why is not None:
                _put_back(call, why, now)
            elif call.digest is None:
                db.session.delete(call)
            else:
                call.sealed_body = None


def _understood(gateway: Gateway, call: HookCall) -> list[Seen] | Exception:
    """Outside of any transaction: a driver may have to ask its gateway."""
    try:
        body = vault().open(call.sealed_body or "").encode("latin-1")
        with deadline(PATIENCE_SECONDS):
            return gateways.driver(gateway).read_events(body)
    except Exception as error:
        return error


def _take_in(gateway: Gateway, call: HookCall, said: list[Seen] | Exception) -> Exception | None:
    """Why it has no effect, or None when it has."""
    if isinstance(said, Exception):
        return said
    try:
        with db.session.begin_nested():
            events.take_in(gateway, said, call.received_at)
    except Exception as error:
        return error
    return None


def _put_back(call: HookCall, why: Exception, now: datetime) -> None:
    name = type(why).__name__
    # without what it says, which may quote a customer
    trace = Exception, Exception(name), why.__traceback__
    _log.error("webhook %s could not be read, try %s: %s", call.id, call.tries, name, exc_info=trace)
    call.error_code = why.code if isinstance(why, GatewayError) else name[:60]
    call.next_at = now + timedelta(seconds=WAITS_SECONDS[min(call.tries, len(WAITS_SECONDS)) - 1])


def _is_due(gateway_id: int, now: datetime) -> ColumnElement[bool]:
    is_hopeful = and_(HookCall.tries < len(WAITS_SECONDS), HookCall.next_at <= now)
    return and_(HookCall.gateway_id == gateway_id, _UNREAD, is_hopeful)


def _is_in_hand(gateway_id: int, now: datetime) -> ColumnElement[bool]:
    is_under_way = and_(HookCall.tries > 0, HookCall.error_code.is_(None), HookCall.next_at > now)
    return and_(HookCall.gateway_id == gateway_id, _UNREAD, is_under_way)
