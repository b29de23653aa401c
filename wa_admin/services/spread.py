"""Spreads messages over the sessions of a workspace that allows it: the session called `auto`."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from sqlalchemy import case, func, select

from .. import clock
from ..extensions import db, writing
from ..models import DailyCount, Message, WhatsAppSession, Workspace
from ..refusal import Refusal
from . import due, timeline

AUTO = "auto"  # in the place of a session's name


class SpreadOff(Refusal):
    code = "spread_off"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l(
                "Spreading over several sessions is switched off. An admin switches it on under Settings, "
                "Spreading, or with “wa-admin sessions spread on”. Until then, name a session or none."
            ),
            field="session_id",
        )


def is_on(workspace_id: int) -> bool:
    return bool(db.session.scalar(select(Workspace.spreads).filter_by(id=workspace_id)))


def switch(workspace_id: int, on: bool, *, actor: str) -> None:
    """Allow `auto` in this workspace, or refuse it from now on; what was accepted stays where it is."""
    with writing():
        workspace = db.session.get_one(Workspace, workspace_id)
        if workspace.spreads != on:
            workspace.spreads = on
            kind = "spread_on" if on else "spread_off"
            timeline.record(None, kind, workspace_id=workspace_id, actor=actor)


def choose(workspace_id: int, recipient: str) -> WhatsAppSession | None:
    """The session that wrote to the recipient last, else the least used one; None while all are switched off.

    People know the number that writes to them, so it is kept while its session is switched on, even if the
    message has to wait for it. Belongs into the transaction that stores the message: the row of the
    workspace is locked, so that of two first messages to one recipient the second sees the first.
    Raises SpreadOff.
    """
    # no stronger: whatever belongs to the workspace waits for that, and may hold what we want next
    allowed = select(Workspace.spreads).filter_by(id=workspace_id).with_for_update(key_share=True)
    if not db.session.scalar(allowed):
        raise SpreadOff
    last = (
        select(Message.session_id)
        .where(Message.workspace_id == workspace_id, Message.recipient == recipient)
        .order_by(Message.id.desc())
        .limit(1)
    )
    known = db.session.get(WhatsAppSession, db.session.scalar(last) or 0)
    return known if known and known.is_active else _least_used(workspace_id)


def _least_used(workspace_id: int) -> WhatsAppSession | None:
    """Of those that can send now the one with the fewest messages today; while none can, the default one,
    or else the oldest that is switched on."""
    day = clock.now().date()
    used = WhatsAppSession.waiting_count + func.coalesce(DailyCount.sent + DailyCount.failed, 0)
    query = (
        select(WhatsAppSession)
        .outerjoin(DailyCount, (DailyCount.session_id == WhatsAppSession.id) & (DailyCount.day == day))
        .where(WhatsAppSession.workspace_id == workspace_id, WhatsAppSession.is_active)
        .order_by(
            due.is_able().desc(),
            case((due.is_able(), used), else_=0),
            WhatsAppSession.is_default.desc(),
            WhatsAppSession.id,
        )
        .limit(1)
    )
    return db.session.scalar(query)
