"""One session while the gateway runs: its child, started, revived and ended, and what it may be asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import instance_missing
from wa_admin.gateway.engines.contract import EXIT_FOR_FRESH_PROCESS, EngineError
from wa_admin.gateway.live_state import LiveState
from wa_admin.gateway.process import ChildProcess, Settled
from wa_admin.gateway.revivals import Crashes, FreshStarts

log = logging.getLogger("wa_admin.gateway.session")

FIRST_CODE_SECONDS = 2.5
PAIRING_SECONDS = 10.0
LOGOUT_SECONDS = 10.0
STOP_SECONDS = 2.0


class Session:
    """The living side of one instance. Every method may be called from any thread."""

    def __init__(self, live: LiveState, engine: str, home: Path) -> None:
        self.id = live.id
        self.home = home
        self._live = live
        self._engine = engine
        self._acts = threading.Lock()  # one start, stop or logout at a time
        self._changed = threading.Condition(threading.RLock())  # guards the state and everything below
        self._child: ChildProcess | None = None
        self._revival: threading.Timer | None = None
        self._crashes = Crashes()
        self._fresh_starts = FreshStarts()
        self._removed = False

    # What it is

    def status(self) -> dict[str, Any]:
        """The live state in Evolution's words, with our reason beside it."""
        with self._changed:
            return self._live.status()

    def codes(self) -> dict[str, Any]:
        """The code a phone can scan now, or that there is none, or that it is open."""
        with self._changed:
            return self._live.codes()

    @property
    def is_running(self) -> bool:
        with self._changed:
            return self._child is not None

    # What can be asked of it

    def start(self) -> None:
        """Log in, or start showing codes; nothing when it is at it already. Raises NotFound once removed."""
        with self._acts, self._changed:
            if self._child is None:
                self._crashes = Crashes()
                self._spawn()

    def connect(self) -> dict[str, Any]:
        """Start, and wait a moment for the first code."""
        self.start()
        self._wait_for_code(FIRST_CODE_SECONDS)
        return self.codes()

    def pair(self, phone: str) -> dict[str, Any]:
        """Get a pairing code for this phone. Raises EngineError."""
        deadline = time.monotonic() + PAIRING_SECONDS
        self.start()
        self._wait_for_code(PAIRING_SECONDS)  # WhatsApp takes a number only after it gave the first QR code
        with self._changed:
            child, state, code = self._child, self._live.state, self._live.code
        if state == "open":
            return self.codes()
        if child is None or code is None:
            raise EngineError("not_connected", "WhatsApp gave no code in time: ask again")
        pairing_code = child.call("pair", max(0.5, deadline - time.monotonic()), phone=phone)
        with self._changed:
            self._live.show_pairing_code(pairing_code)
            return self._live.codes()

    def restart(self) -> dict[str, Any]:
        """Start the child anew and keep the login; answers with the state there was."""
        with self._changed:
            before, was_running = self._live.codes(), self._child is not None
        if not was_running:
            return self.connect()
        with self._acts:
            self._end_child(STOP_SECONDS)
            with self._changed:
                self._crashes = Crashes()
                self._spawn()
        return before

    def stop(self) -> None:
        """Go offline and keep the login, until asked again."""
        with self._acts:
            self._end_child(STOP_SECONDS)
            with self._changed:
                self._live.close("stopped" if self._live.linked else self._live.unlinked_reason())

    def logout(self) -> None:
        """Unlink at WhatsApp and forget the login. Raises EngineError not_connected when it cannot."""
        if self._live.linked and not self.is_running:
            self.start()  # a stopped session still has its login: only WhatsApp can undo that
            self._wait(lambda: self._live.state != "connecting", LOGOUT_SECONDS)
        with self._acts:
            with self._changed:
                child, state = self._child, self._live.state
            if child is None or (self._live.linked and state != "open"):
                raise EngineError("not_connected", "not connected")
            if state == "open":
                self._unlink(child, LOGOUT_SECONDS)
            self._end_child(0)
            with self._changed:
                reason = "logged_out" if self._live.linked else self._live.unlinked_reason()
                self._live.close(reason, by_us=True)

    def remove(self) -> None:
        """Unlink if that can be done now, and end the child whatever happens."""
        with self._acts:
            with self._changed:
                self._removed = True
                child = self._child if self._live.state == "open" else None
            if child:
                try:
                    self._unlink(child, STOP_SECONDS)
                except EngineError as error:
                    log.warning("%r is removed without being unlinked: %s", self._live.name, error.kind)
            self._end_child(0)

    def shut_down(self) -> None:
        """The gateway stops: end the child, say nothing, keep every wish."""
        with self._acts:
            self._end_child(STOP_SECONDS)

    def submit(self, command: str, settled: Settled | None = None, **args: Any) -> Future[Any]:
        """Hand a command to the engine of an open session. Raises EngineError not_connected at once."""
        with self._changed:
            child = self._child if self._live.state == "open" else None
        if child is None:
            raise EngineError("not_connected", "Connection Closed")
        return child.submit(command, settled, **args)

    def simulate(self, act: str, details: dict[str, Any]) -> Any:
        """Let the simulated phone act. Raises EngineError, not_connected when no child runs."""
        with self._changed:
            child = self._child
        if child is None:
            raise EngineError("not_connected", "the session is not running")
        return child.call("simulate", 10.0, act=act, details=details)

    # The child

    def _spawn(self) -> None:
        if self._removed:
            raise instance_missing(self._live.name)
        self._cancel_revival()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        child = self._child = ChildProcess(self._engine, self.home, self._on_event, self._on_exit)
        log.info("session %r started, child %d", self._live.name, child.pid)
        self._live.become("connecting", None)
        child.submit("start", lambda ok, error: self._on_started(child, error))

    def _end_child(self, grace: float) -> None:
        with self._changed:
            self._cancel_revival()
            child, self._child = self._child, None  # from here on its events are ignored
            self._live.forget_codes()
        if child:
            child.end(grace)

    def _unlink(self, child: ChildProcess, seconds: float) -> None:
        try:
            child.call("logout", seconds)
        except EngineError:
            if self._live.linked:  # else WhatsApp confirmed it with an event that ended the child
                raise

    def _on_started(self, child: ChildProcess, error: EngineError | None) -> None:
        if error:
            log.warning("session %r could not start: %s", self._live.name, error)
            child.kill()  # and try again as after a crash

    def _on_exit(self, child: ChildProcess, code: int) -> None:
        with self._changed:
            if child is not self._child:
                return
            self._child = None
            self._live.forget_codes()
            wait = self._pause_before_revival(code)
            if wait is None:
                self._live.close("crashed")
            else:
                self._revival = threading.Timer(wait, self._revive)
                self._revival.daemon = True
                self._revival.start()
            self._changed.notify_all()

    def _pause_before_revival(self, code: int) -> float | None:
        """Seconds until the next child; None when there shall be none."""
        now = time.monotonic()
        if code == EXIT_FOR_FRESH_PROCESS:  # it said itself how things are
            log.info("session %r goes on in a new process", self._live.name)
            return self._fresh_starts.wait_seconds(now)
        wait = self._crashes.wait_seconds(now)
        if wait is None:
            log.error("session %r: child ended (%d) once too often, giving up", self._live.name, code)
            return None
        log.warning("session %r: child ended (%d), again in %.0f s", self._live.name, code, wait)
        self._live.become("connecting", None)
        return wait

    def _revive(self) -> None:
        with self._acts, self._changed:
            if self._revival is threading.current_thread() and self._child is None:
                self._spawn()

    def _cancel_revival(self) -> None:
        if self._revival:
            self._revival.cancel()
            self._revival = None

    # What the engine says

    def _on_event(self, child: ChildProcess, event: dict[str, Any]) -> None:
        with self._changed:
            if child is self._child:
                HEARD[event["event"]](self, event)
                self._changed.notify_all()

    def _on_qr(self, event: dict[str, Any]) -> None:
        self._live.show_code(event["code"], event["sequence"], float(event["lifetime_seconds"]))

    def _on_scanned(self, event: dict[str, Any]) -> None:
        self._live.forget_codes()
        self._live.tell_state()

    def _on_state(self, event: dict[str, Any]) -> None:
        state, reason = event["state"], event.get("reason")
        if seconds := event.get("ban_seconds"):
            self._live.ban_expires_at = time.time() + seconds
        if state == "open":
            self._live.open(event.get("number"), event.get("profile_name"))
        else:
            self._live.become(state, reason)
        if state == "close" and self._child:
            child, self._child = self._child, None
            child.kill()

    def _on_message(self, event: dict[str, Any]) -> None:
        self._live.tell("messages.upsert", dialect.received_message(event, self.id))

    def _on_receipt(self, event: dict[str, Any]) -> None:
        for message_id in event["ids"]:
            status = dialect.RECEIPTS[event["type"]]
            update = dialect.receipt_update(message_id, event["chat"], status, self.id)
            self._live.tell("messages.update", update)

    def _on_profile(self, event: dict[str, Any]) -> None:
        self._live.rename_profile(event["profile_name"])

    def _wait_for_code(self, seconds: float) -> None:
        self._wait(lambda: self._live.state != "connecting" or self._live.code is not None, seconds)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, seconds)


HEARD: dict[str, Callable[[Session, dict[str, Any]], None]] = {
    "qr": Session._on_qr,
    "scanned": Session._on_scanned,
    "state": Session._on_state,
    "message": Session._on_message,
    "receipt": Session._on_receipt,
    "profile": Session._on_profile,
}
