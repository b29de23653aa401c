"""wa-gateway 4.x by mimamch, a server over the library wa-multi-session and Baileys."""

from __future__ import annotations

import builtins
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import httpx

from . import wa_gateway_events
from .contract import (
    Access,
    Attached,
    BadAnswer,
    Checked,
    Code,
    Downloaded,
    Driver,
    GatewayError,
    InstanceNotFound,
    NotConnected,
    NotOnWhatsApp,
    Rejected,
    Remote,
    Seen,
    State,
    StateSeen,
    TimedOut,
    Unsupported,
    Webhook,
)
from .deadline import deadline
from .evolution import path_to
from .evolution_events import PERSON
from .http import Answer, Http, refused
from .shapes import object_of, text_of
from .signatures import header
from .wa_gateway_events import number_in, state_of

FIRST_CODE_SECONDS = 60  # the only one that is ever told
SHADOWED = ("start", "logout")  # routes of its own, so a session of that name cannot be read
MOST_ACCOUNTS_KEPT = 10_000


class WaGateway(Driver):
    """wa-gateway. It tells the first QR code of a session and no other, so a new code is a new session.

    A break of the network makes it try ten times at once, then it throws the login away: what it calls
    disconnected has to be scanned again. It reports neither receipts nor ids of messages, and where its
    events go is set in its own environment.
    """

    kind = "wa_gateway"
    capabilities = frozenset({"qr", "delete", "list", "check_number", "download"})
    hook_proof = "key"
    tells_codes = False
    codes = 1
    weak_keys = frozenset({"", "secret"})  # its default, which lets everybody in, and that of its README
    read_seconds: ClassVar[float] = 10.0
    start_seconds: ClassVar[float] = 30.0  # it answers with a code or a connection, without either never
    starts_for_seconds = 40.0  # two starts at once open two sockets for one name
    send_seconds: ClassVar[float] = 35.0  # up to 5 s of typing come first
    # when it has started it loads its sessions one by one, and knows none of those to come
    settling_seconds: ClassVar[float] = 2.0
    # what it throws away it takes leave of in the background, by name
    parting_seconds: ClassVar[float] = 1.0

    def __init__(
        self,
        access: Access,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._http = Http(access, ("key", access.key), refusal=refusal, transport=transport)
        self._key = access.key
        self._pause = pause
        self._lock = threading.Lock()
        self._starting: set[str] = set()
        self._accounts: set[str] = set()

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """Reach it and check the key; it tells its version nowhere."""
        self._rows()
        return ""

    def create(self, instance: str) -> None:
        """Check the name; a session begins with its first code, which `connect` must not miss."""
        if not instance or instance != instance.strip() or instance in SHADOWED:
            raise Rejected("wa-gateway cannot keep a session under this id; use letters and digits")

    def connect(self, instance: str) -> Code | State:
        """Go online, or start linking; a session that waits for a scan is made anew, as its code is lost."""
        with self._alone(instance) as is_alone:
            # two starts at once would open two sockets for one name
            return self._connect(instance) if is_alone else State("connecting", word="starting")

    def pair(self, instance: str, phone: str) -> Code:
        raise Unsupported("wa-gateway links by QR code only")

    def code(self, instance: str) -> Code | State:
        """The state: the one code there is came from `connect`."""
        try:
            return self._look(instance)
        except InstanceNotFound:
            return State(None, word="not found")  # so it is too while it is being started

    def state(self, instance: str) -> State:
        try:
            return self._look(instance)
        except InstanceNotFound:
            self._pause(self.settling_seconds)
        return self._look(instance)

    def stop(self, instance: str) -> None:
        raise Unsupported("wa-gateway goes offline only by unlinking")

    def restart(self, instance: str) -> None:
        raise Unsupported("wa-gateway reconnects by itself and cannot be told to")

    def logout(self, instance: str) -> None:
        self.delete(instance)

    def delete(self, instance: str) -> None:
        with suppress(InstanceNotFound):
            self._http.call("DELETE", path_to("session", instance), seconds=self.read_seconds)

    def list(self) -> builtins.list[Remote]:
        """The sessions that are alive: those whose login is gone stay in its memory as disconnected."""
        found = []
        for row in self._rows():
            name, details = text_of(row, "session"), object_of(row.get("details"))
            if name and row.get("status") != "disconnected":
                found.append(Remote(name, number_in(details), text_of(details, "name")))
        return found

    def webhook(self, instance: str) -> Webhook | None:
        raise Unsupported("wa-gateway reports to the WEBHOOK_BASE_URL of its own environment")

    def set_webhook(self, instance: str, url: str) -> None:
        raise Unsupported("wa-gateway reports to the WEBHOOK_BASE_URL of its own environment")

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        with deadline(2 * self.send_seconds):
            try:
                return self._send(instance, to, text)
            except NotConnected:
                if not self._is_connected(instance):
                    raise
            # it says that it is connected a moment before it sends
            self._pause(self.settling_seconds)
            return self._send(instance, to, text)

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        raise Unsupported("wa-gateway takes no files, only addresses that it fetches them from")

    def download(self, instance: str, source: Mapping[str, str], most_bytes: int) -> Downloaded:
        name = source.get("name", "")
        if not wa_gateway_events.NAME.fullmatch(name):
            raise Rejected("wa-gateway gave no address for this file")
        answer = self._http.fetch("GET", f"/media/{name}", seconds=self.send_seconds, most_bytes=most_bytes)
        return Downloaded(answer.content or b"")

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        return [Checked(number, self._has_account(instance, number)) for number in numbers]

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        """It sends its own key along, in the open, and none when it has none."""
        return hmac.compare_digest(header(headers, "key").encode(), self._key.encode())

    def identity(self, body: bytes) -> bytes:
        wa_gateway_events.parsed(body)
        return b""  # it posts once

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        return [event for event in wa_gateway_events.read(body) if not self._is_of_the_last_one(event)]

    def _connect(self, instance: str) -> Code | State:
        try:
            found = self._start(instance)
        except AlreadyThere:
            state = self._look(instance)
            return state if state.number else self._anew(instance)
        if isinstance(found, Code) and self._look(instance).number:
            # of a login that is gone; before the next code it would pass for one, and only this clears it
            return self._anew(instance)
        return found

    def _anew(self, instance: str) -> Code | State:
        """Without a number it has no login, so nothing is lost."""
        self.delete(instance)
        self._pause(self.parting_seconds)
        return self._start(instance)

    def _start(self, instance: str) -> Code | State:
        body = {"session": instance}
        try:
            said = self._http.call("POST", "/session/start", body=body, seconds=self.start_seconds)
        except TimedOut:
            return self._unanswered(instance)
        if qr := text_of(object_of(said), "qr"):
            return Code(qr, sequence=1, lifetime_seconds=FIRST_CODE_SECONDS)
        return self._look(instance)

    def _unanswered(self, instance: str) -> State:
        try:
            return self._look(instance)
        except InstanceNotFound:
            return State("disconnected", "network", "not found")  # it has tried ten times

    def _look(self, instance: str) -> State:
        said = self._http.call("GET", path_to("session", instance), seconds=self.read_seconds)
        data = object_of(object_of(said).get("data"))
        if not text_of(data, "status"):
            raise BadAnswer("the answer tells no state")
        return state_of(data)

    def _rows(self) -> builtins.list[dict[str, Any]]:
        rows = object_of(self._http.call("GET", "/session", seconds=self.read_seconds)).get("data")
        if not isinstance(rows, builtins.list):
            raise BadAnswer("the answer is not a list of sessions")
        return [object_of(row) for row in rows]

    def _is_connected(self, instance: str) -> bool:
        try:
            return self._look(instance).status == "connected"
        except InstanceNotFound:
            return False

    def _send(self, instance: str, to: str, text: str) -> str:
        self._need_account(instance, to)
        body = {"session": instance, "to": to, "text": text, "is_group": to.endswith("@g.us")}
        began = time.monotonic()
        try:
            said = self._http.call("POST", "/message/send-text", body=body, seconds=self.send_seconds)
        except Broke as error:
            if time.monotonic() - began < typing_seconds(text):
                raise NotConnected(error.detail) from error  # it was typing still
            raise
        key = object_of(object_of(object_of(said).get("data")).get("key"))
        if provider_id := text_of(key, "id"):
            return provider_id
        raise BadAnswer("the answer names no message")

    def _need_account(self, instance: str, to: str) -> None:
        """It sends to any number, and nothing ever tells that nobody got it."""
        number = to.removesuffix(PERSON)
        if not number.isdecimal() or number in self._accounts:
            return
        # when it cannot say so in time, it is asked to send all the same
        with suppress(TimedOut, BadAnswer):
            if not self._has_account(instance, number):
                raise NotOnWhatsApp
            if len(self._accounts) >= MOST_ACCOUNTS_KEPT:
                self._accounts.clear()
            self._accounts.add(number)

    def _has_account(self, instance: str, number: str) -> bool:
        body = {"session": instance, "target": f"{number}{PERSON}"}
        try:
            self._http.call("POST", "/profile", body=body, seconds=self.read_seconds)
        except NotOnWhatsApp:
            return False
        except Broke as error:
            raise NotConnected(error.detail) from error
        return True

    def _is_of_the_last_one(self, event: Seen) -> bool:
        """What `connect` throws away says that it is disconnected; of the new one nothing is known yet."""
        is_end = isinstance(event, StateSeen) and event.state.status == "disconnected"
        return is_end and event.instance in self._starting

    @contextmanager
    def _alone(self, instance: str) -> Iterator[bool]:
        with self._lock:
            is_alone = instance not in self._starting
            self._starting.add(instance)
        try:
            yield is_alone
        finally:
            if is_alone:
                self._starting.discard(instance)


class AlreadyThere(Rejected):
    """It has this session in memory, in whatever state."""


class Broke(BadAnswer):
    """A 500. In production all of them say the same."""


def refusal(answer: Answer) -> GatewayError:
    """What an answer of wa-gateway that is no success means."""
    status, text = answer.status, answer.text
    if 300 <= status < 400:
        return BadAnswer("it shows its login page, as it does for an address that it does not have")
    if status == 404 and text == "Route not found":
        return Unsupported(text)
    if status == 400 and text == "Session already exist":
        return AlreadyThere(text)
    if status == 400 and text == "Session does not exist":  # unlinked or not started: to be linked again
        return NotConnected(text)
    if status == 400 and text == "Target is not registered":
        return NotOnWhatsApp(text)
    if status == 500:
        return NotConnected(text) if "Not Ready" in text else Broke(text)
    return refused(answer)


def typing_seconds(text: str) -> float:
    """So long it pretends to type, once it has seen that the session is ready, before it sends."""
    return min(5.0, 0.1 * len(text))
