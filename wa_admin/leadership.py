"""Which of several schedulers leads: one at a time, and the next one soon after it ends, however it ends.

On SQLite a lock of the file system decides, on PostgreSQL a lock that belongs to a connection, and behind a
pooler, where connections belong to nobody, a row with a date. All of this only saves work: that nothing is
done twice rests on claims.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO, Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .crypto import new_token
from .extensions import is_pooled

PROBE_SECONDS = 2.0
LOST_AFTER_SECONDS = 10  # that a leader said nothing: it is frozen, or its machine is gone
DOUBT_AFTER_SECONDS = 7.0  # that nobody confirmed it, a leader no longer believes that it is one
LOCK = 7_283_466  # of PostgreSQL: any number that nobody else takes
ROW = "leader"

_log = logging.getLogger(__name__)


class Claim(Protocol):
    """On the lead; none of its methods raises."""

    def take(self) -> bool:
        """Lead from now on, unless somebody else does."""

    def is_held(self) -> bool:
        """Whether we still lead. To be asked again and again: this is what keeps the lead."""

    def give_up(self) -> None: ...


def claim_on(engine: Engine, data_dir: Path) -> Claim:
    """What decides here."""
    if engine.dialect.name == "sqlite":
        return FileLock(data_dir / "scheduler.lock")
    return OnServer(engine)


def name_of_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class FileLock:
    """The kernel gives it back the moment its holder is gone; no child inherits the descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> bool:
        file = self._path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def is_held(self) -> bool:
        return True

    def give_up(self) -> None:
        if self._file is not None:
            self._file.close()


class OnServer:
    """By a connection of its own, which no pool ever gets: a lock on it or, behind a pooler, a row."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._by: _Lock | _Row | None = None
        self._confirmed_at = 0.0
        self._is_away = False

    def take(self) -> bool:
        try:
            if self._connection is None:
                self._connect()
            assert self._by is not None
            is_ours = self._by.take(self._connection)
        except (SQLAlchemyError, self._driver_error) as error:
            if not self._is_away:
                _log.warning("the database does not answer (%s): asking again", type(error).__name__)
            self._is_away = True
            self._let_go()
            return False
        self._is_away = False
        self._confirmed_at = time.monotonic()
        return is_ours

    def is_held(self) -> bool:
        silent_for = time.monotonic() - self._confirmed_at
        if silent_for < PROBE_SECONDS:
            return True
        try:
            if self._connection is None:
                self._connect()
            assert self._by is not None
            if not self._by.confirm(self._connection):
                return False
        except (SQLAlchemyError, self._driver_error):
            self._let_go()
            return (
                self._by is not None and self._by.outlives_its_connection and silent_for < DOUBT_AFTER_SECONDS
            )
        self._confirmed_at = time.monotonic()
        return True

    def give_up(self) -> None:
        try:
            if self._connection is not None and self._by is not None:
                self._by.give_up(self._connection)
        except (SQLAlchemyError, self._driver_error):
            _log.debug("the lead runs out by itself")
        self._let_go()

    @property
    def _driver_error(self) -> type[Exception]:
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    def _connect(self) -> None:
        connection: Any = self._engine.raw_connection()
        connection.detach()
        self._connection = connection.dbapi_connection
        self._connection.autocommit = True
        if self._by is None:
            self._by = _Row() if is_pooled(self._connection) else _Lock()
        self._by.begin(self._connection)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Lock:
    outlives_its_connection = False

    def begin(self, connection: Any) -> None:
        # who is frozen keeps connections, but does not use them: the server ends this one
        connection.execute(f"SET idle_session_timeout = '{LOST_AFTER_SECONDS}s'")

    def take(self, connection: Any) -> bool:
        return _is_true(connection, f"SELECT pg_try_advisory_lock({LOCK})")

    def confirm(self, connection: Any) -> bool:
        return _is_true(connection, "SELECT true")

    def give_up(self, connection: Any) -> None:
        connection.execute(f"SELECT pg_advisory_unlock({LOCK})")


class _Row:
    outlives_its_connection = True

    def __init__(self) -> None:
        self._holder = f"{name_of_process()}:{new_token()}"[:120]

    def begin(self, connection: Any) -> None:
        """Its settings are those of whoever had it before."""

    def take(self, connection: Any) -> bool:
        return _is_true(
            connection,
            "INSERT INTO lease (name, holder, renewed_at) VALUES (%s, %s, clock_timestamp()) "
            "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, renewed_at = excluded.renewed_at "
            "WHERE lease.holder = excluded.holder "
            "OR lease.renewed_at < clock_timestamp() - make_interval(secs => %s) RETURNING true",
            ROW,
            self._holder,
            LOST_AFTER_SECONDS,
        )

    def confirm(self, connection: Any) -> bool:
        return _is_true(
            connection,
            "UPDATE lease SET renewed_at = clock_timestamp() WHERE name = %s AND holder = %s RETURNING true",
            ROW,
            self._holder,
        )

    def give_up(self, connection: Any) -> None:
        connection.execute("DELETE FROM lease WHERE name = %s AND holder = %s", (ROW, self._holder))


def _is_true(connection: Any, statement: str, *values: object) -> bool:
    row = connection.execute(statement, values or None).fetchone()
    return row is not None and row[0] is True
