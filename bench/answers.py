"""What one request costs, without a server: polls, pages, messages accepted, webhooks and logins."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from wa_admin.services import sample

from . import rounds, stub, subjects
from .figure import Figure, clock, count

LOGINS = 40


def figures(place: Path) -> Iterator[Figure]:
    panel = subjects.Panel(place / "data")
    looks = {
        "bare": panel.bare(),
        "fragment": panel.fragment(),
        "unchanged": panel.unchanged(),
        "forged": panel.forged(),
    }
    subjects.check(looks)
    cpu = rounds.cpu_seconds(looks)
    h = cpu["bare"]
    yield clock("h_microseconds", h * 1e6)
    yield Figure("fragment_per_h", cpu["fragment"] / h, 5.0, 7.0)
    yield Figure("unchanged_poll_per_h", cpu["unchanged"] / h, 3.5, 4.5)
    yield Figure("forged_webhook_per_h", cpu["forged"] / h, 2.5, 4.0)
    yield count("queries_of_fragment", panel.queries(looks["fragment"]), 1, 2)
    yield count("queries_of_unchanged_poll", panel.queries(looks["unchanged"]), 1, 2)
    yield from _weights(panel)
    # after the looks, since each message accepted is news to them
    yield from _accepting(panel.accept())
    yield from _webhooks(panel, looks["bare"])
    yield from _logins(panel)
    yield from _pages(place / "sample")


def _pages(data_dir: Path) -> Iterator[Figure]:
    """Whatever can be opened of a workspace with something in it."""
    panel = subjects.Panel(data_dir, max_sessions=2)
    with panel.app.app_context():
        sample.fill(sample.session(1, force=True, actor="cli"))
    taken = {path: panel.queries(look) for path, look in panel.pages().items() if b"<html" in look()[1]}
    dearest = max(taken, key=lambda path: taken[path])
    yield count("queries_of_dearest_page", taken[dearest], 6, 7, f"{dearest}, of {len(taken)} pages")


def _weights(panel: subjects.Panel) -> Iterator[Figure]:
    yield count("first_visit_kilobytes", panel.first_visit() / 1024, 60.0, 80.0)
    yield count("poll_kilobytes", panel.weight(panel.fragment_path()) / 1024, 1.5, 3.0)
    unchanged = panel.weight(panel.unchanged_path()) / 1024
    yield count("unchanged_poll_kilobytes", unchanged, 0.2, 3.0, "headers, most of them for security")


def _accepting(accept: subjects.Subject) -> Iterator[Figure]:
    subjects.check({"accept": accept})
    gateways = (stub.running(stub.takes_messages(seconds)) for seconds in (0.0, 0.1))
    with next(gateways) as at_once, next(gateways) as after_100_ms:
        client, direct = subjects.direct_call(at_once)
        slow_client, slow = subjects.direct_call(after_100_ms)
        with client, slow_client:
            cpu = rounds.cpu_seconds({"accept": accept, "direct": direct})
            accept_seconds, slow_seconds = rounds.wall_seconds(accept), rounds.wall_seconds(slow, 10)
    subjects.check({"accept": accept})  # to the last: a refusal for calling too often would be cheap
    yield Figure("accept_per_direct_call", cpu["accept"] / cpu["direct"], 3.0, 5.0)
    yield clock("accept_per_call_of_100_ms", accept_seconds / slow_seconds, 0.1, 0.2)
    yield clock("accept_milliseconds", accept_seconds * 1000)


def _webhooks(panel: subjects.Panel, bare: subjects.Subject) -> Iterator[Figure]:
    webhook = panel.webhook()
    subjects.check({"webhook": webhook})
    cpu = rounds.cpu_seconds({"webhook": webhook, "bare": bare})
    yield Figure("webhook_stored_per_h", cpu["webhook"] / cpu["bare"], 20.0, 30.0)
    yield Figure("webhook_read_per_h", panel.read_webhooks() / cpu["bare"], 15.0, 30.0)


def _logins(panel: subjects.Panel) -> Iterator[Figure]:
    login, password = panel.login(), panel.password()
    cpu: dict[str, list[float]] = {"login": [], "password": []}
    wall: dict[str, list[float]] = {"login": [], "password": []}
    for _ in range(LOGINS):
        for name, act in (("login", login), ("password", password)):
            began, before = time.perf_counter(), time.process_time()
            act()
            cpu[name].append(time.process_time() - before)
            wall[name].append(time.perf_counter() - began)
    p95 = {name: statistics.quantiles(taken, n=20)[-1] for name, taken in wall.items()}
    yield Figure(
        "login_per_argon2", statistics.median(cpu["login"]) / statistics.median(cpu["password"]), 1.5, 2.0
    )
    yield clock("login_p95_per_argon2", p95["login"] / p95["password"], 1.5, 2.0)
