"""What hands messages over, as a process that can be killed.

`python -m faults.worker drain SECONDS` forks a drainer for each line on its standard input, and says which
process that is and how it ended: so a kill costs no start. On the line stand for how many seconds it drains,
at least until nothing is due, and the point at which it is to end itself, if any.
`python -m faults.worker schedule SECONDS` is the scheduler. SECONDS is the deadline of a call that sends,
which otherwise is longer than a scenario can wait.
"""

from __future__ import annotations

import os
import sys
import time

from flask import Flask

from wa_admin import create_app, drivers, log, scheduler
from wa_admin.services import deliveries


def main(what: str, send_seconds: float) -> None:
    for driver in drivers.DRIVERS.values():
        driver.send_seconds = send_seconds  # type: ignore[attr-defined]
    app = create_app()
    if what == "schedule":
        log.set_up("text")
        scheduler.run(app)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()  # nothing is connected yet, so nothing is shared
        if not pid:
            seconds, os.environ["WA_ADMIN_CRASH_AT"] = line.rstrip("\n").split(" ", 1)
            _drain(app, float(seconds))
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _drain(app: Flask, seconds: float) -> None:
    ends = time.monotonic() + seconds
    with app.app_context():
        while not deliveries.drain() or time.monotonic() < ends:
            if time.monotonic() >= ends:
                return
            time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
