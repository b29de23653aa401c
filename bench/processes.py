"""Several panels on one PostgreSQL: what a request costs in one of four, and that one scheduler leads.

On a machine with fewer processors than panels more cannot go through, but what it costs can still be seen:
four processes of which each needs no more CPU than one alone would go four times as fast on four processors.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from running_scheduler import RunningScheduler
from waiting import wait_until

from . import outside, postgresql, subjects
from .figure import Figure, clock, count

PANELS, SCHEDULERS = 4, 4
SENDERS = 8
POLLS, MESSAGES = 960, 240
WATCHED_SECONDS = 10.0


def figures(place: Path) -> Iterator[Figure]:
    with postgresql.server() as server:
        url = server.create("processes")
        data_dir = place / "data"
        panel = subjects.Panel(data_dir, WA_DATABASE_URL=url)
        one = _served(panel, data_dir, url, 1)
        several = _served(panel, data_dir, url, PANELS)
        processors = f"on {os.cpu_count()} processors"
        throughput = clock("throughput_of_4_panels_per_1", several.rate / one.rate, 2.5, more_is_better=True)
        yield replace(throughput, note=processors)
        yield Figure("cpu_of_a_request_in_4_panels_per_1", several.cpu_seconds / one.cpu_seconds, 1.2, 1.6)
        yield count("schedulers_that_lead_of_4", _leaders(data_dir, url), 1, 1)
        panel.close()


@dataclass(frozen=True)
class Served:
    """`rate` in requests a second; CPU seconds of one, in the panels."""

    rate: float
    cpu_seconds: float


def _served(panel: subjects.Panel, data_dir: Path, url: str, panels: int) -> Served:
    """Polls and messages, by clients that never pause."""
    poll = ("GET", panel.fragment_path(), None, {"Cookie": panel.cookie, "HX-Request": "true"})
    as_app = {"Authorization": f"Bearer {panel.key}", "Content-Type": "application/json"}
    message = ("POST", "/api/v1/messages/send/", json.dumps(subjects.MESSAGE), as_app)
    turn = [poll] * (POLLS // MESSAGES) + [message]
    environ = {"WA_DATABASE_URL": url, "WA_API_CALLS_PER_MINUTE": "1000000"}

    def ask(port: int, turns: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for method, path, body, head in turn * turns:
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            assert answer.status in (200, 202), answer.read()
            answer.read()
        connection.close()

    with ExitStack() as stack, ThreadPoolExecutor(SENDERS) as threads:
        running = [stack.enter_context(outside.running_panel(data_dir, **environ)) for _ in range(panels)]
        ports = [running[number % panels][0] for number in range(SENDERS)]
        list(threads.map(ask, ports, [2] * SENDERS))  # what is loaded by the first request is loaded
        before, began = _cpu_seconds(running), time.perf_counter()
        list(threads.map(ask, ports, [MESSAGES // SENDERS] * SENDERS))
        seconds, taken = time.perf_counter() - began, _cpu_seconds(running) - before
    return Served((POLLS + MESSAGES) / seconds, taken / (POLLS + MESSAGES))


def _cpu_seconds(running: list[tuple[int, psutil.Process]]) -> float:
    return sum(outside.cpu_seconds(process) for _, process in running)


def _leaders(data_dir: Path, url: str) -> int:
    """The most that led at once; one did all the time."""
    environ = {"WA_DATABASE_URL": url, "WA_PORT": str(outside.free_port())}
    logs = [data_dir / f"scheduler-{number}.log" for number in range(SCHEDULERS)]
    schedulers = [RunningScheduler(data_dir, log, **environ) for log in logs]
    try:
        wait_until(lambda: any(one.leads() for one in schedulers))
        wait_until(lambda: all(one.leads() or one.stands_by() for one in schedulers))
        seen, ends = [], time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < ends:
            seen.append(sum(one.leads() for one in schedulers))
            time.sleep(0.5)
        assert min(seen) == 1, "nobody led"
        return max(seen)
    finally:
        for one in schedulers:
            one.kill()
