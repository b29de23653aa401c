"""An engine without WhatsApp: same timing, same events, every fault on a switch.

The times were measured on the real engine: 60 s for the first code and 20 s for each of five more, open
1.5-3 s after a scan, a stored login resumes within 0.3 s, a send without an ack fails after 75 s. `speed`
divides them.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any, Literal

from wa_admin.gateway.engines.contract import Emit, Engine, EngineError
from wa_admin.gateway.engines.incoming_files import IncomingFiles
from wa_admin.gateway.engines.simulated_link import Clock, Link
from wa_admin.gateway.engines.simulated_phone import Phone
from wa_admin.gateway.engines.world import World, digits_of, jid_of, lid_of, new_message_id

SEND_SECONDS = 0.1
SLOW_SEND_SECONDS = 8.0
UNACKNOWLEDGED_SECONDS = 75.0
# delivered after 1 s, read after 3 s; each waits for the one before
Plan = tuple[tuple[float, str], ...]
RECEIPTS: dict[str, Plan] = {
    "none": (),
    "delivered": ((1.0, "delivered"),),
    "read": ((1.0, "delivered"), (2.0, "read")),
}


class SimulatorEngine(Engine):
    """Every act of the phone or the network comes in through `simulate`."""

    name = "simulator"

    def __init__(self, store: Path, emit: Emit, options: dict[str, Any]) -> None:
        super().__init__(store, emit, options)
        self._clock = Clock(float(options.get("speed", 1.0)))
        self._world = World(store)
        self._link = Link(self._world, self._clock, emit)
        self._files = IncomingFiles(store)
        self._phone = Phone(self._world, self._link, self._files, emit)

    def start(self) -> None:
        with self._clock.lock:
            self._link.connect()

    def pair(self, phone: str) -> str:
        with self._clock.lock:
            return self._link.pair(phone)

    def send_text(self, to: str, text: str) -> dict[str, Any]:
        return self._send(to, {"kind": "text", "text": text})

    def send_media(
        self,
        to: str,
        kind: Literal["image", "document"],
        data: bytes,
        mimetype: str,
        filename: str | None,
        caption: str | None,
    ) -> dict[str, Any]:
        content = {
            "kind": kind,
            "text": caption or "",
            "mimetype": mimetype,
            "filename": filename,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        return self._send(to, content)

    def check(self, numbers: list[str]) -> list[dict[str, Any]]:
        self._link.need_open()
        return [
            {
                "number": number,
                "jid": jid_of(number),
                "exists": self._is_on_whatsapp(number),
                "lid": lid_of(number),
            }
            for number in numbers
        ]

    def download(self, message_id: str) -> bytes:
        self._link.need_open()
        found = self._files.find(message_id)
        if found is None:
            raise EngineError("not_found", "WhatsApp no longer has this file")
        return found

    def group_name(self, jid: str) -> str:
        self._link.need_open()
        if not jid.endswith("@g.us"):
            raise EngineError("not_found", "this is no group")
        return f"Group {jid[-9:-5]}"

    def logout(self) -> None:
        with self._clock.lock:
            self._link.need_open()
            self._world.remember(login=None)
            self._link.drop()

    def stop(self) -> None:
        with self._clock.lock:
            self._link.drop()

    def simulate(self, act: str, details: dict[str, Any]) -> Any:
        with self._clock.lock:
            return self._phone.act(act, details)

    def _send(self, to: str, content: dict[str, Any]) -> dict[str, Any]:
        self._link.need_open()
        mode = self._world.mode
        if mode["send"] == "fail":
            raise EngineError("rejected", "server returned error 463")
        if not self._is_on_whatsapp(to):
            raise EngineError("not_on_whatsapp", "this number is not on WhatsApp")
        message = {"to": to, **content, "id": new_message_id()}
        if mode["send"] == "timeout":
            if mode["arrives"]:
                self._world.deliver(message | {"at": time.time()})
            self._clock.sleep(UNACKNOWLEDGED_SECONDS)
            raise EngineError("timeout", "timed out waiting for message send response")
        self._clock.sleep(SLOW_SEND_SECONDS if mode["send"] == "slow" else SEND_SECONDS)
        if self._link.state != "open":
            raise EngineError("timeout", "the connection dropped while the message was on its way")
        at = time.time()
        self._world.deliver(message | {"at": at})
        self._tell_receipts(message["id"], jid_of(to), RECEIPTS[mode["receipts"]])
        return {"id": message["id"], "jid": jid_of(to), "at": at}

    def _tell_receipts(self, message_id: str, chat: str, plan: Plan) -> None:
        if plan:
            self._clock.after(plan[0][0], self._tell_receipt, message_id, chat, plan)

    def _tell_receipt(self, message_id: str, chat: str, plan: Plan) -> None:
        if self._link.state == "connecting":  # WhatsApp keeps them until we are back
            self._tell_receipts(message_id, chat, plan)
            return
        self._phone.tell_receipt(message_id, chat, plan[0][1])
        self._tell_receipts(message_id, chat, plan[1:])

    def _is_on_whatsapp(self, to: str) -> bool:
        strangers = self._world.memory.strangers
        return self._world.mode["send"] != "not_on_whatsapp" and digits_of(to) not in strangers
