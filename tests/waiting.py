"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# with a machine that has much else to do; what happens at once is not waited for any longer
PATIENCE_SECONDS = 40.0


def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait for it, and say whether it came."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Raises AssertionError when it does not come true in time."""
    assert until(condition, seconds), "it did not happen in time"
