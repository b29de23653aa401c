"""A running `flask up`, seen from outside."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import forked
import psutil
from waiting import until

ROOT = Path(__file__).parent.parent
FLASK_UP = ["-m", "flask", "--app", "wsgi", "up"]
UP = [sys.executable, *FLASK_UP]
PR_SET_PDEATHSIG = 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path):
    """Status and body; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def _end_with_the_tests():
    """Linux ends us when pytest is killed before it could."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Up:
    """A running `flask up`, seen from outside; forked, or really this command."""

    def __init__(self, data_dir, log, command=None, cwd=ROOT, **more):
        self.command, self.cwd = command, cwd
        self.port, self.gateway_port = free_port(), free_port()
        self.log = log
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("WA_")} | {
            "WA_DATA_DIR": str(data_dir),
            "WA_PORT": str(self.port),
            "WA_GATEWAY_PORT": str(self.gateway_port),
            "WA_ENGINE": "simulator",
            **more,
        }

    def start(self):
        with self.log.open("w") as out:
            self.process = self._command(out) if self.command else self._forked(out)
        self.children = []
        assert until(lambda: self.is_announced() or self.process.poll() is not None), self.said()
        assert self.process.poll() is None, self.said()
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        return self

    def _forked(self, out):
        return forked.start(FLASK_UP, self.environ, stdout=out, stderr=out)

    def _command(self, out):
        return subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.environ,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_end_with_the_tests,
        )

    def is_announced(self):
        """As text, or as JSON."""
        return "Ctrl-C stops everything" in self.said() or '"panel": "http' in self.said()

    def said(self):
        return self.log.read_text()

    def running(self, name):
        """The process of this name that lives now."""
        for child in psutil.Process(self.process.pid).children():
            if child.is_running() and child.cmdline()[-1:] == [f"wa_admin.{name}"]:
                return child
        return None

    def get(self, path, port=None):
        return get(port or self.port, path)

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def all_gone(self):
        return not any(child.is_running() and child.status() != "zombie" for child in self.children)

    def end(self):
        for child in [*self.children, *_children_of(self.process.pid)]:
            if child.is_running():
                child.kill()
        self.process.kill()
        self.process.wait()


def _children_of(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
