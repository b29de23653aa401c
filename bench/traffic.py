"""What goes through: messages out, by couriers to a gateway that takes them at once, and webhooks in; and
what a panel holds that has accepted ten thousand.

Run as a process of its own, `python -m bench.traffic DATA_DIR` prints one line of JSON.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sqlalchemy import func, select

from wa_admin.couriers import Couriers
from wa_admin.extensions import db
from wa_admin.models import HookCall, Message, MessageStatus
from wa_admin.services import outbox

from . import many, outside, stub, subjects
from .figure import Figure, Kind, clock, count

DRAINED = 300  # of two sessions
PACED, INTERVAL_SECONDS, WINDOW_SECONDS = 61, 0.2, 10.0
HOOKS, HOOKS_A_SECOND, HOOK_THREADS = 1000, 200, 8
PATIENCE_SECONDS = 60.0
MANY, SENDERS = 10_000, 4


@dataclass(frozen=True)
class Traffic:
    """`pace` is in messages a second, under a limit of 5; `hook_p99` in seconds; `rss` in bytes."""

    drained_a_second: float
    pace: float
    busiest_pace: float  # of any ten seconds
    hook_p99: float
    hooks_lost: int
    idle_rss: int
    rss_after_many: int


def figures(place: Path) -> Iterator[Figure]:
    seen = measured(place / "traffic")
    pace_per_limit = seen.pace * INTERVAL_SECONDS
    yield clock("drained_per_second", seen.drained_a_second, 100.0, 60.0, more_is_better=True)
    yield clock("drained_per_default_limit_of_two", seen.drained_a_second / 2, 50.0, more_is_better=True)
    yield clock("pace_under_a_limit_of_5", seen.pace, 4.75, more_is_better=True)
    yield Figure("pace_per_limit", pace_per_limit, 1.0, 1.005, Kind.COUNT)
    yield clock("pace_of_busiest_10_seconds", seen.busiest_pace, 5.0, 5.0)
    yield clock("webhook_p99_milliseconds", seen.hook_p99 * 1000, 100.0, 250.0)
    yield count("webhooks_lost", seen.hooks_lost, 0, 0)
    yield Figure("rss_after_10000_messages_per_idle", seen.rss_after_many / seen.idle_rss, 1.1, 1.25)


def measured(data_dir: Path) -> Traffic:
    command = [sys.executable, "-m", "bench.traffic", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Traffic(**json.loads(done.stdout.splitlines()[-1]))


def main(data_dir: Path) -> None:
    panel = subjects.Panel(data_dir, max_sessions=2, WA_SEND_INTERVAL_SECONDS="0")
    with panel.app.app_context(), stub.running(stub.takes_messages(0)) as url:
        many.add(1, url)
        moments = _sending(panel, ["Bench", "bench_0"], DRAINED)
        drained_a_second = DRAINED / (moments[-1] - moments[0])
        settings = panel.app.config["SETTINGS"]
        panel.app.config["SETTINGS"] = replace(settings, send_interval_seconds=INTERVAL_SECONDS)
        moments = _sending(panel, ["Bench"], PACED)
    taken, lost = _hooks(panel, data_dir)
    idle_rss, rss_after_many = _memory(panel, data_dir)
    traffic = Traffic(
        drained_a_second=drained_a_second,
        pace=(PACED - 1) / (moments[-1] - moments[0]),
        busiest_pace=max(bisect_left(moments, one + WINDOW_SECONDS) - n for n, one in enumerate(moments))
        / WINDOW_SECONDS,
        hook_p99=taken,
        hooks_lost=lost,
        idle_rss=idle_rss,
        rss_after_many=rss_after_many,
    )
    print(json.dumps(asdict(traffic)))


def _sending(panel: subjects.Panel, names: list[str], number_of: int) -> list[float]:
    """When each was taken, in seconds, in order."""
    for number in range(number_of):
        to = f"+62 812 {number:08}"
        outbox.send(
            1, to, "Your order is on its way.", session_name=names[number % len(names)], source="bench"
        )
    couriers = Couriers(panel.app, lambda _name, act: _in_context(panel, act))
    couriers.start()
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _waiting():
            assert time.monotonic() < deadline, "the messages do not leave"
            time.sleep(0.02)
    finally:
        couriers.stop()
    with db.engine.connect() as connection:
        last = select(Message.sent_at).order_by(Message.id.desc()).limit(number_of)
        return sorted(moment.timestamp() for moment in connection.scalars(last) if moment is not None)


def _in_context(panel: subjects.Panel, act: Callable[[], object]) -> None:
    with panel.app.app_context():
        act()


def _waiting() -> int:
    query = select(func.count()).select_from(Message).where(Message.status != MessageStatus.SENT)
    with db.engine.connect() as connection:
        return connection.scalar(query) or 0


def _hooks(panel: subjects.Panel, data_dir: Path) -> tuple[float, int]:
    """99 of 100 webhooks are answered within so many seconds; and how many left nothing behind."""
    with panel.app.app_context():
        path, headers = subjects.hook()
    with outside.running_panel(data_dir) as (port, _):
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        # a panel that has just started loads what it is for
        first.request("POST", path, _hook(HOOKS), headers)
        assert first.getresponse().status == 200
        began = time.perf_counter()

        def post(of_thread: int) -> list[float]:
            connection, taken = http.client.HTTPConnection("127.0.0.1", port, timeout=20), []
            for number in range(of_thread, HOOKS, HOOK_THREADS):
                time.sleep(max(0.0, began + number / HOOKS_A_SECOND - time.perf_counter()))
                sent_at = time.perf_counter()
                connection.request("POST", path, _hook(number), headers)
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
                taken.append(time.perf_counter() - sent_at)
            connection.close()
            return taken

        with ThreadPoolExecutor(HOOK_THREADS) as threads:
            taken = sorted(sum(threads.map(post, range(HOOK_THREADS)), []))
    with panel.app.app_context(), db.engine.connect() as connection:
        kept = connection.scalar(select(func.count()).select_from(HookCall)) or 0
    return taken[int(len(taken) * 0.99)], HOOKS + 1 - kept


def _memory(panel: subjects.Panel, data_dir: Path) -> tuple[int, int]:
    """Bytes that a panel holds which has shown one page, and after many messages more."""
    head = {"Authorization": f"Bearer {panel.key}", "Content-Type": "application/json"}
    body = json.dumps(subjects.MESSAGE)
    with outside.running_panel(data_dir, WA_API_CALLS_PER_MINUTE="1000000") as (port, process):

        def send(some: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            for _ in range(some):
                connection.request("POST", "/api/v1/messages/send/", body, head)
                answer = connection.getresponse()
                assert answer.status == 202, answer.read()
                answer.read()
            connection.close()

        idle = process.memory_info().rss
        with ThreadPoolExecutor(SENDERS) as threads:
            list(threads.map(send, [MANY // SENDERS] * SENDERS))
        return idle, process.memory_info().rss


def _hook(number: int) -> bytes:
    data = {
        "key": {
            "remoteJid": f"62812{number % 50:08}@s.whatsapp.net",
            "fromMe": False,
            "id": f"3EB0{number:08}",
        },
        "pushName": "Customer",
        "message": {"conversation": "Where is my order?"},
        "messageType": "conversation",
        "messageTimestamp": int(time.time()),
    }
    said = {"event": "messages.upsert", "instance": "bench", "data": data, "date_time": f"{number}"}
    return json.dumps(said).encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
