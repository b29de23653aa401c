"""What lies in the envelope: a gzipped tar whose first member says what it is and whose last one proves it.

about.json             {"made_at", "version", "database": "sqlite" | "postgresql", "revision"}
keys/…                 secret.key, encryption.keys, gateway.key
data/…                 the files of the data directory, under their names in it
database/panel.db      SQLite, or database/panel.dump of pg_dump
manifest.json          {"<member>": {"size", "sha256"}, …} of all before it
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from .envelope import Damaged, Opener, Sealer

ABOUT, MANIFEST = "about.json", "manifest.json"
PIECE_BYTES = 1024 * 1024
LONGEST_JSON_BYTES = 64 * 1024 * 1024

Progress = Callable[[str, int, int], None]  # what, bytes done, bytes in all
Take = Callable[[str, IO[bytes]], None]


@dataclass(frozen=True)
class About:
    """`revision` is that of the schema; `made_at` in ISO form, with its zone."""

    made_at: str
    version: str
    database: str
    revision: str

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.made_at)


@dataclass(frozen=True)
class Member:
    size: int
    sha256: str


Manifest = dict[str, Member]


def write(
    out: BinaryIO,
    passphrase: str,
    about: About,
    members: Iterable[tuple[str, Path | bytes]],
    progress: Progress,
) -> Manifest:
    """Everything into `out`, a piece at a time; a file must not change while it is read."""
    manifest: Manifest = {}
    sealer: Any = Sealer(out, passphrase)
    with (
        gzip.GzipFile(fileobj=sealer, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", bufsize=PIECE_BYTES) as tar,
    ):
        _add(tar, ABOUT, _json(asdict(about)), progress)
        for name, content in members:
            manifest[name] = _add(tar, name, content, progress)
        _add(tar, MANIFEST, _json({name: asdict(one) for name, one in manifest.items()}), progress)
    sealer.finish()
    return manifest


def read(
    source: BinaryIO, passphrase: str, judge: Callable[[About], None], take: Take, progress: Progress
) -> tuple[About, Manifest]:
    """Read everything and prove it; `judge` may refuse before any member is handed to `take`.

    Raises NotABackup, WrongPassphrase, Damaged.
    """
    opener: Any = Opener(source, passphrase)
    try:
        with gzip.GzipFile(fileobj=opener, mode="rb") as packed:
            with tarfile.open(fileobj=packed, mode="r|", bufsize=PIECE_BYTES) as tar:
                found = _members(tar, judge, take, progress)
            while packed.read(PIECE_BYTES):  # up to the last chunk, which proves that none is missing
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise Damaged(type(error).__name__) from error
    return found


def _members(
    tar: tarfile.TarFile, judge: Callable[[About], None], take: Take, progress: Progress
) -> tuple[About, Manifest]:
    about, found, told = None, {}, None
    for info in tar:
        file = tar.extractfile(info)
        if file is None or not _is_harmless(info.name):
            raise Damaged(f"member {info.name!r}")
        if about is None:
            about = _about(info.name, file)
            judge(about)
        elif info.name == MANIFEST:
            told = json.loads(file.read(LONGEST_JSON_BYTES))
        else:
            hashed = _Hashed(file, info.name, info.size, progress)
            take(info.name, hashed)  # type: ignore[arg-type]
            found[info.name] = hashed.finish()
    if about is None or told != {name: asdict(one) for name, one in found.items()}:
        raise Damaged("its list of what it holds does not fit")
    return about, found


def _about(name: str, file: IO[bytes]) -> About:
    if name != ABOUT:
        raise Damaged("it does not say what it is")
    try:
        return About(**json.loads(file.read(PIECE_BYTES)))
    except TypeError as error:
        raise Damaged("it does not say what it is") from error


def _is_harmless(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not re.search(r"[\x00\\]", name)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes, progress: Progress) -> Member:
    info = tarfile.TarInfo(name)
    info.mode = 0o600
    if isinstance(content, bytes):
        info.size, file = len(content), io.BytesIO(content)
    else:
        info.size, file = content.stat().st_size, content.open("rb")  # type: ignore[assignment]
    with file:
        hashed = _Hashed(file, name, info.size, progress)
        tar.addfile(info, hashed)  # type: ignore[arg-type]
        return hashed.finish()


class _Hashed:
    """Passes a file through and hashes it on the way."""

    def __init__(self, file: IO[bytes], name: str, size: int, progress: Progress) -> None:
        self._file, self._name, self._size, self._progress = file, name, size, progress
        self._hash, self._done = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._hash.update(piece)
        self._done += len(piece)
        self._progress(self._name, self._done, self._size)
        return piece

    def finish(self) -> Member:
        """With all that nobody asked for."""
        while self.read(PIECE_BYTES):
            pass
        return Member(self._done, self._hash.hexdigest())


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
