"""What open tabs cost: each asks every ten seconds whether there is anything new, and there is not."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from . import outside, subjects
from .figure import Figure, clock

FEW, MANY = 1, 200
INTERVAL_SECONDS = 10.0  # of one tab
POLLS_A_SECOND = MANY / INTERVAL_SECONDS  # in both cases, so that only the number of tabs differs
SECONDS = 12.0


def figures(place: Path) -> Iterator[Figure]:
    panel = subjects.Panel(place / "data")
    path = panel.unchanged_path()
    head = {"Cookie": panel.cookie, "HX-Request": "true"}
    with outside.running_panel(place / "data") as (port, process):
        few, rss_with_few, _ = _polled(port, process, FEW, path, head)
        many, rss_with_many, slowest = _polled(port, process, MANY, path, head)
    yield clock("tabs_poll_p99_milliseconds", slowest * 1000)
    yield Figure("tabs_percent_of_a_core_per_tab", 100 * many / INTERVAL_SECONDS, 0.05, 0.0625)
    yield Figure("tabs_cpu_of_a_poll_200_per_1", many / few, 1.2, 1.5)
    yield Figure("tabs_rss_200_per_1", rss_with_many / rss_with_few, 1.1, 1.25)


def _polled(
    port: int, process: psutil.Process, tabs: int, path: str, head: dict[str, str]
) -> tuple[float, int, float]:
    """CPU seconds of the panel for one poll, what it holds in the end, and the slowest poll of a hundred."""
    open_tabs = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(tabs)]
    for tab in open_tabs:
        _poll(tab, path, head)
    polls, waits = round(SECONDS * POLLS_A_SECOND), []
    began, before = time.perf_counter(), _cpu_seconds(process)
    for number in range(polls):
        time.sleep(max(0.0, began + number / POLLS_A_SECOND - time.perf_counter()))
        asked = time.perf_counter()
        _poll(open_tabs[number % tabs], path, head)
        waits.append(time.perf_counter() - asked)
    taken = (_cpu_seconds(process) - before) / polls
    held = process.memory_info().rss
    for tab in open_tabs:
        tab.close()
    return taken, held, sorted(waits)[int(polls * 0.99)]


def _poll(tab: http.client.HTTPConnection, path: str, head: dict[str, str]) -> None:
    tab.request("GET", path, headers=head)
    answer = tab.getresponse()
    answer.read()
    assert answer.status == 204, answer.status


def _cpu_seconds(process: psutil.Process) -> float:
    """Of its threads, to the nanosecond: 240 polls take a third of a second."""
    times = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in times) / 1e9
