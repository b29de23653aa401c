"""What a poll needs, in one query: who asks, the session, its gateway, today's counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import g, session
from sqlalchemy import and_, func, select

from .. import clock
from ..crypto import digest
from ..extensions import db
from ..models import DailyCount, Gateway, LoginSession, Message, User, WhatsAppSession
from ..models.message import WAITING
from . import logins, stats

_OLDEST = (
    select(func.min(Message.created_at))
    .where(Message.session_id == WhatsAppSession.id, Message.status.in_(WAITING))
    .scalar_subquery()
)
_SESSION = [column for column in WhatsAppSession.__table__.c if not column.name.startswith("sealed_")]
_SEALED = [WhatsAppSession.__table__.c.sealed_qr, WhatsAppSession.__table__.c.sealed_pairing_code]
_GATEWAY = [column for column in Gateway.__table__.c if not column.name.startswith("sealed_")]


@dataclass(frozen=True)
class Glance:
    """`wa_session` is a row of its own, unknown to any database session: look, do not change."""

    wa_session: WhatsAppSession
    today: stats.Today
    seen_at: datetime

    def version(self, *more: object) -> str:
        """Changes whenever the picture does; mere ages count on in the page."""
        one, today = self.wa_session, self.today
        proof = int(one.last_proof_at.timestamp()) if one.last_proof_at else "-"
        parts = (one.rev, one.waiting_count, one.uncertain_count, today.sent, today.delivered_percent)
        gateway = one.gateway.failure or ""
        return ".".join(str(part) for part in (*parts, today.failed, proof, gateway, *more))


def prime(id: int) -> None:
    """Ask once for everything this poll needs; who asks is then known without a query of its own."""
    token = session.get(logins.COOKIE_KEY)
    if isinstance(token, str):
        g.glance = _ask(id, digest(token))


def look_up(id: int) -> Glance | None:
    """The session `id` of the workspace of whoever asks, or None."""
    if "glance" not in g:
        prime(id)
    return g.get("glance")


def _ask(id: int, token_hash: str) -> Glance | None:
    now = clock.now()
    query = (
        select(*logins.IDENTITY, *_SESSION, *_SEALED, *_GATEWAY, DailyCount.sent, DailyCount.delivered)
        .add_columns(DailyCount.failed, _OLDEST)
        .select_from(LoginSession)
        .join(User, and_(User.id == LoginSession.user_id, User.is_active))
        .outerjoin(
            WhatsAppSession, and_(WhatsAppSession.id == id, WhatsAppSession.workspace_id == User.workspace_id)
        )
        .outerjoin(Gateway, Gateway.id == WhatsAppSession.gateway_id)
        .outerjoin(
            DailyCount, and_(DailyCount.session_id == WhatsAppSession.id, DailyCount.day == now.date())
        )
        .where(LoginSession.token_hash == token_hash)
    )
    with db.engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    values = list(row)
    logins.remember(token_hash, logins.Identity(*_cut(values, len(logins.IDENTITY))))
    columns = _cut(values, len(_SESSION) + len(_SEALED))
    gateway_columns = _cut(values, len(_GATEWAY))
    if columns[0] is None:
        return None
    wa_session = WhatsAppSession(**_named([*_SESSION, *_SEALED], columns))
    wa_session.gateway = Gateway(**_named(_GATEWAY, gateway_columns))
    sent, delivered, failed, oldest = values
    today = stats.summed_up(sent or 0, delivered or 0, failed or 0, wa_session.waiting_count, oldest)
    return Glance(wa_session, today, now)


def _cut(values: list[Any], count: int) -> list[Any]:
    taken = values[:count]
    del values[:count]
    return taken


def _named(columns: list[Any], values: list[Any]) -> dict[str, Any]:
    return {column.name: value for column, value in zip(columns, values, strict=True)}
