"""What programs that are none of this run take of the processors: with more than a little, no clock counts.

The load of a machine says nothing of that: this run is most of it.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psutil


class Others:
    """Counts from when it is made. What a child took that nobody waited for counts as of others."""

    def __init__(self) -> None:
        self._began, self._all, self._ours = time.monotonic(), _of_all(), _of_ours()

    def share(self) -> float:
        """Of all processors, from 0 to 1."""
        theirs = (_of_all() - self._all) - (_of_ours() - self._ours)
        there = (time.monotonic() - self._began) * (psutil.cpu_count() or 1)
        return max(0.0, theirs / there) if there else 0.0


def _of_all() -> float:
    spent = psutil.cpu_times()
    return spent.user + spent.nice + spent.system + spent.irq + spent.softirq + spent.steal


def _of_ours() -> float:
    """This process and all that come of it, with the children that have ended."""
    us, seconds = psutil.Process(), 0.0
    for process in [us, *us.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])
    return seconds
