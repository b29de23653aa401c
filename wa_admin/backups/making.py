"""Write a backup while everything runs."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from .. import clock
from ..config import Settings
from ..refusal import Refusal
from . import archive, record, snapshot
from .archive import About, Manifest, Progress
from .places import SCRATCH, Places, one_backup

NAME, PATTERN = "wa-admin-{:%Y%m%d-%H%M%S}.backup", "wa-admin-????????-??????.backup"


class AlreadyThere(Refusal):
    code = "file_exists"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already: --force overwrites it.")


class CannotWrite(Refusal):
    code = "cannot_write"

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}")


@dataclass(frozen=True)
class Backup:
    """One that was written; `seconds` is how long that took."""

    path: Path
    size_bytes: int
    seconds: float
    about: About
    manifest: Manifest


def make(
    wanted: Settings, revision: str, path: Path, passphrase: str, *, force: bool, progress: Progress
) -> Backup:
    """Everything into one file, 0600, that appears whole or not at all.

    Raises AlreadyThere, CannotWrite, BackupRuns, NoRoom, DamagedDatabase, NoTool, ToolFailed.
    """
    began = time.monotonic()
    places = Places.told_by({"WA_DATA_DIR": str(wanted.data_dir), "WA_DATABASE_URL": wanted.database_url})
    about = About(
        made_at=clock.now().isoformat(timespec="seconds"),
        version=version("wa-admin"),
        database="postgresql" if places.is_postgresql else "sqlite",
        revision=revision,
    )
    with (
        one_backup(wanted.data_dir),
        _whole(path, force) as out,
        tempfile.TemporaryDirectory(prefix=SCRATCH, dir=wanted.data_dir) as scratch,
    ):
        members = snapshot.members(wanted, places, Path(scratch), progress)
        manifest = archive.write(out, passphrase, about, members, progress)
    size = path.stat().st_size
    record.note(wanted.data_dir, record.Last(about.moment, path.name, size))
    return Backup(path, size, time.monotonic() - began, about, manifest)


def place(path: Path, now: datetime) -> Path:
    """The file to write: in a directory, one named after the moment."""
    return path / NAME.format(now) if path.is_dir() else path


def keep(directory: Path, count: int) -> list[Path]:
    """Remove all but the newest backups that `place` named; which."""
    old = sorted(directory.glob(PATTERN))[:-count]
    for path in old:
        path.unlink()
    return old


@contextmanager
def _whole(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A file of another name that takes its own when all of it is on disk."""
    if path.exists() and not force:
        raise AlreadyThere(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            if path.exists() and not force:  # since somebody else wrote it meanwhile
                raise AlreadyThere(path)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise CannotWrite(path, error) from error


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
