"""A program of somebody else that holds the write lock of our SQLite database."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path


def is_locked(data_dir: Path) -> bool:
    with closing(sqlite3.connect(data_dir / "wa-admin.db", timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


class locked:
    """Held for so many seconds; leaving waits for its end."""

    def __init__(self, data_dir: Path, seconds: float) -> None:
        self.path, self.seconds = data_dir / "wa-admin.db", seconds

    def __enter__(self) -> None:
        taken = threading.Event()
        self.thread = threading.Thread(target=self._hold, args=(taken,))
        self.thread.start()
        taken.wait()

    def __exit__(self, *_: object) -> None:
        self.thread.join()

    def _hold(self, taken: threading.Event) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        taken.set()
        time.sleep(self.seconds)
        connection.execute("ROLLBACK")
        connection.close()
