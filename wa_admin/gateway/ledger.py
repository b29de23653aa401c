"""What became of each send that came with a reference: begun before the engine hears of it, kept 7 days."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from wa_admin.gateway.store import Store

KEPT_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Entry:
    """`result` is what the engine answered, {"id", "jid", "at"}; None as long as the outcome is not known."""

    result: dict[str, Any] | None


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, instance_id: str, reference: str) -> Entry | None:
        """Commit that this send starts now and return None, or return the entry there is already."""
        now = time.time()
        with self._store.transaction() as db:
            db.execute("DELETE FROM ledger WHERE at < ?", (now - KEPT_SECONDS,))
            new = db.execute(
                "INSERT OR IGNORE INTO ledger (instance_id, reference, at) VALUES (?, ?, ?)",
                (instance_id, reference, now),
            ).rowcount
        return None if new else self.find(instance_id, reference)

    def finish(self, instance_id: str, reference: str, result: dict[str, Any]) -> None:
        with self._store.transaction() as db:
            db.execute(
                "UPDATE ledger SET result = ? WHERE instance_id = ? AND reference = ?",
                (json.dumps(result), instance_id, reference),
            )

    def clear(self, instance_id: str, reference: str) -> None:
        """Forget a send that certainly did not leave, so that it may be tried again."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM ledger WHERE instance_id = ? AND reference = ?", (instance_id, reference))

    def find(self, instance_id: str, reference: str) -> Entry | None:
        rows = self._store.rows(
            "SELECT result FROM ledger WHERE instance_id = ? AND reference = ? AND at >= ?",
            instance_id,
            reference,
            time.time() - KEPT_SECONDS,
        )
        if not rows:
            return None
        return Entry(json.loads(rows[0]["result"]) if rows[0]["result"] else None)
