"""How often one API key may call: a leaked key or a loop that ran wild must not crowd out everybody else.

Counted in memory, per process of the panel: with n workers a key has up to n times as many calls.
"""

from __future__ import annotations

import threading

from flask_babel import lazy_gettext as _l

from ..refusal import Refusal

WINDOW_SECONDS = 60.0


class TooManyCalls(Refusal):
    code = "too_many_requests"
    status = 429

    def __init__(self, wait_seconds: float) -> None:
        self.retry_after_seconds = max(1, round(wait_seconds))
        super().__init__(_l("This API key calls too often. Wait as long as Retry-After says."))


class Pace:
    """A minute's worth of calls at once, then each as soon as its share of the minute has passed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paid_until: dict[str, float] = {}

    def count(self, key: str, per_minute: int, now: float) -> None:
        """`now` in seconds of a clock that only goes forwards. Raises TooManyCalls, which is not counted."""
        with self._lock:
            paid_until = max(self._paid_until.get(key, now), now) + WINDOW_SECONDS / per_minute
            too_early = paid_until - now - WINDOW_SECONDS
            if too_early > 1e-6:  # what adding up fractions leaves over
                raise TooManyCalls(too_early)
            self._paid_until[key] = paid_until
