"""Plays $NEONIZE_SCRIPT: a JSON file with the steps of connect(), the answers of calls, and a log of them.

As the real one: callbacks run on the one thread inside connect(), a QR whose link attempt is over never
returns, connect() fails without an event, and get_me() kills the process unless a client is connected.
"""

import base64
import ctypes
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from neonize.events import INT_TO_EVENT, Event
from neonize.exc import (
    DownloadError,
    LogoutError,
    NeonizeError,
    PairPhoneError,
    SendMessageError,
    UploadError,
)
from neonize.proto import Neonize_pb2

SCRIPT = json.loads(Path(os.environ["NEONIZE_SCRIPT"]).read_text())
CALLS = Path(os.environ["NEONIZE_SCRIPT"]).with_suffix(".calls")
CODES = {event.DESCRIPTOR.name: code for code, event in INT_TO_EVENT.items()}


class NewClient:
    def __init__(self, name: str, props: Any = None, uuid: str | None = None) -> None:
        self.event = Event(self)
        self.qr = self.event.qr
        self.me = None
        self._stopped = threading.Event()
        self._connected = False
        self._attempts = iter(SCRIPT["connect"])
        note("client", name=name, uuid=uuid, os=props.os, environment=os.environ.get("NEONIZE_BOT_TAG"))

    def connect(self) -> None:
        for step, *details in next(self._attempts, [["fail", "the script is over"]]):
            getattr(self, f"_play_{step}")(*details)
        self._stopped.wait()

    def _play_fail(self, text: str) -> None:
        raise NeonizeError(text)

    def _play_sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _play_qr(self, code: str) -> None:
        self.event._qr(self, code.encode())

    def _play_word(self, word: str) -> None:
        at = ctypes.create_string_buffer(word.encode())
        self._NewClient__onLoginStatus(0, ctypes.addressof(at))

    def _play_event(self, name: str, binary: str) -> None:
        self._connected = True
        code = CODES[name]
        if code in self.event.list_func or name == "Device":
            data = base64.b64decode(binary)
            buffer = ctypes.create_string_buffer(data, max(1, len(data)))
            self.event.execute(0, ctypes.addressof(buffer), len(data), code)

    def stop(self) -> None:
        note("stop")
        self._connected = False
        self._stopped.set()

    def get_me(self) -> Any:
        if not self._connected:
            os.abort()
        return Neonize_pb2.Device.FromString(base64.b64decode(SCRIPT["later"]))

    def send_message(self, to: Any, message: Any) -> Any:
        note(
            "send",
            to=f"{to.User}@{to.Server}",
            message=base64.b64encode(message.SerializeToString()).decode(),
        )
        refuse(SendMessageError, to.User)
        return Neonize_pb2.SendResponse.FromString(base64.b64decode(SCRIPT["sent"]))

    def upload(self, data: bytes, kind: Any) -> Any:
        note("upload", kind=kind.name, size=len(data))
        refuse(UploadError, "upload")
        keys = {"MediaKey": b"k", "FileEncSHA256": b"e", "FileSHA256": b"s", "FileLength": len(data)}
        return Neonize_pb2.UploadResponse(url="https://mmg/x", DirectPath="/x", Handle="", **keys)

    def download_any(self, message: Any) -> bytes:
        refuse(DownloadError, "download")
        name = message.ListFields()[0][0].name
        note("download", path=getattr(message, name).directPath)
        return b"%PDF-1.4"

    def is_on_whatsapp(self, *numbers: str) -> Any:
        here = {"User": "90986412571170", "Server": "lid", "RawAgent": 0, "Device": 0, "Integrator": 0}
        found = [number for number in numbers if number not in SCRIPT["errors"]]
        jid = Neonize_pb2.JID(**here, IsEmpty=False)
        return [Neonize_pb2.IsOnWhatsAppResponse(Query=number, JID=jid, IsIn=True) for number in found]

    def PairPhone(self, phone: str, show_push_notification: bool) -> str:
        refuse(PairPhoneError, phone)
        return "K7QM-2XVW"

    def logout(self) -> None:
        refuse(LogoutError, "logout")
        logged_out = base64.b64encode(Neonize_pb2.LoggedOut(OnConnect=False, Reason=2).SerializeToString())
        self._play_event("LoggedOut", logged_out.decode())


def refuse(error: type[NeonizeError], about: str) -> None:
    if about in SCRIPT["errors"]:
        raise error(SCRIPT["errors"][about])


def note(call: str, **details: Any) -> None:
    with CALLS.open("a") as calls:
        calls.write(json.dumps({"call": call, **details}) + "\n")
