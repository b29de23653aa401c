"""The real engine: one WhatsApp account through neonize, a binding of whatsmeow (Go).

neonize can abort its process, and some of its calls never return, so this runs in a child that may be killed
at any time, and makes only such calls as are safe in the state we know of. All that neonize says is put on
one queue by its callbacks and told by one thread, in order:

    connect() ──> callbacks ──> inbox ──> Login, event_of ──> emit
"""

from __future__ import annotations

import ctypes
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import quote

from wa_admin.gateway.engines import neonize_content as content
from wa_admin.gateway.engines.contract import (
    EXIT_FOR_FRESH_PROCESS,
    Emit,
    Engine,
    EngineError,
    Event,
)
from wa_admin.gateway.engines.incoming_files import IncomingFiles
from wa_admin.gateway.engines.neonize_events import (
    TRANSLATIONS,
    checked,
    event_of,
    opened,
    profile_name,
    sent,
)
from wa_admin.gateway.engines.neonize_library import (
    DeviceProps,
    DownloadError,
    GetGroupInfoError,
    IsOnWhatsAppError,
    Message,
    NeonizeError,
    NewClient,
    events,
    require_start_environment,
)
from wa_admin.gateway.engines.neonize_login import FreshProcess, Login
from wa_admin.gateway.engines.neonize_store import LoginStore
from wa_admin.gateway.engines.neonize_texts import (
    connect_failure,
    failure,
    is_unreadable,
    log_to,
    redact,
)

OPENING = ("Connected", "KeepAliveRestored")

# Each failed first connect leaves a file descriptor open, so at some point a new process is the cheaper one.
MOST_DIALS = 50
LONGEST_PAUSE_SECONDS = 60.0
FIRST_CODE_SECONDS = 8.0
PROFILE_PAUSES_SECONDS = (5.0, 30.0, 120.0, 600.0)


class NeonizeEngine(Engine):
    """WhatsApp. Must be the only one in its process: neonize keeps its clients in unlocked global maps."""

    name = "neonize"

    def __init__(self, store: Path, emit: Emit, options: dict[str, Any]) -> None:
        """Raises RuntimeError unless the process was started with NEONIZE_BOT_TAG=off."""
        super().__init__(store.resolve(), emit, options)
        require_start_environment()
        log_to(emit)
        os.umask(0o077)
        self._login_store = LoginStore(self.store)
        self._files = IncomingFiles(self.store)
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._login = Login()
        self._state = "close"
        self._told: Event | None = None
        self._turn = threading.Lock()  # held while one thing is told, and by calls that end the connection
        self._scannable = threading.Event()
        self._stopping = threading.Event()
        self._profile_name = ""
        self._complaint = ""
        # kept as long as we live: when it is collected, neonize stops whatever client has its uuid
        self._client = self._new_client()

    def start(self) -> None:
        """Dial until it works. What comes of it is seen in the events only; a second call does nothing."""
        if self._told:
            return
        self._tell({"event": "state", "state": "connecting", "reason": None})
        self._login.dialled(time.monotonic())
        threading.Thread(target=self._narrate, daemon=True).start()
        threading.Thread(target=self._dial, daemon=True).start()

    def pair(self, phone: str) -> str:
        if not self._scannable.wait(FIRST_CODE_SECONDS) or self._state != "connecting":
            raise EngineError("not_connected", "there is no link attempt to give a pairing code for")
        with _failures():
            code: str = self._client.PairPhone(phone, True)
        return code.replace("-", "")

    def send_text(self, to: str, text: str) -> dict[str, Any]:
        return self._send(to, lambda: content.text(text))

    def send_media(
        self,
        to: str,
        kind: Literal["image", "document"],
        data: bytes,
        mimetype: str,
        filename: str | None,
        caption: str | None,
    ) -> dict[str, Any]:
        if kind == "image":
            return self._send(to, lambda: content.image(self._client, data, mimetype, caption))
        if kind == "document":
            return self._send(to, lambda: content.document(self._client, data, mimetype, filename, caption))
        raise EngineError("unsupported", f"the {self.name} engine sends images and documents")

    def check(self, numbers: list[str]) -> list[dict[str, Any]]:
        if not all(re.fullmatch(r"[0-9]{5,20}", number) for number in numbers):
            raise EngineError("bad_request", "a number is 5 to 20 digits")
        self._require_open()
        try:
            answers = {answer.Query.lstrip("+"): answer for answer in self._client.is_on_whatsapp(*numbers)}
        except IsOnWhatsAppError as error:
            if str(error) != "Function returned nothing.":  # what it says when none of them is there
                raise failure(str(error)) from None
            answers = {}
        return [checked(number, answers.get(number)) for number in numbers]

    def download(self, message_id: str) -> bytes:
        kept = self._files.find(message_id)
        if kept is None:
            raise EngineError("not_found", "the message is not known any more")
        self._require_open()
        try:
            content: bytes = self._client.download_any(Message.FromString(kept))
        except DownloadError as error:
            raise EngineError("not_found", redact(str(error))) from None
        return content

    def group_name(self, jid: str) -> str:
        group = content.recipient(jid)
        self._require_open()
        try:
            return str(self._client.get_group_info(group).GroupName.Name)
        except GetGroupInfoError as error:
            raise EngineError("not_found", redact(str(error))) from None

    def logout(self) -> None:
        with self._turn:  # so that the server's own word of it is not told before we answered
            self._require_open()
            with _failures():
                self._client.logout()
            self._login_store.forget_login()
            self._state = "close"

    def stop(self) -> None:
        self._stopping.set()
        with self._turn:
            # anything else than a complete login may hold locks or never end: the process does that
            if self._state == "open":
                self._state = "close"
                self._client.stop()

    def _new_client(self) -> NewClient:
        client = NewClient(
            quote(str(self._login_store.database)),  # it becomes part of a URI
            uuid="wa-admin",
            props=DeviceProps(os="wa-admin", platformType=DeviceProps.CHROME),
        )
        inbox = self._inbox
        # neonize keeps bound methods weakly and plain functions for good
        client.qr(lambda client, code: inbox.put(("code", code.decode())))
        # how a link attempt ends is no event; the method that hears of it prints an address
        client._NewClient__onLoginStatus = lambda uuid, at: inbox.put(("word", ctypes.string_at(at).decode()))
        for name in (*OPENING, *TRANSLATIONS):
            client.event(getattr(events, f"{name}Ev"))(lambda client, event: inbox.put(("event", event)))
        return client

    def _dial(self) -> None:
        """Connect until stopped; a connection that was made is kept up by whatsmeow."""
        for attempt in range(MOST_DIALS):
            try:
                self._client.connect()
                failed = "the connection was ended"
            except Exception as error:  # whatever it was, without the next attempt nobody would hear of us
                failed = str(error)
            if self._stopping.is_set():
                return
            self._inbox.put(("failed", failed))
            if self._stopping.wait(random.uniform(0, min(2.0**attempt, LONGEST_PAUSE_SECONDS))):  # noqa: S311
                return
        self._inbox.put(("exhausted", "too many failed attempts"))

    def _narrate(self) -> None:
        """Tell what neonize says, one thing after another, until the story is over."""
        while not self._stopping.is_set():
            heard = self._hear()
            with self._turn:
                if self._state == "close":
                    return
                try:
                    self._take(*heard)
                except FreshProcess as why:
                    self._give_up(str(why))
                except Exception as error:  # one odd event must not silence all that follow
                    text = f"an event was not understood: {type(error).__name__}"
                    self._tell({"event": "log", "level": "error", "text": text})

    def _hear(self) -> tuple[str, Any]:
        try:
            return self._inbox.get(timeout=self._login.seconds_left(time.monotonic()))
        except queue.Empty:
            return "overdue", None

    def _take(self, kind: str, what: Any) -> None:
        now = time.monotonic()
        if kind == "code":
            self._tell(self._login.code(what, now))
            self._scannable.set()
        elif kind == "word":
            self._scannable.clear()
            self._tell(self._login.word(what, now))
        elif kind == "event":
            self._take_event(what, now)
        elif kind == "failed":
            self._take_failure(what, now)
        elif kind == "profile":
            self._look_for_profile(what)
        elif kind == "overdue":
            self._tell(self._login.overdue())
        else:
            raise FreshProcess(str(what))

    def _take_event(self, event: Any, now: float) -> None:
        name = event.DESCRIPTOR.name
        if name in OPENING:
            self._login.connected()
            account = opened(self._client.me or self._client.get_me())
            self._profile_name = account.get("profile_name", self._profile_name)
            self._tell(account)
            self._look_for_profile(0)
            return
        if name == "LoggedOut":
            self._login_store.forget_login()
        told = event_of(event)
        if told and "file" in told:
            self._files.keep(told["id"], event.Message.SerializeToString())
        if told and told.get("reason") == "network":
            self._login.lost(now)
        if told:
            self._tell(told)

    def _take_failure(self, text: str, now: float) -> None:
        self._login.dialled(now + LONGEST_PAUSE_SECONDS)
        if is_unreadable(text):
            self._login_store.set_aside()
        if text != self._complaint:
            self._complaint = text
            self._tell({"event": "log", "level": "warning", "text": f"cannot connect: {redact(text)}"})
        self._tell(connect_failure(text))

    def _look_for_profile(self, attempt: int) -> None:
        """The name comes with a sync some time after the first login, of which no event tells."""
        if self._state != "open" or self._profile_name:
            return
        # get_me aborts the process before connect() and after stop(): while open it is neither
        self._profile_name = profile_name(self._client.get_me())
        if self._profile_name:
            self._tell({"event": "profile", "profile_name": self._profile_name})
        elif attempt < len(PROFILE_PAUSES_SECONDS):
            again = threading.Timer(
                PROFILE_PAUSES_SECONDS[attempt], lambda: self._inbox.put(("profile", attempt + 1))
            )
            again.daemon = True
            again.start()

    def _tell(self, event: Event) -> None:
        if event["event"] == "state":
            if event == self._told:
                return
            self._told = event
            self._state = event["state"]
        self.emit(event)

    def _give_up(self, why: str) -> NoReturn:
        self._tell({"event": "state", "state": "connecting", "reason": "network"})
        self._tell({"event": "log", "level": "warning", "text": f"{why}: going on in a new process"})
        os._exit(EXIT_FOR_FRESH_PROCESS)

    def _send(self, to: str, build: Callable[[], Message]) -> dict[str, Any]:
        jid = content.recipient(to)
        self._require_open()
        message = build()
        with _failures():
            return sent(self._client.send_message(jid, message))

    def _require_open(self) -> None:
        if self._state != "open":
            raise EngineError("not_connected", "WhatsApp is not connected")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except NeonizeError as error:
        raise failure(str(error)) from None
