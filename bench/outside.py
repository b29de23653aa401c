"""What is measured from outside: memory and start of the panel as a process, beside a bare one."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

BARE = """
import sys, flask, waitress
app = flask.Flask("bare")
app.add_url_rule("/login", view_func=lambda: "x" * 1024)
waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=8)
"""
STARTS = 5


@dataclass(frozen=True)
class Start:
    """From the start of a process to its first page: clock and CPU seconds; and what it holds then."""

    seconds: float
    cpu_seconds: float
    rss_bytes: int


def starts(data_dir: Path) -> tuple[Start, Start]:
    """The bare application and the panel, each the quickest of several starts in turn."""
    bare, panel = [], []
    for _ in range(STARTS):
        port = _free_port()
        bare.append(_start([sys.executable, "-c", BARE, str(port)], port, {}))
        port = _free_port()
        ours = {"WA_DATA_DIR": str(data_dir), "WA_PORT": str(port)}
        panel.append(_start([sys.executable, "-m", "wa_admin.panel"], port, ours))
    return _quickest(bare), _quickest(panel)


def _quickest(starts: list[Start]) -> Start:
    return Start(
        min(start.seconds for start in starts),
        min(start.cpu_seconds for start in starts),
        min(start.rss_bytes for start in starts),
    )


def _start(command: list[str], port: int, environ: dict[str, str]) -> Start:
    began = time.perf_counter()
    with _running(command, port, environ) as process:
        seconds = time.perf_counter() - began
        seen = psutil.Process(process.pid)
        cpu = seen.cpu_times()
        return Start(seconds, cpu.user + cpu.system, seen.memory_info().rss)


@contextmanager
def running_panel(data_dir: Path) -> Iterator[int]:
    """The port of a panel that serves this data directory."""
    port = _free_port()
    ours = {"WA_DATA_DIR": str(data_dir), "WA_PORT": str(port)}
    with _running([sys.executable, "-m", "wa_admin.panel"], port, ours):
        yield port


@contextmanager
def _running(command: list[str], port: int, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, once it answers."""
    process = subprocess.Popen(command, env={**os.environ, **environ}, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise RuntimeError(f"{command[1:3]} ended with {process.returncode}")
            time.sleep(0.002)
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
