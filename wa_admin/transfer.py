"""From one database to another: SQLite to PostgreSQL, and back.

Rows go over as they are, sealed values included, so the new place needs the same keys. All of it is one
transaction there: what breaks in between leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import (
    Connection,
    Engine,
    LargeBinary,
    Table,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
)

from . import clock, upgrades
from .app import create_app
from .extensions import Base, db, engine_options, writing_scope
from .models import AuditEntry, Lease, Workspace
from .refusal import Refusal

ROWS, ROWS_WITH_FILES = 1000, 5  # in memory at a time
RUNS_IF_SEEN_WITHIN = timedelta(seconds=20)  # whoever follows the timetable says so every 5

Tell = Callable[[str, int], None]  # table and rows


class CannotCopy(Refusal):
    code = "cannot_copy"


def copy(source_url: str, target_url: str, tell: Tell) -> int:
    """Copy everything; how many rows that are. `tell` hears of each table when it is done.

    The target must be empty; it gets its tables here. Raises CannotCopy before anything is written.
    """
    source = create_engine(source_url, **engine_options(source_url))
    target = create_engine(target_url, **engine_options(target_url))
    try:
        _refuse_unfit(source)
        _make_tables(target, target_url)
        _refuse_unlike(source, target)
        with source.connect() as here:
            if source.dialect.name == "postgresql":
                here.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            here.execute(select(func.count()).select_from(Workspace))  # what is seen is of one moment
            with writing_scope(), target.begin() as there:
                return _copy_all(here, there, tell)
    finally:
        source.dispose()
        target.dispose()


def tables() -> list[Table]:
    """Those that go over, each after those it refers to; who leads is found out anew."""
    return [table for table in Base.metadata.sorted_tables if table is not Lease.__table__]


def _refuse_unfit(source: Engine) -> None:
    if source.dialect.name == "sqlite" and not os.path.isfile(source.url.database or ""):  # noqa: PTH113
        raise CannotCopy(f"There is no database at {source.url.database}.")
    if (revision := upgrades.revision(source)) is None:
        raise CannotCopy("The database to copy from holds nothing of wa-admin.")
    if revision != (newest := upgrades.known_revisions()[0]):
        raise CannotCopy(
            f"The database to copy from is of another version (revision {revision}, not {newest}): bring it "
            "up to date with `wa-admin db upgrade` first."
        )
    with source.connect() as connection:
        seen_at = connection.scalar(select(func.max(Lease.renewed_at)))
    if seen_at is not None and clock.now() - seen_at < RUNS_IF_SEEN_WITHIN:
        raise CannotCopy("wa-admin runs on the database to copy from: stop it, wait 20 seconds, try again.")


def _make_tables(target: Engine, url: str) -> None:
    if inspect(target).get_table_names():
        return
    with create_app({**os.environ, "WA_DATABASE_URL": url}).app_context():
        upgrades.upgrade(keeps_copy=False)
        db.engine.dispose()


def _refuse_unlike(source: Engine, target: Engine) -> None:
    here, there = upgrades.revision(source), upgrades.revision(target)
    if here != there:
        raise CannotCopy(f"The databases are of different versions (revisions {here} and {there}).")
    with target.connect() as connection:
        for table in tables():
            of_migration = table is Workspace.__table__
            if connection.scalar(select(func.count()).select_from(table)) and not of_migration:
                raise CannotCopy(f"The database to copy to is not empty: it has rows in {table.name}.")


def _copy_all(here: Connection, there: Connection, tell: Tell) -> int:
    there.execute(delete(Workspace))  # the one that the migration made
    total = 0
    for table in tables():
        count = _copy_table(table, here, there)
        stored = there.scalar(select(func.count()).select_from(table))
        if stored != count:
            raise CannotCopy(f"Of {count} rows in {table.name}, {stored} arrived. Nothing was kept.")
        _count_on(table, there)
        tell(table.name, count)
        total += count
    _compare_audit(here, there)
    return total


def _copy_table(table: Table, here: Connection, there: Connection) -> int:
    has_files = any(isinstance(column.type, LargeBinary) for column in table.c)
    at_once = ROWS_WITH_FILES if has_files else ROWS
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=at_once)
    count = 0
    with here.execute(query) as rows:
        for some in rows.mappings().partitions():
            there.execute(insert(table), [dict(row) for row in some])
            count += len(some)
    return count


def _count_on(table: Table, there: Connection) -> None:
    """The next row gets the number after the last one: SQLite sees to that by itself."""
    number = table.autoincrement_column
    if there.dialect.name == "postgresql" and number is not None:
        sequence = func.pg_get_serial_sequence(f'"{table.name}"', number.name)
        there.execute(select(func.setval(sequence, func.max(number))).having(func.max(number).is_not(None)))


def _compare_audit(here: Connection, there: Connection) -> None:
    """Its hashes are made of values: that they came over to the letter shows that all did."""
    last = select(AuditEntry.__table__).order_by(AuditEntry.id.desc()).limit(500)
    if here.execute(last).mappings().all() != there.execute(last).mappings().all():
        raise CannotCopy("The audit log did not come over as it was. Nothing was kept.")
