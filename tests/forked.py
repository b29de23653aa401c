"""Programs of ours without what their start costs: forked off one process that has loaded everything.

Each is a process of its own, with a number to kill, an environment, files and an exit code, and begins where
`python -m` or `python -c` would. Tests of the start itself start the real command.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("wa_admin.panel", "wa_admin.scheduler")
LONGEST_REQUEST = 100_000


def start(arguments: Sequence[str], environ: Mapping[str, str], **files: Any) -> Program:
    """`python` with these arguments; a real one in `make bench` and `make faults`, which measure it too."""
    if "PYTEST_CURRENT_TEST" in os.environ:
        return Forked(arguments, environ, **files)
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environ, **files)


def run(
    arguments: Sequence[str], environ: Mapping[str, str], cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """The same until it ends, and what it said."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = Forked(arguments, environ, cwd, out, err).wait(120)
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def wa_admin(
    *arguments: str, environ: Mapping[str, str], cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """The command of this name."""
    return run(["-c", "from wa_admin.cli import main; main()", *arguments], environ, cwd)


class Forked:
    """As much of `subprocess.Popen` as tests use."""

    returncode: int | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        cwd: Path = ROOT,
        stdout: Any = None,
        stderr: Any = None,
    ) -> None:
        self.args = arguments
        with Path(os.devnull).open("w") as nowhere:
            usual = {subprocess.DEVNULL: nowhere.fileno()}
            out = 1 if stdout is None else usual.get(stdout) or stdout.fileno()
            err = 2 if stderr is None else usual.get(stderr) or stderr.fileno()
            asked = {"arguments": arguments, "environ": dict(environ), "cwd": str(cwd)}
            self.pid: int = _Nursery.the().ask(asked, [0, out, err])

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _Nursery.the().ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        ends = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if ends and time.monotonic() > ends:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Program = subprocess.Popen[Any] | Forked


class _Nursery:
    """Our end of the process that forks; it ends, and kills what it forked, when we do."""

    _only: _Nursery | None = None
    _lock = threading.Lock()

    @classmethod
    def the(cls) -> _Nursery:
        with cls._lock:
            cls._only = cls._only or cls()
            return cls._only

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(number)],
                env=plain,
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us
            )
        atexit.register(self._end)

    def ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> Any:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
            return json.loads(self._socket.recv(LONGEST_REQUEST))

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


def _load() -> None:
    """All that a program of ours may need, but no engine that starts threads; nothing is connected yet."""
    import waitress.server  # noqa: F401

    import wa_admin

    for module in walk_packages(wa_admin.__path__, "wa_admin."):
        if "neonize" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    for program in PROGRAMS:  # loaded once more as what is run
        del sys.modules[program]
    with tempfile.TemporaryDirectory() as place:  # what the first application of a process loads and looks up
        wa_admin.create_app({"WA_DATA_DIR": place, "WA_ENGINE": "simulator"})
    gc.collect()
    gc.freeze()


def _fork_on_request(requests: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Returns in each process that was forked, with what it is to be."""
    running = set()
    while True:
        said, files, *_ = socket.recv_fds(requests, LONGEST_REQUEST, 3)
        if not said:
            break
        request = json.loads(said)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            running.discard(pid)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                requests.close()
                return request, files
            running.add(answer)
            for file in files:
                os.close(file)
        requests.send(json.dumps(answer).encode())
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    raise SystemExit


def _become(request: dict[str, Any], files: list[int]) -> None:
    """As in a process that has just been started."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    how, what, *arguments = request["arguments"]
    sys.argv, sys.path[0] = ["-c", *arguments], request["cwd"]
    if how == "-c":
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _load()
    _become(*_fork_on_request(socket.socket(fileno=int(sys.argv[1]))))
