"""The only objects made at import time, and the one way to write to the database."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask_babel import Babel
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

BUSY_SECONDS = 5
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"busy_timeout={1000 * BUSY_SECONDS}",
    "foreign_keys=ON",
)


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
login_manager = LoginManager()
csrf = CSRFProtect()
babel = Babel()
htmx = Htmx()

_writing: contextvars.ContextVar[bool] = contextvars.ContextVar("writing", default=False)
# SQLite's busy handler is unfair between threads; one lock in the process keeps the tail short
_write_lock = threading.Lock()


@contextmanager
def writing() -> Iterator[None]:
    """One write transaction on db.session, committed at the end; a nested use joins the outer one.

    Whatever was read before is read again inside, so that a decision rests on what is true now.
    Never call a gateway in here. Raises OperationalError when the database stays locked for 5 s.
    """
    if _writing.get():
        yield
        return
    db.session.rollback()
    db.session.expire_all()  # a rollback forgets nothing when no transaction is open
    if not _write_lock.acquire(timeout=BUSY_SECONDS):
        raise OperationalError("BEGIN", None, TimeoutError("database is locked"))
    token = _writing.set(True)
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _writing.reset(token)
        _write_lock.release()


@contextmanager
def writing_scope() -> Iterator[None]:
    """For a connection of one's own (migrations): its transactions take the write lock at once."""
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)


@event.listens_for(Session, "before_flush")
def _only_while_writing(*_: Any) -> None:
    if not _writing.get():
        raise RuntimeError("a row was changed outside of `with writing()`")


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: Any, _: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        # the driver would open transactions too late: our "begin" below does it
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin(connection: Any) -> None:
    # A deferred transaction that reads first cannot be upgraded once another has written ("database is
    # locked" in spite of the busy timeout): writers take the lock at once, readers never wait.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")
