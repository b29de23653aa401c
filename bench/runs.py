"""The last runs, to compare with; not in the repository, since they belong to this machine."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from . import machine

FILE = Path(__file__).parent / "results" / "runs.jsonl"
KEPT, USUAL_OF = 30, 5


def usual(name: str) -> float | None:
    """Median of the last runs on a quiet machine that measured it, None as long as there were few."""
    quiet = [run for run in map(json.loads, _earlier()) if machine.is_quiet(run)]
    values = [run[name] for run in quiet if name in run][-USUAL_OF:]
    return statistics.median(values) if len(values) == USUAL_OF else None


def keep(line: str) -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("\n".join([*_earlier(), line][-KEPT:]) + "\n")


def _earlier() -> list[str]:
    return FILE.read_text().splitlines() if FILE.exists() else []
