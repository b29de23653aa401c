"""Looking for messages: by their day, by a part of their text, by a part of the number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func, or_, select

from ..extensions import db
from ..models import Attachment, Message

# no index finds a part of a text, so one page looks through so many messages and no more
STRETCH = 20_000
LONGEST = 100
LAST = 2**63 - 1
# what a number is typed with, and how few digits would find everybody
NUMBER = re.compile(r"[\d\s()+./-]+")
FEWEST_DIGITS = 3


@dataclass(frozen=True)
class Search:
    """`start` and `end`, both or none, are the bounds of a day."""

    text: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.text or self.start)

    def bounds(self, workspace_id: int) -> tuple[int, int]:
        """The numbers that messages of the day have: the first, and one past the last."""
        if self.start is None or self.end is None:
            return 0, LAST
        return first_since(workspace_id, self.start), first_since(workspace_id, self.end)

    def says(self) -> list[ColumnElement[bool]]:
        return [_says(self.text)] if self.text else []


ALL = Search()


def stretch_end(workspace_id: int, edge: ColumnElement[bool], order: Any) -> int | None:
    """The first message past what one page looks through, from the edge on; None when all of it fits."""
    ids = select(Message.id).where(Message.workspace_id == workspace_id, edge)
    return db.session.scalar(ids.order_by(order).offset(STRETCH).limit(1))


def first_since(workspace_id: int, moment: datetime) -> int:
    """The number of the first message accepted since then, or one past the last.

    Times have no index, but numbers grow with them: the database halves them some 20 times, by key.
    """
    ours = Message.workspace_id == workspace_id
    past = func.coalesce(func.max(Message.id), 0) + 1
    span = select(cast(0, BigInteger).label("low"), past.label("high")).where(ours).cte(recursive=True)
    middle = (span.c.low + span.c.high) // 2
    at = select(Message.created_at).where(ours, Message.id >= middle).order_by(Message.id).limit(1)
    is_before = at.correlate(span).scalar_subquery() < moment
    span = span.union_all(
        select(
            case((is_before, middle + 1), else_=span.c.low),
            case((is_before, span.c.high), else_=middle),
        ).where(span.c.low < span.c.high)
    )
    return db.session.scalar(select(span.c.low).where(span.c.low >= span.c.high)) or 0


def _says(text: str) -> ColumnElement[bool]:
    named = Message.attachment.has(Attachment.filename.icontains(text, autoescape=True))
    says = or_(Message.body.icontains(text, autoescape=True), named)
    # as it is dialled at home, a number begins with a zero that its full form does not have
    digits = re.sub(r"\D", "", text).lstrip("0")
    if NUMBER.fullmatch(text) and len(digits) >= FEWEST_DIGITS:
        return or_(says, Message.recipient.contains(digits, autoescape=True))
    return says
