"""Hands messages over for many sessions at once, the moment each of them may leave.

One message per session is under way at a time, so its order and pace are kept, and a gateway that hangs
holds up nobody but its own sessions.
"""

from __future__ import annotations

import logging
import threading
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
CLAIMED_AT_ONCE = 20  # messages
TURN = 20  # messages that a session may hand over before the others get their turn
ROUND_SECONDS = 5.0  # the longest wait: a clock that was set back is noticed then
EMPTY_HANDED = timedelta(seconds=0.5)  # somebody else was quicker
AFTER_A_FAULT = timedelta(seconds=1)

_log = logging.getLogger(__name__)


class Couriers:
    """`run` calls what it is given in an application context and copes with its failures. Nothing is claimed
    while the lead of this scheduler does not stand."""

    def __init__(
        self,
        app: Flask,
        run: Callable[[str, Callable[[], object]], None],
        stands: Callable[[], bool] = lambda: True,
    ) -> None:
        self._app = app
        self._run = run
        self._stands = stands
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
        """Begin nothing more; what is claimed already is handed over."""
        with self._lock:
            self._is_stopping = True
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
        self._threads.shutdown(wait=False)
        self._forget_news()

    def _round(self) -> None:
        """Wait for something to do, and have it done."""
        try:
            if self._news is None:
                self._news = News(db.engine)
            self._wait(self._news)
            if not self._stands():
                self._returned.wait(News.look_seconds)
            elif not self._is_stopping:
                self._send_off_what_may_leave()
        except Exception:
            self._forget_news()  # its connection may be what broke
            self._returned.clear()
            if not self._is_stopping:
                self._returned.wait(AFTER_A_FAULT.total_seconds())
            raise

    def _send_off_what_may_leave(self) -> None:
        now = clock.now()
        if (expiry := due.next_expiry()) and expiry <= now:
            deliveries.expire()
        plan = due.plan(now)
        self._send_off(self._reserve(plan, now))
        later = [at for work in plan if (at := self._at(work)) > now]  # the others wait for a thread
        moments = [*later, due.next_expiry(), now + timedelta(seconds=ROUND_SECONDS)]
        self._next_at = min(moment for moment in moments if moment is not None)

    def _forget_news(self) -> None:
        if self._news is not None:
            self._news.close()
            self._news = None

    def _wait(self, news: News) -> None:
        while not self._is_stopping and not news.is_there():
            left = (self._next_at - clock.now()).total_seconds()
            if left <= 0 or self._returned.wait(min(left, news.look_seconds)):
                break
        self._returned.clear()

    def _reserve(self, plan: list[due.Work], now: datetime) -> list[int]:
        """Threads for the sessions that may send now; the others get the next that return."""
        with self._lock:
            there, reserved = Counter(self._away.values()), []
            for work in [] if self._is_stopping else plan:
                is_next = self._at(work) <= now and work.session_id not in self._away
                if is_next and there.total() < AT_ONCE and there[work.gateway_id] < AT_ONCE_PER_GATEWAY:
                    self._away[work.session_id] = work.gateway_id
                    there[work.gateway_id] += 1
                    reserved.append(work.session_id)
        return reserved

    def _send_off(self, session_ids: list[int]) -> None:
        claimed: set[int] = set()
        try:
            for start in range(0, len(session_ids), CLAIMED_AT_ONCE):
                for claim in deliveries.claim(session_ids[start : start + CLAIMED_AT_ONCE]):
                    claimed.add(claim.session_id)
                    self._threads.submit(self._deliver, claim)
        finally:
            for session_id in set(session_ids) - claimed:  # somebody else was quicker
                self._is_back(session_id, EMPTY_HANDED)

    def _at(self, work: due.Work) -> datetime:
        return max(work.at, self._not_before.get(work.session_id, work.at))

    def _deliver(self, claim: deliveries.Claim) -> None:
        rest = None
        try:
            with self._app.app_context():
                deliveries.deliver(claim)
                for _ in range(0 if due.pace() else TURN - 1):
                    if self._is_stopping or not self._stands():
                        break
                    if not deliveries.deliver_next(claim.session_id):
                        break
        except Exception:
            _log.exception("session %d: a message could not be handed over", claim.session_id)
            rest = AFTER_A_FAULT
        finally:
            self._is_back(claim.session_id, rest)
            self._returned.set()

    def _is_back(self, session_id: int, rest: timedelta | None) -> None:
        with self._lock:
            del self._away[session_id]
            self._not_before.pop(session_id, None)
            if rest is not None:
                self._not_before[session_id] = clock.now() + rest


class News:
    """Whether anything was committed since the last look, by whatever process.

    SQLite keeps a number for that. PostgreSQL's snapshot names the transactions that are over: it differs
    once another one is. Either costs microseconds to read, and neither a message.
    """

    look_seconds = 0.1

    def __init__(self, engine: Engine) -> None:
        connection: Any = engine.raw_connection()
        connection.detach()
        self._seen: object = None
        if engine.dialect.name == "sqlite":
            self._ask = "PRAGMA data_version"
        else:
            connection.dbapi_connection.autocommit = True
            self._ask = "SELECT pg_current_snapshot()::text"
        self._connection = connection

    def is_there(self) -> bool:
        version = self._connection.execute(self._ask).fetchone()
        seen, self._seen = self._seen, version
        return bool(version != seen)

    def close(self) -> None:
        self._connection.close()
