"""What the list of messages shows: its filters, how many lie in each, and what changed since it was drawn."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal_column, select, union_all

from ..extensions import db
from ..models import Attachment, Message, MessageStatus, WhatsAppSession
from ..models.message import ARRIVED, WAITING
from .search import ALL, LAST, Search, stretch_end

PAGE = 50
COUNTED_UP_TO = 99
# a list needs one line of a text, not 64 KB of it
EXCERPT = 300

FILTERS: dict[str, frozenset[MessageStatus]] = {
    "waiting": WAITING,
    "sent": ARRIVED | {MessageStatus.SENT},
    "failed": frozenset({MessageStatus.FAILED, MessageStatus.EXPIRED}),
    "uncertain": frozenset({MessageStatus.UNCERTAIN}),
    "cancelled": frozenset({MessageStatus.CANCELLED}),
}
COUNTED = ("waiting", "failed", "uncertain")

_COLUMNS = (
    Message.id,
    Message.recipient,
    func.substr(Message.body, 1, EXCERPT).label("excerpt"),
    Attachment.filename,
    Message.source,
    Message.status,
    Message.created_at,
    Message.rev,
)
_ROWS = select(*_COLUMNS).outerjoin(Attachment, Message.attachment_id == Attachment.id)


@dataclass(frozen=True)
class Board:
    """Rows newest first; `older` and `newer` are cursors, None at the ends.

    `news` counts what has come since, up to one more than PAGE. A search that `goes_on` has looked through
    only a part of the history; its cursors lead on.
    """

    rows: Sequence[Row[Any]]
    older: int | None = None
    newer: int | None = None
    news: int = 0
    goes_on: bool = False

    @property
    def version(self) -> int:
        """Changes when anything on the board does."""
        return zlib.crc32(repr([(row.id, row.rev) for row in self.rows] + [self.news]).encode())

    @property
    def shown(self) -> str:
        return ",".join(str(row.id) for row in self.rows)


def page(workspace_id: int, chosen: str | None, cursor: int | None = None, search: Search = ALL) -> Board:
    """Messages older than `cursor`, newest first; a negative cursor means newer than its absolute value."""
    goes_back = cursor is None or cursor > 0
    order = Message.id.desc() if goes_back else Message.id
    first, past = search.bounds(workspace_id)
    if goes_back:
        past = min(past, cursor or LAST)
    else:
        first = max(first, 1 - (cursor or 0))
    rest = stretch_end(workspace_id, _between(first, past), order) if search.text else None
    if rest is not None:
        first, past = (rest + 1, past) if goes_back else (first, rest)
    edge = and_(_between(first, past), *search.says())
    ids = union_all(*_first_ids(workspace_id, chosen, edge, order))
    found = db.session.execute(
        _rows(workspace_id).where(Message.id.in_(ids.scalar_subquery())).order_by(order).limit(PAGE + 1)
    )
    rows = found.all()
    some, has_more = rows[:PAGE], len(rows) > PAGE
    onward = some[-1].id if has_more else None
    goes_on = rest is not None and not has_more
    if rest is not None and goes_on:
        onward = rest + 1 if goes_back else rest - 1
    back = 1 - cursor if cursor is not None else None
    if goes_back:
        return Board(some, older=onward, newer=back, goes_on=goes_on)
    return Board(some[::-1], older=back, newer=None if onward is None else -onward, goes_on=goes_on)


def latest(wa_session: WhatsAppSession, count: int) -> Sequence[Row[Any]]:
    """The newest rows of one session."""
    rows = _ROWS.where(Message.session_id == wa_session.id, Message.id > literal_column("0"))
    return db.session.execute(rows.order_by(Message.id.desc()).limit(count)).all()


def changed(workspace_id: int, chosen: str | None, shown: list[int], *, with_news: bool) -> Board:
    """The same rows as they are now, and how many newer ones there are: one query, by primary key."""
    parts = [select(Message.id).where(Message.id.in_(shown))]
    if with_news:
        # joined with OR instead, SQLite would read the whole history
        parts += _first_ids(workspace_id, chosen, Message.id > max(shown, default=0), Message.id)
    ids = union_all(*parts)
    rows = db.session.execute(
        _rows(workspace_id).where(Message.id.in_(ids.scalar_subquery())).order_by(Message.id.desc())
    ).all()
    known = set(shown)
    return Board([row for row in rows if row.id in known], news=sum(row.id not in known for row in rows))


def version(workspace_id: int, id: int) -> str | None:
    """Changes when the message does, or the session that it waits for; None when there is no such message."""
    query = select(Message.rev, WhatsAppSession.rev).outerjoin(Message.session)
    row = db.session.execute(query.where(Message.id == id, Message.workspace_id == workspace_id)).first()
    return ".".join(str(rev or 0) for rev in row) if row else None


def counts(workspace_id: int) -> dict[str, int]:
    """How many messages need a look, by filter; never counts further than one past COUNTED_UP_TO."""
    found = {}
    for name in COUNTED:
        ids = select(Message.id).where(Message.workspace_id == workspace_id)
        some = ids.where(Message.status.in_(sorted(FILTERS[name]))).limit(COUNTED_UP_TO + 1)
        found[name] = db.session.scalar(select(func.count()).select_from(some.subquery())) or 0
    return found


def _rows(workspace_id: int) -> Any:
    return _ROWS.where(Message.workspace_id == workspace_id)


def _between(first: int, past: int) -> ColumnElement[bool]:
    """One bound each way: of two, SQLite may take the wider one and walk to the other."""
    return and_(Message.id >= first, Message.id < past)


def _first_ids(
    workspace_id: int, chosen: str | None, edge: ColumnElement[bool], order: Any
) -> list[Select[int]]:
    """Enough ids for a page; of a filter, the first of each of its states, since an index holds only
    one state in order and sorting them all would read the whole history."""
    ids = select(Message.id).where(Message.workspace_id == workspace_id, edge)
    ids = ids.order_by(order).limit(PAGE + 1)
    statuses = sorted(FILTERS[chosen]) if chosen else []
    of_each = [ids.where(Message.status == status) for status in statuses] or [ids]
    return [select(some.subquery().c.id) for some in of_each]
