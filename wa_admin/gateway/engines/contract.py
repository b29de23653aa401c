"""What an engine is: one WhatsApp account, commands in by method, events out by `emit`.

Events are plain dictionaries, since they cross a pipe as JSON:

    {"event": "qr", "code": str, "sequence": 1..6, "lifetime_seconds": float}
    {"event": "scanned"}
    {"event": "state", "state": "connecting|open|close", "reason": REASONS or None,
     "number"?, "lid"?, "profile_name"?, "platform"?, "ban_seconds"?}
    {"event": "message", "id", "chat", "chat_alt", "sender", "sender_alt", "from_me", "group",
     "push_name", "at", "type", "text"?, "quoted"?, "group_name"?,
     "file"?: {"mimetype", "filename"?, "size_bytes"?}}
                                              "at" is Unix seconds; JIDs as text, "" when unknown; "type" in
                                              WhatsApp's words: conversation, imageMessage, ...
    {"event": "receipt", "ids": [str], "type": "delivered|read|played|sent|failed", "chat", "at"}
    {"event": "profile", "profile_name": str}
    {"event": "log", "level": "debug|info|warning|error", "text": str}      redacted by the engine

A `state` of `close` ends the engine: the parent kills the child, so nothing has to be tidied first. A lost
network never closes: the engine says connecting with the reason network, and goes on trying. An engine that
needs a new process to go on ends with EXIT_FOR_FRESH_PROCESS, and the parent starts it again at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

Event = dict[str, Any]
Emit = Callable[[Event], None]

REASONS = (
    "never_linked",
    "qr_expired",
    "passkey_required",
    "auth_failure",
    "logged_out",
    "replaced",
    "banned",
    "outdated",
    "network",
    "stopped",
    "crashed",
)

EXIT_FOR_FRESH_PROCESS = 75  # EX_TEMPFAIL

ErrorKind = Literal[
    "not_connected", "not_on_whatsapp", "rejected", "timeout", "bad_request", "unsupported", "not_found"
]


class EngineError(Exception):
    """A command that failed; `kind` says what it means for the sender, the text holds no secret.

    timeout is the only kind that leaves it unknown whether the message left.
    """

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind


class Engine(ABC):
    """One WhatsApp account. `store` is a directory of its own (0700), there when the engine is made.

    `emit` may be called from any thread. Sends come one at a time; other commands may run beside them.
    """

    name: ClassVar[str]

    def __init__(self, store: Path, emit: Emit, options: dict[str, Any]) -> None:
        self.store = store
        self.emit = emit
        self.options = options

    @abstractmethod
    def start(self) -> None:
        """Log in with the stored login, or start showing QR codes; returns at once, retries by itself."""

    @abstractmethod
    def pair(self, phone: str) -> str:
        """Return a pairing code of 8 characters, no dash; `phone` is E.164 digits. Raises EngineError."""

    @abstractmethod
    def send_text(self, to: str, text: str) -> dict[str, Any]:
        """Return {"id", "jid", "at"} (Unix seconds); `to` is digits or a JID. Raises EngineError."""

    @abstractmethod
    def send_media(
        self,
        to: str,
        kind: Literal["image", "document"],
        data: bytes,
        mimetype: str,
        filename: str | None,
        caption: str | None,
    ) -> dict[str, Any]:
        """Return {"id", "jid", "at"}. Raises EngineError."""

    @abstractmethod
    def check(self, numbers: list[str]) -> list[dict[str, Any]]:
        """Return {"number", "jid", "exists", "lid"?} for each number. Raises EngineError."""

    @abstractmethod
    def download(self, message_id: str) -> bytes:
        """The file of a message that came in. Raises EngineError, not_found when it is not to be had."""

    @abstractmethod
    def group_name(self, jid: str) -> str:
        """What a group is called. Raises EngineError, not_found when we are not in it."""

    @abstractmethod
    def logout(self) -> None:
        """Unlink this device at WhatsApp and forget the login. Raises EngineError."""

    @abstractmethod
    def stop(self) -> None:
        """Close the connection and keep the login; called right before the process exits."""

    def simulate(self, act: str, details: dict[str, Any]) -> Any:
        """Do what a phone or the network would do; only the simulator can."""
        raise EngineError("unsupported", f"the {self.name} engine cannot simulate {act}")
