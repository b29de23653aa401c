"""One child process and the conversation with it."""

from __future__ import annotations

import itertools
import json
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import certifi

from wa_admin.gateway.engines.contract import EngineError

log = logging.getLogger("wa_admin.gateway.child")

READS_WITHIN_SECONDS = 10.0

Settled = Callable[[dict[str, Any] | None, EngineError | None], None]
# where Go looks on Linux (crypto/x509, root_linux.go); elsewhere it asks the system
GO_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


class ChildProcess:
    """Starts at once. `on_event` and `on_exit` are called on the thread that reads the child, in order."""

    def __init__(
        self,
        engine: str,
        store: Path,
        on_event: Callable[[ChildProcess, dict[str, Any]], None],
        on_exit: Callable[[ChildProcess, int], None],
    ) -> None:
        self._on_event = on_event
        self._on_exit = on_exit
        self._numbers = itertools.count(1)
        self._pending: dict[int, tuple[Future[Any], Settled | None]] = {}
        self._lock = threading.Lock()
        self._gone = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wa_admin.gateway.child", "--engine", engine, "--store", str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=start_environment(os.environ),
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which ends us in order
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._room = select.poll()
        self._room.register(self._process.stdin, select.POLLOUT)
        threading.Thread(target=self._read, daemon=True, name=f"child-{self.pid}").start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def submit(self, command: str, settled: Settled | None = None, **args: Any) -> Future[Any]:
        """Send a command. `settled` runs once, before the future is done and before any later event.

        The future raises EngineError: not_connected when the command did not reach the child, timeout when
        the child ended before it answered.
        """
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = (future, settled)
            written = not self._gone and self._write({"id": number, "cmd": command, **args})
        if not written:
            self._settle(number, None, EngineError("not_connected", "the engine is not running"))
        return future

    def call(self, command: str, timeout: float, **args: Any) -> Any:
        """Send a command and wait. Raises EngineError, of kind timeout after `timeout` seconds."""
        try:
            return self.submit(command, **args).result(timeout)
        except TimeoutError as error:
            raise EngineError("timeout", f"{command} took longer than {timeout:.0f} s") from error

    def end(self, grace: float) -> None:
        """Ask the engine to stop, and kill it after `grace` seconds; returns when the process is gone."""
        if grace > 0:
            try:
                self.call("stop", grace)
            except EngineError as error:
                log.debug("child %d did not stop by itself: %s", self.pid, error.kind)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _write(self, message: dict[str, Any]) -> bool:
        """Whether it went out. A child that reads nothing is killed, or even a stop would wait for it."""
        assert self._process.stdin is not None
        line = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while line:
                if not self._room.poll(READS_WITHIN_SECONDS * 1000):
                    log.warning("child %d reads nothing any more: killed", self.pid)
                    self._process.kill()
                    return False
                line = line[os.write(self._process.stdin.fileno(), line) :]
        except OSError:
            return False
        return True

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._take(json.loads(line))
            except Exception:
                log.exception("child %d said something that could not be handled", self.pid)
        code = self._process.wait()
        self._close()
        self._on_exit(self, code)

    def _take(self, message: dict[str, Any]) -> None:
        if "reply" in message:
            error = message.get("error")
            self._settle(
                message["reply"],
                message.get("ok"),
                EngineError(error["kind"], error["message"]) if error else None,
            )
        elif message["event"] == "log":
            log.log(LEVELS.get(message["level"], logging.ERROR), "child %d: %s", self.pid, message["text"])
        else:
            self._on_event(self, message)

    def _settle(self, number: int, ok: Any, error: EngineError | None) -> None:
        with self._lock:
            future, settled = self._pending.pop(number, (None, None))
        if future is None:
            return
        try:
            if settled:
                settled(ok, error)
        finally:
            if error:
                future.set_exception(error)
            else:
                future.set_result(ok)

    def _close(self) -> None:
        with self._lock:
            self._gone = True
            unanswered = list(self._pending)
            for stream in (self._process.stdin, self._process.stdout):
                try:
                    assert stream is not None
                    stream.close()
                except OSError:
                    log.debug("child %d left an unread command behind", self.pid)
        for number in unanswered:
            self._settle(number, None, EngineError("timeout", "the engine ended before it answered"))


def start_environment(environ: Mapping[str, str], system: Sequence[str] = GO_CERTIFICATES) -> dict[str, str]:
    """Ours without our secrets, and what Go reads only from the environment its process was started with:
    that messages are not marked as from a bot, and whom to trust where the machine does not say."""
    kept = {name: value for name, value in environ.items() if not name.startswith("WA_")}
    if speed := environ.get("WA_SIMULATOR_SPEED"):
        kept["WA_SIMULATOR_SPEED"] = speed
    told = kept.get("SSL_CERT_FILE") or kept.get("SSL_CERT_DIR")
    if not told and not any(Path(bundle).exists() for bundle in system):
        kept["SSL_CERT_FILE"] = certifi.where()
    return kept | {"NEONIZE_BOT_TAG": "off"}
