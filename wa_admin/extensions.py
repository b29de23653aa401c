"""The only objects made at import time, and the one way to write to the database."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask_babel import Babel
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from . import storage

BUSY_SECONDS = 5
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"busy_timeout={1000 * BUSY_SECONDS}",
    "foreign_keys=ON",
    "cache_size=-1000",  # KB, of each connection: the kernel keeps pages as well, and once for all of them
)
# behind a pooler the role has to bring them
POSTGRESQL_SETTINGS = (
    "TIME ZONE 'UTC'",
    "statement_timeout = '60s'",
    "idle_in_transaction_session_timeout = '90s'",
)
# the second ends a process that is frozen while everybody waits for it
WHILE_WRITING = (
    f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{2 * BUSY_SECONDS}s'; "
)
# of PostgreSQL: any numbers that nobody else takes
_WRITERS, _SESSIONS = 7_283_464, 7_283


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
login_manager = LoginManager()
csrf = CSRFProtect()
babel = Babel()
htmx = Htmx()


@dataclass(frozen=True)
class _Reach:
    """What a write transaction keeps others from, and how PostgreSQL is told."""

    is_alone: bool
    locks: str


_ALONE = _Reach(True, f"{WHILE_WRITING}SELECT pg_advisory_xact_lock({_WRITERS})")
_BESIDE_OTHERS = _Reach(False, f"{WHILE_WRITING}SELECT pg_advisory_xact_lock_shared({_WRITERS})")
_MIGRATING = _Reach(True, f"SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({_WRITERS})")

_writing: contextvars.ContextVar[_Reach | None] = contextvars.ContextVar("writing", default=None)
# SQLite's busy handler is unfair between threads; one lock in the process keeps the tail short
_write_lock = threading.Lock()


@contextmanager
def writing(*, alone: bool = True, session_id: int | None = None) -> Iterator[None]:
    """One write transaction on db.session, committed at the end; a nested use joins the outer one.

    Whatever was read before is read again inside, so that a decision rests on what is true now, and nobody
    else writes until the end: SQLite has one writer, in PostgreSQL a lock is taken. What happens for every
    message would make that a queue of machines, so it can do with less: with `session_id` it is alone with
    what belongs to this session, without `alone` it locks the rows it decides on, or has a constraint
    decide. Never call a gateway in here. Raises OperationalError when others take longer than 5 s.
    """
    reach = _reach(alone, session_id)
    if outer := _writing.get():
        if reach.is_alone and not outer.is_alone:
            raise RuntimeError("this must write alone, and the transaction around it does not")
        yield
        return
    db.session.rollback()
    db.session.expire_all()  # a rollback forgets nothing when no transaction is open
    is_sqlite = db.engine.dialect.name == "sqlite"
    if is_sqlite and not _write_lock.acquire(timeout=BUSY_SECONDS):
        raise OperationalError("BEGIN", None, TimeoutError("database is locked"))
    token = _writing.set(reach)
    try:
        if not is_sqlite:
            db.session.connection()  # begins, so that what is read of the clock is not older than the locks
        yield
        db.session.commit()
        storage.note(None)
    except BaseException as error:
        db.session.rollback()
        if isinstance(error, DBAPIError) and (trouble := storage.trouble_of(error.orig)):
            storage.note(trouble)
        raise
    finally:
        _writing.reset(token)
        if is_sqlite:
            _write_lock.release()


def end_reading() -> None:
    """Before a gateway is called: no transaction stays open meanwhile, and what was read is kept."""
    db.session.commit()


@contextmanager
def writing_scope() -> Iterator[None]:
    """For a connection of one's own (migrations): its transactions take the write lock at once, however long
    that takes."""
    token = _writing.set(_MIGRATING)
    try:
        yield
    finally:
        _writing.reset(token)


def engine_options(url: str) -> dict[str, Any]:
    """How the pool of connections to this database is kept."""
    quiet = {"hide_parameters": True}  # an error would quote what a customer wrote
    if url.startswith("sqlite"):
        return quiet
    return quiet | {
        "pool_size": 10,  # the threads of a panel, and two
        "max_overflow": 22,  # the threads of a scheduler, which wait for gateways and not for us
        "pool_timeout": BUSY_SECONDS,
        "pool_pre_ping": True,  # a database that was started again is not noticed by anybody
        # a machine that is gone does not say so
        "connect_args": {
            "connect_timeout": BUSY_SECONDS,
            "application_name": "wa-admin",
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    }


def will_pass(error: SQLAlchemyError) -> bool:
    """Whether the same may succeed in some seconds: the database is busy or away, or cannot write."""
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, DBAPIError) and storage.trouble_of(error.orig):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if type(error.orig).__module__.startswith("psycopg"):
        return True  # what it calls operational: no connection, a lock held for long, a deadlock, no room
    return "locked" in str(error.orig) or "busy" in str(error.orig)


def is_pooled(connection: Any) -> bool:
    """Whether a pooler such as PgBouncer stands between us and PostgreSQL: it makes up the numbers that
    it gives its clients. What belongs to a connection of psycopg then may reach another one."""
    (there,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(there != connection.info.backend_pid)


def _reach(alone: bool, session_id: int | None) -> _Reach:
    if session_id is not None:
        lock = f"pg_advisory_xact_lock({_SESSIONS}, {session_id:d})"
        return _Reach(False, f"{_BESIDE_OTHERS.locks}, {lock}")
    return _ALONE if alone else _BESIDE_OTHERS


@event.listens_for(Session, "before_flush")
def _only_while_writing(*_: Any) -> None:
    if not _writing.get():
        raise RuntimeError("a row was changed outside of `with writing()`")


@event.listens_for(Engine, "connect")
def _set_up(connection: Any, _: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        # the driver would open transactions too late: our "begin" below does it
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    elif type(connection).__module__.startswith("psycopg"):
        connection.autocommit = True
        if is_pooled(connection):
            connection.prepare_threshold = None  # the next transaction may meet another server process
        else:
            connection.execute("; ".join(f"SET {setting}" for setting in POSTGRESQL_SETTINGS))
        connection.autocommit = False


@event.listens_for(Engine, "begin")
def _begin(connection: Any) -> None:
    # A deferred transaction that reads first cannot be upgraded once another has written ("database is
    # locked" in spite of the busy timeout): writers take the lock at once, readers never wait.
    reach = _writing.get()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if reach else "BEGIN")
    elif reach:
        connection.exec_driver_sql(reach.locks)
