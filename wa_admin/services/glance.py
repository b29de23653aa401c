"""What a poll needs, in one query: who asks, the session, its gateway, today's counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from types import FunctionType
from typing import Any

from flask import request, session
from sqlalchemy import Engine, and_, bindparam, exists, or_, select

from .. import clock
from ..crypto import digest
from ..extensions import db
from ..models import (
    Assignment,
    DailyCount,
    Gateway,
    LoginSession,
    Membership,
    User,
    WhatsAppSession,
)
from ..prepared import Prepared
from . import logins, stats

SEEN = "wa_admin.glance"  # where a request keeps what was seen

_SESSION = [column for column in WhatsAppSession.__table__.c if not column.name.startswith("sealed_")]
_SEALED = [
    WhatsAppSession.__table__.c[name] for name in ("sealed_qr", "sealed_pairing_code", "sealed_passkey_code")
]
_GATEWAY = [column for column in Gateway.__table__.c if not column.name.startswith("sealed_")]
_SESSION_NAMES = [column.name for column in (*_SESSION, *_SEALED)]
_GATEWAY_NAMES = [column.name for column in _GATEWAY]
IS_ASSIGNED = exists().where(
    Assignment.session_id == WhatsAppSession.id, Assignment.user_id == LoginSession.user_id
)
_EVERYTHING = Prepared(
    select(*logins.IDENTITY, *_SESSION, *_SEALED, *_GATEWAY)
    .add_columns(DailyCount.sent, DailyCount.delivered, DailyCount.failed, stats.OLDEST_WAITING)
    .select_from(LoginSession)
    .join(User, User.id == LoginSession.user_id)
    .join(Membership, logins.IS_THEIRS)
    .outerjoin(
        WhatsAppSession,
        and_(
            WhatsAppSession.id == bindparam("id"),
            WhatsAppSession.workspace_id == LoginSession.workspace_id,
            or_(Membership.sees_all, IS_ASSIGNED),
        ),
    )
    .outerjoin(Gateway, Gateway.id == WhatsAppSession.gateway_id)
    .outerjoin(
        DailyCount, and_(DailyCount.session_id == WhatsAppSession.id, DailyCount.day == bindparam("today"))
    )
    .where(LoginSession.token_hash == bindparam("token_hash"))
)


def _picture_of(model: type) -> type:
    """A class that holds a row and answers the model's questions, each property once, without the cost of
    an entity."""
    questions: dict[str, Any] = {}
    for name, value in vars(model).items():
        if isinstance(value, property) and value.fget:
            questions[name] = cached_property(value.fget)
        elif isinstance(value, FunctionType) and name[0] != "_":
            questions[name] = value
    return type(f"{model.__name__}Picture", (), questions)


SessionPicture, GatewayPicture = _picture_of(WhatsAppSession), _picture_of(Gateway)


@dataclass(frozen=True)
class Glance:
    """`wa_session` is a row of its own, unknown to any database session: look, do not change."""

    wa_session: WhatsAppSession
    today: stats.Today
    seen_at: datetime
    by: logins.Identity | None = None

    def version(self, *more: object) -> str:
        """Changes whenever the picture does; mere ages count on in the page."""
        one, today = self.wa_session, self.today
        proof = int(one.last_proof_at.timestamp()) if one.last_proof_at else "-"
        parts = (one.rev, one.waiting_count, one.uncertain_count, today.sent, today.delivered_percent)
        gateway = one.gateway.failure or ""
        return ".".join(str(part) for part in (*parts, today.failed, proof, gateway, *more))


def look_up(id: int) -> Glance | None:
    """The session `id` of the workspace of whoever asks, or None. Asked once per request, and who asks is
    then known without a query of its own."""
    if SEEN not in request.environ:
        token: str | None = session.get(logins.COOKIE_KEY)
        request.environ[SEEN] = ask(db.engine, id, digest(token)) if token else None
    found: Glance | None = request.environ[SEEN]
    return found


def ask(engine: Engine, id: int, token_hash: str) -> Glance | None:
    """One query, and no application context: None when the login is over or the session is not its own."""
    now = clock.now()
    values = _EVERYTHING.first(engine, id=id, token_hash=token_hash, today=now.date())
    if values is None:
        return None
    identity = logins.Identity(*cut(values, len(logins.IDENTITY)))
    logins.remember(token_hash, identity)
    if not identity.opens_pages(now):
        return None
    wa_session: Any = filled(SessionPicture, _SESSION_NAMES, values)
    wa_session.gateway = filled(GatewayPicture, _GATEWAY_NAMES, values)
    if wa_session.id is None:
        return None
    sent, delivered, failed, oldest = values
    today = stats.summed_up(sent or 0, delivered or 0, failed or 0, wa_session.waiting_count, oldest)
    return Glance(wa_session, today, now, identity)


def filled(picture: type, names: list[str], values: list[Any]) -> Any:
    """The picture of a row whose first values belong to these columns; they are taken off."""
    row = picture()
    row.__dict__.update(zip(names, cut(values, len(names)), strict=True))
    return row


def cut(values: list[Any], count: int) -> list[Any]:
    taken = values[:count]
    del values[:count]
    return taken
