"""A gateway that treats each message as a scenario wants, and the phone behind it with what arrived."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from stub_gateway import StubGateway

JSON = "Content-Type: application/json"
DRIP_SECONDS = 0.05


@dataclass(frozen=True)
class Handed:
    """A message as it was handed over, on this connection."""

    to: str
    text: str
    reference: str | None
    handler: BaseHTTPRequestHandler


@dataclass(frozen=True)
class Arrival:
    to: str
    text: str
    at: float  # monotonic


Fate = Callable[["Phone", Handed], None]


class Phone(StubGateway):
    """`fate` says what becomes of a message that is handed over; a reference that it has seen leaves once."""

    def __post_init__(self) -> None:
        self.fate: Fate = taken
        self.arrived: list[Arrival] = []
        self.held_seconds: list[float] = []  # by callers whom it never answered
        self.over = threading.Event()
        self._ids: dict[str, str] = {}
        self._ledger = threading.Lock()
        super().__post_init__()
        # who is killed hangs up in the middle
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]

    def stop(self) -> None:
        self.over.set()
        super().stop()

    def arrive(self, handed: Handed) -> str:
        """It reaches its recipient; the id of the message."""
        with self._ledger:
            if handed.reference in self._ids:
                return self._ids[handed.reference]
            self.arrived.append(Arrival(handed.to, handed.text, time.monotonic()))
            id = f"3EB0{len(self.arrived):08}"
            if handed.reference:
                self._ids[handed.reference] = id
            return id

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        if "/message/sendText/" not in handler.path:
            super()._serve(handler)
            return
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        handed = Handed(body["number"], body["text"], handler.headers.get("X-Reference"), handler)
        with suppress(OSError):  # who asked did not wait for the answer
            self.fate(self, handed)


def taken(phone: Phone, handed: Handed) -> None:
    id = phone.arrive(handed)
    key = {"remoteJid": f"{handed.to}@s.whatsapp.net", "fromMe": True, "id": id}
    _answer(handed, "201 Created", json.dumps({"key": key, "status": "PENDING"}))


def taken_after(seconds: float) -> Fate:
    def fate(phone: Phone, handed: Handed) -> None:
        phone.over.wait(seconds)
        taken(phone, handed)

    return fate


def says(status: str, *headers: str, body: str = "{}") -> Fate:
    """It does not leave, and this is the answer."""
    return lambda phone, handed: _answer(handed, status, body, *headers)


def breaks_off_after(said: bytes) -> Fate:
    """It leaves, but of the answer only these bytes are heard."""

    def fate(phone: Phone, handed: Handed) -> None:
        phone.arrive(handed)
        connection = handed.handler.connection
        connection.sendall(said)
        handed.handler.close_connection = True
        if said:
            connection.shutdown(socket.SHUT_RDWR)
        else:  # a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    return fate


def drips(first: bytes, what: bytes) -> Fate:
    """Say it byte by byte, so that no single read is slow, for as long as the caller holds on."""

    def fate(phone: Phone, handed: Handed) -> None:
        began = time.monotonic()
        handed.handler.close_connection = True
        connection = handed.handler.connection
        connection.settimeout(DRIP_SECONDS)
        try:
            connection.sendall(first)
            while not phone.over.is_set():
                for position in range(len(what)):
                    connection.sendall(what[position : position + 1])
                    if _has_hung_up(connection):
                        return
        finally:
            phone.held_seconds.append(time.monotonic() - began)

    return fate


def keeps_silent(phone: Phone, handed: Handed) -> None:
    phone.over.wait(5)


def _has_hung_up(connection: socket.socket) -> bool:
    """Waits a moment for it."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def _answer(handed: Handed, status: str, body: str, *headers: str) -> None:
    content = body.encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", *(headers or [JSON]), f"Content-Length: {len(content)}"])
    handed.handler.connection.sendall(f"{head}\r\n\r\n".encode() + content)
