"""What is needed to fetch the files of messages that came in, on disk for three days.

The panel asks for a file soon after its message came; what nobody asks for is forgotten.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

KEPT_SECONDS = 3 * 24 * 3600.0
SWEEP_EVERY = 50


class IncomingFiles:
    """`home` is the directory of one session."""

    def __init__(self, home: Path) -> None:
        self._shelf = home / "incoming"
        self._kept = 0

    def keep(self, message_id: str, content: bytes) -> None:
        self._shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._kept % SWEEP_EVERY == 0:
            self._sweep(time.time() - KEPT_SECONDS)
        self._kept += 1
        draft = self._place(message_id).with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(self._place(message_id))

    def find(self, message_id: str) -> bytes | None:
        try:
            return self._place(message_id).read_bytes()
        except FileNotFoundError:
            return None

    def _place(self, message_id: str) -> Path:
        """An id is the sender's choice, and no name of a file."""
        return self._shelf / hashlib.sha256(message_id.encode()).hexdigest()

    def _sweep(self, before: float) -> None:
        for one in self._shelf.iterdir():
            if one.stat().st_mtime < before:
                one.unlink(missing_ok=True)
