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
    hits = _hits(words, before, is_begun).subquery()
    query = (
        select(Line, Chat)
        .join(hits, hits.c.id == Line.id)
        .join(Chat, Chat.id == Line.chat_id)
        .outerjoin(Chat.contact)
        .options(contains_eager(Chat.contact))
        .where(Chat.workspace_id == workspace_id)
        .order_by(Line.id.desc())
    )
    rows = [(line, chat) for line, chat in db.session.execute(query.limit(PAGE + 1))]
    if len(rows) > PAGE:
        return rows[:PAGE], rows[PAGE - 1][0].id
    looked = select(func.count(), func.min(hits.c.id)).select_from(hits)
    count, oldest = db.session.execute(looked).one()
    return rows, oldest if count == HITS_LOOKED_THROUGH else None


def _hits(words: list[str], before: int, is_begun: bool) -> Select[Any]:
    """Ids of the newest lines that hold all the words, of whatever workspace."""
    if db.engine.dialect.name == "postgresql":
        says: ColumnElement[bool] = _says_in_postgresql(words, is_begun)
    elif _has_index(db.engine):
        return _hits_in_sqlite(words, before, is_begun)
    else:
        newest = select(Line.id).where(Line.id < before).order_by(Line.id.desc()).limit(LINES_LOOKED_THROUGH)
        says = Line.id.in_(newest.scalar_subquery())
        for word in words:
            says &= Line.text.icontains(word, autoescape=True)
    query = select(Line.id).where(Line.id < before, says)
    return query.order_by(Line.id.desc()).limit(HITS_LOOKED_THROUGH)


def _hits_in_sqlite(words: list[str], before: int, is_begun: bool) -> Select[Any]:
    asked = " ".join(f'"{word}"' for word in words) + ("*" if is_begun else "")
    query = select(_FTS5.c.rowid.label("id")).where(_FTS5.c.text.match(asked), _FTS5.c.rowid < before)
    return query.order_by(_FTS5.c.rowid.desc()).limit(HITS_LOOKED_THROUGH)


def _says_in_postgresql(words: list[str], is_begun: bool) -> ColumnElement[bool]:
    """Quoted as the query language wants it; `words` hold letters, digits and underlines only."""
    simple: Any = literal_column("'simple'")
    asked = " & ".join(f"'{word}'" for word in words) + (":*" if is_begun else "")
    document: Any = func.to_tsvector(simple, Line.text)
    matches: ColumnElement[bool] = document.op("@@")(func.to_tsquery(simple, asked))
    return matches


@lru_cache(maxsize=8)
def _has_index(engine: Engine) -> bool:
    return inspect(engine).has_table(SEARCH)
