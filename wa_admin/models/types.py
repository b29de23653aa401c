"""Column types shared by all tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Dialect, Index, Integer, MetaData, String, TypeDecorator, text
from sqlalchemy.orm import mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC that comes back aware; refuses one without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)  # a pooler may have lost our time zone

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        # a poll reads a dozen of them: in one step a fifth of the cost
        return _from_sqlite if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _from_sqlite(text: str | None) -> datetime | None:
    return datetime.fromisoformat(f"{text}+00:00") if text else None


class Word(TypeDecorator[Any]):
    """One of a closed list of words, kept as text; the table's CHECK keeps the list closed."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


class PartialIndex(Index):
    """Of those rows only that fit `where`, on every database; PostgreSQL is told by `tell_postgresql`, since
    naming it here would load all of its dialect into panels that run on SQLite."""

    def __init__(self, name: str, *columns: str, where: str, unique: bool = False) -> None:
        super().__init__(name, *columns, unique=unique, sqlite_where=text(where))
        self.where = where


def tell_postgresql(metadata: MetaData) -> None:
    """Before a schema is compared or made there."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if isinstance(index, PartialIndex):
                index.dialect_options["postgresql"]["where"] = text(index.where)


def one_of(column: str, words: type[StrEnum], or_null: bool = False) -> str:
    """The SQL of a CHECK that keeps a column to its list of words."""
    listed = ", ".join(f"'{word.value}'" for word in words)
    check = f"{column} IN ({listed})"
    return f"{column} IS NULL OR {check}" if or_null else check


# SQLite numbers rows by itself only where it reads INTEGER
Key = Annotated[int, mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]
