"""The simulated engine by itself, in its real time where that is short."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

from wa_admin.gateway.engines import ENGINES, load
from wa_admin.gateway.engines.contract import REASONS, EngineError
from wa_admin.gateway.engines.simulated_link import CODE_SECONDS, LOGIN_SECONDS, RESUME_SECONDS
from wa_admin.gateway.engines.simulator import SimulatorEngine


class Listening:
    def __init__(self, store: Path, speed: float) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.engine = SimulatorEngine(store, self.events.put, {"speed": speed})

    def next(self, kind: str) -> dict[str, Any]:
        while (event := self.events.get(timeout=PATIENCE_SECONDS))["event"] != kind:
            pass
        return event

    def link(self) -> None:
        self.engine.start()
        self.next("qr")
        self.engine.simulate("scan", {"phone": "6281234567890"})
        while self.next("state")["state"] != "open":
            pass


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(tmp_path, speed=50)
    yield listening
    listening.engine.stop()


def test_its_clock_is_the_real_engines() -> None:
    assert CODE_SECONDS == (60, 20, 20, 20, 20, 20)
    assert LOGIN_SECONDS == (1.5, 3.0)


def test_a_stored_login_resumes_in_under_a_third_of_a_second(fast: Listening, tmp_path: Path) -> None:
    fast.link()
    fast.engine.stop()
    again = Listening(tmp_path, speed=1)
    started = time.monotonic()
    again.engine.start()
    states = [again.next("state")["state"], again.next("state")["state"]]
    assert states == ["connecting", "open"]
    assert time.monotonic() - started >= RESUME_SECONDS  # and no more, on an idle machine
    assert RESUME_SECONDS < 1 / 3


def test_receipts_come_after_one_and_three_seconds(fast: Listening) -> None:
    fast.link()
    started = time.monotonic()
    fast.engine.send_text("628111222333", "hi")
    assert fast.next("receipt")["type"] == "delivered"
    assert time.monotonic() - started >= 1 / 50
    assert fast.next("receipt")["type"] == "read"
    assert time.monotonic() - started >= 3 / 50


def test_receipts_wait_until_the_network_is_back(fast: Listening) -> None:
    fast.link()
    fast.engine.send_text("628111222333", "hi")
    fast.engine.simulate("drop", {})
    assert fast.next("receipt")["type"] == "delivered"


@pytest.mark.parametrize(
    ("receipts", "expected"), [("none", []), ("delivered", ["delivered"]), ("read", ["delivered", "read"])]
)
def test_receipts_can_stop_early(fast: Listening, receipts: str, expected: list[str]) -> None:
    fast.link()
    fast.engine.simulate("mode", {"receipts": receipts})
    fast.engine.send_text("628111222333", "hi")
    assert [fast.next("receipt")["type"] for _ in expected] == expected
    time.sleep(8 / 50)
    assert [event for event in fast.events.queue if event["event"] == "receipt"] == []


def test_silence_tells_nothing_of_what_was_sent(fast: Listening) -> None:
    fast.link()
    fast.engine.simulate("mode", {"silence": True})
    fast.engine.send_text("628111222333", "hi")
    fast.engine.simulate("inbound", {"from": "628111222333", "text": "anyone?"})
    time.sleep(8 / 50)
    assert [event for event in fast.events.queue if event["event"] in ("receipt", "message")] == []


@pytest.mark.parametrize("command", ["send_text", "check", "logout", "pair"])
def test_nothing_can_be_asked_before_it_is_connected(fast: Listening, command: str) -> None:
    args = {"send_text": ("628", "hi"), "check": (["628"],), "logout": (), "pair": ("6281234567890",)}
    with pytest.raises(EngineError) as refused:
        getattr(fast.engine, command)(*args[command])
    assert refused.value.kind == "not_connected"


def test_every_reason_it_gives_is_in_the_contract(fast: Listening) -> None:
    fast.link()
    for act in ("replace", "ban", "outdated"):
        fast.engine.simulate(act, {})
    given = {event["reason"] for event in fast.events.queue if event["event"] == "state"}
    assert given == {"replaced", "banned", "outdated"} <= set(REASONS)


def test_an_engine_is_found_by_its_name() -> None:
    assert load("simulator") is SimulatorEngine
    assert set(ENGINES) == {"neonize", "simulator"}
