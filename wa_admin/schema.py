"""Whether the database has the tables of this version, found out without Alembic, which takes as long to load
as a third of the panel."""

from __future__ import annotations

from pathlib import Path

from flask import current_app
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from .extensions import db

UNDEFINED_TABLE = "42P01"  # of PostgreSQL


def is_current() -> bool:
    return here() == newest()


def here() -> str | None:
    """The revision of the database; None for one without tables. Raises DBAPIError when it says nothing."""
    try:
        with db.engine.connect() as connection:
            found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found
    except (OperationalError, ProgrammingError) as error:
        if _has_no_tables(error.orig):
            return None
        raise


def newest() -> str:
    """The revision that this version wants, by which the files of the migrations are named."""
    last = max(Path(current_app.config["MIGRATIONS"], "versions").glob("[0-9]*.py"))
    return last.name.partition("_")[0]


def _has_no_tables(error: object) -> bool:
    return getattr(error, "sqlstate", None) == UNDEFINED_TABLE or "no such table" in str(error)
