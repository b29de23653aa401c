"""Evolution API 2.3.6 as it was recorded: every body is a recording with names, numbers and ids put in.

Its quirks are on: the list that lies, the check of a name before the key, 200 that is an error, a logout
that deafens. `starts`, `licence` and `hook_is_dead` switch on those of bad days.
"""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from fake_gateway import ACTS, Answer, Asked, FakeGateway, Line, by_hand, route

PAYLOADS = Path(__file__).parent / "payloads" / "evolution"
OWNER, CONTACT = "4915100000001", "4915100000003"  # as recorded
RECEIPTS = {"sent": "server_ack", "delivered": "delivery_ack", "read": "read", "played": "played"}
RECEIPTS["failed"] = "error"
UNLICENSED = {"error": "service not activated", "code": "LICENSE_REQUIRED", "register_url": "https://x.test"}
DEAD = "REMOVE_INSTANCE"  # while a webhook with this event fails, nothing is deleted


class FakeEvolution(FakeGateway):
    """Evolution API 2.3.6 as it was recorded."""

    kind = "evolution"
    send_paths = "POST /message/"
    acts: ClassVar[tuple[str, ...]] = (*ACTS, "start_anew")

    def __init__(self, port: int = 0, hook_url: str | None = None) -> None:
        self.starts = 0  # so many answers are still those of its first second
        self.is_licensed = True
        self.hook_is_dead = False
        self.deaf: set[str] = set()
        super().__init__(port, hook_url)

    def start_anew(self, answers: str = "1") -> None:
        """The process is restarted: for so many answers it knows no instance."""
        self.starts = int(answers)
        self.deaf.clear()

    # --- recordings ---

    def replay(self, name: str, instance: str = "", **puts: str) -> tuple[int, Any]:
        """What was answered, for this instance; `puts` are recorded texts and what stands there now."""
        recorded, response, _ = _recording(name)
        return response["status"], _put(response["body"], {recorded: instance, **puts})

    def event(self, name: str, line: Line, puts: dict[str, str] | None = None, **data: Any) -> None:
        """Post what was posted; `data` replaces fields of its data."""
        recorded, _, body = _recording(f"event_{name}")
        owner = {OWNER: line.number} if line.number else {}
        said = _put(body, {recorded: line.instance, **owner, **(puts or {})})
        if data:
            said["data"].update(data)
        hook = line.more.get("hook") or {}
        chosen = hook.get("events") or [said["event"].replace(".", "_").replace("-", "_").upper()]
        if hook.get("enabled") and said["event"].replace(".", "_").upper() in chosen:
            self.tell(hook["url"], said, hook.get("headers"))

    # --- the order of its checks: the name, the key, the body ---

    def refuse(self, asked: Asked) -> Answer | str:
        if not self.is_licensed and asked.path != "/":
            return 503, UNLICENSED
        kind, _, instance = asked.path.strip("/").rpartition("/")
        instance = unquote(instance)
        if asked.path == "/instance/create" and asked.body["instanceName"] in self.lines:
            return self.replay("create_duplicate", asked.body["instanceName"])
        if "/" in kind and self._is_unknown(instance):
            return self.replay("unknown_instance_connectionState", instance)
        if asked.path != "/" and asked.headers.get("apikey") != self.key:
            return self.replay("auth_bad_key")
        return ""

    def _is_unknown(self, instance: str) -> bool:
        if self.starts > 0:
            self.starts -= 1
            return True
        return instance not in self.lines

    def missing(self, asked: Asked) -> Answer:
        return self.replay("unknown_route", **{"GET /instance/nope": f"{asked.method} {asked.path}"})

    @route("GET", "/")
    def root(self, asked: Asked) -> Answer:
        return self.replay("root")

    @route("POST", "/verify-creds")
    def verify(self, asked: Asked) -> Answer:
        return self.replay("verify_creds")

    # --- instances ---

    @route("POST", "/instance/create")
    def create(self, asked: Asked) -> Answer:
        said = asked.body
        name = said["instanceName"]
        line = self.lines[name] = Line(name, more={"column": "close"})
        if hook := said.get("webhook"):
            line.more["hook"] = {**hook, "enabled": True}
        self.event("instance_create", line)
        if not said.get("qrcode"):
            status, body = self.replay("create_qr", name)
            del body["qrcode"]
            body["instance"]["status"] = "close"
            return status, body
        self.show_code(line)
        return self.replay("create_pairing_code" if said.get("number") else "create_qr", name)

    @route("GET", "/instance/fetchInstances")
    def fetch(self, asked: Asked) -> Answer:
        wanted = asked.query.get("instanceName")
        if wanted is not None and self._is_unknown(wanted):
            return self.replay("fetchInstances_unknown_name", wanted)
        lines = [line for line in self.lines.values() if wanted in (None, line.instance)]
        return 200, [row for line in lines for row in self._row(line)]

    def _row(self, line: Line) -> list[Any]:
        recordings = {"open": "open", "connecting": "after_qr_limit", "close": "never_connected"}
        name = f"fetchInstances_{recordings[line.more['column']]}"
        rows: list[Any] = self.replay(name, line.instance, **{OWNER: line.more.get("owner", OWNER)})[1]
        return rows

    @route("GET", "/instance/connectionState/{name}")
    def state(self, asked: Asked, name: str) -> Answer:
        word = {"connected": "open", "qr": "connecting"}.get(self.lines[name].state, "never_connected")
        return self.replay(f"connectionState_{word}", name)

    @route("GET", "/instance/connect/{name}")
    def connect(self, asked: Asked, name: str) -> Answer:
        line = self.lines[name]
        if line.state == "connected":
            return self.replay("connect_when_open", name)
        if line.number:  # on its way back, and no code
            line.state = "connected"
            self.on_state(line)
            return self.replay("connect_unreachable")
        recording = "connect_qr"
        if line.state != "qr":
            recording = "connect_pairing" if asked.query.get("number") else "connect_qr"
            self.show_code(line)
        return self._coded(recording, line)

    def show_code(self, line: Line) -> str:
        code = super().show_code(line)
        line.more["column"] = "connecting"
        self.event("connection_update_connecting", line)
        recorded = _recording("event_qrcode_updated")[2]["data"]["qrcode"]["code"]
        self.event("qrcode_updated", line, {recorded: code})
        return code

    def _coded(self, recording: str, line: Line) -> Answer:
        recorded = _recording(recording)[1]["body"]["code"]
        status, body = self.replay(recording, line.instance, **{recorded: line.code})
        return status, body | {"count": line.codes_shown}

    @route("POST", "/instance/restart/{name}")
    def restart(self, asked: Asked, name: str) -> Answer:
        line = self.lines[name]
        if line.state == "qr":
            return self._coded("restart_connecting_qr", line)
        if line.state == "connected":
            self.on_state(line)
        return self.replay(f"restart_when_{'open' if line.state == 'connected' else 'close'}", name)

    @route("DELETE", "/instance/logout/{name}")
    def logout(self, asked: Asked, name: str) -> Answer:
        line = self.lines[name]
        if line.state not in ("connected", "qr"):
            return self.replay("logout_when_close", name)
        self.deaf.add(name)
        self.unlink(name)
        return self.replay("logout_open")

    @route("DELETE", "/instance/delete/{name}")
    def delete(self, asked: Asked, name: str) -> Answer:
        hook = self.lines[name].more.get("hook") or {}
        if not (self.hook_is_dead and hook.get("enabled") and DEAD in (hook.get("events") or [DEAD])):
            self.event("instance_delete", self.lines.pop(name))
            self.deaf.discard(name)
        return self.replay("delete_open")

    # --- webhooks ---

    @route("POST", "/webhook/set/{name}")
    def set_webhook(self, asked: Asked, name: str) -> Answer:
        hook, line = asked.body["webhook"], self.lines[name]
        if not hook.get("url"):
            return self.replay("webhook_set_disable")
        if hook["enabled"] and "events" not in hook:
            return self.replay("webhook_set_no_events")
        events = hook["events"] if hook["enabled"] else []
        line.more["hook"] = {**(line.more.get("hook") or {}), **hook, "events": events}
        return 201, self._hook(line)

    @route("GET", "/webhook/find/{name}")
    def webhook(self, asked: Asked, name: str) -> Answer:
        line = self.lines[name]
        return (200, self._hook(line)) if line.more.get("hook") else self.replay("webhook_find_none")

    def _hook(self, line: Line) -> dict[str, Any]:
        """The names of its answer are not those of the request."""
        stored = {key: line.more["hook"].get(key) for key in ("url", "headers", "enabled", "events")}
        body: dict[str, Any] = self.replay("webhook_find", line.instance)[1]
        return {**body, **stored}

    # --- messages ---

    @route("POST", "/message/sendText/{name}")
    def send_text(self, asked: Asked, name: str) -> Answer:
        said = asked.body
        if "text" not in said:
            return self.replay("sendText_missing_text")
        if not said["text"].strip():
            return self.replay("sendText_empty_text")
        return self._send("sendText", "ok", name, said["number"], said["text"])

    @route("POST", "/message/sendMedia/{name}")
    def send_media(self, asked: Asked, name: str) -> Answer:
        said = asked.body
        if said["media"].startswith("data:"):
            return self.replay("sendMedia_bad_media")
        if said["mediatype"] == "document" and not said.get("fileName"):
            return self.replay("sendMedia_document_no_filename")
        kind = f"{said['mediatype']}_base64"
        media = b64decode(said["media"])
        return self._send("sendMedia", kind, name, said["number"], said.get("caption", ""), media)

    def _send(
        self, route: str, kind: str, name: str, to: str, text: str, media: bytes | None = None
    ) -> Answer:
        line = self.lines[name]
        if line.state in ("new", "qr"):
            return self.replay(f"{route}_never_connected")
        if line.state != "connected":
            return self.replay("sendText_while_disconnected")
        if to in self.strangers:
            return self.replay("sendText_not_on_whatsapp", **{"4915199999999": to})
        provider_id = self.leave(line, to, text, media)
        recorded = _recording(f"{route}_{kind}")[1]["body"]["key"]["id"]
        status, body = self.replay(f"{route}_{kind}", name, **{recorded: provider_id, CONTACT: to})
        recorded = _recording("event_send_message_text")[2]["data"]["key"]["id"]
        more = {} if media else {"message": {"conversation": text}, "messageTimestamp": self.sent[-1].at}
        self.event("send_message_text", line, {recorded: provider_id, CONTACT: to}, **more)
        return status, body

    @route("POST", "/chat/whatsappNumbers/{name}")
    def numbers(self, asked: Asked, name: str) -> Answer:
        line = self.lines[name]
        if line.state in ("new", "qr"):
            return self.replay("whatsappNumbers_never_connected")
        if line.state != "connected":
            return self.replay("whatsappNumbers_logged_out")
        asked_for = asked.body["numbers"]
        return 200, [
            {"jid": f"{one}@s.whatsapp.net", "exists": one not in self.strangers, "number": one}
            for one in reversed(asked_for)  # in an order of its own
        ]

    @route("POST", "/chat/findMessages/{name}")
    def find_messages(self, asked: Asked, name: str) -> Answer:
        said = asked.body
        jid = said["where"]["key"]["remoteJid"]
        (theirs, ours) = _recording("findMessages")[1]["body"]["messages"]["records"]
        kind = {True: "imageMessage", False: "conversation"}
        found = [] if said["where"]["key"].get("fromMe") else [theirs]
        for sent in self.left_to(name, jid):
            is_file = sent.attached is not None
            image = {"imageMessage": {"mimetype": "image/png", "caption": sent.text}}
            found.append(
                ours
                | {"key": {"id": sent.provider_id, "fromMe": True, "remoteJid": jid}}
                | {"messageTimestamp": sent.at, "messageType": kind[is_file], "MessageUpdate": []}
                | {"message": image if is_file else {"conversation": sent.text}}
            )
        page = {"total": len(found), "pages": 1, "currentPage": 1, "records": found[: said["offset"]]}
        return 200, {"messages": page}

    # --- what it reports ---

    def on_state(self, line: Line) -> None:
        if line.state == "connected":
            line.more.update(column="open", owner=line.number)
            self.event("connection_update_connecting", line)
            self.event("connection_update_open", line)
        if line.state == "unlinked":
            line.more["column"] = "close"
            for name in ("status_instance_phone_logout", "logout_instance"):
                self.event(name, line)
            self.event("connection_update_close_logged_out", line)

    def on_message(self, line: Line, sender: str, text: str) -> None:
        if line.instance not in self.deaf:
            puts = {CONTACT: sender}
            self.event("messages_upsert_text", line, puts, message={"conversation": text})

    def on_receipt(self, line: Line, provider_id: str, kind: str) -> None:
        self.event(f"messages_update_{RECEIPTS[kind]}", line, keyId=provider_id)


@cache
def _recording(name: str) -> tuple[str, Any, Any]:
    """The instance it was recorded with, the response, and the body of the request."""
    said = json.loads((PAYLOADS / f"{name}.json").read_text())
    asked = said["request"].get("body")
    named = asked if isinstance(asked, dict) else {}
    instance = named.get("instance") or named.get("instanceName")
    if not instance:
        path, _, query = said["request"]["path"].partition("?")
        instance = unquote(query.partition("instanceName=")[2] or path.rpartition("/")[2])
    return instance, said["response"], asked


def _put(body: Any, puts: dict[str, str]) -> Any:
    text = json.dumps(body)
    for recorded, now in puts.items():
        if recorded and now:
            text = text.replace(json.dumps(recorded)[1:-1], json.dumps(now)[1:-1])
    return json.loads(text)


if __name__ == "__main__":
    by_hand(FakeEvolution)
