"""The keys that seal secrets: a new one for all that is stored, and the end of the old ones.

Whatever is sealed lies in columns called `sealed_…`; the bundled gateway sees to its own database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Table, select, update

from ..crypto import Vault, WrongEncryptionKey
from ..extensions import Base, db, writing

AT_ONCE = 500  # rows of one transaction


def unreadable(vault: Vault) -> str | None:
    """Why the first secret that these keys do not open stays closed; None when they open all of them."""
    for table, column in _sealed():
        for _, sealed in _rows(table, column):
            try:
                vault.open(sealed)
            except WrongEncryptionKey as error:
                return f"{table.name}: {error}"
    return None


def left_of_older(vault: Vault) -> int:
    """How many secrets still need a key that is not the newest."""
    return sum(
        not vault.is_by_newest(sealed) for table, column in _sealed() for _, sealed in _rows(table, column)
    )


def reseal(vault: Vault) -> int:
    """Seal with the newest key what an older one holds; how many secrets that were.

    While the panel runs, too: what changes meanwhile is left as it is, and was sealed with the newest key
    then. Raises WrongEncryptionKey; what came before is sealed already then, and stays readable.
    """
    count = 0
    for table, column in _sealed():
        chunk: list[tuple[Any, str]] = []
        for row in _rows(table, column):
            if not vault.is_by_newest(row[1]):
                chunk.append(row)
            if len(chunk) == AT_ONCE:
                count += _write(table, column, chunk, vault)
                chunk = []
        count += _write(table, column, chunk, vault)
    return count


def wipe_log() -> None:
    """Leave no trace of the old ciphertexts in SQLite's log."""
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sealed() -> Iterator[tuple[Table, Column[Any]]]:
    for table in Base.metadata.sorted_tables:
        for column in table.c:
            if column.name.startswith("sealed_"):
                yield table, column


def _rows(table: Table, column: Column[Any]) -> Iterator[tuple[Any, str]]:
    """Key and secret of each row that has one, so many at a time, and no transaction open in between."""
    (key,) = table.primary_key.columns
    last = None
    while True:
        query = select(key, column).where(column.is_not(None), column != "").order_by(key).limit(AT_ONCE)
        with db.engine.connect() as connection:
            rows = connection.execute(query if last is None else query.where(key > last)).all()
        yield from ((row[0], row[1]) for row in rows)
        if len(rows) < AT_ONCE:
            return
        last = rows[-1][0]


def _write(table: Table, column: Column[Any], rows: list[tuple[Any, str]], vault: Vault) -> int:
    (key,) = table.primary_key.columns
    with writing():
        connection = db.session.connection()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        for id, sealed in rows:
            unchanged = (key == id) & (column == sealed)
            renewed = {column.name: vault.seal(vault.open(sealed))}
            connection.execute(update(table).where(unchanged).values(renewed))
    return len(rows)
