"""The sessions of a workspace side by side, in one query: who asks, the rows of a page, today's counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache, partial
from operator import itemgetter
from typing import Any
from zlib import crc32

from flask import request, session
from sqlalchemy import Engine, Integer, String, and_, bindparam, func, or_, select

from .. import clock
from ..crypto import digest
from ..extensions import db
from ..models import DailyCount, Gateway, LoginSession, Membership, Status, User, WhatsAppSession
from ..prepared import Prepared
from . import logins, stats
from .glance import IS_ASSIGNED, GatewayPicture, Glance, SessionPicture, filled

SEEN = "wa_admin.lineup"  # where a request keeps what was seen
PAGE = 50
CARDS = 10  # more than these are a table
NOWHERE = "-"  # in no number
NO_DIGIT = re.compile(r"\D")

_SESSION_NAMES = [
    "id", "name", "session_id", "is_default", "is_active", "paused_at", "status", "reason", "gateway_word",
    "is_scanned", "linked_at", "connected_at", "linked_number", "phone_number", "status_at", "last_proof_at",
    "last_proof", "reconnect_attempts", "waiting_count", "rev",
]  # fmt: skip
_GATEWAY_NAMES = ["capabilities", "failure"]
_SESSION = [WhatsAppSession.__table__.c[name] for name in _SESSION_NAMES]
_GATEWAY = [Gateway.__table__.c[name] for name in _GATEWAY_NAMES]


def _like(column: Any, name: str) -> Any:
    # joined, so that SQLite does not plan anew for each pattern
    return column.like(bindparam(name, type_=String).concat(""), escape="\\")


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
            WhatsAppSession.id > bindparam("after", type_=Integer),
            or_(
                _like(WhatsAppSession.name_key, "text"),
                _like(WhatsAppSession.session_id, "text"),
                _like(WhatsAppSession.linked_number, "digits"),
                _like(WhatsAppSession.phone_number, "digits"),
            ),
        ),
    )
    .outerjoin(Gateway, Gateway.id == WhatsAppSession.gateway_id)
    .outerjoin(
        DailyCount, and_(DailyCount.session_id == WhatsAppSession.id, DailyCount.day == bindparam("today"))
    )
    .where(LoginSession.token_hash == bindparam("token_hash"))
    .order_by(WhatsAppSession.id)
    .limit(PAGE + 1)
)


# what a look is made of, and what else a line shows; `rev` stands for all that is no mere number or age
_OF_LOOK = ["is_active", "paused_at", "status", "reason", "gateway_word", "is_scanned", "linked_at"]
_OF_LINE = ["rev", "waiting_count", "last_proof_at"]
_FIRST = len(logins.IDENTITY)
_AT = {name: _FIRST + place for place, name in enumerate(_SESSION_NAMES)}
_FAILURE = _FIRST + len(_SESSION) + _GATEWAY_NAMES.index("failure")
_SHOWN_AT = [*map(_AT.__getitem__, _OF_LOOK), _FAILURE, *map(_AT.__getitem__, _OF_LINE), -3, -2, -1]
_SHOWN = itemgetter(*_SHOWN_AT)
_ID, _IS_DEFAULT, _STATUS, _LINKED_AT = (_AT[name] for name in ("id", "is_default", "status", "linked_at"))
LOOK, PRINT = 2, 7  # letters of a line's print: the first ones change with the look


@dataclass(frozen=True)
class Print:
    """Of one line, as a short text that changes with whatever is shown."""

    id: int
    text: str
    is_linking: bool


@dataclass(frozen=True)
class Lineup:
    """A page of sessions, the oldest first, but for the default one; rows are read when they are needed.

    `next_after` leads to the page that follows.
    """

    rows: Sequence[Any]
    next_after: int | None
    read: Callable[[Any], list[Any]]
    text: str
    after: int
    by: logins.Identity
    seen_at: datetime

    @cached_property
    def prints(self) -> list[Print]:
        return [Print(row[_ID], _print(_SHOWN(row)), _is_linking(row)) for row in self.rows]

    @cached_property
    def members(self) -> str:
        """Changes when a session came or went."""
        return f"{crc32(repr([one.id for one in self.prints]).encode()):x}"

    @cached_property
    def version(self) -> str:
        return f"{self.members}.{''.join(one.text for one in self.prints)}"

    @cached_property
    def lines(self) -> list[Glance]:
        return [self.line(number) for number in range(len(self.prints))]

    def line(self, number: int) -> Glance:
        return _line(self.read(self.rows[number]), self)


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
    rows = _PAGE.raw(
        engine,
        token_hash=token_hash,
        today=now.date(),
        after=after,
        text=f"%{_plain(text.casefold())}%",
        digits=f"%{re.sub(NO_DIGIT, '', text).lstrip('0') or NOWHERE}%",
    )
    if not rows:
        return None
    read = partial(_PAGE.read, engine)
    identity = logins.Identity(*read(rows[0])[:_FIRST])
    logins.remember(token_hash, identity)
    if not identity.opens_pages(now):
        return None
    shown = [row for row in rows[:PAGE] if row[_ID] is not None]
    next_after = shown[-1][_ID] if len(rows) > PAGE else None
    shown.sort(key=lambda row: not row[_IS_DEFAULT])
    return Lineup(shown, next_after, read, text, after, identity, now)


def count(workspace_id: int) -> int:
    """How many there are that whoever asks may see."""
    query = select(func.count()).select_from(WhatsAppSession).filter_by(workspace_id=workspace_id)
    return db.session.scalar(query) or 0


def _line(row: list[Any], page: Lineup) -> Glance:
    del row[:_FIRST]
    wa_session: Any = filled(SessionPicture, _SESSION_NAMES, row)
    wa_session.gateway = filled(GatewayPicture, _GATEWAY_NAMES, row)
    sent, delivered, failed = row
    today = stats.summed_up(sent or 0, delivered or 0, failed or 0, wa_session.waiting_count, None)
    return Glance(wa_session, today, page.seen_at, page.by)


def _is_linking(row: Any) -> bool:
    """Its look is one of pulse.LINKING; asked of every row of every poll."""
    status = row[_STATUS]
    return status == Status.QR_PENDING or (status == Status.CONNECTING and row[_LINKED_AT] is None)


@lru_cache(maxsize=10_000)
def _print(shown: tuple[Any, ...]) -> str:
    of_look = len(_OF_LOOK) + 1
    return _sum(shown[:of_look])[:LOOK] + _sum(shown[of_look:])[: PRINT - LOOK]


def _sum(values: tuple[Any, ...]) -> str:
    return f"{crc32(repr(values).encode()):08x}"


def _plain(text: str) -> str:
    """With nothing in it that LIKE would take for a sign."""
    return re.sub(r"([\\%_])", r"\\\1", text)
