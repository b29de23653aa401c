"""What a simulated WhatsApp remembers: the login, how it behaves, and what its contacts' phones got.

It lies in the store of the session, so it survives the child and the gateway. Only the child writes while one
runs; the parent may read at any time, and write when there is none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MODES: dict[str, tuple[Any, ...]] = {
    "send": ("ok", "slow", "fail", "timeout", "not_on_whatsapp"),
    "network": ("up", "down"),
    "receipts": ("read", "delivered", "none"),
    "passkey": (False, True),
    "silence": (False, True),
    "outdated": (False, True),
    "arrives": (False, True),
}

BAN_SECONDS = 24 * 3600.0


class BadMode(Exception):
    """A switch that does not exist, or a value it does not have."""


@dataclass
class Memory:
    """`login` is {"number", "lid", "profile_name"}; `unlinked` is news the device has not heard yet."""

    login: dict[str, str] | None = None
    unlinked: bool = False
    banned_until: float = 0.0
    mode: dict[str, Any] = field(default_factory=lambda: {name: values[0] for name, values in MODES.items()})
    strangers: list[str] = field(default_factory=list)


class World:
    """`store` is the directory of one session."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._file = store / "world.json"
        self._inboxes = store / "received.jsonl"
        self._lock = threading.Lock()
        self.memory = Memory()
        if self._file.exists():
            self.memory = Memory(**json.loads(self._file.read_text()))

    @property
    def mode(self) -> dict[str, Any]:
        return self.memory.mode

    def set_mode(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Turn switches and return them all; `strangers` are numbers not on WhatsApp. Raises BadMode."""
        wanted = dict(changes)
        strangers = wanted.pop("strangers", self.memory.strangers)
        if not isinstance(strangers, list) or not all(isinstance(number, str) for number in strangers):
            raise BadMode("strangers is a list of numbers")
        for name, value in wanted.items():
            if name not in MODES:
                raise BadMode(f"there is no switch {name!r}, only {', '.join([*MODES, 'strangers'])}")
            if value not in MODES[name]:
                raise BadMode(f"{name} is one of {', '.join(map(str, MODES[name]))}")
        self.remember(mode=self.memory.mode | wanted, strangers=[digits_of(number) for number in strangers])
        return self.memory.mode | {"strangers": self.memory.strangers}

    def remember(self, **changes: Any) -> None:
        with self._lock:
            for name, value in changes.items():
                setattr(self.memory, name, value)
            draft = self._file.with_suffix(".draft")
            draft.write_text(json.dumps(asdict(self.memory)))
            draft.replace(self._file)

    def ban(self, seconds: float) -> None:
        self.remember(banned_until=time.time() + seconds)

    def ban_seconds(self) -> int:
        return max(0, round(self.memory.banned_until - time.time()))

    def deliver(self, message: dict[str, Any]) -> None:
        """Put a message on a contact's phone."""
        with self._lock, self._inboxes.open("a") as inboxes:
            inboxes.write(json.dumps(message) + "\n")

    def received(self) -> list[dict[str, Any]]:
        """Everything the contacts' phones got, oldest first: {"to", "text", "id", "at", "kind", ...}."""
        if not self._inboxes.exists():
            return []
        return [json.loads(line) for line in self._inboxes.read_text().splitlines()]


def digits_of(number: str) -> str:
    return re.sub(r"\D", "", number.partition("@")[0])


def jid_of(to: str) -> str:
    return to if "@" in to else f"{to}@s.whatsapp.net"


def lid_of(number: str) -> str:
    """A LID that is always the same for a number, as WhatsApp's."""
    return str(int.from_bytes(hashlib.sha256(number.encode()).digest()[:6], "big")).zfill(15) + "@lid"


def new_message_id() -> str:
    return "3EB0" + secrets.token_hex(9).upper()


def code_text() -> str:
    """As long as the real one, so that it draws as densely."""
    ref, *keys = (base64.b64encode(secrets.token_bytes(size)).decode() for size in (33, 32, 32, 32))
    return f"https://wa.me/settings/linked_devices#2@{ref},{','.join(keys)},6"
