"""Hands messages over for many sessions at once, the moment each of them may leave.

One message per session is under way at a time, so its order and pace are kept, and a gateway that hangs
holds up nobody but its own sessions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import Engine

from . import clock
from .extensions import db
from .services import deliveries, due

AT_ONCE = 32  # threads, which do little but wait for gateways
AT_ONCE_PER_GATEWAY = 24  # the rest is for the others, should this one hang
TURN = 20  # messages that a session may hand over before the others get their turn
ROUND_SECONDS = 5.0  # the longest wait: a clock that was set back is noticed then
EMPTY_HANDED = timedelta(seconds=0.5)  # somebody else was quicker
AFTER_A_FAULT = timedelta(seconds=1)

_log = logging.getLogger(__name__)


class Couriers:
    """`run` calls what it is given in an application context and copes with its failures."""

    def __init__(self, app: Flask, run: Callable[[str, Callable[[], object]], None]) -> None:
        self._app = app
        self._run = run
        self._threads = ThreadPoolExecutor(AT_ONCE, "courier")
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)
        self._is_stopping = False
        self._lock = threading.Lock()
        self._away: dict[int, int] = {}  # sessions with a message under way, and their gateways
        self._not_before: dict[int, datetime] = {}  # sessions to leave alone for a moment
        self._returned = threading.Event()
        self._next_at = clock.now()
        self._news: News | None = None

    def start(self) -> None:
        self._dispatcher.start()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._is_stopping = True
        self._threads.shutdown(wait=False)
        self._returned.set()

    def have_returned(self) -> bool:
        return not self._away and not self._dispatcher.is_alive()

    def abandon(self) -> None:
        """Put on record that nobody will learn how the messages under way end."""
        with self._lock, self._app.app_context():
            deliveries.interrupt(list(self._away))

    def _dispatch(self) -> None:
        while not self._is_stopping:
            self._run("deliveries", self._round)
        if self._news is not None:
            self._news.close()

    def _round(self) -> None:
        """Wait for something to do, and have it done."""
        if self._news is None:
            self._news = News(db.engine)
        self._wait(self._news)
        if self._is_stopping:
            return
        self._next_at = clock.now() + timedelta(seconds=1)  # should the rest fail
        now = clock.now()
        if (expiry := due.next_expiry()) and expiry <= now:
            deliveries.expire()
        later = [self._at(work) for work in due.plan(now) if not self._send_off(work, now)]
        moments = [*later, due.next_expiry(), now + timedelta(seconds=ROUND_SECONDS)]
        self._next_at = min(moment for moment in moments if moment is not None)

    def _wait(self, news: News) -> None:
        while not self._is_stopping and not news.is_there():
            left = (self._next_at - clock.now()).total_seconds()
            if left <= 0 or self._returned.wait(min(left, news.look_seconds)):
                break
        self._returned.clear()

    def _send_off(self, work: due.Work, now: datetime) -> bool:
        """Whether the session has a thread, or gets the next one that returns."""
        with self._lock:
            if work.session_id in self._away or self._is_stopping:
                return True
            if self._at(work) > now:
                return False
            there = Counter(self._away.values())
            if there.total() < AT_ONCE and there[work.gateway_id] < AT_ONCE_PER_GATEWAY:
                self._away[work.session_id] = work.gateway_id
                self._threads.submit(self._deliver, work.session_id)
        return True

    def _at(self, work: due.Work) -> datetime:
        return max(work.at, self._not_before.get(work.session_id, work.at))

    def _deliver(self, session_id: int) -> None:
        rest: timedelta | None = EMPTY_HANDED
        try:
            with self._app.app_context():
                for _ in range(1 if due.pace() else TURN):
                    if self._is_stopping or not deliveries.deliver_next(session_id):
                        break
                    rest = None
        except Exception:
            _log.exception("session %d: a message could not be handed over", session_id)
            rest = AFTER_A_FAULT
        finally:
            with self._lock:
                del self._away[session_id]
                self._not_before.pop(session_id, None)
                if rest is not None:
                    self._not_before[session_id] = clock.now() + rest
            self._returned.set()


class News:
    """Whether anything was committed since the last look, by whatever process.

    SQLite keeps a number for that, which costs microseconds to read; elsewhere only asking helps.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection: Any = None
        self._seen: object = None
        self.look_seconds = 0.5
        self._looked_at = 0.0
        if engine.dialect.name == "sqlite":
            self.look_seconds = 0.1
            self._connection = engine.raw_connection()
            self._connection.detach()

    def is_there(self) -> bool:
        if self._connection is None:
            looked_at, self._looked_at = self._looked_at, time.monotonic()
            return self._looked_at - looked_at >= self.look_seconds
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        seen, self._seen = self._seen, version
        return version != seen

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
