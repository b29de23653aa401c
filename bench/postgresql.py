"""A PostgreSQL server for the time of a section: that of the tests, with which a commit does not wait for
the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import databases
from sqlalchemy import text

from wa_admin.extensions import db


@contextmanager
def server() -> Iterator[databases.Server]:
    one = databases.Server()
    try:
        yield one
    finally:
        one.remove()


def settle() -> None:
    """Have it look at what was written, as it does by itself, but not at once. Nothing on SQLite."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def backend() -> int | None:
    """The process that serves the connection which is used next; None on SQLite."""
    if db.engine.dialect.name == "sqlite":
        return None
    number: int | None = db.session.scalar(text("SELECT pg_backend_pid()"))
    db.session.rollback()
    return number


def cpu_with_ours(backend: int | None) -> float:
    """CPU seconds of this process and of that one, which has one thread."""
    theirs = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9 if backend else 0.0
    return time.process_time() + theirs
