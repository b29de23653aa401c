"""Makes the calls that apps wait for, many at once, so that an app that hangs holds up no other."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from flask import Flask

from . import clock
from .services import calls

if TYPE_CHECKING:
    from .drivers.outbound import Outbound

AT_ONCE = 32  # threads, which do little but wait for apps
TURN = 50  # calls that a thread makes for one subscription before the others get theirs

_log = logging.getLogger(__name__)


class Callers:
    """`round` is a duty: it sends off as many threads as there is work for, and waits for none."""

    def __init__(self, app: Flask, stands: Callable[[], bool] = lambda: True) -> None:
        self._app = app
        self._stands = stands
        self._threads = ThreadPoolExecutor(AT_ONCE, "caller")
        self._lock = threading.Lock()
        self._away: Counter[int] = Counter()  # threads, by subscription
        self._is_stopping = False
        self._outbound: Outbound | None = None

    def round(self) -> None:
        for work in calls.due(clock.now()):
            there_is_room_for = work.at_once - self._away[work.subscription_id]
            for _ in range(min(work.count, there_is_room_for)):
                self._send_off(work.subscription_id)

    def stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._is_stopping = True
        self._threads.shutdown(wait=False)

    def have_returned(self) -> bool:
        return not self._away.total()

    def close(self) -> None:
        if self._outbound is not None:
            self._outbound.close()

    def _send_off(self, subscription_id: int) -> None:
        line = self._line()
        with self._lock:
            if self._away.total() < AT_ONCE and not self._is_stopping:
                self._away[subscription_id] += 1
                self._threads.submit(self._call, subscription_id, line)

    def _call(self, subscription_id: int, line: Outbound) -> None:
        try:
            with self._app.app_context():
                for _ in range(TURN):
                    if self._is_stopping or not self._stands():
                        break
                    if not calls.deliver_next(subscription_id, line):
                        break
        except Exception:
            _log.exception("subscription %d: a call could not be made", subscription_id)
        finally:
            with self._lock:
                self._away[subscription_id] -= 1

    def _line(self) -> Outbound:
        """Made for the first call: most panels have no webhooks."""
        if self._outbound is None:
            from .drivers.outbound import Outbound

            self._outbound = Outbound(self._app.config["SETTINGS"].webhook_allow_cidrs)
        return self._outbound
