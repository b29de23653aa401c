"""Put a backup in place of what is there: check everything, make it ready beside, then change places.

The data directory itself may be a mount point, which cannot be renamed: so what is in it moves to
`before-restore-…`, and what is ready in `restoring` moves up. As long as `restoring` is there nothing starts,
so that a restore which was cut short is never taken for a whole one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from .. import config, upgrades
from ..app import create_app
from ..crypto import key_id
from ..extensions import db
from ..refusal import Refusal
from ..services import restored
from ..services.restored import Settled
from . import archive, postgresql, record, snapshot
from .archive import About, Manifest, Progress
from .places import KEYS, LOCKS, Places, alone

DATABASE, DUMP = "wa-admin.db", "panel.dump"
ASIDE = f"{snapshot.ASIDE}restore-{{:%Y%m%d-%H%M%S}}"


class TooNew(Refusal):
    code = "backup_too_new"

    def __init__(self, about: About) -> None:
        super().__init__(
            f"This backup was made by wa-admin {about.version}, whose database (revision {about.revision}) "
            f"is newer than what this version knows: install wa-admin {about.version} or newer first."
        )


class OtherDatabase(Refusal):
    code = "other_database"

    def __init__(self, of_backup: str, here: str) -> None:
        super().__init__(
            f"This backup holds a {of_backup} database, and WA_DATABASE_URL names {here}: restore it with "
            f"{of_backup} first, then move with `wa-admin db-copy`."
        )


class OtherKeys(Refusal):
    code = "other_keys"

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"WA_ENCRYPTION_KEYS is set and does not hold the key {missing} of this backup: take it out of "
            "the environment, since the restore brings the keys as a file, or add that key."
        )


class NotEmpty(Refusal):
    code = "data_dir_not_empty"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"{data_dir} holds data already. --yes moves it aside, into a directory beside the restored "
            "files; nothing is deleted."
        )


class NoRoom(Refusal):
    code = "disk_full"

    def __init__(self, data_dir: Path, error: OSError) -> None:
        super().__init__(f"The backup does not fit into {data_dir}: {error.strerror or error}.")


@dataclass(frozen=True)
class Restored:
    """`aside` is where the old files are, if there were any."""

    about: About
    manifest: Manifest
    settled: Settled
    data_dir: Path
    aside: Path | None


def check(path: Path, passphrase: str, progress: Progress) -> tuple[About, Manifest]:
    """Read all of it and touch nothing. Raises NotABackup, WrongPassphrase, Damaged, TooNew."""
    with path.open("rb") as source:
        return archive.read(source, passphrase, _refuse_newer, lambda name, file: None, progress)


def restore(
    path: Path,
    passphrase: str,
    environ: Mapping[str, str],
    now: datetime,
    *,
    may_move_aside: bool,
    progress: Progress,
) -> Restored:
    """Everything as it was when the backup was made, except that nothing is sent by itself.

    Raises InUse, NotEmpty, OtherDatabase, OtherKeys, NoRoom and what `check` raises; then nothing has
    changed.
    """
    places = Places.told_by(environ)
    config.make_private_directory(places.data_dir)
    with alone(places):
        if _old(places) and not may_move_aside and not _is_new(places):
            raise NotEmpty(places.data_dir)
        if places.is_postgresql:
            postgresql.check_empty(places.database_url)
        with _staging(places) as staging:
            about, manifest = _unpack(path, passphrase, environ, places, staging, progress)
            settled = _made_ready(about, places, environ, staging, now)
            record.note(staging, record.Last(about.moment, path.name, path.stat().st_size))
        aside = _change_places(places, staging, now)
        shutil.rmtree(staging)
    return Restored(about, manifest, settled, places.data_dir, aside)


# --- checks ----------------------------------------------------------------------------------------


def _refuse_newer(about: About) -> None:
    if about.revision not in upgrades.known_revisions():
        raise TooNew(about)


def _refuse_unfit(about: About, places: Places) -> None:
    _refuse_newer(about)
    here = "postgresql" if places.is_postgresql else "sqlite"
    if about.database != here:
        raise OtherDatabase(about.database, here)


def _refuse_other_keys(staging: Path, environ: Mapping[str, str]) -> None:
    if not (environ.get("WA_ENCRYPTION_KEYS") or environ.get("WA_ENCRYPTION_KEYS_FILE")):
        return
    set_here = {key_id(key) for key in config.encryption_keys(environ, staging)}
    needed = (staging / "encryption.keys").read_text().split()
    for key in needed[:1]:
        if key_id(key) not in set_here:
            raise OtherKeys(key_id(key))


def _is_new(places: Places) -> bool:
    """Only what the first command of all makes, whichever it is."""
    return all(path.name in (*KEYS, snapshot.COMPILED) for path in _old(places))


# --- steps -----------------------------------------------------------------------------------------


@contextmanager
def _staging(places: Places) -> Iterator[Path]:
    """An empty directory to make everything ready in; gone again when that fails."""
    staging = places.data_dir / config.RESTORING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        yield staging
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError):
            raise NoRoom(places.data_dir, error) from error
        raise


def _unpack(
    path: Path,
    passphrase: str,
    environ: Mapping[str, str],
    places: Places,
    staging: Path,
    progress: Progress,
) -> tuple[About, Manifest]:
    def take(name: str, file: IO[bytes]) -> None:
        target = staging / _place(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(file, out, archive.PIECE_BYTES)

    with path.open("rb") as source:
        found = archive.read(source, passphrase, lambda about: _refuse_unfit(about, places), take, progress)
    _refuse_other_keys(staging, environ)
    return found


def _place(name: str) -> str:
    """Where a member lies in the data directory."""
    if name == snapshot.DATABASE:
        return DATABASE
    if name == snapshot.DUMP:
        return DUMP
    return name.removeprefix("keys/").removeprefix(snapshot.DATA)


def _made_ready(
    about: About, places: Places, environ: Mapping[str, str], staging: Path, now: datetime
) -> Settled:
    """Load PostgreSQL, bring the schema up to date, and hold back everything that waits."""
    here = {name: value for name, value in environ.items() if name.startswith("WA_")}
    here["WA_DATA_DIR"] = str(staging)
    if places.is_postgresql:
        postgresql.load(places.database_url, staging / DUMP)
        (staging / DUMP).unlink()
    else:
        here = {name: value for name, value in here.items() if not name.startswith("WA_DATABASE_URL")}
    with create_app(here).app_context():
        upgrades.upgrade(keeps_copy=False)
        settled = restored.settle(about.moment, now)
        db.session.remove()
        db.engine.dispose()
    return settled


def _change_places(places: Places, staging: Path, now: datetime) -> Path | None:
    old, aside = _old(places), places.data_dir / ASIDE.format(now)
    if old:
        aside.mkdir(mode=0o700)
    for path in old:
        shutil.move(path, aside / path.name)
    for path in sorted(staging.iterdir()):
        target = places.data_dir / path.name
        if path.name == DATABASE and places.database:
            target = places.database
        shutil.move(path, target)
    return aside if old else None


def _old(places: Places) -> list[Path]:
    """What is to give way: all but locks, which we hold, and what earlier restores and upgrades kept."""
    stays = {*LOCKS, "backup.lock", config.RESTORING}
    found = [
        path
        for path in places.data_dir.iterdir()
        if path.name not in stays and not path.name.startswith(snapshot.ASIDE)
    ]
    if places.database and places.database.parent != places.data_dir:
        found += sorted(places.database.parent.glob(f"{places.database.name}*"))
    return [path for path in found if path.exists()]
