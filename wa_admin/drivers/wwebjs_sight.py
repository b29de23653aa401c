"""What one process has seen of a session of wwebjs-api, which itself tells no times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from .contract import Code

FIRST_CODE_SECONDS, CODE_SECONDS, CODES = 60, 20, 6
DEAD_AFTER = timedelta(seconds=60)  # the last code is served for ever
# While a browser starts, its session is in no list: only what is missing for longer is believed to be
LAUNCH = timedelta(seconds=90)
LONGEST_REST = timedelta(hours=1)
LONG_AGO = timedelta(days=1)


@dataclass
class Sight:
    """`asked_at`: when somebody wanted its codes, so since when it is being linked."""

    started_at: datetime | None = None  # while its browser starts
    asked_at: datetime | None = None
    was_connected: bool = False
    is_authenticated: bool = False
    is_gone: bool = False  # we have deleted it
    _failed_at: datetime | None = None
    _failures: int = 0
    _trouble: tuple[str, datetime] | None = None
    _digest: bytes = field(default=b"", repr=False)
    _codes: int = 0
    _code_since: datetime | None = None

    def is_starting(self, now: datetime) -> bool:
        """Its start has not answered, and may go on."""
        return self.started_at is not None and now - self.started_at < 2 * LAUNCH

    def is_resting(self, now: datetime) -> bool:
        """Each start that fails leaves a Chrome behind which nothing ends, so they become rare."""
        rest = min(timedelta(minutes=2 ** min(self._failures - 1, 6)), LONGEST_REST)
        return self._failed_at is not None and now - self._failed_at < rest

    def failed(self, now: datetime) -> None:
        self._failed_at, self._failures = now, self._failures + 1

    def code(self, qr: str, now: datetime) -> Code:
        """This code, which is as old as our first sight of it."""
        digest = sha256(qr.encode()).digest()
        if digest != self._digest or self._code_since is None:
            self._codes = 1 if self.is_code_dead(now) else min(self._codes + 1, CODES)
            self._digest, self._code_since = digest, now
        seconds = FIRST_CODE_SECONDS if self._codes == 1 else CODE_SECONDS
        return Code(qr, None, self._codes, self._code_since + timedelta(seconds=seconds), seconds)

    def is_code_dead(self, now: datetime) -> bool:
        """No other code has taken the place of the last one for so long that none will."""
        return self._code_since is None or now - self._code_since >= DEAD_AFTER

    def forget_codes(self) -> None:
        self._digest, self._codes, self._code_since = b"", 0, None

    def lasts(self, word: str, now: datetime) -> timedelta:
        """For how long it has been in this trouble."""
        if self._trouble is None or self._trouble[0] != word:
            self._trouble = word, now
        return now - self._trouble[1]

    def expect(self, word: str, now: datetime) -> None:
        """We put it in this trouble ourselves."""
        self._trouble = word, now - LONG_AGO

    def is_well(self) -> None:
        self._trouble = self._failed_at = None
        self._failures = 0
