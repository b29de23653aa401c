"""A whole wa-admin on the simulator, and the pretend phone that belongs to it."""

from __future__ import annotations

import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from running_up import Up
from waiting import wait_until

# how a session can be without a phone; with another reason its login is kept
UNLINKED = [("disconnected", why) for why in ("never_linked", "logged_out", "qr_expired", "passkey_required")]


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
            self.process.wait(60)
        finally:
            self.end()


class Phone:
    """What the phone of one session, its contacts and the network do; one connection per act."""

    def __init__(self, gateway_url: str, key: str, session_id: str) -> None:
        self.gateway_url, self.session_id = gateway_url, session_id
        self.headers = {"apikey": key}

    def scan(self, phone: str = "6281234567890", **more: str) -> None:
        """The code that is shown, or a new one where the last has run out meanwhile."""
        wait_until(lambda: self._takes_code(phone=phone, **more))

    def act(self, act: str, **details: Any) -> None:
        """unlink, drop, replace, ban, outdated, inbound (`sender` stands for "from"), receipt, mode."""
        answer = self.try_to(act, **details)
        assert answer.status_code == 200, answer.text

    def try_to(self, act: str, **details: Any) -> httpx.Response:
        if "sender" in details:
            details["from"] = details.pop("sender")
        return self._ask("POST", f"/simulator/{self.session_id}/{act}", json=details)

    def received(self) -> list[dict[str, Any]]:
        """What the contacts' phones got."""
        found: list[dict[str, Any]] = self._ask("GET", f"/simulator/{self.session_id}/received").json()
        return found

    def code(self) -> str:
        """The text of the QR code that the gateway shows now."""
        code: str = self._ask("GET", f"/instance/connect/{self.session_id}").json().get("code", "")
        return code

    def _takes_code(self, **details: str) -> bool:
        answer = self.try_to("scan", **details)
        if answer.status_code == 409:
            self.code()
            return False
        assert answer.status_code == 200, answer.text
        return True

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        own: Any = {"headers": self.headers, "timeout": 60, "trust_env": False, "verify": False}
        return httpx.request(method, self.gateway_url + path, **own, **more)


class Number:
    """The session `main` as apps see it, and its phone: brings it where a test begins."""

    def __init__(self, up: Simulation, key: str) -> None:
        self.phone = up.phone("main")
        self.api = httpx.Client(
            base_url=f"{up.url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
            verify=False,
        )

    @property
    def status(self) -> str:
        return str(self._ask("GET", "/sessions/status/main/")["status"])

    @property
    def reason(self) -> str | None:
        reason: str | None = self._ask("GET", "/sessions/status/main/")["reason"]
        return reason

    def link(self, phone: str = "6281234567890") -> None:
        """Linked and well, whatever was before."""
        wait_until(self._is_calm)
        wait_until(lambda: self._comes_up(phone))

    def unlink(self) -> None:
        """Waiting to be linked, whatever was before."""
        if (self.status, self.reason) not in UNLINKED:
            self.link()
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

    def _is_calm(self) -> bool:
        """No switch is left as a test turned it. A gateway knows the session once that is connected."""
        calm = {"send": "ok", "network": "up", "receipts": "read"}
        calm |= dict.fromkeys(("passkey", "silence", "outdated"), False)
        with suppress(httpx.TransportError):  # killed, and on its way back
            answer = self.phone.try_to("mode", **calm)
            if answer.status_code == 404:
                self._connect()
            return answer.is_success
        return False

    def _comes_up(self, phone: str) -> bool:
        status = self.status
        if status == "disconnected":
            self._connect()
        elif status == "qr_pending":
            self.phone.scan(phone)
            wait_until(lambda: self.status != "qr_pending")
        return status == "connected"

    def _connect(self) -> None:
        """Refused, for one, while the gateway is on its way back."""
        self.api.post("/sessions/connect/main/")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.api.request(method, path, json=body)
        assert answer.is_success, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data
