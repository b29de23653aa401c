"""When the last backup was made here: a small file in the data directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

NAME = "last-backup.json"


@dataclass(frozen=True)
class Last:
    at: datetime
    name: str
    size_bytes: int


def note(data_dir: Path, last: Last) -> None:
    """Remember for the health page."""
    draft = data_dir / f"{NAME}.draft"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(last) | {"at": last.at.isoformat()}))
    draft.replace(data_dir / NAME)


def last(data_dir: Path) -> Last | None:
    """None when there never was one, or nobody can read what it says."""
    try:
        told = json.loads((data_dir / NAME).read_text())
        return Last(datetime.fromisoformat(told["at"]), str(told["name"]), int(told["size_bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
