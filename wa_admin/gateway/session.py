"""One session while the gateway runs: its child, its live state, and what it tells the world."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wa_admin.gateway import dialect
from wa_admin.gateway.dialect import Code, user_of
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.process import ChildProcess, Settled
from wa_admin.gateway.store import Instance, Store

log = logging.getLogger("wa_admin.gateway.session")

Announce = Callable[[str, str, Any], None]

FIRST_CODE_SECONDS = 2.5
PAIRING_SECONDS = 10.0
LOGOUT_SECONDS = 10.0
STOP_SECONDS = 2.0

# After these a person has to act, so neither we nor a restart of the gateway connects again by itself.
NEEDS_A_PERSON = {
    "qr_expired",
    "passkey_required",
    "auth_failure",
    "logged_out",
    "replaced",
    "banned",
    "stopped",
}


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


class Session:
    """The living side of one instance. Every method may be called from any thread."""

    def __init__(self, instance: Instance, engine: str, home: Path, store: Store, announce: Announce) -> None:
        self.id = instance.id
        self.home = home
        self._name = instance.name
        self._engine = engine
        self._store = store
        self._announce = announce
        self._acts = threading.Lock()  # one start, stop or logout at a time
        self._changed = threading.Condition(threading.RLock())  # guards everything below
        self._child: ChildProcess | None = None
        self._revival: threading.Timer | None = None
        self._crashes = Crashes()
        self.state = "close"
        self.reason = instance.reason
        self.since = instance.since
        self.linked = instance.linked
        self.owner_jid = instance.owner_jid
        self.profile_name = instance.profile_name
        self.code: Code | None = None
        self.pairing_code: str | None = None
        self.ban_expires_at: float | None = None

    # What it is

    def status(self) -> dict[str, Any]:
        """The live state in Evolution's words, with our reason beside it."""
        with self._changed:
            code = self._current_code()
            return {
                "instanceName": self._name,
                "state": self.state,
                "reason": self.reason,
                "number": user_of(self.owner_jid) if self.linked else None,
                "profileName": self.profile_name if self.linked else None,
                "since": self.since,
                "qrcode": code.timing() if code else None,
            }

    def codes(self) -> dict[str, Any]:
        """The answer of connect: the code a phone can scan now, or that there is none, or that it is open."""
        with self._changed:
            if self.state == "open":
                return {"instance": {"instanceName": self._name, "state": "open"}}
            return dialect.code_body(self._current_code(), self.pairing_code)

    @property
    def pid(self) -> int | None:
        with self._changed:
            return self._child.pid if self._child else None

    # What can be asked of it

    def start(self) -> None:
        """Log in, or start showing codes; nothing when it is at it already."""
        with self._acts, self._changed:
            if self._child is None:
                self._crashes = Crashes()
                self._spawn()

    def connect(self) -> dict[str, Any]:
        """Start, and wait a moment for the first code."""
        self.start()
        self._wait(lambda: self.state != "connecting" or self._current_code() is not None, FIRST_CODE_SECONDS)
        return self.codes()

    def pair(self, phone: str) -> dict[str, Any]:
        """Get a pairing code for this phone. Raises EngineError."""
        deadline = time.monotonic() + PAIRING_SECONDS
        self.start()
        # WhatsApp takes a phone number only after it gave the first QR code
        self._wait(lambda: self.state != "connecting" or self._current_code() is not None, PAIRING_SECONDS)
        with self._changed:
            child, state, code = self._child, self.state, self._current_code()
        if state == "open":
            return self.codes()
        if child is None or code is None:
            raise EngineError("not_connected", "WhatsApp gave no code in time: ask again")
        pairing_code = child.call("pair", max(0.5, deadline - time.monotonic()), phone=phone)
        with self._changed:
            self.pairing_code = pairing_code
            if code := self._current_code():
                self._tell("qrcode.updated", dialect.qrcode_data(self._name, code, pairing_code))
            return self.codes()

    def restart(self) -> dict[str, Any]:
        """Start the child anew and keep the login; answers with the state there was."""
        with self._changed:
            before = self.codes()
            closed = self._child is None
        if closed:
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
                self._set_state("close", "stopped" if self.linked else self._unlinked_reason())

    def logout(self) -> None:
        """Unlink at WhatsApp and forget the login. Raises EngineError not_connected when it cannot."""
        if self.linked and self.state == "close":
            self.start()  # a stopped session still has its login: only WhatsApp can undo that
            self._wait(lambda: self.state != "connecting", LOGOUT_SECONDS)
        with self._acts:
            with self._changed:
                child, state = self._child, self.state
            if child is None or (self.linked and state != "open"):
                raise EngineError("not_connected", "not connected")
            if state == "open":
                child.call("logout", LOGOUT_SECONDS)
            self._end_child(0)
            with self._changed:
                self._set_state("close", "logged_out" if self.linked else self._unlinked_reason())

    def remove(self) -> None:
        """Unlink if that can be done now, and end the child whatever happens."""
        with self._acts:
            with self._changed:
                child = self._child if self.state == "open" else None
            if child:
                try:
                    child.call("logout", STOP_SECONDS)
                except EngineError as error:
                    log.warning("%r is removed without being unlinked: %s", self._name, error.kind)
            self._end_child(0)

    def shut_down(self) -> None:
        """The gateway stops: end the child, say nothing, keep every wish."""
        with self._acts:
            self._end_child(STOP_SECONDS)

    def submit(self, command: str, settled: Settled | None = None, **args: Any) -> Future[Any]:
        """Hand a command to the engine of an open session. Raises EngineError not_connected at once."""
        with self._changed:
            child = self._child if self.state == "open" else None
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
        self._cancel_revival()
        self._set_state("connecting", None)
        self._store.update(self.id, wanted=True)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._child = ChildProcess(self._engine, self.home, self._on_event, self._on_exit)
        self._child.submit("start", self._started)
        log.info("session %r started, child %d", self._name, self._child.pid)

    def _started(self, ok: Any, error: EngineError | None) -> None:
        if error:
            log.warning("session %r could not start: %s", self._name, error)

    def _end_child(self, grace: float) -> None:
        with self._changed:
            self._cancel_revival()
            child, self._child = self._child, None  # from here on its events are ignored
            self._forget_codes()
        if child:
            child.end(grace)

    def _on_exit(self, child: ChildProcess, code: int) -> None:
        with self._changed:
            if child is not self._child:
                return
            self._child = None
            self._forget_codes()
            wait = self._crashes.wait_seconds(time.monotonic())
            if wait is None:
                log.error(
                    "session %r: child %d ended (%d) once too often, giving up", self._name, child.pid, code
                )
                self._set_state("close", "crashed")
                return
            log.warning("session %r: child %d ended (%d), again in %.0f s", self._name, child.pid, code, wait)
            self._set_state("connecting", None)
            self._revival = threading.Timer(wait, self._revive)
            self._revival.daemon = True
            self._revival.start()

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
                getattr(self, f"_on_{event['event']}")(event)

    def _on_qr(self, event: dict[str, Any]) -> None:
        lifetime = float(event["lifetime_seconds"])
        self.code = Code(event["code"], event["sequence"], lifetime, time.time() + lifetime)
        self._changed.notify_all()
        self._tell("qrcode.updated", dialect.qrcode_data(self._name, self.code, self.pairing_code))

    def _on_scanned(self, event: dict[str, Any]) -> None:
        self._forget_codes()
        self._changed.notify_all()
        self._tell_state()

    def _on_state(self, event: dict[str, Any]) -> None:
        state, reason = event["state"], event.get("reason")
        if seconds := event.get("ban_seconds"):
            self.ban_expires_at = time.time() + seconds
        if state == "open":
            self.linked = True
            self.owner_jid = f"{event['number']}@s.whatsapp.net" if event.get("number") else self.owner_jid
            self.profile_name = event.get("profile_name") or self.profile_name
        if state != "connecting" or reason == "network":
            self._forget_codes()
        self._set_state(state, reason)
        if state == "close" and self._child:
            child, self._child = self._child, None
            child.kill()

    def _on_message(self, event: dict[str, Any]) -> None:
        self._tell("messages.upsert", dialect.received_message(event, self.id))

    def _on_receipt(self, event: dict[str, Any]) -> None:
        for message_id in event["ids"]:
            status = dialect.RECEIPTS[event["type"]]
            self._tell("messages.update", dialect.receipt_update(message_id, event["chat"], status, self.id))

    def _on_profile(self, event: dict[str, Any]) -> None:
        self.profile_name = event["profile_name"]
        self._store.update(self.id, profile_name=self.profile_name)

    # The state, kept and told

    def _set_state(self, state: str, reason: str | None) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason, self.since = state, reason, dialect.now_iso()
        disconnection = None
        if reason == "logged_out":
            self.linked = False
            disconnection = self._disconnection()
        columns: dict[str, Any] = {
            "reason": reason if state == "close" else None,
            "since": self.since,
            "linked": self.linked,
            "owner_jid": self.owner_jid,
            "profile_name": self.profile_name,
        }
        if state == "close" and (reason in NEEDS_A_PERSON or not self.linked):
            columns["wanted"] = False
        if disconnection or state == "open":
            columns["disconnection"] = disconnection
        self._store.update(self.id, **columns)
        self._changed.notify_all()
        log.info("session %r is %s%s", self._name, state, f" ({reason})" if reason else "")
        if disconnection:
            self._tell("status.instance", {"instance": self._name, "status": "closed", **disconnection})
            self._tell("logout.instance", None)
        self._tell_state()
        if reason == "qr_expired":
            self._tell("qrcode.updated", dialect.QR_LIMIT)

    def _tell_state(self) -> None:
        data: dict[str, Any] = {"instance": self._name}
        if self.state == "open":
            data |= {"wuid": self.owner_jid, "profileName": self.profile_name, "profilePictureUrl": None}
        data["state"] = "refused" if self.reason == "qr_expired" else self.state
        data["statusReason"] = dialect.STATUS_REASONS.get(self.reason, 428)
        data["reason"] = self.reason
        data["number"] = user_of(self.owner_jid) if self.linked else None
        if self.reason == "banned" and self.ban_expires_at:
            data["banExpiresAt"] = dialect.iso(self.ban_expires_at)
        self._tell("connection.update", data)

    def _disconnection(self) -> dict[str, Any]:
        # a child that still runs was told by WhatsApp; at our own logout it has been ended before
        message = "Stream Errored (device_removed)" if self._child else "Log out instance"
        payload = {"statusCode": 401, "error": "Unauthorized", "message": message}
        return {
            "disconnectionAt": self.since,
            "disconnectionReasonCode": 401,
            "disconnectionObject": json.dumps({"error": {"output": {"statusCode": 401, "payload": payload}}}),
        }

    def _tell(self, event: str, data: Any) -> None:
        self._announce(self.id, event, data)

    def _current_code(self) -> Code | None:
        return self.code if self.code and self.code.expires_at > time.time() else None

    def _forget_codes(self) -> None:
        self.code = self.pairing_code = None

    def _unlinked_reason(self) -> str:
        return "never_linked" if self.owner_jid is None else "logged_out"

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, seconds)
