"""All that cannot be made anew, as it is right now, one piece after the other.

Logins first, then the gateway's database, the panel's last: what happened in between comes again from the
gateway, whose events are harmless twice, instead of being lost.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..config import Settings
from . import postgresql, record, sqlite
from .archive import Progress
from .envelope import FIRST_LINE
from .places import KEYS, Places

DATA, DATABASE, DUMP = "data/", "database/panel.db", "database/panel.dump"
COMPILED = "compiled"  # templates, which are made anew
# what belongs to a process that runs, or is itself a copy
TRANSIENT = ("lock", record.NAME, COMPILED)
TRANSIENT_SUFFIXES = (".lock", ".draft", *sqlite.LOG_SUFFIXES)
ASIDE = "before-"

_log = logging.getLogger(__name__)


def members(
    wanted: Settings, places: Places, scratch: Path, progress: Progress
) -> Iterator[tuple[str, Path | bytes]]:
    """Name and content of each; a content that is a path is gone when the next one is asked for."""
    yield "keys/secret.key", wanted.secret_key.encode()
    yield "keys/encryption.keys", "\n".join(wanted.encryption_keys).encode()
    yield "keys/gateway.key", wanted.gateway_key.encode()
    copied = scratch / "copy"
    for path in _files(places):
        name = DATA + path.relative_to(places.data_dir).as_posix()
        if _copied(path, copied, progress):
            yield name, copied
            sqlite.remove(copied)
    if places.database is None:
        postgresql.dump(wanted.database_url, copied, progress)
        yield DUMP, copied
    else:
        sqlite.copy(places.database, copied, lambda done, of: progress(DATABASE, done, of))
        yield DATABASE, copied
    sqlite.remove(copied)


def _files(places: Places) -> list[Path]:
    """Of the data directory, sessions before the gateway's database."""
    found = []
    for folder, inner, names in os.walk(places.data_dir):
        here = Path(folder)
        # a data directory may hold another one, such as that of the demo
        inner[:] = [name for name in inner if _is_ours(here / name) and not (here / name / KEYS[1]).exists()]
        found += [here / name for name in names if _is_ours(here / name)]
    top = {places.data_dir / name for name in KEYS} | {places.database}
    return sorted(set(found) - top, key=lambda path: (-len(path.parts), path))


def _is_ours(path: Path) -> bool:
    name = path.name
    is_transient = name in TRANSIENT or name.endswith(TRANSIENT_SUFFIXES) or name.startswith((ASIDE, "."))
    return not (is_transient or path.is_symlink())


def _copied(path: Path, copy: Path, progress: Progress) -> bool:
    """False when it is gone, or is a backup itself."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(FIRST_LINE))
        if begin == FIRST_LINE or not path.is_file():
            return False
        if begin.startswith(sqlite.MAGIC):
            try:
                sqlite.copy(path, copy, lambda done, of: progress(path.name, done, of))
                return True
            except sqlite.DamagedDatabase as error:
                # a login that its engine cannot read either must not keep the rest from being saved
                _log.warning("%s It is saved as it is.", error)
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
    except FileNotFoundError:
        return False
    return True
