"""What people and WhatsApp do to a simulated session: scan, unlink, write, read, ban, and switch faults."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wa_admin.gateway.engines.contract import Emit, EngineError
from wa_admin.gateway.engines.incoming_files import IncomingFiles
from wa_admin.gateway.engines.simulated_link import Link
from wa_admin.gateway.engines.world import (
    BAN_SECONDS,
    BadMode,
    World,
    digits_of,
    jid_of,
    lid_of,
    new_message_id,
)

DROP_SECONDS = 5.0
PICTURE = (Path(__file__).parent.parent / "assets" / "picture.png").read_bytes()
RECEIPTS = ("delivered", "read", "played", "sent", "failed")


class Phone:
    """Every act takes the details of its request; used under the lock of the simulation."""

    def __init__(self, world: World, link: Link, files: IncomingFiles, emit: Emit) -> None:
        self._world = world
        self._link = link
        self._files = files
        self._emit = emit

    def act(self, name: str, details: dict[str, Any]) -> dict[str, Any]:
        """Raises EngineError: not_connected when the moment is wrong, bad_request when the details are."""
        if name not in ACTS:
            raise EngineError("bad_request", f"nobody can {name}")
        return ACTS[name](self, details) or {}

    def tell_receipt(self, message_id: str, chat: str, kind: str) -> None:
        if self._link.state == "open" and not self._world.mode["silence"]:
            receipt = {"ids": [message_id], "type": kind, "chat": chat, "at": time.time()}
            self._emit({"event": "receipt", **receipt})

    def _scan(self, details: dict[str, Any]) -> None:
        number = digits_of(_field(details, "phone"))
        if not 7 <= len(number) <= 15 or number.startswith("0"):
            raise EngineError("bad_request", "phone is a number with its country code")
        if not self._link.code_shown:
            raise EngineError("not_connected", "no code is shown")
        if "code" in details and _field(details, "code").replace("-", "").upper() != self._link.pairing_code:
            raise EngineError("bad_request", "this is not the pairing code that is shown")
        name = str(details.get("name") or "Simulated phone")
        self._link.take_scan({"number": number, "lid": lid_of(number), "profile_name": name})

    def _unlink(self, details: dict[str, Any]) -> None:
        self._link.need_login()
        if self._link.state == "open":
            self._link.forget_login()
        else:
            self._world.remember(unlinked=True)

    def _drop(self, details: dict[str, Any]) -> None:
        self._link.need_login()
        self._link.lose_network(_seconds(details, DROP_SECONDS))

    def _replace(self, details: dict[str, Any]) -> None:
        self._link.need_login()
        self._link.close("replaced")

    def _ban(self, details: dict[str, Any]) -> None:
        self._world.ban(_seconds(details, BAN_SECONDS))
        seconds = self._world.ban_seconds()
        if seconds and self._world.memory.login:
            self._link.close("banned", ban_seconds=seconds)

    def _outdate(self, details: dict[str, Any]) -> None:
        self._world.set_mode({"outdated": True})
        self._link.close("outdated")

    def _crash(self, details: dict[str, Any]) -> None:
        os.abort()

    def _write(self, details: dict[str, Any]) -> dict[str, Any]:
        """`file` is {"mimetype", "filename", "data" as base64}, and `text` then what is written below it;
        `picture` sends one of our own. `by_me`: the owner writes to `from` on the phone itself."""
        sender, file = digits_of(_field(details, "from")), _file(details)
        text = str(details.get("text") or "") if file else _field(details, "text")
        if not sender:
            raise EngineError("bad_request", "from is a phone number")
        self._link.need_open()
        group, by_me = details.get("group"), bool(details.get("by_me"))
        message: dict[str, Any] = {
            "event": "message",
            "id": new_message_id(),
            "chat": group or jid_of(sender),
            "chat_alt": "" if group else lid_of(sender),
            "sender": jid_of(
                self._world.memory.login["number"] if by_me and self._world.memory.login else sender
            ),
            "sender_alt": "" if by_me else lid_of(sender),
            "from_me": by_me,
            "group": bool(group),
            "push_name": details.get("name") or f"Contact {sender[-4:]}",
            "at": time.time(),
            "type": "conversation",
            "text": text,
            "quoted": str(details.get("quoted") or ""),
            "group_name": str(details.get("group_name") or ""),
        }
        if file:
            self._files.keep(message["id"], file.content)
            message |= {"type": f"{file.kind}Message", "file": file.told}
        if not self._world.mode["silence"]:
            self._emit(message)
        return {"id": message["id"]}

    def _receipt(self, details: dict[str, Any]) -> None:
        message_id, kind = _field(details, "id"), _field(details, "type")
        if kind not in RECEIPTS:
            raise EngineError("bad_request", f"type is one of {', '.join(RECEIPTS)}")
        self._link.need_open()
        to = next((one["to"] for one in self._world.received() if one["id"] == message_id), "0")
        self.tell_receipt(message_id, jid_of(to), kind)

    def _mode(self, details: dict[str, Any]) -> dict[str, Any]:
        before = self._world.mode["network"]
        try:
            mode = self._world.set_mode(details)
        except BadMode as error:
            raise EngineError("bad_request", str(error)) from error
        if mode["network"] != before and self._link.state != "close":
            self._link.connect()  # which notices that there is no network
        return mode


ACTS: dict[str, Callable[[Phone, dict[str, Any]], dict[str, Any] | None]] = {
    "scan": Phone._scan,
    "unlink": Phone._unlink,
    "drop": Phone._drop,
    "replace": Phone._replace,
    "ban": Phone._ban,
    "outdated": Phone._outdate,
    "crash": Phone._crash,
    "inbound": Phone._write,
    "receipt": Phone._receipt,
    "mode": Phone._mode,
}


def _field(details: dict[str, Any], name: str) -> str:
    value = details.get(name)
    if not isinstance(value, str) or not value:
        raise EngineError("bad_request", f"{name} is missing")
    return value


@dataclass(frozen=True)
class File:
    kind: str  # image, video, audio, document
    content: bytes
    told: dict[str, Any]  # what its sender's phone says of it


def _file(details: dict[str, Any]) -> File | None:
    said = details.get("file")
    if details.get("picture"):
        said = {"mimetype": "image/png", "data": base64.b64encode(PICTURE).decode()}
    if said is None:
        return None
    try:
        content = base64.b64decode(said["data"], validate=True)
        mimetype, filename = str(said["mimetype"]), str(said.get("filename") or "")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("bad_request", "file holds mimetype, filename, and data as base64") from error
    family = mimetype.partition("/")[0]
    told = {"mimetype": mimetype, "filename": filename, "size_bytes": len(content)}
    return File(family if family in ("image", "video", "audio") else "document", content, told)


def _seconds(details: dict[str, Any], default: float) -> float:
    value = details.get("seconds", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**8:
        raise EngineError("bad_request", "seconds is a number")
    return float(value)
