"""The gateway's database: its instances here, beside them the tables of `spool` and `ledger`.

One connection behind one lock: a gateway holds a handful of sessions, and every statement is short.
synchronous=FULL, since a send is committed here before it may leave. What is secret in it is sealed.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wa_admin.crypto import Vault
from wa_admin.gateway.dialect import DEFAULT_SETTINGS, now_iso

SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL,
    integration TEXT NOT NULL,
    number TEXT,
    wanted INTEGER NOT NULL DEFAULT 0,
    linked INTEGER NOT NULL DEFAULT 0,
    owner_jid TEXT,
    profile_name TEXT,
    reason TEXT DEFAULT 'never_linked',
    since TEXT NOT NULL,
    disconnection TEXT,
    webhook TEXT,
    settings TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    data TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS spool_in_order ON spool (instance_id, id);
CREATE TABLE IF NOT EXISTS ledger (
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    reference TEXT NOT NULL,
    result TEXT,
    at REAL NOT NULL,
    PRIMARY KEY (instance_id, reference)
) WITHOUT ROWID;
"""

JSON_COLUMNS = ("disconnection", "webhook", "settings")
SEALED_COLUMNS = {"instances": ("token", "webhook", "settings"), "spool": ("data",)}
AT_ONCE = 500  # secrets sealed anew in one transaction
VERSION = 1  # 0 kept everything in the clear


class NameTaken(Exception):
    """Another instance has this name."""


@dataclass(frozen=True)
class Instance:
    """One session as it is on disk; `wanted` is the wish to be online, `linked` that a login is stored."""

    id: str
    name: str
    token: str
    integration: str
    number: str | None
    wanted: bool
    linked: bool
    owner_jid: str | None
    profile_name: str | None
    reason: str | None
    since: str
    disconnection: dict[str, Any] | None
    webhook: dict[str, Any] | None
    settings: dict[str, Any]
    created_at: str
    updated_at: str

    @classmethod
    def from_row(cls, row: sqlite3.Row, vault: Vault) -> Instance:
        """Raises WrongEncryptionKey."""
        values = dict(row)
        for column in SEALED_COLUMNS["instances"]:
            values[column] = vault.open(values[column]) if values[column] else None
        for column in JSON_COLUMNS:
            values[column] = json.loads(values[column]) if values[column] else None
        values["wanted"], values["linked"] = bool(values["wanted"]), bool(values["linked"])
        return cls(**values)


class Store:
    """`path` is the database file; its directory must exist."""

    def __init__(self, path: Path, vault: Vault) -> None:
        """Raises WrongEncryptionKey when what is stored was sealed with another key."""
        self.vault = vault
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)
        if self.rows("PRAGMA user_version")[0][0] < VERSION:
            self._seal_all()
        self.instances()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time; all or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def instances(self) -> list[Instance]:
        rows = self.rows("SELECT * FROM instances ORDER BY rowid")
        return [Instance.from_row(row, self.vault) for row in rows]

    def left_of_older(self) -> int:
        """How many secrets still need a key that is not the newest."""
        return sum(1 for _ in self._by_older_keys())

    def reseal(self) -> int:
        """Seal with the newest key what an older one holds; how many secrets. Raises WrongEncryptionKey."""
        found = list(self._by_older_keys())
        for first in range(0, len(found), AT_ONCE):
            with self.transaction() as db:
                for table, column, number, sealed in found[first : first + AT_ONCE]:
                    change = f"UPDATE {table} SET {column} = ? WHERE rowid = ? AND {column} = ?"  # noqa: S608
                    db.execute(change, (self.vault.seal(self.vault.open(sealed)), number, sealed))
        if found:
            self._leave_no_trace()
        return len(found)

    def find(self, name: str) -> Instance | None:
        return self._one("SELECT * FROM instances WHERE name = ?", name)

    def get(self, instance_id: str) -> Instance | None:
        return self._one("SELECT * FROM instances WHERE id = ?", instance_id)

    def add(
        self,
        name: str,
        integration: str,
        *,
        token: str | None = None,
        number: str | None = None,
        webhook: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> Instance:
        """Raises NameTaken, also when two ask at the same moment."""
        now = now_iso()
        instance_id = str(uuid.uuid4())
        columns = {
            "id": instance_id,
            "name": name,
            "token": token or secrets.token_hex(16).upper(),
            "integration": integration,
            "number": number,
            "webhook": webhook or None,
            "settings": DEFAULT_SETTINGS | (settings or {}),
            "since": now,
            "created_at": now,
            "updated_at": now,
        }
        names, marks = ", ".join(columns), ", ".join(f":{column}" for column in columns)
        try:
            with self.transaction() as db:
                db.execute(f"INSERT INTO instances ({names}) VALUES ({marks})", self._stored(columns))  # noqa: S608
        except sqlite3.IntegrityError as error:
            raise NameTaken(name) from error
        instance = self.get(instance_id)
        assert instance is not None
        return instance

    def update(self, instance_id: str, **columns: Any) -> None:
        """Change columns of one instance; the row may be gone already."""
        stored = self._stored(columns | {"updated_at": now_iso()})
        changes = ", ".join(f"{column} = :{column}" for column in stored)
        with self.transaction() as db:
            db.execute(f"UPDATE instances SET {changes} WHERE id = :id", stored | {"id": instance_id})  # noqa: S608

    def remove(self, instance_id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM instances WHERE id = ?", (instance_id,))

    def _one(self, sql: str, *values: Any) -> Instance | None:
        rows = self.rows(sql, *values)
        return Instance.from_row(rows[0], self.vault) if rows else None

    def _stored(self, columns: dict[str, Any]) -> dict[str, Any]:
        stored = dict(columns)
        for column in (name for name in JSON_COLUMNS if stored.get(name) is not None):
            stored[column] = json.dumps(stored[column])
        for column in (name for name in SEALED_COLUMNS["instances"] if stored.get(name) is not None):
            stored[column] = self.vault.seal(stored[column])
        return stored

    def _seal_all(self) -> None:
        """Seal what an earlier version kept in the clear, and leave no trace of it in the file."""
        with self.transaction() as db:
            for table, columns in SEALED_COLUMNS.items():
                for row in db.execute(f"SELECT rowid AS number, * FROM {table}").fetchall():  # noqa: S608
                    for column in (name for name in columns if row[name] is not None):
                        change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
                        db.execute(change, (self.vault.seal(row[column]), row["number"]))
            db.execute(f"PRAGMA user_version = {VERSION}")
        self._leave_no_trace()

    def _by_older_keys(self) -> Iterator[tuple[str, str, int, str]]:
        """Table, column, rowid and what is sealed there."""
        for table, columns in SEALED_COLUMNS.items():
            for column in columns:
                query = f"SELECT rowid AS number, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
                for row in self.rows(query):
                    if not self.vault.is_by_newest(row["sealed"]):
                        yield table, column, row["number"], row["sealed"]

    def _leave_no_trace(self) -> None:
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
