"""The supervisor: starts gateway, scheduler and panel, shows what they log, starts again what crashed.

Nothing but the standard library, since this process lives beside all the others: `flask up` prepares with
the application loaded, then turns itself into this one.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import config, log

LONGEST_PAUSE_SECONDS = 60.0
HEALTHY_AFTER_SECONDS = 60.0
TICK_SECONDS = 0.1
# a thread that only waits looks up now and then: CPython may note a signal without waking the main thread
IDLE_TICK_SECONDS = 0.5
ANNOUNCE_AFTER_SECONDS = 30.0
# a little more than each of them allows itself
GRACE_SECONDS = {"gateway": 20.0, "scheduler": 13.0, "panel": 13.0}
CANNOT_START = 2
LOGGER = "wa_admin.up"
READ_BY_THE_GATEWAY = ("WA_SIMULATOR_SPEED", "WA_ENCRYPTION_KEYS", "WA_ENCRYPTION_KEYS_FILE")


def main() -> None:
    """Arguments: the descriptors of the lock on the data directory, and of what to say once all is up."""
    lock, greeting = (int(number) for number in sys.argv[1:3])
    os.set_inheritable(lock, False)
    with os.fdopen(greeting) as pipe:
        words = json.load(pipe)
    settings = config.load()
    log_of_all = Log(settings.log_format)
    supervisor = Supervisor(_programs(settings, log_of_all), log_of_all, words)
    raise SystemExit(supervisor.run())


def _programs(settings: config.Settings, log_of_all: Log) -> list[Program]:
    """In the order in which they start; they stop the other way round."""
    ours = dict(os.environ) | {"WA_DATA_DIR": str(settings.data_dir)}
    panel = Program("panel", ours, log_of_all, (config.reachable(settings.host), settings.port, "/healthz"))
    scheduler = Program("scheduler", ours, log_of_all)
    if settings.gateway_url:
        return [panel, scheduler]
    where = (config.reachable(settings.gateway_host), settings.gateway_port, "/")
    gateway = Program("gateway", gateway_environment(settings), log_of_all, where)
    scheduler.waits_for = gateway  # its first look would find nobody and report an outage
    return [gateway, panel, scheduler]


def gateway_environment(settings: config.Settings) -> dict[str, str]:
    """The gateway's own settings, and of the panel's secrets only what seals the data directory."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WA_") or name in READ_BY_THE_GATEWAY
    }
    return kept | {
        "WA_DATA_DIR": str(settings.data_dir),
        "WA_ENGINE": settings.engine,
        "WA_GATEWAY_HOST": settings.gateway_host,
        "WA_GATEWAY_PORT": str(settings.gateway_port),
        "WA_GATEWAY_KEY": settings.gateway_key,
        "WA_LOG_FORMAT": settings.log_format,
    }


class Log:
    """One log for all: each line with the name of its process, and without secrets."""

    def __init__(self, log_format: str) -> None:
        self._is_json = log_format == "json"
        self._lock = threading.Lock()

    def pass_on(self, process: str, line: str) -> None:
        """A line that one of the processes wrote."""
        line = log.redact(line.expandtabs())
        self.write(self._as_json(process, line) if self._is_json else f"{process:<9} | {line}")

    def say(self, sentence: str) -> None:
        """What the supervisor itself has to say, in the form of the others' lines."""
        if self._is_json:
            self.write(json.dumps({"process": "up", **_record(sentence), "logger": LOGGER}))
        else:
            self.pass_on("up", f"{datetime.now(UTC):{log.TEXT_TIME}} INFO    {LOGGER}: {sentence}")

    def announce(self, words: dict[str, str]) -> None:
        """Where to go now. Holds the first-run link: the one secret that must be shown."""
        if self._is_json:
            self.write(json.dumps({"process": "up", **_record("wa-admin runs"), "logger": LOGGER, **words}))
            return
        first_run = words.get("first_run_link")
        lines = ["", f"  wa-admin runs on {words['panel']}"]
        if listens := words.get("listens"):
            lines.append(f"  {listens}")
        if first_run:
            lines += [
                "  Make the first account within 30 minutes, with this link that works once:",
                f"  {first_run}",
            ]
        self.write("\n".join([*lines, "  Ctrl-C stops everything.", ""]))

    def write(self, text: str) -> None:
        with self._lock:
            try:
                print(text, flush=True)
            except BrokenPipeError:  # who read along has left; the number stays connected all the same
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123

    def _as_json(self, process: str, line: str) -> str:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            record = _record(line)
        return json.dumps({"process": process, **record})


@dataclass
class Program:
    """One of our processes."""

    name: str
    environ: dict[str, str]
    log: Log
    address: tuple[str, int, str] | None = None  # host, port and path that answer once it is ready
    waits_for: Program | None = None
    process: subprocess.Popen[str] | None = None
    start_at: float = 0.0
    crashes: int = 0
    was_ready: bool = field(default=False)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_due(self, now: float) -> bool:
        return (
            self.process is None
            and now >= self.start_at
            and (self.waits_for is None or self.waits_for.was_ready)
        )

    def start(self, ended: Callable[[Program], None]) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wa_admin.tether", f"wa_admin.{self.name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops them in order
        )
        threading.Thread(target=self._follow, args=(self.process, ended), daemon=True).start()

    def ask_to_end(self) -> None:
        if self.is_running:
            assert self.process is not None
            self.process.terminate()

    def end_by(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.log.say(f"{self.name} did not stop in time: killed")
            self.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def crashed(self) -> int:
        """Note that it ended by itself and when to start it again; its exit code."""
        assert self.process is not None
        code, self.process = self.process.wait(), None
        now = time.monotonic()
        self.crashes = 1 if now - self.started_at > HEALTHY_AFTER_SECONDS else self.crashes + 1
        self.start_at = now + min(2.0 ** (self.crashes - 1), LONGEST_PAUSE_SECONDS)
        return code

    def check_ready(self) -> bool:
        if not self.was_ready and self.is_running:
            self.was_ready = self.address is None or _answers(*self.address)
        return self.was_ready

    def _follow(self, process: subprocess.Popen[str], ended: Callable[[Program], None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.pass_on(self.name, line.rstrip())
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
        ended(self)


class Supervisor:
    def __init__(self, programs: list[Program], log_of_all: Log, words: dict[str, str]) -> None:
        self._programs = programs
        self._log = log_of_all
        self._words = words
        self._announced = False
        # what ended; None is our own end
        self._events: queue.SimpleQueue[Program | None] = queue.SimpleQueue()
        self._is_stopping = False
        self._began_at = time.monotonic()

    def run(self) -> int:
        """Until a signal, or until one of them says that it cannot start; the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        code = self._watch()
        self._stop()
        return code

    def _watch(self) -> int:
        while True:
            self._start_what_is_due()
            try:
                ended = self._events.get(timeout=TICK_SECONDS if self._is_busy() else IDLE_TICK_SECONDS)
            except queue.Empty:
                continue
            if ended is None:
                return 0
            if (code := ended.crashed()) == CANNOT_START and not ended.was_ready:
                self._log.say(f"{ended.name} cannot start: everything stops")
                return CANNOT_START
            pause = ended.start_at - time.monotonic()
            self._log.say(f"{ended.name} ended ({_in_words(code)}): starting it again in {pause:.0f} s")

    def _start_what_is_due(self) -> None:
        for program in self._programs:
            if program.is_due(time.monotonic()):
                program.start(self._events.put)
        if not self._announced and self._is_up():
            self._announced = True
            self._log.announce(self._words)

    def _is_busy(self) -> bool:
        return not self._announced or any(program.process is None for program in self._programs)

    def _is_up(self) -> bool:
        waiting = [program.name for program in self._programs if not program.check_ready()]
        if waiting and time.monotonic() - self._began_at > ANNOUNCE_AFTER_SECONDS:
            self._log.say(f"still waiting for {' and '.join(waiting)}")
            return True
        return not waiting

    def _stop(self) -> None:
        self._is_stopping = True
        self._log.say("stopping")
        # the gateway last: what the others have in flight still needs it
        self._end([program for program in self._programs if program.name != "gateway"])
        self._end([program for program in self._programs if program.name == "gateway"])
        self._log.say("stopped")

    def _end(self, programs: list[Program]) -> None:
        for program in programs:
            program.ask_to_end()
        began = time.monotonic()
        for program in programs:
            program.end_by(began + GRACE_SECONDS[program.name])

    def _on_signal(self, *_: Any) -> None:
        if self._is_stopping:  # asked twice: do not wait for anybody
            for program in self._programs:
                program.kill()
        self._events.put(None)


def _in_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _answers(host: str, port: int, path: str) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.0\r\nHost: {config.bracketed(host)}:{port}\r\n\r\n".encode()
            )
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _record(message: str) -> dict[str, str]:
    return {"time": f"{datetime.now(UTC):{log.JSON_TIME}}", "level": "INFO", "message": message}


if __name__ == "__main__":
    main()
