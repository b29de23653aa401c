"""Pages of a list that grows at its newer end, by row number: the last one costs what the first does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select

from ..extensions import db
from ..models import AuditEntry, Call, Event, Message

Row = TypeVar("Row", AuditEntry, Call, Event, Message)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Newest first. `next_cursor` leads to older rows, `previous_cursor` to newer ones; None at the ends."""

    items: list[Row]
    next_cursor: int | None
    previous_cursor: int | None


def page(model: type[Row], query: Select[Row], cursor: int | None, limit: int) -> Page[Row]:
    """Rows of the query older than `cursor`; a negative cursor means newer than its absolute value."""
    if cursor is not None and cursor < 0:
        newer = query.where(model.id > -cursor).order_by(model.id).limit(limit + 1)
        rows = list(db.session.scalars(newer))
        items = rows[:limit][::-1]
        return Page(items, items[-1].id if items else None, -items[0].id if len(rows) > limit else None)
    if cursor is not None:
        query = query.where(model.id < cursor)
    rows = list(db.session.scalars(query.order_by(model.id.desc()).limit(limit + 1)))
    items = rows[:limit]
    older = items[-1].id if len(rows) > limit else None
    return Page(items, older, -items[0].id if cursor is not None and items else None)
