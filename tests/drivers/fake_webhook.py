"""A gateway of URLs, as somebody would build it from the contract; `style` is how its answers look.

By hand: `python tests/drivers/fake_webhook.py --port 9999`; the URLs are /create, /connect, /status,
/disconnect and /send, the header is `X-Gateway-Key`.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from typing import Any

from fake_gateway import Answer, Asked, FakeGateway, Line, by_hand, picture, route

from wa_admin.drivers.contract import Access

WORDS = {"qr": "connecting", "connected": "connected"}
HEADER = "X-Gateway-Key"


class FakeWebhook(FakeGateway):
    """`style` wraps answers: plain, list (n8n), data, body, result or results. `draws` is what connect gives:
    png, data_uri, text, or nothing."""

    kind = "webhook"
    send_paths = "POST /send"
    has_send = True

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self.style = "plain"
        self.draws = "png"
        self.requests_seen: set[str] = set()
        self._counter = itertools.count(1)
        super().__init__(port, hook_url)

    def access(self, **more: Any) -> Access:
        urls = {name: f"{self.url}/{name}?flow=7" for name in ("create", "connect", "status", "disconnect")}
        if self.has_send:
            urls["send"] = f"{self.url}/send"
        known = {"urls": urls, "token_of": self.token_of, "extra_header": (HEADER, self.key)}
        return super().access(**{**known, **more, "key": ""})

    def of_stranger(self) -> Access:
        return self.access(extra_header=(HEADER, "a wrong key"))

    def token_of(self, instance: str) -> str:
        return str(self.lines[instance].more["token"]) if instance in self.lines else "token-of-nobody"

    def refuse(self, asked: Asked) -> Answer | str:
        return "" if asked.headers.get(HEADER) == self.key else (401, {"error": "who are you?"})

    @route("POST", "/create")
    def create(self, asked: Asked) -> Answer:
        number = next(self._counter)
        line = self.lines[f"inst-{number}"] = Line(f"inst-{number}", more={"name": asked.body["name"]})
        line.more["token"] = f"tok-{number:04}"
        return self._say({"instance_id": line.instance, "token": line.more["token"]})

    @route("POST", "/connect")
    def connect(self, asked: Asked) -> Answer:
        if (line := self._line(asked.body)) is None:
            return 404, {"error": "no such instance"}
        if line.state == "connected" or (line.state == "offline" and line.number):
            line.state = "connected"
            return self._say({"status": "connected", "qr_code_base64": None})
        if self.draws == "nothing":
            line.state = "qr"
            return self._say({"status": "connecting"})
        text = self.show_code(line)
        drawn = b64encode(picture(text)).decode()
        styles = {"png": drawn, "data_uri": f"data:image/png;base64,{drawn}", "text": text}
        return self._say({"qr_code_base64": styles[self.draws]})

    @route("GET", "/status")
    def status(self, asked: Asked) -> Answer:
        if (line := self._line(asked.query)) is None:
            return 404, {"error": "no such instance"}
        said = {"status": WORDS.get(line.state, "disconnected")}
        if line.number:
            said["phone_number"] = f"+{line.number}"
        return self._say(said)

    @route("POST", "/disconnect")
    def disconnect(self, asked: Asked) -> Answer:
        if (line := self._line(asked.body)) is None:
            return 410, {"error": "gone"}
        line.state, line.number = "unlinked", None
        return self._say({"success": True})

    @route("POST", "/send")
    def send(self, asked: Asked) -> Answer:
        body = asked.body
        if (line := self._line(body)) is None:
            return 404, {"error": "no such instance"}
        if line.state != "connected":
            return 422, {"success": False, "error": "the session is not connected"}
        if body["to"] in self.strangers:
            return 422, {"success": False, "error": "this number is not on WhatsApp"}
        if body["client_message_id"] in self.requests_seen:
            return self._say({"success": True, "message_id": "again"})
        self.requests_seen.add(body["client_message_id"])
        return self._say({"success": True, "message_id": self.leave(line, body["to"], body["message"])})

    def _line(self, said: dict[str, str]) -> Line | None:
        line = self.lines.get(said["instance_id"])
        return line if line and line.more["token"] == said["token"] else None

    def _say(self, said: dict[str, Any]) -> Answer:
        return 200, {"plain": said, "list": [said]}.get(self.style, {self.style: said})


if __name__ == "__main__":
    by_hand(FakeWebhook)
