"""Where the panel keeps things, found without making any of them; and whether anybody works there."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from .. import config
from ..refusal import Refusal
from . import sqlite

SCRATCH = ".backup-"
KEYS = ("secret.key", "encryption.keys", "gateway.key")
# held by the supervisor, the scheduler, the gateway and panels as long as they live
LOCKS = ("up.lock", "scheduler.lock", "gateway/lock", config.PANEL_LOCK)


class InUse(Refusal):
    code = "data_dir_in_use"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"wa-admin runs on {data_dir}: stop it first.")


class BackupRuns(Refusal):
    code = "backup_runs"

    def __init__(self) -> None:
        super().__init__("Another backup is being written: wait for it.")


@dataclass(frozen=True)
class Places:
    """`database` is the panel's SQLite file, None where it is PostgreSQL."""

    data_dir: Path
    database_url: str
    database: Path | None

    @classmethod
    def told_by(cls, environ: Mapping[str, str]) -> Places:
        """Raises BadSetting."""
        data_dir, url = config.places(environ)
        if not url.startswith("sqlite"):
            return cls(data_dir, url, None)
        # a relative one is relative to the data directory: Flask-SQLAlchemy
        return cls(data_dir, url, data_dir / (make_url(url).database or ""))

    @property
    def is_postgresql(self) -> bool:
        return self.database is None


@contextmanager
def alone(places: Places) -> Iterator[None]:
    """Nobody else works there, and nobody starts to. Raises InUse."""
    with ExitStack() as held:
        for name in LOCKS:
            path = places.data_dir / name
            if path.parent.is_dir():
                held.enter_context(_locked(path, InUse(places.data_dir)))
        # a panel under another server than ours holds no lock, but the database
        if places.database and _is_busy(places.database):
            raise InUse(places.data_dir)
        yield


@contextmanager
def one_backup(data_dir: Path) -> Iterator[None]:
    """No second one at the same time; what one that was killed left behind goes. Raises BackupRuns."""
    with _locked(data_dir / "backup.lock", BackupRuns()):
        for left in data_dir.glob(f"{SCRATCH}*"):
            shutil.rmtree(left)
        yield


@contextmanager
def _locked(path: Path, or_else: Refusal) -> Iterator[None]:
    """The kernel gives it back the moment we are gone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise or_else from error
        os.truncate(descriptor, 0)  # of a scheduler that led: the next one would think that it is frozen
        yield
    finally:
        os.close(descriptor)


def _is_busy(database: Path) -> bool:
    return database.exists() and sqlite.is_database(database) and sqlite.is_open_elsewhere(database)
