"""How a child that ended by itself comes back: after a crash, and when it asked for a new process."""

from __future__ import annotations

import json
from pathlib import Path

from running_gateway import RunningGateway, wait_until

from wa_admin.gateway.revivals import Crashes, FreshStarts

HERE = Path(__file__).parent
CODE = json.loads((HERE / "recordings" / "neonize" / "qr.json").read_text())["qr_callback_bytes_example"]
LOST_WITH_A_CODE = [["qr", CODE], ["sleep", 0.2], ["word", "timeout"]]


def test_crashes_wait_longer_each_time_and_end_after_five() -> None:
    crashes = Crashes()
    assert [crashes.wait_seconds(float(now)) for now in range(6)] == [1, 2, 4, 8, 16, None]


def test_crashes_of_long_ago_are_forgotten() -> None:
    crashes = Crashes()
    waits = [crashes.wait_seconds(now * 60.0) for now in range(10)]
    assert None not in waits and max(wait or 0 for wait in waits) == 4


def test_a_new_process_is_given_at_once_and_then_every_ten_seconds() -> None:
    fresh = FreshStarts()
    assert [fresh.wait_seconds(now) for now in (100.0, 101.0, 102.0, 200.0)] == [0, 9, 18, 0]


def test_a_child_that_asks_for_a_new_process_gets_it_at_once_and_counts_as_no_crash(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"connect": [LOST_WITH_A_CODE], "errors": {}}))
    stand_in = {"PYTHONPATH": str(HERE / "neonize_stand_in"), "NEONIZE_SCRIPT": str(script)}
    with RunningGateway(tmp_path / "data", engine="neonize", **stand_in) as gateway:
        gateway.create()
        gateway.get("instance/connect")
        wait_until(lambda: "child ended" in str(gateway.log) or _clients(script) == 2)
        assert (gateway.state()["state"], _clients(script)) == ("connecting", 2)
        assert [line for line in gateway.log if "child ended" in line] == []


def _clients(script: Path) -> int:
    calls = script.with_suffix(".calls")
    return calls.read_text().count('"call": "client"') if calls.exists() else 0
