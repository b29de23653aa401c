"""All sessions of this gateway: which there are, and their common start and end."""

from __future__ import annotations

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wa_admin.gateway.session import Announce, Session
from wa_admin.gateway.store import Instance, Store

log = logging.getLogger("wa_admin.gateway.supervisor")


class Supervisor:
    """`home` holds one directory per instance, named by its id: names are any text and never a path."""

    def __init__(self, store: Store, engine: str, home: Path, announce: Announce) -> None:
        self.engine = engine
        self._store = store
        self._home = home
        self._announce = announce
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def resume(self) -> None:
        """Start every session that was online, or on its way, when the gateway ended."""
        for instance in self._store.instances():
            session = self.session(instance)
            if instance.wanted:
                session.start()

    def session(self, instance: Instance) -> Session:
        with self._lock:
            if instance.id not in self._sessions:
                home = self._home / instance.id
                self._sessions[instance.id] = Session(
                    instance, self.engine, home, self._store, self._announce
                )
            return self._sessions[instance.id]

    def remove(self, instance: Instance) -> None:
        """End the session and forget everything about it."""
        session = self.session(instance)
        session.remove()
        self._store.remove(instance.id)
        with self._lock:
            self._sessions.pop(instance.id, None)
        shutil.rmtree(session.home, ignore_errors=True)

    def stop(self) -> None:
        """End every child, all at the same time; their wishes stay."""
        with self._lock:
            sessions = list(self._sessions.values())
        if sessions:
            with ThreadPoolExecutor(len(sessions)) as pool:
                list(pool.map(Session.shut_down, sessions))
