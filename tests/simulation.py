"""A whole wa-admin on the simulator, and the pretend phone that belongs to it."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import httpx
from running_gateway import wait_until
from running_up import Up


class Simulation(Up):
    """`flask up` whose time runs `speed` times as fast; more keywords are more environment."""

    number: Number

    def __init__(self, data_dir: Path, speed: float = 15, **environ: str) -> None:
        quick = {
            "WA_SIMULATOR_SPEED": str(speed),
            "WA_POLL_SECONDS": "1",
            "WA_HEALTH_CHECK_SECONDS": "1",
            "WA_SEND_INTERVAL_SECONDS": "0",
        }
        super().__init__(data_dir, data_dir.with_suffix(".log"), **quick | environ)
        self.data_dir = data_dir
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    @property
    def first_run_link(self) -> str:
        """Printed once, when nobody has an account yet."""
        found = re.search(rf"{re.escape(self.url)}/setup\?token=\S+", self.said())
        assert found, "no first-run link was printed"
        return found[0]

    def phone(self, session_id: str) -> Phone:
        key = (self.data_dir / "gateway.key").read_text().strip()
        return Phone(f"http://127.0.0.1:{self.gateway_port}", key, session_id)

    def kill_gateway(self) -> None:
        """kill -9, and nobody starts it again until `revive_gateway`."""
        self.process.send_signal(signal.SIGSTOP)
        gateway = self.running("gateway")
        assert gateway is not None
        gateway.kill()

    def revive_gateway(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.revive_gateway()
        self.process.terminate()
        try:
            self.process.wait(40)
        finally:
            self.end()


class Phone:
    """What the phone of one session, its contacts and the network do; one connection per act."""

    def __init__(self, gateway_url: str, key: str, session_id: str) -> None:
        self.gateway_url, self.session_id = gateway_url, session_id
        self.headers = {"apikey": key}

    def scan(self, phone: str = "6281234567890", **more: str) -> None:
        self.act("scan", phone=phone, **more)

    def act(self, act: str, **details: Any) -> None:
        """unlink, drop, replace, ban, outdated, inbound (`sender` stands for "from"), receipt, mode."""
        if "sender" in details:
            details["from"] = details.pop("sender")
        answer = self._ask("POST", f"/simulator/{self.session_id}/{act}", json=details)
        assert answer.status_code == 200, answer.text

    def received(self) -> list[dict[str, Any]]:
        """What the contacts' phones got."""
        found: list[dict[str, Any]] = self._ask("GET", f"/simulator/{self.session_id}/received").json()
        return found

    def code(self) -> str:
        """The text of the QR code that the gateway shows now."""
        code: str = self._ask("GET", f"/instance/connect/{self.session_id}").json()["code"]
        return code

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        own: Any = {"headers": self.headers, "timeout": 30, "trust_env": False, "verify": False}
        return httpx.request(method, self.gateway_url + path, **own, **more)


class Number:
    """The session `main` as apps see it, and its phone: brings it where a test begins."""

    def __init__(self, up: Simulation, key: str) -> None:
        self.phone = up.phone("main")
        self.api = httpx.Client(
            base_url=f"{up.url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
            verify=False,
        )

    @property
    def status(self) -> str:
        return str(self._ask("GET", "/sessions/status/main/")["status"])

    def link(self, phone: str = "6281234567890") -> None:
        """Linked and well, whatever was before."""
        self.phone.act("mode", send="ok", network="up", receipts="read", passkey=False, silence=False)
        if self.status != "connected":
            self._ask("POST", "/sessions/connect/main/")
            wait_until(lambda: self.status in ("qr_pending", "connected"))
        if self.status == "qr_pending":
            self.phone.scan(phone)
        wait_until(lambda: self.status == "connected")

    def unlink(self) -> None:
        if self.status == "qr_pending":
            self.phone.scan()
            wait_until(lambda: self.status == "connected")
        if self.status != "disconnected":
            self._ask("POST", "/sessions/logout/main/")

    def expect_phone(self, phone: str) -> None:
        """Warn when another number is linked."""
        url = self.api.base_url.copy_with(path="/api/admin/whatsapp-sessions")
        self.api.put(url, json={"id": 1, "phoneNumber": phone}).raise_for_status()

    def send(self, text: str, to: str = "081299998888") -> int:
        """The number of the message."""
        return int(self._ask("POST", "/messages/send/", {"recipient": to, "message": text})["id"])

    def close(self) -> None:
        self.api.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.api.request(method, path, json=body)
        assert answer.is_success, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data
