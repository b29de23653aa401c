"""What goes through: messages out, by couriers to a gateway that takes them at once, and webhooks in.

Run as a process of its own, `python -m bench.traffic DATA_DIR` prints one line of JSON: drained messages a
second, the pace under a limit, the slowest webhooks and how many were lost.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func, select

from wa_admin.couriers import Couriers
from wa_admin.extensions import db
from wa_admin.models import HookCall, Message, MessageStatus
from wa_admin.services import gateways, outbox

from . import many, outside, stub, subjects

DRAINED = 300  # of two sessions
PACED, INTERVAL_SECONDS = 41, 0.2
HOOKS, HOOKS_A_SECOND, HOOK_THREADS = 1000, 200, 8
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Traffic:
    """`pace` is in messages a second, under a limit of 5; `hook_p99` in seconds."""

    drained_a_second: float
    pace: float
    hook_p99: float
    hooks_lost: int


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
        drained_a_second = DRAINED / _sending(panel, ["Bench", "bench_0"], DRAINED)
        settings = panel.app.config["SETTINGS"]
        panel.app.config["SETTINGS"] = replace(settings, send_interval_seconds=INTERVAL_SECONDS)
        pace = (PACED - 1) / _sending(panel, ["Bench"], PACED)
    taken, lost = _hooks(panel, data_dir)
    print(json.dumps(asdict(Traffic(drained_a_second, pace, taken, lost))))


def _sending(panel: subjects.Panel, names: list[str], count: int) -> float:
    """Seconds from the first message on its way to the last one taken."""
    for number in range(count):
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
        last = select(Message.sent_at).order_by(Message.id.desc()).limit(count)
        moments = [moment for moment in connection.scalars(last) if moment is not None]
    return (max(moments) - min(moments)).total_seconds()


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
        path = urlsplit(gateways.hook_url(gateways.of_workspace())).path
    with outside.running_panel(data_dir) as port:
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        first.request("POST", path, _hook(HOOKS))  # a panel that has just started loads what it is for
        assert first.getresponse().status == 200
        began = time.perf_counter()

        def post(of_thread: int) -> list[float]:
            connection, taken = http.client.HTTPConnection("127.0.0.1", port, timeout=20), []
            for number in range(of_thread, HOOKS, HOOK_THREADS):
                time.sleep(max(0.0, began + number / HOOKS_A_SECOND - time.perf_counter()))
                sent_at = time.perf_counter()
                connection.request("POST", path, _hook(number), {"Content-Type": "application/json"})
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
