"""How soon a child that ended by itself is started again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Crashes:
    """How long to wait before a crashed child is started again: 1, 2, 4 .. 60 s, five in two minutes."""

    limit: int = 5
    window_seconds: float = 120.0
    times: deque[float] = field(default_factory=deque)

    def wait_seconds(self, now: float) -> float | None:
        """Note a crash; None when it was one too many."""
        self.times.append(now)
        while self.times[0] < now - self.window_seconds:
            self.times.popleft()
        if len(self.times) > self.limit:
            return None
        return float(min(2 ** (len(self.times) - 1), 60))


@dataclass
class FreshStarts:
    """How long to wait when a child asks for a new process: not at all, unless it just had one.

    Else a WhatsApp that hangs up on every code would be dialled twice a second.
    """

    pace_seconds: float = 10.0
    due_at: float = 0.0

    def wait_seconds(self, now: float) -> float:
        """Note a start."""
        wait = max(0.0, self.due_at - now)
        self.due_at = now + wait + self.pace_seconds
        return wait
