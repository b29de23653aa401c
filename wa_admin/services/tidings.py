"""What apps are told through their webhooks: one call per subscription that wants to hear of it.

All of it runs inside the transaction of what happened, so that neither is there without the other. The
schemas of what is told are in `api/schemas/webhooks.py`; ids are those that the API answers with.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, insert, select

from .. import clock
from ..drivers.contract import MessageSeen
from ..extensions import db
from ..models import Call, Line, Message, MessageStatus, Subscription, WhatsAppSession
from ..models.chat import GROUP
from ..prepared import Prepared

RECEIVED, PROGRESS, SESSION, TEST = "message.received", "message.status", "session.status", "webhook.test"
KINDS = (RECEIVED, PROGRESS, SESSION)
UNTOLD = frozenset({MessageStatus.QUEUED, MessageStatus.SENDING})  # our own affair
OF_MESSAGE = (
    Message.id,
    Message.status,
    Message.session_name,
    Message.recipient,
    Message.provider_id,
    Message.error_code,
    Message.source,
)

# asked for every message that moves, and almost always in vain
_ANYBODY = Prepared(
    select(Subscription.id)
    .where(Subscription.workspace_id == bindparam("workspace_id"), Subscription.is_active)
    .limit(1)
)


def message_received(wa_session: WhatsAppSession, line: Line, seen: MessageSeen, now: datetime) -> None:
    """Somebody wrote to us, and it was kept as this line. A gateway that reports it twice is told once."""
    if seen.from_me or not has_listeners(wa_session.workspace_id):
        return
    data = {
        "provider_id": seen.provider_id or None,
        "session_id": wa_session.session_id,
        "session_name": wa_session.name,
        "chat_id": line.chat_id,
        "is_group": seen.chat.endswith(GROUP),
        "chat": seen.chat,
        "sender_number": seen.sender_number,
        "sender_lid": seen.sender_lid,
        "push_name": seen.push_name,
        "kind": seen.kind,
        "text": seen.text,
    }
    once = f"{wa_session.id} {seen.chat} {seen.provider_id}" if seen.provider_id else ""
    _tell(wa_session.workspace_id, RECEIVED, data, min(seen.at or now, now), once)


def message_moved(message: Message, now: datetime) -> None:
    """A message of ours came into another status."""
    if message.status in UNTOLD or not has_listeners(message.workspace_id):
        return
    _tell(message.workspace_id, PROGRESS, _moved(message, message.session), now)


def messages_moved(wa_session: WhatsAppSession, rows: Iterable[Any], now: datetime) -> None:
    """Many of a session at once; `rows` are their columns OF_MESSAGE as they are now."""
    listeners = _listeners(wa_session.workspace_id, PROGRESS)
    usual = {"kind": PROGRESS, "next_at": now, "created_at": now}
    calls = [
        usual | {"subscription_id": one.id, "uid": _new_uid(), "payload": payload}
        for payload in (_written(PROGRESS, _moved(row, wa_session), now) for row in rows)
        for one in listeners
    ]
    if calls:
        db.session.connection().execute(insert(Call), calls)


def session_moved(wa_session: WhatsAppSession, now: datetime) -> None:
    """A session came into another status, or has another reason for it."""
    if not has_listeners(wa_session.workspace_id):
        return
    data = {
        "id": wa_session.id,
        "instance_name": wa_session.name,
        "session_id": wa_session.session_id,
        "status": wa_session.status,
        "reason": wa_session.reason,
        "phone_number": wa_session.number,
    }
    _tell(wa_session.workspace_id, SESSION, data, now)


def test(subscription: Subscription) -> Call:
    """Something to try a receiver with, whatever it wants to hear of."""
    data = {"id": subscription.id, "name": subscription.name}
    return _add(subscription, TEST, _written(TEST, data, clock.now()), _new_uid())


def has_listeners(workspace_id: int) -> bool:
    """Whether an app is told what happens in this workspace."""
    return _ANYBODY.first(db.session.connection(), workspace_id=workspace_id) is not None


def _moved(message: Any, wa_session: WhatsAppSession | None) -> dict[str, Any]:
    """Of an entity, or of a row."""
    told = {column.key: getattr(message, column.key) for column in OF_MESSAGE}
    return told | {"session_id": wa_session.session_id if wa_session else None}


def _tell(workspace_id: int, kind: str, data: dict[str, Any], at: datetime, once: str = "") -> None:
    """`once` names what happened where it may be reported again."""
    payload = _written(kind, data, at)
    for subscription in _listeners(workspace_id, kind):
        uid = _uid_of(f"{subscription.id} {once}") if once else _new_uid()
        if not (once and _is_known(uid)):
            _add(subscription, kind, payload, uid)


def _listeners(workspace_id: int, kind: str) -> list[Subscription]:
    query = select(Subscription).filter_by(workspace_id=workspace_id, is_active=True)
    return [one for one in db.session.scalars(query) if kind in one.events.split(",")]


def _add(subscription: Subscription, kind: str, payload: str, uid: str) -> Call:
    now = clock.now()
    call = Call(
        subscription_id=subscription.id, uid=uid, kind=kind, payload=payload, next_at=now, created_at=now
    )
    db.session.add(call)
    return call


def _written(kind: str, data: dict[str, Any], at: datetime) -> str:
    """ASCII, so that what is signed survives every database and proxy, half characters included."""
    timestamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def _is_known(uid: str) -> bool:
    return db.session.scalar(select(Call.id).filter_by(uid=uid)) is not None


def _uid_of(name: str) -> str:
    return "msg_" + hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:32]


def _new_uid() -> str:
    return "msg_" + secrets.token_hex(16)
