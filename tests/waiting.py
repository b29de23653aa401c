"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# with a machine that has much else to do; what happens at once is not waited for any longer
PATIENCE_SECONDS = 40.0
# between two looks, each of which takes from what is waited for: a tenth of what was waited so far
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.05


def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait for it, and say whether it came."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > seconds:
            return False
        time.sleep(min(max(SHORTEST_PAUSE_SECONDS, waited / 10), LONGEST_PAUSE_SECONDS))
    return True


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Raises AssertionError when it does not come true in time."""
    assert until(condition, seconds), "it did not happen in time"
