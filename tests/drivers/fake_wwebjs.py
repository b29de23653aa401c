"""A pretend wwebjs-api: lifecycle by GET, 200 for nearly everything, a last code served for ever."""

from __future__ import annotations

import re
from typing import Any

from fake_gateway import PHONE, Answer, Asked, FakeGateway, Line, by_hand, route

WORDS = {"qr": "UNPAIRED", "connected": "CONNECTED", "offline": "OPENING"}
NOT_FOUND = {"success": False, "state": None, "message": "session_not_found"}
ACKS = {"failed": -1, "sent": 1, "delivered": 2, "read": 3, "played": 4}


class FakeWwebjs(FakeGateway):
    """A pretend wwebjs-api."""

    kind = "wwebjs"
    send_paths = "/client/sendMessage/"
    acts = (*FakeGateway.acts, "rotate", "crash")

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self.logins: dict[str, tuple[str, str]] = {}  # on its disk
        self.canonical: dict[str, str] = {}  # numbers that WhatsApp knows by another one, as in Brazil
        self.closed_chats: set[str] = set()
        self.cause: dict[str, str] | None = None  # why Chrome cannot start; {} when that is lost
        self.disabled: set[str] = set()  # DISABLED_CALLBACKS
        super().__init__(port, hook_url)

    # --- the phone ---

    def rotate(self, instance: str) -> None:
        """WhatsApp gives the next code."""
        with self.lock:
            self._show(self.line(instance))

    def crash(self, instance: str, word: str = "browser tab closed") -> None:
        with self.lock:
            self.line(instance).more["word"] = word

    def on_state(self, line: Line) -> None:
        if line.state == "connected":
            self.logins[line.instance] = (line.number or PHONE, line.profile_name or "")
            self._report(line, "authenticated")
            self._report(line, "ready")
        elif line.state == "unlinked":
            self.logins.pop(line.instance, None)
            self._report(line, "disconnected", {"reason": "LOGOUT"})
            self._show(line)  # it stays, and wants to be scanned again
        else:
            self._report(line, "change_state", {"state": WORDS[line.state]})

    def on_message(self, line: Line, sender: str, text: str) -> None:
        chat = sender if "@" in sender else f"{sender}@c.us"
        message = {**_message(chat, "3EB0IN", text, False), "from": chat, "_data": {"notifyName": "Anna"}}
        self._report(line, "message", {"message": message})

    def on_receipt(self, line: Line, provider_id: str, kind: str) -> None:
        _, chat, bare = provider_id.split("_")
        self._report(line, "message_ack", {"message": _message(chat, bare, "", True), "ack": ACKS[kind]})

    def _show(self, line: Line) -> None:
        self._report(line, "qr", {"qr": self.show_code(line)})

    def _report(self, line: Line, event: str, data: dict[str, Any] | None = None) -> None:
        if event not in self.disabled:
            said = {"dataType": event, **({"data": data} if data else {}), "sessionId": line.instance}
            self.tell(self.hook_url, said, {"x-api-key": self.key})

    # --- requests ---

    def refuse(self, asked: Asked) -> Answer | str:
        if self.key and asked.headers.get("x-api-key") != self.key:
            return 403, {"success": False, "error": "Invalid API key"}
        if len(parts := asked.path.split("/")) == 4 and not re.fullmatch(r"[\w-]+", parts[3]):
            return 422, {"success": False, "error": "Session should be alphanumerical or -"}
        return ""

    def missing(self, asked: Asked) -> Answer:
        return 404, f"<pre>Cannot {asked.method} {asked.path}</pre>", {"Content-Type": "text/html"}

    @route("GET", "/session/getSessions")
    def listed(self, asked: Asked) -> Answer:
        return 200, {"success": True, "result": list(self.lines)}

    @route("GET", "/session/start/{name}")
    def start(self, asked: Asked, name: str) -> Answer:
        if name in self.lines:
            return 422, {"success": False, "error": f"Session already exists for: {name}"}
        if self.cause is not None:
            return 422, {"success": False, **self.cause}
        self._launch(name)
        return 200, {"success": True, "message": "Session initiated successfully"}

    @route("GET", "/session/stop/{name}")
    def halt(self, asked: Asked, name: str) -> Answer:
        self.lines.pop(name, None)
        return 200, {"success": True, "message": "Session stopped successfully"}

    @route("GET", "/session/restart/{name}")
    def restart(self, asked: Asked, name: str) -> Answer:
        if self.lines.pop(name, None) is None:
            return 200, NOT_FOUND
        if self.cause is None:
            self._launch(name)
        return 200, {"success": True, "message": "Restarted successfully"}

    @route("GET", "/session/terminate/{name}")
    def terminate(self, asked: Asked, name: str) -> Answer:
        if self.lines.pop(name, None) is None:
            return 200, NOT_FOUND
        self.logins.pop(name, None)
        return 200, {"success": True, "message": "Logged out successfully"}

    @route("GET", "/session/status/{name}")
    def status(self, asked: Asked, name: str) -> Answer:
        return 200, self._status(name)

    @route("GET", "/session/qr/{name}")
    def qr(self, asked: Asked, name: str) -> Answer:
        line = self.lines.get(name)
        if line is None:
            return 200, {"success": False, "message": "session_not_found"}
        if line.state != "qr" or not line.code:
            return 200, {"success": False, "message": "qr code not ready or already scanned"}
        return 200, {"success": True, "qr": f"{line.code},1"}

    @route("POST", "/session/requestPairingCode/{name}")
    def pairing_code(self, asked: Asked, name: str) -> Answer:
        if name not in self.lines:
            return 200, {"success": False, "message": "session_not_found"}
        return 200, {"success": True, "result": "ABCDEFGH"}

    @route("GET", "/client/getClassInfo/{name}")
    def class_info(self, asked: Asked, name: str) -> Answer:
        if refusal := self._refused(name):
            return refusal
        number = self.line(name).number or ""
        user, _, server = number.partition("@")
        wid = {"server": server or "c.us", "user": user, "_serialized": f"{user}@{server or 'c.us'}"}
        info = {"pushname": self.line(name).profile_name, "platform": "android", "wid": wid}
        return 200, {"success": True, "sessionInfo": info}

    @route("POST", "/client/getNumberId/{name}")
    def number_id(self, asked: Asked, name: str) -> Answer:
        if refusal := self._refused(name):
            return refusal
        number = asked.body["number"]
        if number in self.strangers:
            return 200, {"success": True, "result": None}
        user = self.canonical.get(number, number)
        result = {"server": "c.us", "user": user, "_serialized": f"{user}@c.us"}
        return 200, {"success": True, "result": result}

    @route("POST", "/client/sendMessage/{name}")
    def send(self, asked: Asked, name: str) -> Answer:
        if refusal := self._refused(name):
            return refusal
        said = asked.body
        chat, kind, content, options = said["chatId"], said["contentType"], said["content"], said["options"]
        if kind not in ("string", "MessageMedia"):
            return 400, {"success": False, "error": "invalid contentType"}
        if options.get("sendSeen", True):
            return 500, {
                "success": False,
                "error": "Cannot read properties of undefined (reading 'markedUnread')",
            }
        if "@" not in chat:
            return 500, {"success": False, "error": "Evaluation failed: wid error: invalid wid"}
        if chat in self.closed_chats:
            return 200, {"success": True}
        attached = content["data"].encode() if kind == "MessageMedia" else None
        text = options.get("caption", "") if attached else content
        bare = self.leave(self.line(name), chat, text, attached)
        return 200, {"success": True, "message": _message(chat, bare, text, True)}

    @route("POST", "/chat/fetchMessages/{name}")
    def fetch_messages(self, asked: Asked, name: str) -> Answer:
        if refusal := self._refused(name):
            return refusal
        chat, options = asked.body["chatId"], asked.body["searchOptions"]
        found = []
        for sent in self.left_to(name, chat)[: options["limit"]]:
            kind = {"type": "image", "hasMedia": True} if sent.attached is not None else {}
            message = _message(chat, sent.provider_id.rpartition("_")[2], sent.text, True)
            found.append({**message, **kind, "timestamp": sent.at})
        return 200, {"success": True, "messages": found[::-1]}  # from earliest to latest

    def _launch(self, name: str) -> None:
        line = self.lines[name] = Line(name)
        if name in self.logins:
            line.state = "connected"
            line.number, line.profile_name = self.logins[name]
            self.on_state(line)
        else:
            self._show(line)

    def _status(self, name: str) -> dict[str, Any]:
        line = self.lines.get(name)
        if line is None:
            return NOT_FOUND
        word = line.more.get("word") or WORDS[line.state]
        if word != word.upper():
            return {"success": False, "state": None, "message": word}
        is_connected = word == "CONNECTED"
        message = "session_connected" if is_connected else "session_not_connected"
        return {"success": is_connected, "state": word, "message": message}

    def _refused(self, name: str) -> Answer:
        status = self._status(name)
        return None if status["success"] else (404, {"success": False, "error": status["message"]})


def _message(chat: str, bare: str, text: str, from_me: bool) -> dict[str, Any]:
    serialized = f"{str(from_me).lower()}_{chat}_{bare}"
    return {
        "id": {"fromMe": from_me, "remote": chat, "id": bare, "_serialized": serialized},
        "ack": 1,
        "hasMedia": False,
        "body": text,
        "type": "chat",
        "timestamp": 1780000000,
        "fromMe": from_me,
        "_data": {},
    }


if __name__ == "__main__":
    by_hand(FakeWwebjs)
