"""A query that is asked every few seconds by every open page: compiled once, then straight to the driver.

Through SQLAlchemy a row of eighty columns costs as much as three bare requests; this, a third of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, Float, Select
from sqlalchemy.exc import DBAPIError

Convert = Callable[[Any], Any] | None


@dataclass(frozen=True)
class _Compiled:
    sql: str
    names: list[str] | None  # in the order of the question marks; None where parameters go by name
    constants: dict[str, Any]  # what the statement itself brings, such as a limit
    binders: dict[str, Convert]
    readers: list[Convert]


class Prepared:
    """`statement` names its parameters with bindparam(), with their types."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, on: Engine | Connection, **parameters: Any) -> list[Any] | None:
        """The first row, its values as the columns' types give them; None when there is none.

        On an engine outside of any transaction, on a connection inside of its own.
        """
        rows = self.raw(on, most=1, **parameters)
        return self.read(on.engine, rows[0]) if rows else None

    def raw(self, on: Engine | Connection, most: int | None = None, **parameters: Any) -> Sequence[Any]:
        """The rows as the driver gives them, `most` at most: enough to tell whether they changed."""
        engine = on.engine
        compiled = self._compiled.get(engine.dialect.name) or self._compile(engine.dialect)
        values = compiled.constants | {
            name: value if (bind := compiled.binders[name]) is None else bind(value)
            for name, value in parameters.items()
        }
        given = values if compiled.names is None else [values[name] for name in compiled.names]
        try:
            if on is not engine:
                return _fetched(engine, cast("Connection", on).connection, compiled.sql, given, most)
            connection = engine.raw_connection()
            try:
                return _fetched(engine, connection, compiled.sql, given, most)
            finally:
                connection.close()
        except engine.dialect.loaded_dbapi.Error as error:  # who asks knows those of SQLAlchemy
            of_driver = engine.dialect.loaded_dbapi.Error
            raise DBAPIError.instance(compiled.sql, None, error, of_driver, dialect=engine.dialect) from error

    def read(self, engine: Engine, row: Sequence[Any]) -> list[Any]:
        """The values of a raw row as the columns' types give them."""
        return [
            value if value is None or read is None else read(value)
            for value, read in zip(row, self._compiled[engine.dialect.name].readers, strict=True)
        ]

    def _compile(self, dialect: Dialect) -> _Compiled:
        made: Any = self._statement.compile(dialect=dialect)
        types = {name: bind.type.dialect_impl(dialect) for name, bind in made.binds.items()}
        columns = [column.type.dialect_impl(dialect) for column in self._statement.selected_columns]
        compiled = _Compiled(
            sql=str(made),
            names=list(made.positiontup) if made.positional else None,
            constants={n: made.binds[n].value for n in made.params if not made.binds[n].required},
            binders={name: kind.bind_processor(dialect) for name, kind in types.items()},
            # a driver gives floats as they are, and SQLAlchemy would ask for the number of its type first
            readers=[
                None if isinstance(kind, Float) else kind.result_processor(dialect, None) for kind in columns
            ],
        )
        self._compiled[dialect.name] = compiled
        return compiled


def _fetched(engine: Engine, connection: Any, sql: str, given: Any, most: int | None) -> Sequence[Any]:
    cursor = connection.cursor()
    for listener in engine.dispatch.before_cursor_execute:  # who counts queries counts this one too
        listener(connection, cursor, sql, given, None, False)
    cursor.execute(sql, given)
    rows: Sequence[Any] = cursor.fetchall() if most is None else cursor.fetchmany(most)
    cursor.close()
    return rows
