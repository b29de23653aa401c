"""An engine without WhatsApp: same timing, same events, every fault on a switch.

The times were measured on the real engine: 60 s for the first code and 20 s for each of five more, open
1.5-3 s after a scan, a stored login resumes within 0.3 s, a send without an ack fails after 75 s. `speed`
divides them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from wa_admin.gateway.engines.contract import Emit, Engine, EngineError
from wa_admin.gateway.engines.world import BAN_SECONDS, BadMode, World, digits_of

CODE_SECONDS = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)
FIRST_CODE_SECONDS = 0.3
RESUME_SECONDS = 0.2
LOGIN_SECONDS = (1.5, 3.0)
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
DROP_SECONDS = 5.0
PAIRING_LETTERS = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


class SimulatorEngine(Engine):
    """Every act of the phone or the network comes in through `simulate`."""

    name = "simulator"

    def __init__(self, store: Path, emit: Emit, options: dict[str, Any]) -> None:
        super().__init__(store, emit, options)
        self._speed = float(options.get("speed", 1.0))
        self._world = World(store)
        self._lock = threading.RLock()
        self._epoch = 0  # of the connection: what was planned for an earlier one does not happen
        self._state = "close"
        self._code_shown = False
        self._pairing_code: str | None = None

    # What the gateway asks

    def start(self) -> None:
        with self._lock:
            self._connect()

    def pair(self, phone: str) -> str:
        with self._lock:
            if not self._code_shown:
                raise EngineError("not_connected", "no code is shown yet")
            if len(phone) < 7 or phone.startswith("0"):
                raise EngineError("bad_request", "the phone number needs its country code")
            self._pairing_code = "".join(secrets.choice(PAIRING_LETTERS) for _ in range(8))
            return self._pairing_code

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
        return self._send(
            to,
            {
                "kind": kind,
                "text": caption or "",
                "mimetype": mimetype,
                "filename": filename,
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            },
        )

    def check(self, numbers: list[str]) -> list[dict[str, Any]]:
        self._need_open()
        return [
            {
                "number": number,
                "jid": _jid(number),
                "exists": self._is_on_whatsapp(number),
                "lid": _lid(number),
            }
            for number in numbers
        ]

    def logout(self) -> None:
        with self._lock:
            self._need_open()
            self._world.remember(login=None)
            self._drop_connection("close")

    def stop(self) -> None:
        with self._lock:
            self._drop_connection("close")

    # What the phone, its contacts and the network do

    def simulate(self, act: str, details: dict[str, Any]) -> Any:
        """Raises EngineError: not_connected when the moment is wrong, bad_request when the details are."""
        if act not in ACTS:
            raise EngineError("bad_request", f"nobody can {act}")
        with self._lock:
            return ACTS[act](self, details)

    def _scan(self, details: dict[str, Any]) -> dict[str, Any]:
        number = digits_of(_field(details, "phone"))
        if not 7 <= len(number) <= 15 or number.startswith("0"):
            raise EngineError("bad_request", "phone is a number with its country code")
        if not self._code_shown:
            raise EngineError("not_connected", "no code is shown")
        if "code" in details and _field(details, "code").replace("-", "").upper() != self._pairing_code:
            raise EngineError("bad_request", "this is not the pairing code that is shown")
        if self._world.mode["passkey"]:
            self._close("passkey_required")
            return {}
        self._next_epoch()
        self.emit({"event": "scanned"})
        name = details.get("name") or "Simulated phone"
        login = {"number": number, "lid": _lid(number), "profile_name": str(name)}
        self._later(random.uniform(*LOGIN_SECONDS), self._log_in, login)  # noqa: S311
        return {}

    def _unlink(self, details: dict[str, Any]) -> dict[str, Any]:
        self._need_login()
        if self._state != "open":
            self._world.remember(unlinked=True)
        else:
            self._forget_login()
        return {}

    def _drop(self, details: dict[str, Any]) -> dict[str, Any]:
        self._need_login()
        seconds = _seconds(details, DROP_SECONDS)
        self._lose_network()
        self._later(seconds, self._connect)
        return {}

    def _replace(self, details: dict[str, Any]) -> dict[str, Any]:
        self._need_login()
        self._close("replaced")
        return {}

    def _ban(self, details: dict[str, Any]) -> dict[str, Any]:
        self._world.ban(_seconds(details, BAN_SECONDS))
        if self._world.ban_seconds() and self._world.memory.login:
            self._close("banned", ban_seconds=self._world.ban_seconds())
        return {}

    def _outdate(self, details: dict[str, Any]) -> dict[str, Any]:
        self._world.set_mode({"outdated": True})
        self._close("outdated")
        return {}

    def _crash(self, details: dict[str, Any]) -> dict[str, Any]:
        os.abort()

    def _inbound(self, details: dict[str, Any]) -> dict[str, Any]:
        sender, text = digits_of(_field(details, "from")), _field(details, "text")
        if not sender:
            raise EngineError("bad_request", "from is a phone number")
        self._need_open()
        group = details.get("group")
        message = {
            "event": "message",
            "id": _message_id(),
            "chat": group or _jid(sender),
            "chat_alt": "" if group else _lid(sender),
            "sender": _jid(sender),
            "sender_alt": _lid(sender),
            "from_me": False,
            "group": bool(group),
            "push_name": details.get("name") or f"Contact {sender[-4:]}",
            "at": time.time(),
            "type": "conversation",
            "text": text,
        }
        if not self._world.mode["silence"]:
            self.emit(message)
        return {"id": message["id"]}

    def _receipt(self, details: dict[str, Any]) -> dict[str, Any]:
        message_id, kind = _field(details, "id"), _field(details, "type")
        if kind not in ("delivered", "read", "played", "sent", "failed"):
            raise EngineError("bad_request", "type is delivered, read, played, sent or failed")
        self._need_open()
        to = next((one["to"] for one in self._world.received() if one["id"] == message_id), "0")
        self._tell_receipt(message_id, _jid(to), kind)
        return {}

    def _mode(self, details: dict[str, Any]) -> dict[str, Any]:
        before = self._world.mode["network"]
        try:
            mode = self._world.set_mode(details)
        except BadMode as error:
            raise EngineError("bad_request", str(error)) from error
        if mode["network"] != before and self._state != "close":
            if mode["network"] == "down":
                self._lose_network()
            else:
                self._connect()
        return mode

    # The connection

    def _connect(self) -> None:
        self._next_epoch()
        if self._world.mode["network"] == "down":
            self._lose_network()
            return
        self._say("connecting")
        if self._world.memory.login:
            self._later(RESUME_SECONDS, self._resume)
        else:
            self._later(FIRST_CODE_SECONDS, self._show_code, 1)

    def _resume(self) -> None:
        if self._world.memory.unlinked:
            self._forget_login()
        elif self._is_welcome():
            login = self._world.memory.login or {}
            self._say("open", platform="android", **login)

    def _show_code(self, sequence: int) -> None:
        if sequence > len(CODE_SECONDS):
            self._close("qr_expired")
            return
        lifetime = CODE_SECONDS[sequence - 1]
        self._code_shown = True
        self._later(lifetime, self._show_code, sequence + 1)
        self.emit(
            {
                "event": "qr",
                "code": _code(),
                "sequence": sequence,
                "lifetime_seconds": round(lifetime / self._speed, 3),
            }
        )

    def _log_in(self, login: dict[str, str]) -> None:
        if self._is_welcome():
            self._world.remember(login=login, unlinked=False)
            self._say("open", platform="android", **login)

    def _is_welcome(self) -> bool:
        if self._world.mode["outdated"]:
            self._close("outdated")
        elif seconds := self._world.ban_seconds():
            self._close("banned", ban_seconds=seconds)
        else:
            return True
        return False

    def _forget_login(self) -> None:
        self._world.remember(login=None, unlinked=False)
        self._close("logged_out")

    def _lose_network(self) -> None:
        self._drop_connection("connecting")
        self._say("connecting", "network")

    def _close(self, reason: str, **more: Any) -> None:
        self._drop_connection("close")
        self._say("close", reason, **more)

    def _drop_connection(self, state: str) -> None:
        self._next_epoch()
        self._state = state

    def _say(self, state: str, reason: str | None = None, **more: Any) -> None:
        self._state = state
        self.emit({"event": "state", "state": state, "reason": reason, **more})

    def _next_epoch(self) -> None:
        self._epoch += 1
        self._code_shown = False
        self._pairing_code = None

    # Messages

    def _send(self, to: str, content: dict[str, Any]) -> dict[str, Any]:
        self._need_open()
        mode = self._world.mode
        if mode["send"] == "fail":
            raise EngineError("rejected", "server returned error 463")
        if not self._is_on_whatsapp(to):
            raise EngineError("not_on_whatsapp", "this number is not on WhatsApp")
        message = {"to": digits_of(to) if "@" not in to else to, **content, "id": _message_id()}
        if mode["send"] == "timeout":
            if mode["arrives"]:
                self._world.deliver(message | {"at": time.time()})
            self._sleep(UNACKNOWLEDGED_SECONDS)
            raise EngineError("timeout", "timed out waiting for message send response")
        self._sleep(SLOW_SEND_SECONDS if mode["send"] == "slow" else SEND_SECONDS)
        if self._state != "open":
            raise EngineError("timeout", "the connection dropped while the message was on its way")
        at = time.time()
        self._world.deliver(message | {"at": at})
        self._plan_receipts(message["id"], _jid(to))
        return {"id": message["id"], "jid": _jid(to), "at": at}

    def _plan_receipts(self, message_id: str, chat: str) -> None:
        plan = RECEIPTS[self._world.mode["receipts"]]
        if plan:
            self._after(plan[0][0], self._tell_in_turn, message_id, chat, plan)

    def _tell_in_turn(self, message_id: str, chat: str, plan: Plan) -> None:
        if self._state == "connecting":  # WhatsApp keeps them until we are back
            self._after(plan[0][0], self._tell_in_turn, message_id, chat, plan)
            return
        self._tell_receipt(message_id, chat, plan[0][1])
        if plan[1:]:
            self._after(plan[1][0], self._tell_in_turn, message_id, chat, plan[1:])

    def _tell_receipt(self, message_id: str, chat: str, kind: str) -> None:
        if self._state == "open" and not self._world.mode["silence"]:
            self.emit(
                {"event": "receipt", "ids": [message_id], "type": kind, "chat": chat, "at": time.time()}
            )

    def _is_on_whatsapp(self, to: str) -> bool:
        return (
            self._world.mode["send"] != "not_on_whatsapp"
            and digits_of(to) not in self._world.memory.strangers
        )

    def _need_open(self) -> None:
        if self._state != "open":
            raise EngineError("not_connected", "not connected")

    def _need_login(self) -> None:
        if not self._world.memory.login:
            raise EngineError("not_connected", "no phone is linked")

    # Time

    def _later(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        """Do it on this connection; when that is gone by then, do not."""
        epoch = self._epoch

        def act_if_still_there() -> None:
            if epoch == self._epoch:
                act(*args)

        self._after(seconds, act_if_still_there)

    def _after(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        def act_alone() -> None:
            with self._lock:
                act(*args)

        timer = threading.Timer(seconds / self._speed, act_alone)
        timer.daemon = True
        timer.start()

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._speed)


ACTS: dict[str, Callable[[SimulatorEngine, dict[str, Any]], Any]] = {
    "scan": SimulatorEngine._scan,
    "unlink": SimulatorEngine._unlink,
    "drop": SimulatorEngine._drop,
    "replace": SimulatorEngine._replace,
    "ban": SimulatorEngine._ban,
    "outdated": SimulatorEngine._outdate,
    "crash": SimulatorEngine._crash,
    "inbound": SimulatorEngine._inbound,
    "receipt": SimulatorEngine._receipt,
    "mode": SimulatorEngine._mode,
}


def _field(details: dict[str, Any], name: str) -> str:
    value = details.get(name)
    if not isinstance(value, str) or not value:
        raise EngineError("bad_request", f"{name} is missing")
    return value


def _seconds(details: dict[str, Any], default: float) -> float:
    value = details.get("seconds", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**8:
        raise EngineError("bad_request", "seconds is a number")
    return float(value)


def _jid(to: str) -> str:
    return to if "@" in to else f"{to}@s.whatsapp.net"


def _lid(number: str) -> str:
    """A LID that is always the same for a number, as WhatsApp's."""
    return str(int.from_bytes(hashlib.sha256(number.encode()).digest()[:6], "big")).zfill(15) + "@lid"


def _message_id() -> str:
    return "3EB0" + secrets.token_hex(9).upper()


def _code() -> str:
    """As long as the real one, so that it draws as densely."""
    ref, *keys = (base64.b64encode(secrets.token_bytes(size)).decode() for size in (33, 32, 32, 32))
    return f"https://wa.me/settings/linked_devices#2@{ref},{','.join(keys)},6"
