"""The sessions of a workspace side by side, in one query: who asks, the rows of a page, today's counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request, session
from sqlalchemy import Engine, Integer, String, and_, bindparam, func, literal, or_, select

from .. import clock
from ..crypto import digest
from ..extensions import db
from ..models import DailyCount, Gateway, LoginSession, Membership, User, WhatsAppSession
from ..prepared import Prepared
from . import logins, stats
from .glance import IS_ASSIGNED, GatewayPicture, Glance, SessionPicture, filled

SEEN = "wa_admin.lineup"  # where a request keeps what was seen
PAGE = 50
CARDS = 10  # more than these are a table
NOWHERE = "-"  # in no number

_SESSION_NAMES = [
    "id", "name", "session_id", "description", "is_default", "is_active", "paused_at", "status", "reason",
    "gateway_word", "is_scanned", "linked_at", "connected_at", "linked_number", "phone_number", "status_at",
    "last_proof_at", "last_proof", "ban_ends_at", "reconnect_attempts", "reconnect_at", "waiting_count",
    "uncertain_count", "rev",
]  # fmt: skip
_GATEWAY_NAMES = ["kind", "capabilities", "failure", "failing_since", "checked_at"]
_SESSION = [WhatsAppSession.__table__.c[name] for name in _SESSION_NAMES]
_GATEWAY = [Gateway.__table__.c[name] for name in _GATEWAY_NAMES]


def _contains(column: Any, name: str) -> Any:
    return column.like(literal("%").concat(bindparam(name, type_=String)).concat("%"), escape="\\")


_PAGE = Prepared(
    select(*logins.IDENTITY, *_SESSION, *_GATEWAY)
    .add_columns(DailyCount.sent, DailyCount.delivered, DailyCount.failed)
    .select_from(LoginSession)
    .join(User, User.id == LoginSession.user_id)
    .join(Membership, logins.IS_THEIRS)
    .outerjoin(
        WhatsAppSession,
        and_(
            WhatsAppSession.workspace_id == LoginSession.workspace_id,
            or_(Membership.sees_all, IS_ASSIGNED),
            or_(
                bindparam("after", type_=Integer) == 0,
                and_(~WhatsAppSession.is_default, WhatsAppSession.id > bindparam("after", type_=Integer)),
            ),
            or_(
                _contains(WhatsAppSession.name_key, "text"),
                _contains(WhatsAppSession.session_id, "text"),
                _contains(WhatsAppSession.linked_number, "digits"),
                _contains(WhatsAppSession.phone_number, "digits"),
            ),
        ),
    )
    .outerjoin(Gateway, Gateway.id == WhatsAppSession.gateway_id)
    .outerjoin(
        DailyCount, and_(DailyCount.session_id == WhatsAppSession.id, DailyCount.day == bindparam("today"))
    )
    .where(LoginSession.token_hash == bindparam("token_hash"))
    .order_by(WhatsAppSession.is_default.desc(), WhatsAppSession.id)
    .limit(PAGE + 1)
)


@dataclass(frozen=True)
class Lineup:
    """The default session first, then the oldest. `next_after` leads to the page that follows."""

    lines: list[Glance]
    text: str
    after: int
    next_after: int | None
    by: logins.Identity


def look_up(text: str, after: int) -> Lineup | None:
    """The page for whoever asks, who is then known without a query of its own; None for nobody."""
    asked: tuple[str, int] = (text, after)
    if request.environ.get(SEEN, (None,))[0] != asked:
        token: str | None = session.get(logins.COOKIE_KEY)
        request.environ[SEEN] = asked, ask(db.engine, digest(token), text, after) if token else None
    found: Lineup | None = request.environ[SEEN][1]
    return found


def ask(engine: Engine, token_hash: str, text: str, after: int) -> Lineup | None:
    """One query, and no application context: None when the login is over."""
    now = clock.now()
    rows = _PAGE.all(
        engine,
        token_hash=token_hash,
        today=now.date(),
        after=after,
        text=_plain(text.casefold()),
        digits=re.sub(r"\D", "", text).lstrip("0") or NOWHERE,
    )
    if not rows:
        return None
    identity = logins.Identity(*rows[0][: len(logins.IDENTITY)])
    logins.remember(token_hash, identity)
    if identity.is_over(now) or identity.awaits_second_factor:
        return None
    lines = [line for row in rows[:PAGE] if (line := _line(row, now, identity)) is not None]
    next_after = lines[-1].wa_session.id if len(rows) > PAGE else None
    return Lineup(lines, text, after, next_after, identity)


def count(workspace_id: int) -> int:
    """How many there are that whoever asks may see."""
    query = select(func.count()).select_from(WhatsAppSession).filter_by(workspace_id=workspace_id)
    return db.session.scalar(query) or 0


def _line(row: list[Any], now: datetime, identity: logins.Identity) -> Glance | None:
    del row[: len(logins.IDENTITY)]
    wa_session: Any = filled(SessionPicture, _SESSION_NAMES, row)
    wa_session.gateway = filled(GatewayPicture, _GATEWAY_NAMES, row)
    if wa_session.id is None:
        return None
    sent, delivered, failed = row
    today = stats.summed_up(sent or 0, delivered or 0, failed or 0, wa_session.waiting_count, None)
    return Glance(wa_session, today, now, identity)


def _plain(text: str) -> str:
    """With nothing in it that LIKE would take for a sign."""
    return re.sub(r"([\\%_])", r"\\\1", text)
