"""Why a database cannot write although it answers: no room is left, or it is read-only."""

from __future__ import annotations

import time
from typing import Any

FULL, READ_ONLY = "storage_full", "storage_read_only"
TOLD_FOR_SECONDS = 60.0  # after that, the next write finds out again

_OF_SQLITE = {
    "SQLITE_FULL": FULL,
    "SQLITE_IOERR_WRITE": FULL,  # a quota, unlike a full disk, is no case of its own
    "SQLITE_IOERR_SHMSIZE": FULL,
    "SQLITE_CANTOPEN": READ_ONLY,
}
_OF_POSTGRESQL = {"53100": FULL, "25006": READ_ONLY}  # disk_full, read_only_sql_transaction

_last: tuple[str, float] | None = None


def trouble_of(error: Any) -> str | None:
    """FULL or READ_ONLY when an error of the database means that, from the driver's own exception."""
    if state := getattr(error, "sqlstate", None):
        return _OF_POSTGRESQL.get(state)
    name = getattr(error, "sqlite_errorname", None) or ""
    return READ_ONLY if name.startswith("SQLITE_READONLY") else _OF_SQLITE.get(name)


def note(trouble: str | None) -> None:
    """How the last write went: with None it went through."""
    global _last
    if trouble or _last:
        _last = (trouble, time.monotonic()) if trouble else None


def trouble_now() -> str | None:
    """What kept the last write of this process from going through, if that was lately."""
    if _last is None or time.monotonic() - _last[1] > TOLD_FOR_SECONDS:
        return None
    return _last[0]
