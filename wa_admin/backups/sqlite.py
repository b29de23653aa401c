"""Copies of SQLite databases that others write to at the same time."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ..refusal import Refusal

MAGIC = b"SQLite format 3\0"
PAGES_AT_ONCE = 512
SPARE_BYTES = 32 * 1024 * 1024
LOG_SUFFIXES = ("-wal", "-shm", "-journal")


class NoRoom(Refusal):
    code = "disk_full"

    def __init__(self, place: Path, needed_bytes: int) -> None:
        super().__init__(
            f"There is no room for a copy in {place}: {needed_bytes // 1024**2 + 1} MB are needed."
        )


class DamagedDatabase(Refusal):
    code = "database_damaged"

    def __init__(self, path: Path, verdict: str) -> None:
        super().__init__(f"The database {path} is damaged: {verdict[:200]}")


def copy(source: Path, target: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
    """`source` as it is at this moment, with what is still in its log; nobody has to wait meanwhile.

    `progress` is told bytes. Raises NoRoom, DamagedDatabase; leaves no half copy behind.
    """
    size = size_bytes(source)
    if shutil.disk_usage(target.parent).free < size + SPARE_BYTES:
        raise NoRoom(target.parent, size + SPARE_BYTES)
    try:
        _copy(source, target, size, progress)
    except (OSError, sqlite3.Error) as error:
        remove(target)
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, OSError) or name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise NoRoom(target.parent, size + SPARE_BYTES) from error
        raise DamagedDatabase(source, str(error)) from error
    except BaseException:
        remove(target)
        raise


def _copy(source: Path, target: Path, size: int, progress: Callable[[int, int], None]) -> None:
    with closing(_open(source)) as one, closing(sqlite3.connect(target, isolation_level=None)) as other:
        target.chmod(0o600)
        other.execute("PRAGMA synchronous=OFF")  # half of it is worth nothing anyway
        # one snapshot for all the pages: otherwise it begins anew whenever somebody writes
        one.execute("BEGIN")
        one.execute("SELECT count(*) FROM sqlite_master").fetchone()
        one.backup(
            other,
            pages=PAGES_AT_ONCE,
            progress=lambda _, left, pages: progress(size * (pages - left) // max(pages, 1), size),
        )
        one.execute("ROLLBACK")
        verdict = str(other.execute("PRAGMA quick_check").fetchone()[0])
    if verdict != "ok":
        raise DamagedDatabase(source, verdict)


def is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def size_bytes(database: Path) -> int:
    """With what has not been written back yet."""
    files = (database, database.with_name(f"{database.name}-wal"))
    return sum(path.stat().st_size for path in files if path.exists())


def is_open_elsewhere(database: Path) -> bool:
    """Whether another process holds it open; every connection to a database with a log does."""
    with closing(_open(database, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                return True
            raise
        connection.execute("ROLLBACK")
    return False


def remove(database: Path) -> None:
    for suffix in ("", *LOG_SUFFIXES):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _open(path: Path, timeout: float = 30) -> sqlite3.Connection:
    """For reading, yet with the right to take back what a crash left half written."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=timeout, isolation_level=None
    )
