"""Measure, print a table and one line of JSON, and fail on a ratio above its limit."""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import machine, many, outside, rounds, stub, subjects, traffic

HISTORY = Path(__file__).parent / "results" / "history.jsonl"
KEPT_RUNS, USUAL_OF = 30, 5
WORSE = 1.15  # than usual


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    target: float | None = None
    # None: reported, never failing, since clocks and memory depend on the machine
    fails_above: float | None = None
    usual: float | None = None  # median of the last runs

    @property
    def fails(self) -> bool:
        return self.verdict in ("FAILS", "WORSE")

    @property
    def verdict(self) -> str:
        if self.fails_above is not None and self.value > self.fails_above:
            return "FAILS"
        if self.fails_above is not None and self.usual and self.value > WORSE * self.usual:
            return "WORSE"
        if self.target is None:
            return ""
        return "ok" if self.value <= self.target else "above target"


def main() -> int:
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="wa-admin-bench-") as directory:
        place = Path(directory)
        about = machine.describe(place)
        figures = [replace(figure, usual=_usual(figure.name)) for figure in _measure(place)]
    _print_table(figures)
    line = json.dumps({**about, **{figure.name: round(figure.value, 4) for figure in figures}})
    print(line)
    _keep(line)
    return int(any(figure.fails for figure in figures))


def _measure(place: Path) -> Iterator[Figure]:
    panel = subjects.Panel(place / "data")
    looks = {
        "bare": panel.bare(),
        "fragment": panel.fragment(),
        "unchanged": panel.unchanged(),
        "forged": panel.forged(),
    }
    accept = panel.accept()
    subjects.check(looks)
    cpu = rounds.cpu_seconds(looks)
    h = cpu["bare"]
    yield Figure("h_microseconds", h * 1e6)
    yield Figure("fragment_per_h", cpu["fragment"] / h, 5.0, 7.0)
    yield Figure("unchanged_poll_per_h", cpu["unchanged"] / h, 3.5, 4.5)
    yield Figure("forged_webhook_per_h", cpu["forged"] / h, 2.5, 4.0)
    yield from _queries(panel, looks)
    # after the looks, since each message accepted is news to them
    subjects.check({"accept": accept})
    yield from _accepting(accept)
    yield from _webhooks(panel, looks["bare"])
    yield from _login(panel)
    yield from _weights(panel, looks)
    yield from _from_outside(place / "data")
    yield from _of_many(place)
    yield from _traffic(place)


def _accepting(accept: subjects.Subject) -> Iterator[Figure]:
    gateways = (stub.running(stub.takes_messages(seconds)) for seconds in (0.0, 0.1))
    with next(gateways) as at_once, next(gateways) as after_100_ms:
        client, direct = subjects.direct_call(at_once)
        slow_client, slow = subjects.direct_call(after_100_ms)
        with client, slow_client:
            cpu = rounds.cpu_seconds({"accept": accept, "direct": direct})
            accept_seconds, slow_seconds = rounds.wall_seconds(accept), rounds.wall_seconds(slow, 10)
    subjects.check({"accept": accept})  # to the last: a refusal for calling too often would be cheap
    yield Figure("accept_per_direct_call", cpu["accept"] / cpu["direct"], 3.0, 5.0)
    yield Figure("accept_per_call_of_100_ms", accept_seconds / slow_seconds, 0.1)
    yield Figure("accept_milliseconds", accept_seconds * 1000)


def _webhooks(panel: subjects.Panel, bare: subjects.Subject) -> Iterator[Figure]:
    webhook = panel.webhook()
    subjects.check({"webhook": webhook})
    cpu = rounds.cpu_seconds({"webhook": webhook, "bare": bare})
    yield Figure("webhook_stored_per_h", cpu["webhook"] / cpu["bare"], 20.0, 30.0)
    yield Figure("webhook_read_per_h", panel.read_webhooks() / cpu["bare"], 15.0, 30.0)


def _queries(panel: subjects.Panel, looks: dict[str, subjects.Subject]) -> Iterator[Figure]:
    pages = {"fragment": looks["fragment"], "unchanged_poll": looks["unchanged"], "home": panel.home()}
    for (name, look), most in zip(pages.items(), (1, 1, 6), strict=True):
        with panel.counted_queries() as queries:
            look()
        yield Figure(f"queries_of_{name}", len(queries), most, most + 1)


def _login(panel: subjects.Panel) -> Iterator[Figure]:
    cpu = rounds.cpu_seconds({"login": panel.login(), "password": panel.password()}, rounds=5)
    yield Figure("login_per_argon2", cpu["login"] / cpu["password"], 1.5, 2.0)


def _weights(panel: subjects.Panel, looks: dict[str, subjects.Subject]) -> Iterator[Figure]:
    _, body = looks["fragment"]()
    yield Figure("first_visit_kilobytes", panel.first_visit() / 1024, 60.0, 80.0)
    yield Figure("poll_kilobytes", len(body) / 1024, 1.5, 3.0)


def _from_outside(data_dir: Path) -> Iterator[Figure]:
    bare, ours = outside.starts(data_dir)
    yield Figure("rss_megabytes", ours.rss_bytes / 1e6)
    yield Figure("rss_per_bare", ours.rss_bytes / bare.rss_bytes, 2.8)
    yield Figure("cold_start_seconds", ours.seconds, 1.2)
    yield Figure("cold_start_cpu_per_bare", ours.cpu_seconds / bare.cpu_seconds, 4.0, 6.25)


def _of_many(place: Path) -> Iterator[Figure]:
    few, thousand = many.costs(place)
    page_of_few, page_of_many = few.page_seconds / few.h_seconds, thousand.page_seconds / thousand.h_seconds
    # fifty rows beside ten cards, which get cheaper too: the cost itself is what may fail
    yield Figure("list_page_of_1000_per_10", page_of_many / page_of_few, 1.3)
    yield Figure("list_page_of_1000_per_h", page_of_many, fails_above=150.0)
    yield Figure("list_news_of_10_per_h", few.news_seconds / few.h_seconds, 8.0, 12.0)
    yield Figure("list_unchanged_of_10_per_h", few.unchanged_seconds / few.h_seconds, 3.5, 4.5)
    yield Figure("list_unchanged_of_1000_per_h", thousand.unchanged_seconds / thousand.h_seconds)
    yield Figure("check_of_1000_seconds", thousand.tick_seconds, 10.0)
    yield Figure("rss_of_1000_per_10", thousand.rss_bytes / few.rss_bytes, 1.2, 1.35)


def _traffic(place: Path) -> Iterator[Figure]:
    seen = traffic.measured(place / "traffic")
    yield Figure("drain_seconds_per_100", 100 / seen.drained_a_second, 1.0)
    yield Figure("pace_per_limit", seen.pace * traffic.INTERVAL_SECONDS, 1.0, 1.005)
    yield Figure("limit_per_pace", 1 / (seen.pace * traffic.INTERVAL_SECONDS), 1.0 / 0.95)
    yield Figure("webhook_p99_milliseconds", seen.hook_p99 * 1000, 100.0)
    yield Figure("webhooks_lost", seen.hooks_lost, 0, 0)


def _print_table(figures: list[Figure]) -> None:
    print(f"{'figure':<30}{'value':>10}{'target':>9}{'fails':>8}")
    for figure in figures:
        limits = (f"{limit:g}" if limit is not None else "" for limit in (figure.target, figure.fails_above))
        target, fails_above = limits
        print(f"{figure.name:<30}{figure.value:>10.2f}{target:>9}{fails_above:>8}  {figure.verdict}".rstrip())


def _usual(name: str) -> float | None:
    values = [run[name] for run in map(json.loads, _earlier()[-USUAL_OF:]) if name in run]
    return statistics.median(values) if len(values) == USUAL_OF else None


def _keep(line: str) -> None:
    """The last runs, to compare with; not in the repository, since they belong to this machine."""
    HISTORY.parent.mkdir(exist_ok=True)
    HISTORY.write_text("\n".join([*_earlier(), line][-KEPT_RUNS:]) + "\n")


def _earlier() -> list[str]:
    return HISTORY.read_text().splitlines() if HISTORY.exists() else []


if __name__ == "__main__":
    raise SystemExit(main())
