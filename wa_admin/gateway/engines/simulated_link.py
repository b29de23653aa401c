"""The simulated connection to WhatsApp: codes, login, loss and end, on a clock that can run faster."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from wa_admin.gateway.engines.contract import Emit, EngineError
from wa_admin.gateway.engines.world import World, code_text

CODE_SECONDS = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)
FIRST_CODE_SECONDS = 0.3
RESUME_SECONDS = 0.2
LOGIN_SECONDS = (1.5, 3.0)
PAIRING_LETTERS = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


class Clock:
    """Seconds of life, divided by `speed`; what is planned runs under the one lock of the simulation."""

    def __init__(self, speed: float) -> None:
        self.lock = threading.RLock()
        self._speed = speed

    def real(self, seconds: float) -> float:
        return seconds / self._speed

    def sleep(self, seconds: float) -> None:
        time.sleep(self.real(seconds))

    def after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        def act_alone() -> None:
            with self.lock:
                act(*args)

        timer = threading.Timer(self.real(seconds), act_alone)
        timer.daemon = True
        timer.start()


class Link:
    """Used under the lock of its clock."""

    def __init__(self, world: World, clock: Clock, emit: Emit) -> None:
        self.state = "close"
        self.code_shown = False
        self.pairing_code: str | None = None
        self._world = world
        self._clock = clock
        self._emit = emit
        self._epoch = 0  # what was planned for an earlier connection does not happen

    def need_open(self) -> None:
        if self.state != "open":
            raise EngineError("not_connected", "not connected")

    def need_login(self) -> None:
        if not self._world.memory.login:
            raise EngineError("not_connected", "no phone is linked")

    def connect(self) -> None:
        """Resume the stored login, or start showing codes."""
        self._begin_anew()
        if self._world.mode["network"] == "down":
            self.lose_network()
            return
        self._say("connecting")
        if self._world.memory.login:
            self._later(RESUME_SECONDS, self._resume)
        else:
            self._later(FIRST_CODE_SECONDS, self._show_code, 1)

    def pair(self, phone: str) -> str:
        if not self.code_shown:
            raise EngineError("not_connected", "no code is shown yet")
        if len(phone) < 7 or phone.startswith("0"):
            raise EngineError("bad_request", "the phone number needs its country code")
        self.pairing_code = "".join(secrets.choice(PAIRING_LETTERS) for _ in range(8))
        return self.pairing_code

    def take_scan(self, login: dict[str, str]) -> None:
        """A phone took the code: {"number", "lid", "profile_name"}."""
        if self._world.mode["passkey"]:
            self.close("passkey_required")
            return
        self._begin_anew()
        self._emit({"event": "scanned"})
        self._later(random.uniform(*LOGIN_SECONDS), self._log_in, login)  # noqa: S311

    def lose_network(self, seconds: float | None = None) -> None:
        """For so many seconds, or until somebody connects again."""
        self.drop()
        self._say("connecting", "network")
        if seconds is not None:
            self._later(seconds, self.connect)

    def forget_login(self) -> None:
        self._world.remember(login=None, unlinked=False)
        self.close("logged_out")

    def close(self, reason: str, **more: Any) -> None:
        self.drop()
        self._say("close", reason, **more)

    def drop(self) -> None:
        """Without a word, as a socket that is closed from our side."""
        self._begin_anew()
        self.state = "close"

    def _resume(self) -> None:
        if self._world.memory.unlinked:
            self.forget_login()
        elif self._is_welcome():
            self._say("open", platform="android", **(self._world.memory.login or {}))

    def _show_code(self, sequence: int) -> None:
        if sequence > len(CODE_SECONDS):
            self.close("qr_expired")
            return
        lifetime = CODE_SECONDS[sequence - 1]
        self.code_shown = True
        self._later(lifetime, self._show_code, sequence + 1)
        shown = {"code": code_text(), "lifetime_seconds": round(self._clock.real(lifetime), 3)}
        self._emit({"event": "qr", "sequence": sequence, **shown})

    def _log_in(self, login: dict[str, str]) -> None:
        if self._is_welcome():
            self._world.remember(login=login, unlinked=False)
            self._say("open", platform="android", **login)

    def _is_welcome(self) -> bool:
        if self._world.mode["outdated"]:
            self.close("outdated")
        elif seconds := self._world.ban_seconds():
            self.close("banned", ban_seconds=seconds)
        else:
            return True
        return False

    def _say(self, state: str, reason: str | None = None, **more: Any) -> None:
        self.state = state
        self._emit({"event": "state", "state": state, "reason": reason, **more})

    def _begin_anew(self) -> None:
        self._epoch += 1
        self.code_shown = False
        self.pairing_code = None

    def _later(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        epoch = self._epoch

        def act_if_still_there() -> None:
            if epoch == self._epoch:
                act(*args)

        self._clock.after(seconds, act_if_still_there)
