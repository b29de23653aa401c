"""Waiting for what another thread or process does."""

import time


def until(condition, seconds=15.0):
    """Wait for it, and say whether it came."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.01)
    return True
