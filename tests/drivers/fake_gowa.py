"""A pretend GOWA: pictures of codes behind links, 401 for a session that is down, states without events."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

from fake_gateway import ACTS, PHONE, Answer, Asked, FakeGateway, Line, by_hand, picture, route

STATES = {"qr": "connected", "connected": "logged_in"}
CHALLENGE = {"challenge": "9WVUYm9AsQ", "rpId": "web.whatsapp.com", "userVerification": "required"}
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
OFFLINE = "you are not connect to services server, please reconnect"


class FakeGowa(FakeGateway):
    """A pretend GOWA."""

    kind = "gowa"
    acts: ClassVar[tuple[str, ...]] = (*ACTS, "ask_passkey")
    key = "panel:gateway-key-of-the-tests"
    version = "v9.2.0"
    has_device_hooks = True  # as of 8.10.0
    global_secret = "secret"

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        super().__init__(port, hook_url)
        self.pictures: dict[str, bytes] = {}
        self.lookups_work = True

    def ask_passkey(self, instance: str, phone: str = PHONE) -> None:
        """The phone scans, and WhatsApp wants a passkey before it links."""
        self.line(instance).more.update(challenge=CHALLENGE, phone=phone)

    def unlink(self, instance: str) -> None:
        name = self.line(instance).profile_name
        super().unlink(instance)
        self.line(instance).profile_name = name  # the slot keeps it

    # --- what it says ---

    def refuse(self, asked: Asked) -> Answer | str:
        if asked.path.startswith(("/statics/", "/health")):
            return ""
        wanted = "Basic " + b64encode(self.key.encode()).decode()
        return "" if asked.headers.get("Authorization") == wanted else (401, "Unauthorized", PLAIN)

    def missing(self, asked: Asked) -> Answer:
        return 404, f"Cannot {asked.method} {asked.path}", PLAIN

    def ok(self, results: Any, message: str = "Success") -> Answer:
        return 200, {"code": "SUCCESS", "message": message, "results": results}

    def broken(self, message: str, code: str = "INTERNAL_SERVER_ERROR", status: int = 500) -> Answer:
        return status, {"code": code, "message": message}

    def unknown(self, device: str) -> Answer:
        return self.broken(f"device {device} not found")

    def described(self, line: Line) -> dict[str, Any]:
        said = {
            "id": line.instance,
            "state": STATES.get(line.state, "disconnected"),
            "created_at": "2026-08-22",
        }
        if line.number:
            said["jid"] = f"{line.number}@s.whatsapp.net"
        if line.profile_name:
            said["display_name"] = line.profile_name
        return said

    def of_header(self, asked: Asked) -> Line | Answer:
        device = asked.headers.get("X-Device-Id", "")
        if not device:
            return self.broken("device_id is required", "DEVICE_ID_REQUIRED", 400)
        if device not in self.lines:
            return self.broken("device not found; create a device first", "DEVICE_NOT_FOUND", 404)
        return self.lines[device]

    # --- devices ---

    @route("GET", "/health")
    def health(self, asked: Asked) -> Answer:
        return 200, "OK", PLAIN

    @route("GET", "/app/info")
    def info(self, asked: Asked) -> Answer:
        if self.version.startswith("v8"):
            return self.broken("device_id is required", "DEVICE_ID_REQUIRED", 400)
        return self.ok({"version": self.version, "os": "GOWA"})

    @route("GET", "/devices")
    def devices(self, asked: Asked) -> Answer:
        return self.ok([self.described(line) for line in self.lines.values()] or None)

    @route("POST", "/devices")
    def create(self, asked: Asked) -> Answer:
        device = asked.body["device_id"]
        if device in self.lines:
            return self.broken(f"device {device} already exists")
        self.lines[device] = Line(device)
        return self.ok({"display_name": "", "jid": "", **self.described(self.lines[device])}, "Device added")

    @route("GET", "/devices/{device}")
    def device(self, asked: Asked, device: str) -> Answer:
        return self.ok(self.described(self.lines[device])) if device in self.lines else self.unknown(device)

    @route("DELETE", "/devices/{device}")
    def remove(self, asked: Asked, device: str) -> Answer:
        self.lines.pop(device, None)
        return self.ok(None, "Device removed")

    @route("GET", "/devices/{device}/login")
    def login(self, asked: Asked, device: str) -> Answer:
        line = self.lines.setdefault(device, Line(device))
        if line.state == "connected":
            return self.broken("you are already logged in.", "ALREADY_LOGGED_IN", 400)
        if line.number:
            return self.broken("your session have been saved, please wait", "SESSION_SAVED_ERROR")
        for left in ("challenge", "passkey_code"):  # each login starts over
            line.more.pop(left, None)
        name = f"scan-qr-{uuid4()}.png"
        self.pictures[name] = picture(self.show_code(line))
        link = f"https://internal.example:3000/statics/qrcode/{name}"
        return self.ok({"device_id": device, "qr_link": link, "qr_duration": 30}, "Login success")

    @route("GET", "/statics/qrcode/{name}")
    def drawn(self, asked: Asked, name: str) -> Answer:
        if name not in self.pictures:
            return self.missing(asked)
        return 200, self.pictures[name], {"Content-Type": "image/png"}

    @route("POST", "/devices/{device}/login/code")
    def pair(self, asked: Asked, device: str) -> Answer:
        line = self.lines.setdefault(device, Line(device))
        self.show_code(line)
        line.more["phone"] = asked.query["phone"]
        return self.ok({"device_id": device, "pair_code": "ABCD-1234"}, "Login with code started")

    @route("POST", "/devices/{device}/reconnect")
    def reconnect(self, asked: Asked, device: str) -> Answer:
        if device not in self.lines:
            return self.unknown(device)
        line = self.lines[device]
        if not line.number:
            return self.broken(f"device {device} is not logged in (session deleted)")
        line.state = "connected"
        return self.ok(None, "Reconnect requested")

    @route("POST", "/devices/{device}/logout")
    def logout(self, asked: Asked, device: str) -> Answer:
        if device not in self.lines:
            return self.unknown(device)
        self.unlink(device)
        return self.ok(None, "Logout requested")

    @route("GET", "/devices/{device}/webhook")
    def webhook(self, asked: Asked, device: str) -> Answer:
        if not self.has_device_hooks:
            return self.missing(asked)
        if device not in self.lines:
            return self.broken("device not found", "NOT_FOUND", 404)
        hook = self.lines[device].more.get("hook") or {"webhook_url": "", "webhook_secret": ""}
        return self.ok({"device_id": device, **hook})

    @route("PATCH", "/devices/{device}/webhook")
    def set_webhook(self, asked: Asked, device: str) -> Answer:
        if not self.has_device_hooks:
            return self.missing(asked)
        if device not in self.lines:
            return self.broken("device not found", "NOT_FOUND", 404)
        self.lines[device].more["hook"] = asked.body
        return self.webhook(asked, device)

    # --- passkeys ---

    @route("GET", "/app/passkey")
    def passkey(self, asked: Asked) -> Answer:
        line = self.of_header(asked)
        if not self.has_device_hooks or not isinstance(line, Line):
            return self.missing(asked) if not self.has_device_hooks else line
        if "challenge" in line.more:
            return self.ok({"status": "awaiting_response", "challenge": line.more["challenge"]})
        code = line.more.get("passkey_code")
        return self.ok({"status": "awaiting_confirmation", "code": code} if code else {"status": "none"})

    @route("POST", "/app/passkey/response")
    def assertion(self, asked: Asked) -> Answer:
        line = self.of_header(asked)
        if not isinstance(line, Line):
            return line
        if not line.more.pop("challenge", None):
            return self.broken(f"no pending passkey pairing request for device {line.instance}")
        line.more.update(assertion=asked.body, passkey_code="1234")
        return self.ok(None)

    @route("POST", "/app/passkey/confirm")
    def confirm(self, asked: Asked) -> Answer:
        line = self.of_header(asked)
        if not isinstance(line, Line):
            return line
        if not line.more.pop("passkey_code", None):
            return self.broken(f"no pending passkey confirmation for device {line.instance}")
        self.scan(line.instance, line.more["phone"])
        return self.ok(None)

    # --- messages ---

    @route("GET", "/user/check")
    def check(self, asked: Asked) -> Answer:
        line = self.of_header(asked)
        if not isinstance(line, Line):
            return line
        if line.state != "connected":
            return self.broken(OFFLINE, "AUTHENTICATION_ERROR", 401)
        return self.ok({"is_on_whatsapp": self.lookups_work and asked.query["phone"] not in self.strangers})

    @route("POST", "/send/message")
    def send_message(self, asked: Asked) -> Answer:
        return self.send(asked, asked.body["phone"], asked.body["message"])

    @route("POST", "/send/image")
    @route("POST", "/send/file")
    def send_file(self, asked: Asked) -> Answer:
        form = asked.form
        return self.send(asked, form["phone"], form.get("caption", ""), form[asked.path[6:]][2])

    def send(self, asked: Asked, phone: str, text: str, attached: bytes | None = None) -> Answer:
        line = self.of_header(asked)
        if not isinstance(line, Line):
            return line
        if line.state != "connected":
            return self.broken(OFFLINE, "AUTHENTICATION_ERROR", 401)
        if phone.partition("@")[0] in self.strangers:
            return self.broken(f"Phone {phone} is not on whatsapp", "INVALID_JID", 400)
        provider_id = self.leave(line, phone, text, attached)
        status = f"Message sent to {phone} (server timestamp: 2026-08-22 01:02:03 +0000 UTC)"
        return self.ok({"message_id": provider_id, "status": status}, status)

    @route("GET", "/chat/{chat}/messages")
    def chat_messages(self, asked: Asked, chat: str) -> Answer:
        line = self.of_header(asked)
        if not isinstance(line, Line):
            return line
        assert "%" not in asked.path
        newest = self.left_to(line.instance, chat)[: int(asked.query["limit"])]
        found = [
            {"id": sent.provider_id, "chat_jid": chat, "content": sent.text, "is_from_me": True}
            | {"timestamp": datetime.fromtimestamp(sent.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
            | {"media_type": "image" if sent.attached is not None else ""}
            for sent in newest
        ]
        return self.ok({"data": found, "pagination": {"limit": 50, "offset": 0, "total": len(found)}})

    # --- webhooks ---

    def on_message(self, line: Line, sender: str, text: str) -> None:
        who = f"{sender}@s.whatsapp.net"
        said = {"id": "AB12", "chat_id": who, "from": who, "from_lid": "99@lid", "from_name": "Anna"}
        more = {"timestamp": "2026-08-22T01:02:03Z", "is_from_me": False, "body": text}
        self.event(line, "message", {**said, **more})

    def on_receipt(self, line: Line, provider_id: str, kind: str) -> None:
        if kind in ("delivered", "read", "played"):  # nothing else is told
            payload = {"ids": [provider_id], "chat_id": "99@lid", "receipt_type": kind}
            self.event(line, "message.ack", payload)

    def event(self, line: Line, name: str, payload: dict[str, Any]) -> None:
        hook = line.more.get("hook") or {}
        if hook and name not in hook["webhook_events"].split(","):
            return
        body = {
            "event": name,
            "device_id": f"{line.number}@s.whatsapp.net",
            "session_id": line.instance,
            "timestamp": "2026-08-22T01:02:03Z",
            "payload": payload,
        }
        raw = json.dumps(body).encode()
        secret = hook.get("webhook_secret") or self.global_secret
        signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        url = hook.get("webhook_url") or self.hook_url
        self.tell(url, raw, {"X-Hub-Signature-256": f"sha256={signature}"})


if __name__ == "__main__":
    by_hand(FakeGowa)
