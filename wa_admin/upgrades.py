"""The schema of the database brought up to date, and a copy of how it was before, where that is one file."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import Migrate
from flask_migrate import upgrade as migrate
from sqlalchemy import Engine

from .app import settings
from .backups import sqlite
from .extensions import db
from .refusal import Refusal

COPIES = 2
_HERE = Path(__file__).parent
# in a wheel they lie beside this file, in a checkout one above
MIGRATIONS = next(place for place in (_HERE / "migrations", _HERE.parent / "migrations") if place.is_dir())

_log = logging.getLogger(__name__)


class NoRoomToUpgrade(Refusal):
    code = "no_room_to_upgrade"

    def __init__(self, needed_bytes: int, place: Path) -> None:
        super().__init__(
            f"The database needs an upgrade, and {place} has no room for a copy of it first: make "
            f"{needed_bytes // 1024**2 + 1} MB free. Nothing was changed."
        )


class TooNew(Refusal):
    code = "database_too_new"

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database is of a newer wa-admin (its revision is {revision}): install that one again, or "
            "restore a backup. Nothing was changed."
        )


def upgrade(*, keeps_copy: bool = True) -> None:
    """To the newest schema. Raises ClickException with a sentence before anything has changed."""
    if "migrate" not in current_app.extensions:
        Migrate(current_app, db, directory=current_app.config["MIGRATIONS"])
    current_app.config["COPY_BEFORE_UPGRADE"] = keeps_copy
    migrate()


def known_revisions() -> list[str]:
    """From the newest to the first."""
    return [one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]


def prepare(wanted_revision: str | None) -> None:
    """Called by `migrations/env.py` before it changes the schema. Raises NoRoomToUpgrade, TooNew."""
    here = revision(db.engine)
    if here is None or here == wanted_revision:
        return
    if here not in known_revisions():
        raise TooNew(here)
    if not current_app.config.get("COPY_BEFORE_UPGRADE", True):
        return
    if db.engine.dialect.name != "sqlite":
        _log.warning("the database is upgraded from %s to %s: have a backup", here, wanted_revision)
    elif (path := db.engine.url.database) and Path(path).is_file():
        _keep_copy(Path(path), settings().data_dir / f"before-{wanted_revision}.db")


def revision(engine: Engine) -> str | None:
    """Of the schema as it is; None in an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _keep_copy(database: Path, target: Path) -> None:
    """Besides the copy, the migration itself may write every table anew."""
    needed = 3 * sqlite.size_bytes(database) + sqlite.SPARE_BYTES
    if shutil.disk_usage(target.parent).free < needed:
        raise NoRoomToUpgrade(needed, target.parent)
    draft = target.with_suffix(".draft")
    sqlite.remove(draft)
    try:
        sqlite.copy(database, draft)
    except sqlite.NoRoom as error:
        raise NoRoomToUpgrade(needed, target.parent) from error
    draft.replace(target)
    _log.info("the database as it was before the upgrade is kept in %s", target.name)
    kept = sorted(target.parent.glob("before-*.db"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-COPIES]:
        old.unlink()
