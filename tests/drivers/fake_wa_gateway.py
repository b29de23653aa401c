"""A pretend wa-gateway: one code a start, a memory of lost logins, a login page for unknown addresses."""

from __future__ import annotations

import time
from typing import Any

from fake_gateway import Answer, Asked, FakeGateway, Line, by_hand, route

SHADOWED = "start", "logout"
IN_PRODUCTION = {"message": "Something went wrong, please try again later!"}
LOST = {"message": "Session does not exist"}


class FakeWaGateway(FakeGateway):
    """A pretend wa-gateway."""

    kind = "wa_gateway"
    send_paths = "POST /message/"
    acts = (*FakeGateway.acts, "reboot")

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self.statuses: dict[str, dict[str, Any]] = {}  # outlives a login that is lost
        self.types = False  # as long as the real one
        self.is_in_production = True
        super().__init__(port, hook_url)

    # --- the phone ---

    def reboot(self) -> None:
        """Its process starts anew, while WhatsApp is out of reach."""
        with self.lock:
            self.statuses.clear()
            for line in self.lines.values():
                line.state = "offline" if line.number else line.state

    def on_state(self, line: Line) -> None:
        word = {"connected": "connected", "unlinked": "disconnected"}.get(line.state, "connecting")
        known = self.statuses.setdefault(line.instance, {})
        known["status"] = word
        if word == "connected":
            known["details"] = {"name": line.profile_name, "phoneNumber": line.number}
        if word == "disconnected":
            self.lines.pop(line.instance, None)
        self._report("session", {"session": line.instance, "status": word})

    def on_message(self, line: Line, sender: str, text: str) -> None:
        jid = sender if "@" in sender else f"{sender}@s.whatsapp.net"
        media = {"image": None, "video": None, "document": None, "audio": None}
        self._report("message", {"session": line.instance, "from": jid, "message": text, "media": media})

    def _report(self, event: str, body: dict[str, Any]) -> None:
        url = f"{self.hook_url}/{event}" if self.hook_url else None
        self.tell(url, body, {"key": self.key})

    # --- requests ---

    def refuse(self, asked: Asked) -> Answer | str:
        given = asked.query.get("key") or asked.headers.get("key")
        return (401, {"message": "Unauthorized"}) if self.key and given != self.key else ""

    def missing(self, asked: Asked) -> Answer:
        if self.key:
            return 302, "", {"Location": "/auth/login", "Content-Type": "text/html"}
        return 404, {"message": "Route not found"}

    @route("GET", "/session")
    def listed(self, asked: Asked) -> Answer:
        return 200, {"data": [{"session": name, **known} for name, known in self.statuses.items()]}

    @route("GET", "/session/{name}")
    def detail(self, asked: Asked, name: str) -> Answer:
        line = self.lines.get(name)
        if line is None or name in SHADOWED:
            return 404, {"message": f"Session '{name}' not found"}
        known = self.statuses.get(name, {})
        details, status = known.get("details", {}), known.get("status", "unknown")
        details = {
            "name": details.get("name") or line.profile_name or "",
            "phoneNumber": details.get("phoneNumber") or line.number or "",
        }
        connection = {"isConnected": status == "connected", "lastUpdate": "2026-05-13T01:02:03.000Z"}
        metadata = dict.fromkeys(("platform", "deviceManufacturer", "deviceModel"), "unknown")
        data = {"session": name, "status": status, "details": details, "connection": connection}
        return 200, {"success": True, "data": {**data, "metadata": metadata}}

    @route("POST", "/session/start")
    def start(self, asked: Asked) -> Answer:
        name = (asked.body or {}).get("session")
        if not isinstance(name, str):
            return 400, {"message": "Required field 'session' on json"}
        if name in self.lines:
            return 400, {"message": "Session already exist"}
        line = self.lines[name] = Line(name)
        self.on_state(line)
        return 200, {"qr": self.show_code(line)}

    @route("DELETE", "/session/{name}")
    def remove(self, asked: Asked, name: str) -> Answer:
        line = self.lines.get(name)
        if line is None:
            return 404, {"message": f"Session '{name}' not found"}
        line.state, line.number = "unlinked", None
        self.on_state(line)
        del self.statuses[name]
        data = {"session": name, "deletedAt": "2026-05-13T01:02:03.000Z"}
        return 200, {"success": True, "message": f"Session '{name}' deleted successfully", "data": data}

    @route("POST", "/message/send-text")
    def send_text(self, asked: Asked) -> Answer:
        to, text, line = asked.body["to"], asked.body["text"], self.lines.get(asked.body["session"])
        if not isinstance(to, str):
            return 400, {"message": "Expected string, received number field 'to' on json"}
        if line is None:
            return 400, LOST
        if line.state != "connected":
            return self._not_ready(line)
        if self.types:
            time.sleep(min(5.0, 0.1 * len(text)))
        jid = to if "@" in to else f"{to}@{'g.us' if asked.body.get('is_group') else 's.whatsapp.net'}"
        key = {"remoteJid": jid, "fromMe": True, "id": self.leave(line, to, text)}
        said = {"extendedTextMessage": {"text": text}}
        return 200, {
            "data": {"key": key, "message": said, "messageTimestamp": "1780000000", "status": "PENDING"}
        }

    @route("POST", "/profile")
    def profile(self, asked: Asked) -> Answer:
        line, target = self.lines.get(asked.body["session"]), asked.body["target"]
        if line is None:
            return 400, LOST
        if line.state != "connected":
            return self._not_ready(line)
        if target.partition("@")[0] in self.strangers:
            return 400, {"message": "Target is not registered"}
        return 200, {"data": {"profilePictureUrl": None, "status": None}}

    def _not_ready(self, line: Line) -> Answer:
        if self.is_in_production:
            return 500, IN_PRODUCTION
        return 500, {"message": f'Session with ID: "{line.instance}" Not Ready!'}


if __name__ == "__main__":
    by_hand(FakeWaGateway)
