"""What hands messages over, as a process that can be killed.

`python -m faults.worker drain SECONDS` forks drainers for each line on its standard input, and says which
process the first is and how it ended: so a kill costs no start. On the line stand for how many seconds they
drain, at least until nothing is due, how many there are, and the point at which they end themselves, if any.
`python -m faults.worker schedule SECONDS` is the scheduler, and with the URL of a phone after it one that
tells it of each tick. SECONDS is the deadline of a call that sends, which otherwise is longer than a scenario
can wait.
"""

from __future__ import annotations

import os
import sys
import time
import traceback

import httpx
from flask import Flask

from wa_admin import create_app, drivers, log, scheduler
from wa_admin.services import deliveries

TICK_SECONDS = 0.25


def main(what: str, send_seconds: float, phone: str = "") -> None:
    for driver in drivers.DRIVERS.values():
        driver.send_seconds = send_seconds  # type: ignore[attr-defined]
    app = create_app()
    if what == "schedule":
        log.set_up("text")
        scheduler.run(app, [("tick", TICK_SECONDS, _tick_at(phone))] if phone else [])
        return
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, at_once, os.environ["WA_ADMIN_CRASH_AT"] = line.rstrip("\n").split(" ", 2)
        pids = [_forked(app, float(seconds)) for _ in range(int(at_once))]
        print(pids[0], flush=True)
        ended = [os.waitpid(pid, 0)[1] for pid in pids]
        print(os.waitstatus_to_exitcode(ended[0]), flush=True)


def _tick_at(phone: str) -> scheduler.Duty:
    client = httpx.Client(base_url=phone, trust_env=False, verify=False)  # noqa: S501 - no TLS there
    return lambda: client.get(f"/leader/tick/{os.getpid()}")


def _forked(app: Flask, seconds: float) -> int:
    """Nothing is connected yet, so nothing is shared."""
    if pid := os.fork():
        return pid
    try:
        _drain(app, seconds)
    except BaseException:  # else it would go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _drain(app: Flask, seconds: float) -> None:
    ends = time.monotonic() + seconds
    with app.app_context():
        while not deliveries.drain() or time.monotonic() < ends:
            if time.monotonic() >= ends:
                return
            time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
