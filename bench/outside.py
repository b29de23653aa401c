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
from running_scheduler import RunningScheduler
from waiting import wait_until

from . import subjects
from .figure import Figure, clock

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


def figures(place: Path) -> Iterator[Figure]:
    data_dir = place / "data"
    subjects.Panel(data_dir)
    bare, ours = starts(data_dir)
    yield clock("rss_megabytes", ours.rss_bytes / 1e6)
    yield Figure("rss_per_bare", ours.rss_bytes / bare.rss_bytes, 2.8, 3.6)
    yield Figure("rss_of_scheduler_per_bare", _rss_of_scheduler(data_dir) / bare.rss_bytes, 2.8, 3.6)
    yield clock("cold_start_seconds", ours.seconds, 1.2, 2.0)
    yield Figure("cold_start_cpu_per_bare", ours.cpu_seconds / bare.cpu_seconds, 4.0, 6.25)


def _rss_of_scheduler(data_dir: Path) -> int:
    """Beside the panel, once it leads and has sent for nobody."""
    scheduler = RunningScheduler(data_dir, data_dir / "scheduler.log", WA_PORT=str(free_port()))
    try:
        wait_until(scheduler.leads)
        time.sleep(2)
        return int(psutil.Process(scheduler.process.pid).memory_info().rss)
    finally:
        scheduler.kill()


def starts(data_dir: Path) -> tuple[Start, Start]:
    """The bare application and the panel, each the quickest of several starts in turn."""
    bare, panel = [], []
    for _ in range(STARTS):
        port = free_port()
        bare.append(_start([sys.executable, "-c", BARE, str(port)], port, {}))
        port = free_port()
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
        return Start(seconds, cpu_seconds(seen), seen.memory_info().rss)


@contextmanager
def running_panel(data_dir: Path, **environ: str) -> Iterator[tuple[int, psutil.Process]]:
    """A panel that serves this data directory: its port, and itself."""
    port = free_port()
    ours = {"WA_DATA_DIR": str(data_dir), "WA_PORT": str(port)}
    with _running([sys.executable, "-m", "wa_admin.panel"], port, ours | environ) as process:
        yield port, psutil.Process(process.pid)


def cpu_seconds(process: psutil.Process) -> float:
    """Of all its threads, those that ended among them."""
    taken = process.cpu_times()
    return float(taken.user + taken.system)


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
