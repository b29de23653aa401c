"""Take messages that are sent from now on, each of them once, whoever else does so at the same time.

All of it runs inside the caller's transaction. The statements are built once: every message takes them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Table, bindparam, func, insert, select, update

from ..extensions import db
from ..models import Delivery, Message, MessageStatus, WhatsAppSession
from . import due

LEASE = timedelta(seconds=90)
BEGIN_WITHIN_SECONDS = 25.0  # of claiming: then the longest call to a gateway ends before the lease does

_MESSAGE, _SESSION, _DELIVERY = (
    cast(Table, model.__table__) for model in (Message, WhatsAppSession, Delivery)
)


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
    taken_at: float  # monotonic, and not after the lease began

    @property
    def is_late(self) -> bool:
        """Whether its process was held up: others may take the message up before a call would end."""
        return time.monotonic() - self.taken_at > BEGIN_WITHIN_SECONDS


def take(session_ids: Collection[int], now: datetime) -> list[Claim]:
    """For each of these sessions the message that is due the longest, per recipient the oldest, with an
    attempt on record. Who else claims gets others, or none."""
    taken_at, connection = time.monotonic(), db.session.connection()
    taken = _taken(connection, list(session_ids), now)
    if not taken:
        return []
    ids = [row["message_id"] for row in taken]
    started = connection.execute(_STARTED, {"messages": ids, "now": now})
    attempts = {row.message_id: row.id for row in started}
    return [Claim(delivery_id=attempts[row["message_id"]], taken_at=taken_at, **row) for row in taken]


def _taken(connection: Connection, session_ids: list[int], now: datetime) -> Sequence[RowMapping]:
    paced = due.moments(now)
    found = paced | {"able": session_ids}
    turn = paced | {"next_turn": now + due.pace()}
    sending = {"now": now, "lease": now + LEASE}
    if connection.dialect.name != "sqlite":
        return connection.execute(_at_once(), found | turn | sending).mappings().all()
    rows = connection.execute(_FOUND, found).mappings().all()  # it has one writer at a time
    if rows:
        connection.execute(_TURN, turn | {"sessions": [row["session_id"] for row in rows]})
        connection.execute(_SENDING, sending | {"messages": [row["message_id"] for row in rows]})
    return rows


# --- statements ----------------------------------------------------------------------------------

_NEXT_ONE = (
    select(Message.id)
    .where(Message.session_id == WhatsAppSession.id, due.may_leave(), Message.next_at <= due.NOW)
    .order_by(Message.next_at, Message.id)
    .limit(1)
    .scalar_subquery()
)
_ABLE = select(_NEXT_ONE).where(
    WhatsAppSession.id.in_(bindparam("able", expanding=True)), due.is_able(), due.is_paced()
)
_FOUND = (
    select(
        _MESSAGE.c.id.label("message_id"),
        _MESSAGE.c.session_id,
        _SESSION.c.gateway_id,
        _SESSION.c.instance,
        _MESSAGE.c.recipient.label("to"),
        _MESSAGE.c.body,
        _MESSAGE.c.attachment_id,
        _MESSAGE.c.reference,
    )
    .join(_SESSION, _SESSION.c.id == _MESSAGE.c.session_id)
    # the status once more, for a row that somebody changed while we came to its lock
    .where(_MESSAGE.c.id.in_(_ABLE), _MESSAGE.c.status == MessageStatus.QUEUED)
)
_TURN_OF = update(_SESSION).where(due.is_paced()).values(next_send_at=bindparam("next_turn"))
_SENDING_OF = update(_MESSAGE).values(
    status=MessageStatus.SENDING,
    status_at=due.NOW,
    lease_until=bindparam("lease"),
    attempts=_MESSAGE.c.attempts + 1,
    rev=_MESSAGE.c.rev + 1,
)
_TURN = _TURN_OF.where(_SESSION.c.id.in_(bindparam("sessions", expanding=True)))
_THESE = _MESSAGE.c.id.in_(bindparam("messages", expanding=True))
_SENDING = _SENDING_OF.where(_THESE)
_EARLIER = select(func.count()).where(_DELIVERY.c.message_id == _MESSAGE.c.id).scalar_subquery()
_STARTED = (
    insert(_DELIVERY)
    .from_select(
        ["message_id", "attempt", "started_at"], select(_MESSAGE.c.id, _EARLIER + 1, due.NOW).where(_THESE)
    )
    .returning(_DELIVERY.c.message_id, _DELIVERY.c.id)
)


@cache
def _at_once() -> Any:
    """Found, and taken where nobody else has it or the session's turn."""
    ours = _FOUND.with_for_update(skip_locked=True, of=_MESSAGE).cte("ours")
    its_session = select(ours.c.session_id)
    turns = _TURN_OF.where(_SESSION.c.id.in_(its_session)).returning(_SESSION.c.id).cte("turns")
    taken = _SENDING_OF.where(_MESSAGE.c.id == ours.c.message_id, ours.c.session_id == turns.c.id)
    return taken.returning(*ours.c)
