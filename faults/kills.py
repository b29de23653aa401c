"""Processes are killed, frozen and told to end: R1, R2, R7, R11 and R20 of docs/promises.md."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import httpx
import signed
from running_panel import RunningPanel
from stub_gateway import Asked
from waiting import until

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import HookCall, Message, MessageStatus, Receipt
from wa_admin.services import inbox

from .outcome import Figure, Outcome, total
from .phone import Handed, Phone, taken, taken_after
from .place import SEND_SECONDS, Make, Place, Worker
from .syncs import counted
from .worker import TICK_SECONDS

SENDS, KILLS_OF_PANEL, COUNTED = 1000, 5, 30
KILLS_AT_EACH_POINT = 20  # with references, and as many without
POINTS = ("before_claim", "after_claim", "before_hand_over", "bytes sent", "before_result")
HOOKS, HOOKS_A_SECOND = 300, 200
LONGEST_GAP_SECONDS = 15.0
TICKS = 30  # watched twice


def accepted_is_on_disk(make: Make) -> Outcome:
    """R1: kill -9 of the panel at random while apps send."""
    with make() as place:
        place.session()
        panel = place.panel()
        ids: dict[str, float] = {}

        def send(number: int) -> None:
            while f"text {number}" not in ids:
                began = time.monotonic()
                with suppress(httpx.TransportError):
                    answer = panel.send(f"text {number}", **{"Idempotency-Key": f"key {number}"})
                    if answer.status_code == 202:
                        ids[f"text {number}"] = time.monotonic() - began
                        return
                time.sleep(0.05)

        with ThreadPoolExecutor(6) as apps:
            sending = [apps.submit(send, number) for number in range(SENDS)]
            for kill in range(KILLS_OF_PANEL):
                enough = SENDS * (kill + 0.5) / KILLS_OF_PANEL
                until(partial(_more_than, ids, enough), 60)
                time.sleep(random.uniform(0, 0.1))
                panel.kill()
                panel.start()
            for one in sending:
                one.result()
        waits = _waits_for_the_disk(place, panel)
        rows = list(db.session.scalars(db.select(Message.body).where(Message.body.in_(ids))))
        missing = len(set(ids) - set(rows))
        return Outcome(
            accepted=len(ids),
            double=len(rows) - len(set(rows)),
            lost=missing,
            max_latency_seconds=max(ids.values()),
            figures=[
                Figure("accepted but missing", missing, 0),
                Figure("kills", KILLS_OF_PANEL),
                *([Figure("waits for the disk, per commit", waits, 1.0, is_least=True)] if waits else []),
            ],
        )


def _waits_for_the_disk(place: Place, panel: RunningPanel) -> float | None:
    """For each message that is accepted; None where nobody can count."""
    pid = panel.process.pid
    if not place.is_sqlite:
        with place.engine.connect() as connection:
            directory = connection.exec_driver_sql("SHOW data_directory").scalar_one()
        pid = int(Path(directory, "postmaster.pid").read_text().split()[0])
        panel.kill()
    with counted(pid, place.data_dir / "syncs") as count_so_far:
        if not place.is_sqlite:
            panel.start()  # its connections are made while somebody counts
        if count_so_far is None:
            return None
        before = count_so_far()
        for number in range(COUNTED):
            assert panel.send(f"counted {number}").status_code == 202
        return (count_so_far() - before) / COUNTED


def _more_than(found: Sized, enough: float) -> bool:
    return len(found) > enough


def nothing_leaves_twice(make: Make) -> Outcome:
    """R2: the process that hands over is killed at each marked point, with references and without."""
    outcomes = [_killed_at_each_point(make, kind) for kind in ("bundled", "evolution")]
    kills = 2 * len(POINTS) * KILLS_AT_EACH_POINT
    with_references, without = outcomes
    return replace(
        total(outcomes),
        figures=[
            Figure("kills", kills),
            Figure("uncertain with references", with_references.uncertain, 0),
            Figure("uncertain without, per kill", without.uncertain / (kills / 2), 1.0),
        ],
    )


def _killed_at_each_point(make: Make, kind: str) -> Outcome:
    with make(kind=kind) as place:
        place.session()
        worker = place.worker()
        place.phone.fate = taken
        for point in POINTS:
            for _ in range(KILLS_AT_EACH_POINT):
                place.accept(1)
                place.phone.fate = _kills_once(worker) if point == "bytes sent" else taken
                ended = worker.drain(point if point != "bytes sent" else "")
                assert ended in (137, -signal.SIGKILL), f"{point}: it ended with {ended}"
                place.take_up_what_was_left()
                worker.drain()
        return place.outcome()


def _kills_once(worker: Worker) -> Callable[[Phone, Handed], None]:
    """The message arrives, and whoever sent it does not live to hear so."""
    is_alive = True

    def fate(phone: Phone, handed: Handed) -> None:
        nonlocal is_alive
        if not is_alive:
            taken(phone, handed)
            return
        is_alive = False
        phone.arrive(handed)
        os.kill(worker.pid, signal.SIGKILL)

    return fate


def webhooks_are_kept(make: Make) -> Outcome:
    """R7: a burst of webhooks, and kill -9 right after the last answer and in the middle of more."""
    with make() as place:
        place.session()
        panel = place.panel()
        path, bearing = signed.address(), signed.bearing()
        numbers, kept, taken_seconds = count(1), set(), []

        def post(number: int, began: float, first: int) -> None:
            time.sleep(max(0.0, began + (number - first) / HOOKS_A_SECOND - time.monotonic()))
            sent_at = time.monotonic()
            with suppress(httpx.TransportError):
                if panel.client.post(path, json=receipt(number), headers=bearing).status_code == 200:
                    taken_seconds.append(time.monotonic() - sent_at)
                    kept.add(f"3EB{number}")

        def burst(size: int, is_killed: bool = False) -> None:
            began, first, enough = time.monotonic(), next(numbers), len(kept) + size / 4
            with ThreadPoolExecutor(16) as gateway:
                for number in [first, *(next(numbers) for _ in range(size - 1))]:
                    gateway.submit(post, number, began, first)
                if is_killed:
                    until(lambda: len(kept) > enough)
                    panel.kill()

        burst(HOOKS)
        panel.kill()
        measured = sorted(taken_seconds)
        for _ in range(2):
            panel.start()
            burst(HOOKS // 5, is_killed=True)
        with writing():
            db.session.query(HookCall).update({"next_at": clock.now() - timedelta(seconds=1)})
        inbox.read_left_over()
        seen = list(db.session.scalars(db.select(Receipt.provider_id)))
        return Outcome(
            accepted=len(kept),
            delivered=len(kept & set(seen)),
            double=len(seen) - len(set(seen)),
            lost=len(kept - set(seen)),
            max_latency_seconds=max(taken_seconds),
            figures=[
                Figure(
                    "answered in, median milliseconds",
                    1000 * statistics.median(measured),
                    250.0,
                    of_clock=True,
                ),
                Figure(
                    "answered after 1 s, share",
                    sum(s > 1 for s in measured) / len(measured),
                    0.01,
                    of_clock=True,
                ),
            ],
        )


def receipt(number: int) -> dict[str, Any]:
    at = f"2026-11-21T02:{number // 60 % 60:02}:{number % 60:02}.000Z"
    data = {"keyId": f"3EB{number}", "fromMe": True, "status": "READ"}
    return {"event": "messages.update", "instance": "support_line", "data": data, "date_time": at}


def one_leads(make: Make) -> Outcome:
    """R11: of four schedulers, on PostgreSQL on two machines, one leads; it is killed, and the next one
    frozen and thawed, while messages leave."""
    with make(pace_seconds=0.05) as place:
        place.session()
        ticks = _ticks_of(place.phone)
        program = f"faults.worker schedule {SEND_SECONDS} http://127.0.0.1:{place.phone.port}"
        homes = [place.data_dir, place.data_dir if place.is_sqlite else place.other_machine()]
        first = place.scheduler(homes[0], program)
        assert until(first.leads), first.said()
        others = [place.scheduler(home, program) for home in (homes[1], *homes)]
        assert until(lambda: all(one.stands_by() for one in others)), others[0].said()
        place.accept(60, recipients=60)
        steady = [_watched(ticks)]
        first.kill()
        assert until(lambda: any(one.leads() for one in others)), others[0].said()
        second = next(one for one in others if one.leads())
        assert until(lambda: len(place.phone.arrived) > 40), second.said()
        second.freeze()
        rest = [one for one in others if one is not second]
        assert until(lambda: any(one.leads() for one in rest)), rest[0].said()
        place.accept(20, recipients=60)
        second.thaw()
        thawed_at = time.monotonic()
        assert until(second.stands_by), second.said()
        place.take_up_what_was_left()
        assert until(place.has_settled, 60), "messages are left"
        steady.append(_watched(ticks))
        gaps = [later.at - earlier.at for earlier, later in pairwise(ticks)]
        woken = sum(tick.pid == second.process.pid and tick.at > thawed_at for tick in ticks)
        return place.outcome(
            Figure("longest gap, seconds", max(gaps), LONGEST_GAP_SECONDS, of_clock=True),
            Figure("leaders at the end", sum(one.leads() for one in others), 1),
            Figure("leaders at a time", max(len({tick.pid for tick in some}) for some, _ in steady), 1),
            Figure("duties begun by the one that woke up", woken, 0),
            Figure("ticks too many or too few", max(off for _, off in steady), 1.5, of_clock=True),
        )


@dataclass(frozen=True)
class Tick:
    """A leader was at its duty."""

    pid: int
    at: float  # monotonic


def _ticks_of(phone: Phone) -> list[Tick]:
    ticks: list[Tick] = []

    def tick(asked: Asked) -> tuple[int, dict[str, str]]:
        ticks.append(Tick(int(asked.path.rpartition("/")[2]), time.monotonic()))
        return 200, {}

    phone.script["tick"] = tick
    return ticks


def _watched(ticks: list[Tick]) -> tuple[list[Tick], float]:
    """The ticks of some seconds, and by how many they differ from what the timetable says."""
    there, began = len(ticks), time.monotonic()
    time.sleep(TICKS * TICK_SECONDS)
    some = ticks[there:]
    return some, abs(len(some) - (time.monotonic() - began) / TICK_SECONDS)


def what_began_is_finished(make: Make) -> Outcome:
    """R20: SIGTERM to a scheduler with messages under way, and to a panel with requests in flight."""
    with make() as place:
        names = [f"Line {number}" for number in range(3)]
        for name in names:
            place.session(name)
            place.accept(2, name)
        place.phone.fate = taken_after(1.0)
        scheduler = place.scheduler()
        assert until(lambda: MessageStatus.SENDING in place.statuses().values()), scheduler.said()
        time.sleep(0.3)
        scheduler.process.send_signal(signal.SIGTERM)
        code = scheduler.process.wait(20)
        left_sending = list(place.statuses().values()).count(MessageStatus.SENDING)
        place.phone.fate = taken
        place.worker().drain()
        answered, panel_code = _stopped_in_flight(place, place.panel())
        return place.outcome(
            Figure("exit codes that are not 0", sum(map(bool, (code, panel_code))), 0),
            Figure("left as being sent", left_sending, 0),
            Figure("requests in flight that were lost", 6 - answered, 0),
        )


def _stopped_in_flight(place: Place, panel: RunningPanel) -> tuple[int, int]:
    """Of six requests that wait for the database, how many are answered; and how the panel ended."""
    with place.locked(1.5), ThreadPoolExecutor(6) as apps:
        answers = [apps.submit(panel.send, f"in flight {number}") for number in range(6)]
        time.sleep(0.5)
        code = panel.stop()
        return sum(answer.result().status_code == 202 for answer in answers), code
