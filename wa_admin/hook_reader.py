"""Reads webhooks beside the threads that answer them: in a burst these come first, and it is a little behind.

Where nobody starts it, under other servers than ours, whoever has answered reads.
"""

from __future__ import annotations

import logging
import time
from threading import Event, Thread

from flask import Flask

from .services import gateways, inbox

LONGEST_REST_SECONDS = 0.2
LOADS_AFTER_SECONDS = 2.0  # so that nobody waits for it who opens the first page
BATCHES = 10  # the thread that answers is wanted for other requests
FINISH_WITHIN_SECONDS = 5.0

_log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    app.extensions["reader"] = HookReader(app)


class HookReader:
    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread: Thread | None = None
        self._unread: set[int] = set()  # gateways
        self._came, self._is_over = Event(), Event()

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="hook-reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Whatever is left, the scheduler reads."""
        self._is_over.set()
        self._came.set()
        if self._thread:
            self._thread.join(FINISH_WITHIN_SECONDS)

    def came(self, gateway_id: int) -> None:
        """A webhook of this gateway is kept and answered."""
        if self._thread is None:
            self._read(gateway_id, BATCHES)
        else:
            self._unread.add(gateway_id)
            self._came.set()

    def _run(self) -> None:
        if not self._came.wait(LOADS_AFTER_SECONDS):
            self._load()
        while self._came.wait() and not self._is_over.is_set():
            self._came.clear()
            while self._unread and not self._is_over.is_set():
                self._read_some(self._unread.pop())

    def _load(self) -> None:
        """What speaks HTTP takes a quarter of a second to load, which is too long for the first webhook."""
        with self._app.app_context():
            try:
                gateways.load_drivers()
            except Exception:
                _log.exception("the drivers of the gateways are loaded later")

    def _read_some(self, gateway_id: int) -> None:
        began = time.monotonic()
        if self._read(gateway_id, batches=1):
            self._unread.add(gateway_id)
        if self._came.is_set():  # meanwhile: the lock and the processor are wanted by others
            self._came.clear()
            self._is_over.wait(min(time.monotonic() - began, LONGEST_REST_SECONDS))

    def _read(self, gateway_id: int, batches: int) -> bool:
        """Whether more may be left. Whatever goes wrong here is left to the scheduler."""
        with self._app.app_context():
            try:
                return inbox.read(gateway_id, batches)
            except Exception:
                _log.exception("webhooks of gateway %s have to wait", gateway_id)
                return False
