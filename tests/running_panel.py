"""A real panel process for tests: started on a free port, stopped or killed at will."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import httpx
from forked import start

ROOT = Path(__file__).resolve().parents[1]


class RunningPanel:
    """`python -m wa_admin.panel` on a migrated `data_dir`; start() takes the same port again."""

    def __init__(self, data_dir: Path, key: str, **environ: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.environ = environ
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
            verify=False,  # without it, certificates are read that nobody asks for
        )
        self.start()

    def start(self) -> None:
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = start(["-m", "wa_admin.panel"], self.environment(), **nowhere)
        for _ in range(1200):
            try:
                self.client.get("/healthz")
                return
            except httpx.TransportError:
                assert self.process.poll() is None, "the panel ended at once"
                time.sleep(0.05)
        raise AssertionError("the panel did not start")

    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
        if url := os.environ.get("WA_DATABASE_URL"):  # of the test
            plain["WA_DATABASE_URL"] = url
        ours = {"WA_DATA_DIR": str(self.data_dir), "WA_PORT": str(self.port), "WA_ENGINE": "simulator"}
        return plain | ours | self.environ

    def send(self, text: str = "Halo!", to: str = "081299998888", **headers: str) -> httpx.Response:
        body = {"recipient": to, "message": text}
        return self.client.post("/api/v1/messages/send/", json=body, headers=headers)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        self.client.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
