"""A real scheduler process for tests, with a log of its own; stopped, killed or frozen at will."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
from forked import start
from locked_database import is_locked
from waiting import wait_until


class RunningScheduler:
    """`python -m wa_admin.scheduler`, or another `program` that does the same, on a migrated `data_dir`, or
    on the database that the test runs on."""

    def __init__(
        self, data_dir: Path, log: Path, program: str = "wa_admin.scheduler", **environ: str
    ) -> None:
        self.data_dir = data_dir
        self.log = log
        plain = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
        if url := os.environ.get("WA_DATABASE_URL"):
            plain["WA_DATABASE_URL"] = url
        with log.open("w") as said:
            ours = {"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator"}
            self.process = start(["-m", *program.split()], plain | ours | environ, stderr=said)

    def said(self) -> str:
        return self.log.read_text()

    def leads(self) -> bool:
        """Whether it has begun to lead, and has not lost the lead since."""
        said = self.said()
        return said.rfind(": scheduler leads") > said.rfind("the lead is lost")

    def stands_by(self) -> bool:
        return "standing by" in self.said() and not self.leads()

    def freeze(self) -> None:
        """Between two transactions: with SQLite's lock it would freeze everybody who writes."""
        self._stop()
        while is_locked(self.data_dir):
            self.thaw()
            time.sleep(0.01)
            self._stop()

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, frozen or not."""
        self.process.kill()
        self.process.wait()
