"""What a panel of the tests is told by its environment."""

from __future__ import annotations

import os
from pathlib import Path


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    ours = {"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator", "WA_SEND_INTERVAL_SECONDS": "0"}
    if url := os.environ.get("WA_DATABASE_URL"):
        ours["WA_DATABASE_URL"] = url
    return {**ours, **more}
