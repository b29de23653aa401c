"""Events that wait for their webhook, on disk, sealed, in order, bounded."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from wa_admin.gateway.store import Store

log = logging.getLogger("wa_admin.gateway.spool")

LIMIT = 10_000
KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Waiting:
    """One event; `at` is the Unix time when it happened."""

    id: int
    event: str
    data: Any
    at: float


class Spool:
    """The queue of every instance, `limit` events long: the oldest goes when it overflows."""

    def __init__(self, store: Store, limit: int = LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._dropped: dict[str, int] = {}

    def put(self, instance_id: str, event: str, data: Any) -> None:
        """Keep the event until it is delivered; an older QR code is not worth delivering any more."""
        with self._store.transaction() as db:
            if not db.execute("SELECT 1 FROM instances WHERE id = ?", (instance_id,)).fetchone():
                return
            if event in ("qrcode.updated", "connection.update"):
                db.execute(
                    "DELETE FROM spool WHERE instance_id = ? AND event = 'qrcode.updated'", (instance_id,)
                )
            db.execute(
                "INSERT INTO spool (instance_id, event, data, at) VALUES (?, ?, ?, ?)",
                (instance_id, event, self._store.vault.seal(json.dumps(data)), time.time()),
            )
            overflow = db.execute(
                "DELETE FROM spool WHERE instance_id = :id AND id <= (SELECT id FROM spool"
                " WHERE instance_id = :id ORDER BY id DESC LIMIT 1 OFFSET :limit)",
                {"id": instance_id, "limit": self._limit},
            ).rowcount
        if overflow > 0:
            self._say_dropped(instance_id, overflow)

    def head(self, instance_id: str) -> Waiting | None:
        """The oldest event that is younger than a day; older ones are dropped."""
        with self._store.transaction() as db:
            late = db.execute(
                "DELETE FROM spool WHERE instance_id = ? AND at < ?",
                (instance_id, time.time() - KEPT_SECONDS),
            ).rowcount
        if late > 0:
            log.warning("%d events were not delivered within a day and are dropped", late)
        rows = self._store.rows(
            "SELECT id, event, data, at FROM spool WHERE instance_id = ? ORDER BY id LIMIT 1", instance_id
        )
        if not rows:
            self._dropped.pop(instance_id, None)
            return None
        row = rows[0]
        data = json.loads(self._store.vault.open(row["data"]))
        return Waiting(row["id"], row["event"], data, row["at"])

    def done(self, waiting: Waiting) -> None:
        with self._store.transaction() as db:
            db.execute("DELETE FROM spool WHERE id = ?", (waiting.id,))

    def count(self, instance_id: str) -> int:
        rows = self._store.rows("SELECT count(*) FROM spool WHERE instance_id = ?", instance_id)
        return int(rows[0][0])

    def _say_dropped(self, instance_id: str, count: int) -> None:
        # once per outage, then every thousand: a log line per event would fill the disk instead
        before = self._dropped.get(instance_id, 0)
        self._dropped[instance_id] = before + count
        if before == 0 or before // 1000 != (before + count) // 1000:
            log.warning(
                "webhook of instance %s is behind by %d events: %d of the oldest are dropped so far",
                instance_id,
                self._limit,
                before + count,
            )
