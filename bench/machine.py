"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("flask", "werkzeug", "sqlalchemy", "waitress", "httpx")


def describe(place: Path) -> dict[str, Any]:
    return {
        "git": _git_id(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in PACKAGES},
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "fsync_ms": round(_fsync_seconds(place) * 1000, 3),
    }


def is_quiet(about: dict[str, Any]) -> bool:
    """Nobody else needs its processors: otherwise caches are shared, and CPU time is dearer."""
    return bool(about["load"] <= about["cpus"])


def _git_id() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _fsync_seconds(place: Path) -> float:
    """A figure with a write in it means little without this one."""
    taken = []
    with (place / "fsync").open("wb") as file:
        for _ in range(30):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)
