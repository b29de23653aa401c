"""Which of several schedulers leads: one at a time, and the next one soon after it ends or freezes.

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
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .crypto import new_token
from .extensions import is_pooled

PROBE_SECONDS = 2.0
LOST_AFTER_SECONDS = 10  # that a leader said nothing: it is frozen, or its machine is gone
DOUBT_AFTER_SECONDS = 7.0  # that nobody confirmed it, a leader no longer believes that it is one
LOCK = 7_283_466  # of PostgreSQL: any number that nobody else takes
ROW = "leader"
LEADS = b"leads\n"  # in the file that a leader has locked

_log = logging.getLogger(__name__)


class Claim(Protocol):
    """On the lead; none of its methods raises for a database that is away."""

    def take(self) -> bool:
        """Lead from now on, unless somebody else does."""

    def is_held(self) -> bool:
        """Whether we still lead. To be asked again and again: this is what keeps the lead."""

    def stands(self) -> bool:
        """Whether nobody can have taken over yet. Costs nothing, and any thread may ask: before it acts, for
        it may have been frozen since anybody asked `is_held`."""

    def give_up(self) -> None: ...


def claim_on(engine: Engine, data_dir: Path) -> Claim:
    """What decides here."""
    if engine.dialect.name == "sqlite":
        return FileLock(data_dir / "scheduler.lock")
    return OnServer(engine)


def name_of_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class FileLock:
    """The kernel gives it back the moment its holder is gone; no child inherits the descriptor.

    Who is frozen keeps it. So its holder touches the file again and again, and whoever sees nothing of that
    for too long puts one of its own in its place: who has locked the file of that name leads.
    """

    def __init__(self, path: Path, lost_after_seconds: float = LOST_AFTER_SECONDS) -> None:
        self._path = path
        self._lost_after_seconds = lost_after_seconds
        self._file: int | None = None
        self._touched_at = 0.0
        self._seen: tuple[int, int] | None = None  # of somebody else's file: which it is, and when touched
        self._seen_at = 0.0  # for the first time, by a clock that nobody sets

    def take(self) -> bool:
        """Raises OSError where no file can be made."""
        file = _locked(self._path)
        if file is None and self._holder_is_frozen():
            file = self._put_in_its_place()
        self._file = file
        if file is None or not self.stands():
            self.give_up()
            return False
        os.pwrite(file, LEADS, 0)
        return True

    def is_held(self) -> bool:
        if self.stands() and time.monotonic() - self._touched_at >= self._lost_after_seconds / 5:
            assert self._file is not None
            with suppress(OSError):  # nobody can put another one there either
                os.utime(self._file)
            self._touched_at = time.monotonic()
        return self.stands()

    def stands(self) -> bool:
        with suppress(OSError):
            return self._file is not None and os.path.samestat(os.fstat(self._file), self._path.stat())
        return False

    def give_up(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _holder_is_frozen(self) -> bool:
        """Never so of a restore, which holds the lock for as long as it takes and touches nothing."""
        there = self._path.stat()
        seen = there.st_ino, there.st_mtime_ns
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        is_late = time.monotonic() - self._seen_at > self._lost_after_seconds
        return is_late and self._path.read_bytes() == LEADS

    def _put_in_its_place(self) -> int | None:
        draft = self._path.with_name(f"{self._path.stem}-{os.getpid()}.lock")
        file = _locked(draft)
        if file is not None:
            draft.replace(self._path)
        return file


def _locked(path: Path) -> int | None:
    """The file, unless somebody else has locked it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


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

    def stands(self) -> bool:
        return time.monotonic() - self._confirmed_at < DOUBT_AFTER_SECONDS

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
