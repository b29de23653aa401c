"""All sessions of this gateway: which there are, and their common start and end."""

from __future__ import annotations

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wa_admin.gateway.answers import instance_missing
from wa_admin.gateway.live_state import Announce, LiveState
from wa_admin.gateway.session import Session
from wa_admin.gateway.store import Instance, Store

log = logging.getLogger("wa_admin.gateway.supervisor")


class Supervisor:
    """`home` holds one directory per instance, named by its id: names are any text and never a path."""

    def __init__(self, store: Store, engine: str, home: Path, announce: Announce) -> None:
        self._store = store
        self._engine = engine
        self._home = home
        self._announce = announce
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def resume(self) -> None:
        """Start every session that was online, or on its way, when the gateway ended."""
        for instance in self._store.instances():
            if instance.wanted:
                self.session(instance).start()

    def session(self, instance: Instance) -> Session:
        """The one session of an instance. Raises NotFound when it was removed in the meantime."""
        with self._lock:
            if instance.id not in self._sessions:
                if self._store.get(instance.id) is None:
                    raise instance_missing(instance.name)
                live = LiveState(instance, self._store, self._announce)
                self._sessions[instance.id] = Session(live, self._engine, self._home / instance.id)
            return self._sessions[instance.id]

    def remove(self, instance: Instance) -> None:
        """End the session and forget everything about it."""
        session = self.session(instance)
        session.remove()
        with self._lock:
            self._store.remove(instance.id)
            self._sessions.pop(instance.id, None)
        try:
            shutil.rmtree(session.home)
        except FileNotFoundError:
            log.debug("%r never was started", instance.name)
        except OSError as error:
            log.warning(
                "the login of %r could not be removed from %s: %s", instance.name, session.home, error
            )

    def stop(self) -> None:
        """End every child, all at the same time; their wishes stay."""
        with self._lock:
            sessions = list(self._sessions.values())
        if sessions:
            with ThreadPoolExecutor(len(sessions)) as pool:
                list(pool.map(Session.shut_down, sessions))
