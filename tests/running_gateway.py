"""A real gateway process for tests: started on a free port, stopped or killed at will."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
from forked import Program, run, start
from waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[1]
READY = re.compile(r"gateway ready on http://[^ ]*:(\d+)")


class RunningGateway:
    """`python -m wa_admin.gateway` on `data_dir`; after stop() or kill(), start() takes the port again.

    More keywords are more environment: WA_LOG_FORMAT="json", or None to leave one out.
    """

    def __init__(
        self,
        data_dir: Path,
        engine: str = "simulator",
        speed: float = 20,
        port: int | None = None,
        key: str = "test-gateway-key",
        start: bool = True,
        **environment: str | None,
    ) -> None:
        self.data_dir = Path(data_dir)
        self.engine = engine
        self.speed = speed
        self.port = port or 0
        self.key = key
        self.name = "main"
        self.changes = environment
        self.log: list[str] = []
        self.process: Program | None = None
        self.client = httpx.Client(headers={"apikey": key}, timeout=60, trust_env=False, verify=False)
        if start:
            self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Returns when it listens. Raises RuntimeError with its log when it does not within 60 s."""
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as stderr:
            self.process = start(["-m", "wa_admin.gateway"], self.environment(), stderr=stderr)
        ready = threading.Event()
        threading.Thread(target=self._read_log, args=(reader, ready), daemon=True).start()
        if not ready.wait(60) or self.process.poll() is not None:
            self.kill()
            raise RuntimeError("the gateway did not start:\n" + "\n".join(self.log))
        self.client.base_url = httpx.URL(self.url)

    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
        ours: dict[str, str | None] = {
            "WA_DATA_DIR": str(self.data_dir),
            "WA_GATEWAY_PORT": str(self.port),
            "WA_GATEWAY_KEY": self.key,
            "WA_ENGINE": self.engine,
            "WA_SIMULATOR_SPEED": str(self.speed),
        }
        changed = plain | ours | self.changes
        return {name: value for name, value in changed.items() if value is not None}

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
        self.client.close()

    # What tests of a gateway do again and again, to the session called `name` unless another is named

    def named(self, name: str) -> RunningGateway:
        """The same process, with another session in mind."""
        view = copy.copy(self)
        view.name = name
        return view

    def create(self, name: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"instanceName": name or self.name, "integration": "WHATSAPP-BAILEYS", **more}
        response = self.client.post("/instance/create", json=body)
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def link(self, name: str | None = None, phone: str = "6281234567890") -> None:
        """Connect, let the simulated phone scan, and wait until it is open."""

        def scan() -> bool:  # not where the last code has run out meanwhile
            self.get("instance/connect", name)
            return self.post_act("scan", name, phone=phone).status_code == 200

        wait_until(scan)
        self.wait_for_state("open", name)

    def get(self, route: str, name: str | None = None, **params: str) -> httpx.Response:
        return self.client.get(f"/{route}/{self._quoted(name)}", params=params)

    def post(self, route: str, name: str | None = None, **more: Any) -> httpx.Response:
        return self.client.post(f"/{route}/{self._quoted(name)}", **more)

    def delete(self, route: str, name: str | None = None) -> httpx.Response:
        return self.client.delete(f"/{route}/{self._quoted(name)}")

    def simulate(self, act: str, name: str | None = None, /, **details: Any) -> httpx.Response:
        """Let the phone act; `sender` stands for "from"."""
        response = self.post_act(act, name, **details)
        assert response.status_code == 200, response.text
        return response

    def post_act(self, act: str, name: str | None = None, /, **details: Any) -> httpx.Response:
        if "sender" in details:
            details["from"] = details.pop("sender")
        return self.client.post(f"/simulator/{self._quoted(name)}/{act}", json=details)

    def send(
        self, text: str, name: str | None = None, to: str = "628111222333", **headers: str
    ) -> httpx.Response:
        return self.post("message/sendText", name, json={"number": to, "text": text}, headers=headers)

    def received(self, name: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"/simulator/{self._quoted(name)}/received").json()
        return found

    def state(self, name: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.get("instance/connectionState", name).json()["instance"]
        return found

    def wait_for_state(self, state: str, name: str | None = None) -> dict[str, Any]:
        wait_until(lambda: self.state(name)["state"] == state)
        return self.state(name)

    def _quoted(self, name: str | None) -> str:
        return quote(name or self.name, safe="")

    def _read_log(self, stderr: int, ready: threading.Event) -> None:
        with os.fdopen(stderr) as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if found := READY.search(line):
                    self.port = int(found[1])
                    ready.set()
        ready.set()


def refused_start(data_dir: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """A gateway that is expected not to start."""
    return run(["-m", "wa_admin.gateway"], RunningGateway(data_dir, start=False, **changes).environment())
