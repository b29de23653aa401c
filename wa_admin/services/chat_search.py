"""Looking for chats: by who they are with, and by words of what came in. What we sent is found by `search`.

Words are found by what each database has for that: FTS5 on SQLite, a text search index on PostgreSQL. Without
FTS5 a SQLite looks through the newest lines and no further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    Select,
    String,
    Subquery,
    column,
    func,
    inspect,
    literal_column,
    or_,
    select,
    table,
)
from sqlalchemy.orm import contains_eager

from ..extensions import db
from ..models import Chat, Contact, Line
from ..models.chat import SEARCH
from .chats import PAGE
from .search import FEWEST_DIGITS, NUMBER

LONGEST = 100
NAMED = 20  # as many chats as a list shows by their names
CHATS_LOOKED_THROUGH = 5_000
HITS_LOOKED_THROUGH = 2_000  # those of other workspaces among them
NEWEST = 1_000  # lines that are read before an index is asked
LINES_LOOKED_THROUGH = 20_000  # where there is no index
LAST = 2**62

_FTS5 = table(SEARCH, column("rowid", Integer), column("text", String))


@dataclass(frozen=True)
class Found:
    """`chats` by their names, `lines` by their words, both the newest first; `older` leads further back."""

    chats: Sequence[Chat]
    lines: Sequence[tuple[Line, Chat]]
    older: int | None = None


def look_for(workspace_id: int, sought: str, before: int | None = None) -> Found:
    """Chats and lines of the workspace; from the second page on, lines older than `before` only."""
    words = re.findall(r"\w+", sought)
    named = _named(workspace_id, sought) if before is None else []
    if not words:
        return Found(named, [])
    found, older = _lines(workspace_id, words, before or LAST, is_begun=False)
    if not found and before is None:  # perhaps only the beginning of a word was typed so far
        found, older = _lines(workspace_id, words, LAST, is_begun=True)
    return Found(named, found, older)


def _named(workspace_id: int, sought: str) -> Sequence[Chat]:
    newest = (
        select(Chat.id)
        .where(Chat.workspace_id == workspace_id)
        .order_by(Chat.last_at.desc(), Chat.id.desc())
        .limit(CHATS_LOOKED_THROUGH)
    )
    is_it = [Contact.name.icontains(sought, autoescape=True), Chat.name.icontains(sought, autoescape=True)]
    # as it is dialled at home, a number begins with a zero that its full form does not have
    digits = re.sub(r"\D", "", sought).lstrip("0")
    if NUMBER.fullmatch(sought) and len(digits) >= FEWEST_DIGITS:
        is_it.append(Chat.address.contains(digits, autoescape=True))
    query = select(Chat).outerjoin(Chat.contact).options(contains_eager(Chat.contact))
    query = query.where(Chat.id.in_(newest.scalar_subquery()), or_(*is_it))
    return db.session.scalars(query.order_by(Chat.last_at.desc(), Chat.id.desc()).limit(NAMED)).all()


def _lines(
    workspace_id: int, words: list[str], before: int, is_begun: bool
) -> tuple[list[tuple[Line, Chat]], int | None]:
    """The newest lines, and where to go on: past the last one shown, or past what was looked through."""
    for hits in _hits(words, before, is_begun):
        rows = _of_workspace(workspace_id, hits)
        if len(rows) > PAGE:
            return rows[:PAGE], rows[PAGE - 1][0].id
    looked = select(func.count(), func.min(hits.c.id)).select_from(hits)
    count, oldest = db.session.execute(looked).one()
    return rows, oldest if count == HITS_LOOKED_THROUGH else None


def _of_workspace(workspace_id: int, hits: Subquery) -> list[tuple[Line, Chat]]:
    query = (
        select(Line, Chat)
        .join(hits, hits.c.id == Line.id)
        .join(Chat, Chat.id == Line.chat_id)
        .outerjoin(Chat.contact)
        .options(contains_eager(Chat.contact))
        .where(Chat.workspace_id == workspace_id)
        .order_by(hits.c.id.desc())
    )
    return [(line, chat) for line, chat in db.session.execute(query.limit(PAGE + 1))]


def _hits(words: list[str], before: int, is_begun: bool) -> list[Subquery]:
    """Ids of the newest lines that hold all the words, of whatever workspace: ways to find them, of which
    the last one finds all."""
    if db.engine.dialect.name == "postgresql":
        return [one.subquery() for one in _hits_in_postgresql(words, before, is_begun)]
    if _has_index(db.engine):
        return [_hits_in_sqlite(words, before, is_begun).subquery()]
    newest = _newest(before, LINES_LOOKED_THROUGH)
    says = [newest.c.text.icontains(word, autoescape=True) for word in words]
    query = select(newest.c.id).where(*says).order_by(newest.c.id.desc())
    return [query.limit(HITS_LOOKED_THROUGH).subquery()]


def _newest(before: int, count: int) -> Subquery:
    lines = select(Line.id, Line.text).where(Line.id < before)
    return lines.order_by(Line.id.desc()).limit(count).subquery()


def _hits_in_postgresql(words: list[str], before: int, is_begun: bool) -> list[Select[Any]]:
    """A common word is found among the newest lines, any other by the index.

    The order is by a sum, which no index has: else PostgreSQL would read its way back from the newest line
    when it takes a rare word for a common one, seconds in a long history.
    """
    newest = _newest(before, NEWEST)
    says = _says_in_postgresql(newest.c.text, words, is_begun)
    number = (Line.id + 0).label("id")
    indexed = select(number).where(Line.id < before, _says_in_postgresql(Line.text, words, is_begun))
    return [select(newest.c.id).where(says), indexed.order_by(number.desc()).limit(HITS_LOOKED_THROUGH)]


def _hits_in_sqlite(words: list[str], before: int, is_begun: bool) -> Select[Any]:
    asked = " ".join(f'"{word}"' for word in words) + ("*" if is_begun else "")
    query = select(_FTS5.c.rowid.label("id")).where(_FTS5.c.text.match(asked), _FTS5.c.rowid < before)
    return query.order_by(_FTS5.c.rowid.desc()).limit(HITS_LOOKED_THROUGH)


def _says_in_postgresql(said: Any, words: list[str], is_begun: bool) -> ColumnElement[bool]:
    """Quoted as the query language wants it; `words` hold letters, digits and underlines only."""
    simple: Any = literal_column("'simple'")
    asked = " & ".join(f"'{word}'" for word in words) + (":*" if is_begun else "")
    document: Any = func.to_tsvector(simple, said)
    matches: ColumnElement[bool] = document.op("@@")(func.to_tsquery(simple, asked))
    return matches


@lru_cache(maxsize=8)
def _has_index(engine: Engine) -> bool:
    return inspect(engine).has_table(SEARCH)
