"""A pretend WAHA: six codes and then FAILED, passkeys, ids in advance, webhooks signed with SHA-512."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any, ClassVar

from fake_gateway import ACTS, PHONE, Answer, Asked, FakeGateway, Line, Sent, by_hand, picture, route

WORDS = {
    "new": "STOPPED",
    "qr": "SCAN_QR_CODE",
    "connected": "WORKING",
    "offline": "STOPPED",
    "unlinked": "FAILED",
}
ACKS = {"failed": (-1, "ERROR"), "sent": (1, "SERVER"), "delivered": (2, "DEVICE"), "read": (3, "READ")}
ACKS["played"] = (4, "PLAYED")
CHALLENGE = {
    "challenge": "9WVUYm9AsQ",
    "timeout": 60000,
    "rpId": "web.whatsapp.com",
    "allowCredentials": [{"id": "AX8bTgH2", "type": "public-key", "transports": ["internal"]}],
    "userVerification": "required",
}


class FakeWaha(FakeGateway):
    """A pretend WAHA."""

    kind = "waha"
    acts: ClassVar[tuple[str, ...]] = (*ACTS, "expire", "ask_passkey")
    version = "2026.7.1"
    engine = "GOWS"  # the one that can all

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        super().__init__(port, hook_url)
        self.canonical: dict[str, str] = {}  # numbers that WhatsApp knows by another one, as in Brazil

    # --- the phone ---

    def drop(self, instance: str) -> None:
        with self.lock:
            self.line(instance).more["word"] = "FAILED"
            super().drop(instance)

    def expire(self, instance: str) -> None:
        """Nobody scans: the next code, or the end after six."""
        with self.lock:
            line = self.line(instance)
            if line.codes_shown >= 6:
                line.state = "unlinked"
            else:
                self.show_code(line)
            self.on_state(line)

    def ask_passkey(self, instance: str, phone: str = PHONE) -> None:
        """The phone scans, and WhatsApp wants a passkey before it links."""
        with self.lock:
            line = self.line(instance)
            line.more.update(word="PASSKEY_REQUIRED", phone=phone)
            self.on_state(line)

    # --- what it says ---

    def word(self, line: Line) -> str:
        return str(line.more.get("word") or WORDS[line.state])

    def described(self, line: Line) -> dict[str, Any]:
        me = {"id": f"{line.number}@c.us", "lid": "99@lid", "pushName": line.profile_name}
        return {
            "name": line.instance,
            "status": self.word(line),
            "config": line.more["config"],
            "me": me if line.number else None,
            "engine": {"engine": self.engine},
            "presence": "online",
            "timestamps": {"activity": 1780000000000},
        }

    def refuse(self, asked: Asked) -> Answer | str:
        if asked.path == "/ping" or asked.headers.get("X-Api-Key") == self.key:
            return ""
        return 401, {"message": "Unauthorized", "statusCode": 401}

    def missing(self, asked: Asked) -> Answer:
        message = f"Cannot {asked.method} {asked.path}"
        return 404, {"message": message, "error": "Not Found", "statusCode": 404}

    def unknown(self) -> Answer:
        return 404, {"statusCode": 404, "message": "Session not found", "error": "Not Found"}

    def too_early(self, line: Line, *expected: str) -> Answer:
        error = "Session status is not as expected. Try again later or restart the session"
        return 422, {
            "error": error,
            "session": line.instance,
            "status": self.word(line),
            "expected": list(expected),
        }

    # --- server and sessions ---

    @route("GET", "/ping")
    def ping(self, asked: Asked) -> Answer:
        return 200, {"message": "pong"}

    @route("GET", "/api/server/version")
    def server_version(self, asked: Asked) -> Answer:
        return 200, {"version": self.version, "engine": self.engine, "tier": "CORE", "browser": None}

    @route("GET", "/api/sessions")
    def sessions(self, asked: Asked) -> Answer:
        shown = [self.described(line) for line in self.lines.values()]
        is_all = asked.query.get("all") == "true"
        return 200, [one for one in shown if is_all or one["status"] != "STOPPED"]

    @route("POST", "/api/sessions")
    def create(self, asked: Asked) -> Answer:
        name = asked.body["name"]
        if name in self.lines:
            message = f"Session '{name}' already exists. Use PUT to update it."
            return 422, {"message": message, "error": "Unprocessable Entity", "statusCode": 422}
        line = self.lines[name] = Line(name)
        line.more.update(config=asked.body.get("config") or {}, apps=[])
        if asked.body.get("start", True):
            self.begin(line)
        return 201, self.described(line)

    @route("GET", "/api/sessions/{name}")
    def session(self, asked: Asked, name: str) -> Answer:
        if name not in self.lines:
            return self.unknown()
        line = self.lines[name]
        apps = {"apps": line.more["apps"]} if asked.query.get("expand") == "apps" else {}
        return 200, {**self.described(line), **apps}

    @route("PUT", "/api/sessions/{name}")
    def update(self, asked: Asked, name: str) -> Answer:
        if name not in self.lines:
            return self.unknown()
        line = self.lines[name]
        line.more["config"] = asked.body.get("config") or {}
        line.more["apps"] = asked.body.get("apps") or []
        line.more["restarts"] = line.more.get("restarts", 0) + 1
        return 200, self.described(line)

    @route("DELETE", "/api/sessions/{name}")
    def remove(self, asked: Asked, name: str) -> Answer:
        self.lines.pop(name, None)
        return 200, b"", {"Content-Type": ""}

    @route("POST", "/api/sessions/{name}/{verb}")
    def act(self, asked: Asked, name: str, verb: str) -> Answer:
        if name not in self.lines:
            return self.unknown()
        line = self.lines[name]
        was_running = self.word(line) != "STOPPED"
        line.more.pop("word", None)
        if verb == "stop":
            line.state = "offline" if line.number else "new"
        elif verb == "logout":
            line.state, line.number, line.profile_name = "new", None, None
            if was_running:
                self.begin(line)
        elif verb in ("start", "restart"):
            self.begin(line)
        else:
            return self.missing(asked)
        self.on_state(line)
        return 201, self.described(line)

    def begin(self, line: Line) -> None:
        if line.number:
            line.state = "connected"
        elif line.state != "qr":
            line.codes_shown = 0
            self.show_code(line)

    # --- linking ---

    @route("GET", "/api/{name}/auth/qr")
    def qr(self, asked: Asked, name: str) -> Answer:
        line = self.lines.get(name)
        if line is None:
            return self.unknown()
        if self.word(line) != "SCAN_QR_CODE":
            return self.too_early(line, "SCAN_QR_CODE")
        if asked.query.get("format") == "raw":
            return 200, {"value": line.code}
        return 200, picture(line.code), {"Content-Type": "image/png"}

    @route("POST", "/api/{name}/auth/request-code")
    def request_code(self, asked: Asked, name: str) -> Answer:
        line = self.lines.get(name)
        if line is None:
            return self.unknown()
        if self.word(line) != "SCAN_QR_CODE":
            return self.too_early(line, "SCAN_QR_CODE")
        line.more["phone"] = asked.body["phoneNumber"]
        return 201, {"code": "ABCD-ABCD"}

    @route("GET", "/api/{name}/auth/passkey/challenge")
    def challenge(self, asked: Asked, name: str) -> Answer:
        return self.passkey(name, "PASSKEY_REQUIRED") or (200, CHALLENGE)

    @route("POST", "/api/{name}/auth/passkey")
    def assertion(self, asked: Asked, name: str) -> Answer:
        if refusal := self.passkey(name, "PASSKEY_REQUIRED"):
            return refusal
        line = self.lines[name]
        line.more.update(word="PASSKEY_CONFIRMATION_REQUIRED", assertion=asked.body)
        self.on_state(line)
        return 201, b"", {"Content-Type": ""}

    @route("GET", "/api/{name}/auth/passkey/confirmation")
    def confirmation(self, asked: Asked, name: str) -> Answer:
        return self.passkey(name, "PASSKEY_CONFIRMATION_REQUIRED") or (200, {"code": "1234"})

    @route("POST", "/api/{name}/auth/passkey/confirm")
    def confirm(self, asked: Asked, name: str) -> Answer:
        if refusal := self.passkey(name, "PASSKEY_CONFIRMATION_REQUIRED"):
            return refusal
        line = self.lines[name]
        line.more.pop("word")
        self.scan(name, line.more["phone"])
        return 201, b"", {"Content-Type": ""}

    def passkey(self, name: str, word: str) -> Answer | None:
        if name not in self.lines:
            return self.unknown()
        line = self.lines[name]
        return None if self.word(line) == word else self.too_early(line, word)

    # --- messages ---

    @route("GET", "/api/contacts/check-exists")
    def check_exists(self, asked: Asked) -> Answer:
        line = self.lines.get(asked.query["session"])
        if line is None:
            return self.unknown()
        if self.word(line) != "WORKING":
            return self.too_early(line, "WORKING")
        phone = asked.query["phone"]
        if phone in self.strangers:
            return 200, {"numberExists": False}
        return 200, {"numberExists": True, "chatId": f"{self.canonical.get(phone, phone)}@c.us"}

    @route("POST", "/api/sendText")
    def send_text(self, asked: Asked) -> Answer:
        return self.send(asked, asked.body["text"])

    @route("POST", "/api/sendImage")
    @route("POST", "/api/sendFile")
    def send_file(self, asked: Asked) -> Answer:
        return self.send(asked, asked.body.get("caption", ""), asked.body["file"]["data"].encode())

    def send(self, asked: Asked, text: str, attached: bytes | None = None) -> Answer:
        body = asked.body
        line = self.lines.get(body["session"])
        if line is None:
            return self.unknown()
        if self.word(line) != "WORKING":
            return self.too_early(line, "WORKING")
        given = body.get("id") if self.engine in ("NOWEB", "GOWS") and attached is None else None
        if given is None or given not in {sent.provider_id for sent in self.sent}:
            # a contact's phone shows a WhatsApp id once
            made = given or f"3EB0{len(self.sent):018X}"
            self.sent.append(Sent(line.instance, body["chatId"], text, made, attached))
        provider_id = given or self.sent[-1].provider_id
        whole = f"true_{body['chatId']}_{provider_id}"
        said = {"timestamp": 1780000000, "fromMe": True, "body": text, "ack": 1, "hasMedia": bool(attached)}
        return 201, {"id": {"_serialized": whole} if self.engine == "WEBJS" else whole, **said}

    @route("GET", "/api/{name}/chats/{chat}/messages")
    def chat_messages(self, asked: Asked, name: str, chat: str) -> Answer:
        if name not in self.lines:
            return self.unknown()
        if self.word(self.lines[name]) != "WORKING":
            return self.too_early(self.lines[name], "WORKING")
        since = int(asked.query["filter.timestamp.gte"])
        assert (asked.query["filter.fromMe"], asked.query["downloadMedia"]) == ("true", "false")
        return 200, [
            {"id": f"true_{chat}_{sent.provider_id}", "timestamp": sent.at, "fromMe": True, "ack": 1}
            | {"body": sent.text, "hasMedia": sent.attached is not None}
            for sent in self.left_to(name, chat)
            if sent.at >= since
        ][: int(asked.query["limit"])]

    # --- webhooks ---

    def on_state(self, line: Line) -> None:
        word = self.word(line)
        data = {"PASSKEY_REQUIRED": CHALLENGE, "PASSKEY_CONFIRMATION_REQUIRED": {"code": "1234"}}.get(
            word, {}
        )
        line.more["words"] = [*line.more.get("words", []), {"status": word, "timestamp": 1780000000000}][-3:]
        payload = {"name": line.instance, "status": word, "statuses": line.more["words"], "data": data}
        self.event(line, "session.status", payload)

    def on_message(self, line: Line, sender: str, text: str) -> None:
        who = f"{sender}@c.us"
        self.event(
            line,
            "message",
            {"id": f"false_{who}_AB12", "timestamp": 1780000000, "from": who, "fromMe": False, "body": text}
            | {"to": f"{line.number}@c.us", "hasMedia": False, "_data": {"pushName": "Anna"}},
        )

    def on_receipt(self, line: Line, provider_id: str, kind: str) -> None:
        ack, name = ACKS[kind]
        # the chat can come back as a LID
        whole = f"true_77@lid_{provider_id}"
        self.event(line, "message.ack", {"id": whole, "fromMe": True, "ack": ack, "ackName": name})

    def event(self, line: Line, name: str, payload: dict[str, Any]) -> None:
        body = {
            "id": f"evt_{len(self.told)}",
            "timestamp": int(time.time() * 1000),
            "event": name,
            "session": line.instance,
            "me": self.described(line)["me"],
            "payload": payload,
            "engine": self.engine,
        }
        raw = json.dumps(body).encode()
        for hook in line.more["config"].get("webhooks") or []:
            if name in hook["events"]:
                key = (hook.get("hmac") or {}).get("key", "")
                signature = hmac.new(key.encode(), raw, hashlib.sha512).hexdigest()
                headers = {"X-Webhook-Hmac": signature, "X-Webhook-Hmac-Algorithm": "sha512"}
                self.tell(hook["url"], raw, headers)


if __name__ == "__main__":
    by_hand(FakeWaha)
