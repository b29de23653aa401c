"""What a database from a backup must not do by itself: it knows nothing of what happened since.

What waited then may have been sent since then, so nothing of it leaves before a person has decided; who was
logged in then logs in again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, insert, literal, select, update

from ..extensions import db, writing
from ..models import (
    Call,
    CallStatus,
    Delivery,
    Lease,
    LinkPass,
    LoginSession,
    Message,
    MessageStatus,
    Notice,
    NoticeStatus,
    Outcome,
    SetupToken,
    WhatsAppSession,
    Workspace,
)
from ..models.message import WAITING
from ..models.types import UtcDateTime
from . import timeline

RESTORED = "restored"


@dataclass(frozen=True)
class Settled:
    """How many messages a person has to decide about, and how many calls to apps are not made."""

    messages: int
    calls: int


def settle(made_at: datetime, now: datetime) -> Settled:
    """Bring a database that comes from a backup of `made_at` to rest, in one transaction.

    Apps are told nothing of it: they hear of each message what a person decides.
    """
    with writing():
        open_by_workspace = _open_by_workspace()
        messages = _doubt_messages(made_at, now)
        calls = _rows(
            update(Call)
            .where(Call.status == CallStatus.WAITING)
            .values(status=CallStatus.FAILED, next_at=None, lease_until=None, error=RESTORED)
        )
        _rows(
            update(Notice).where(Notice.status == NoticeStatus.WAITING).values(status=NoticeStatus.NEEDLESS)
        )
        _close_doors(now)
        _rows(delete(Lease))
        for workspace_id in db.session.scalars(select(Workspace.id)).all():
            timeline.record(
                None,
                RESTORED,
                workspace_id=workspace_id,
                actor="cli",
                count=open_by_workspace.get(workspace_id, 0),
                made_at=f"{made_at:%Y-%m-%d %H:%M} UTC",
            )
    return Settled(messages, calls)


def _open_by_workspace() -> dict[int, int]:
    query = select(Message.workspace_id, func.count()).where(Message.status.in_(WAITING))
    return dict(db.session.execute(query.group_by(Message.workspace_id)).all())  # type: ignore[arg-type]


def _doubt_messages(made_at: datetime, now: datetime) -> int:
    """All that waits or is on its way becomes uncertain, at once: there may be many."""
    _rows(_attempts_since(made_at))
    _rows(
        update(Delivery)
        .where(Delivery.outcome.is_(None))
        .values(finished_at=now, outcome=Outcome.UNCERTAIN, error_code=RESTORED)
    )
    doubted = _rows(
        update(Message)
        .where(Message.status.in_(WAITING))
        .values(
            status=MessageStatus.UNCERTAIN,
            error_code=RESTORED,
            error_detail=None,
            status_at=now,
            next_at=None,
            lease_until=None,
            rev=Message.rev + 1,
        )
    )
    uncertain = (
        select(func.count())
        .where(Message.session_id == WhatsAppSession.id, Message.status == MessageStatus.UNCERTAIN)
        .scalar_subquery()
    )
    counted = update(WhatsAppSession).values(
        waiting_count=0, uncertain_count=uncertain, next_send_at=None, rev=WhatsAppSession.rev + 1
    )
    _rows(counted)
    return doubted


def _attempts_since(made_at: datetime) -> object:
    """That each of them may have left stays on record, whatever a person decides now."""
    earlier = select(func.count()).where(Delivery.message_id == Message.id).scalar_subquery()
    is_under_way = exists().where(Delivery.message_id == Message.id, Delivery.outcome.is_(None))
    waiting = select(Message.id, earlier + 1, literal(made_at, UtcDateTime()))
    waiting = waiting.where(Message.status.in_(WAITING), ~is_under_way)
    return insert(Delivery).from_select(["message_id", "attempt", "started_at"], waiting)


def _close_doors(now: datetime) -> None:
    """Whoever was let in then may have been shut out since."""
    _rows(delete(LoginSession))
    _rows(update(LinkPass).where(LinkPass.revoked_at.is_(None)).values(revoked_at=now))
    _rows(update(SetupToken).where(SetupToken.used_at.is_(None)).values(used_at=now))


def _rows(statement: object) -> int:
    options = {"synchronize_session": False}
    return db.session.execute(statement, execution_options=options).rowcount  # type: ignore[call-overload,no-any-return]
