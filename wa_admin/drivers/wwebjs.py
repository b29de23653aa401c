"""wwebjs-api 1.x by avoylenko, a server over whatsapp-web.js with one Chrome per session."""

from __future__ import annotations

import builtins
import hmac
import re
import threading
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx

from .. import clock
from . import wwebjs_events as events
from .contract import (
    Access,
    Attached,
    BadAnswer,
    Checked,
    Code,
    Driver,
    GatewayError,
    InstanceNotFound,
    NotConnected,
    NotOnWhatsApp,
    Rejected,
    Remote,
    Seen,
    SentSeen,
    State,
    TimedOut,
    Unsupported,
    Webhook,
)
from .evolution import path_to
from .evolution_events import PERSON
from .http import Answer, Http, refused
from .shapes import object_of, text_of
from .signatures import header
from .wwebjs_events import NOT_FOUND, PAIRING_CODE_SECONDS, UNPAIRED
from .wwebjs_sight import LAUNCH, Sight

# The gateway itself may restart a crashed page (RECOVER_SESSIONS), and a connection comes back
RECOVERY = timedelta(seconds=60)
LINKING = timedelta(seconds=200)  # six codes, or one pairing code, and a little
MOST_CHATS_KEPT = 10_000

Found = Code | State


class Wwebjs(Driver):
    """wwebjs-api. What it calls GET starts, stops and unlinks: no call of it is ever made to have a look.

    Receipts are read when they come, and not promised: its sample settings switch them off.
    """

    kind = "wwebjs"
    capabilities = frozenset(
        {"qr", "pairing_code", "restart", "delete", "list", "send_media", "check_number", "look_up_sent"}
    )
    hook_proof = "key"
    tells_codes = False  # its webhook is set in its own environment, if at all
    weak_keys = frozenset({"", "SET_YOUR_API_KEY_HERE"})  # without a key it is open; its .env.example
    read_seconds: ClassVar[float] = 15.0  # a status takes up to 10 s
    start_seconds: ClassVar[float] = 95.0
    starts_for_seconds = 2 * LAUNCH.total_seconds()  # a second start opens a second Chrome on the same login
    stop_seconds: ClassVar[float] = 45.0
    pair_seconds: ClassVar[float] = 30.0
    send_seconds: ClassVar[float] = 35.0
    send_media_seconds: ClassVar[float] = 60.0

    def __init__(
        self,
        access: Access,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._http = Http(access, ("x-api-key", access.key), refusal=refusal, transport=transport)
        self._key = access.key
        self._pause = pause
        self._now = now
        self._lock = threading.Lock()
        self._sights: defaultdict[str, Sight] = defaultdict(Sight)
        self._chats: dict[str, str] = {}

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """Reach it and check the key; it tells its version nowhere."""
        self._names()
        return ""

    def create(self, instance: str) -> None:
        """Check the name; the session begins when it is started."""
        if not re.fullmatch(r"[A-Za-z0-9_-]+", instance):
            raise Rejected("wwebjs-api takes letters, digits, - and _ for a session id")
        sight = self._sights[instance]
        sight.was_connected = sight.is_gone = False  # whoever creates a session links it
        sight.expect(NOT_FOUND, self._now())

    def connect(self, instance: str) -> Found:
        """Start it, with its stored login or with codes; a set of codes that ran out is made anew."""
        sight = self._sights[instance]
        sight.asked_at, sight.is_gone = self._now(), False
        try:
            self._bring_up(instance)
        except StillStarting:
            return State("connecting", word="starting")
        except OutOfReach:
            return State("disconnected", "network", "out of reach")
        return self._await_code(instance)

    def pair(self, instance: str, phone: str) -> Code:
        found = self.connect(instance)
        if isinstance(found, State) and found.status == "connected":
            raise Rejected("the session is linked already")
        self._sights[instance].asked_at = self._now()
        body = {"phoneNumber": phone, "showNotification": True}
        path = path_to("session/requestPairingCode", instance)
        said = object_of(self._http.call("POST", path, body=body, seconds=self.pair_seconds))
        if said.get("success") is not True:
            raise NotConnected("its browser is still starting")
        if not (pairing_code := (text_of(said, "result") or "").replace("-", "")):
            raise BadAnswer("the answer holds no code")
        code = found if isinstance(found, Code) else Code(None)
        expires_at = self._now() + timedelta(seconds=PAIRING_CODE_SECONDS)
        return replace(
            code, pairing_code=pairing_code, expires_at=expires_at, lifetime_seconds=PAIRING_CODE_SECONDS
        )

    def code(self, instance: str) -> Found:
        sight = self._sights[instance]
        sight.asked_at, sight.was_connected = self._now(), False
        found = self._look(instance)
        if isinstance(found, State) and found.reason == "qr_expired":
            return State(None, word=found.word)  # a pairing code may be waiting all the same
        return found

    def state(self, instance: str) -> State:
        """While nobody wants its codes, it shows them since it was unlinked on the phone."""
        found = self._look(instance)
        state = found if isinstance(found, State) else State("qr_pending", word=UNPAIRED[0])
        if state.word not in UNPAIRED:
            return state
        sight, now = self._sights[instance], self._now()
        if sight.was_connected:
            return State("disconnected", "logged_out", state.word)
        is_linking = sight.asked_at is not None and now - sight.asked_at < LINKING
        if is_linking != (state.reason is None):  # dead codes in a link, or a live one without
            return State(None, word=state.word)
        return state

    def stop(self, instance: str) -> None:
        self._http.call("GET", path_to("session/stop", instance), seconds=self.stop_seconds)
        self._sights[instance].expect(NOT_FOUND, self._now())

    def restart(self, instance: str) -> None:
        """Drop the connection and build it anew, the login stays. Raises Rejected or NotConnected when
        it cannot start."""
        with suppress(StillStarting):
            self._restart(instance)

    def logout(self, instance: str) -> None:
        self.delete(instance)

    def delete(self, instance: str) -> None:
        """Unlink, and remove session and login. One that is stopped is started first, or its login stays."""
        sight = self._sights[instance]
        if self._word(instance) == NOT_FOUND:
            if sight.is_gone:
                return
            self._start(instance)
            self._wait_for(instance, "CONNECTED", *UNPAIRED)
        self._http.call("GET", path_to("session/terminate", instance), seconds=self.stop_seconds)
        self._sights[instance] = Sight(is_gone=True)

    def list(self) -> builtins.list[Remote]:
        """The sessions that run; of those that are stopped it knows nothing."""
        return [Remote(name, *self._owner(name)) for name in self._names()]

    def webhook(self, instance: str) -> Webhook | None:
        raise Unsupported("wwebjs-api reports to the BASE_WEBHOOK_URL of its own environment")

    def set_webhook(self, instance: str, url: str) -> None:
        raise Unsupported("wwebjs-api reports to the BASE_WEBHOOK_URL of its own environment")

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        said = {"contentType": "string", "content": text, "options": {"linkPreview": False}}
        return self._send(instance, to, said, self.send_seconds)

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        content = {
            "mimetype": attached.mimetype,
            "data": b64encode(attached.content).decode(),
            "filename": attached.filename,
        }
        options: dict[str, Any] = {"caption": caption} if caption else {}
        if attached.kind == "document":
            options["sendMediaAsDocument"] = True
        said = {"contentType": "MessageMedia", "content": content, "options": options}
        return self._send(instance, to, said, self.send_media_seconds)

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        found = [(number, self._chat_of(instance, number)) for number in numbers]
        return [Checked(number, chat is not None, chat and events.phone_jid(chat)) for number, chat in found]

    def find_sent(self, instance: str, to: str, since: datetime) -> builtins.list[SentSeen]:
        chat = self._chat(instance, to)
        body = {"chatId": chat, "searchOptions": {"limit": 50, "fromMe": True}}
        path = path_to("chat/fetchMessages", instance)
        said = object_of(self._http.call("POST", path, body=body, seconds=self.send_seconds))
        rows = said.get("messages")
        if not isinstance(rows, builtins.list):
            raise BadAnswer("the answer is not a list of messages")
        seen = events.sent(instance, rows, events.phone_jid(chat))
        return [one for one in seen if one.at and one.at >= since]

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        """It sends its own key along, in the open, and none when it has none."""
        return hmac.compare_digest(header(headers, "x-api-key").encode(), self._key.encode())

    def identity(self, body: bytes) -> bytes:
        events.parsed(body)
        return b""  # it posts once

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        envelope = events.parsed(body)
        sight, now = self._sights[envelope.instance], self._now()
        # after an unlink it was seen to say ready instead of disconnected (avoylenko/wwebjs-api#102):
        # a login that has not said authenticated before is left to the next look at its state
        is_doubtful = envelope.event == "ready" and not sight.is_authenticated
        sight.is_authenticated = envelope.event == "authenticated" or (
            sight.is_authenticated and envelope.event not in ("ready", "disconnected")
        )
        return [] if is_doubtful else events.read(envelope, lambda qr: sight.code(qr, now))

    def _names(self) -> builtins.list[str]:
        said = object_of(self._http.call("GET", "/session/getSessions", seconds=self.read_seconds))
        names = said.get("result")
        if not isinstance(names, builtins.list):
            raise BadAnswer("the answer is not a list of sessions")
        return [name for name in names if isinstance(name, str)]

    def _bring_up(self, instance: str) -> None:
        word = self._word(instance)
        if word == NOT_FOUND:
            self._start(instance)
        elif self._wants_restart(instance, word):
            self._restart(instance)

    def _wants_restart(self, instance: str, word: str) -> bool:
        if word in UNPAIRED:
            found = self._unpaired(instance, word)
            return isinstance(found, State) and found.status != "connecting"  # its code ran out
        if word in ("CONNECTED", "CONFLICT"):
            return word == "CONFLICT"  # whoever connects wants it here
        # what is blocked stays so; the rest is given time, as it may recover by itself
        is_blocked = events.state_of(word).reason is not None
        return not is_blocked and self._sights[instance].lasts(word, self._now()) >= RECOVERY

    def _start(self, instance: str) -> None:
        with suppress(AlreadyThere):
            self._launch(instance, "session/start")

    def _restart(self, instance: str) -> None:
        self._launch(instance, "session/restart")
        if self._word(instance) == NOT_FOUND:
            self._start(instance)  # it said that it restarted when it could not, too; this tells why

    def _launch(self, instance: str, route: str) -> None:
        """Blocks until its page is loaded. Raises StillStarting, since what does not answer in time goes on
        at the gateway, and a second start would open a second Chrome on the same login."""
        sight, now = self._sights[instance], self._now()
        with self._lock:
            if sight.is_starting(now):
                raise StillStarting("its browser is still starting")
            if sight.is_resting(now):
                raise OutOfReach("its browser could not reach WhatsApp a while ago")
            sight.started_at = now
        sight.forget_codes()
        try:
            self._http.call("GET", path_to(route, instance), seconds=self.start_seconds)
        except TimedOut as error:
            raise StillStarting("its browser is still starting") from error
        except GatewayError as error:
            sight.started_at = None
            if isinstance(error, OutOfReach):
                sight.failed(self._now())
            raise
        sight.started_at = None

    def _await_code(self, instance: str) -> Found:
        """The first code, or the connection, follows the start in a few seconds."""
        for _ in self._paced(5):
            found = self._look(instance)
            if isinstance(found, Code) or found.status != "connecting":
                break
        return found

    def _wait_for(self, instance: str, *words: str) -> None:
        """Only what is connected can be unlinked on the phone too."""
        for _ in self._paced(15):
            if self._word(instance) in words:
                return

    def _paced(self, times: int) -> Iterator[None]:
        for turn in range(times):
            if turn:
                self._pause(1.0)
            yield

    def _look(self, instance: str) -> Found:
        word, sight, now = self._word(instance), self._sights[instance], self._now()
        if word == NOT_FOUND:
            return self._missing(sight, now)
        sight.started_at = None
        if word == "CONNECTED":
            sight.was_connected, sight.asked_at = True, None
            return State("connected", None, word, *self._owner(instance))
        if word in UNPAIRED:
            return self._unpaired(instance, word)
        sight.lasts(word, now)
        return events.state_of(word)

    def _missing(self, sight: Sight, now: datetime) -> State:
        """Stopped, or still being started by whoever: only what is missing for long is called so."""
        if sight.is_gone:
            raise InstanceNotFound("it was deleted")
        if sight.is_starting(now):
            return State("connecting", word="starting")
        is_sure = sight.lasts(NOT_FOUND, now) >= LAUNCH
        return State("disconnected" if is_sure else None, word=NOT_FOUND)

    def _owner(self, instance: str) -> tuple[str | None, str | None]:
        """Number and name, while it is connected; the number is missing when WhatsApp gives a LID for it."""
        path = path_to("client/getClassInfo", instance)
        try:
            said = self._http.call("GET", path, seconds=self.read_seconds)
        except NotConnected:
            return None, None
        info = object_of(object_of(said).get("sessionInfo"))
        number = events.number_of(text_of(object_of(info.get("wid")), "_serialized"))
        return number, text_of(info, "pushname")

    def _unpaired(self, instance: str, word: str) -> Found:
        if not (qr := self._qr(instance)):
            return State("connecting", word=word)
        sight, now = self._sights[instance], self._now()
        code = sight.code(qr, now)
        if sight.is_code_dead(now):
            return State("disconnected", "qr_expired", word)
        return code if code.expires_at and code.expires_at > now else State(None, word=word)

    def _word(self, instance: str) -> str:
        """The state of its page, else what it says instead of one."""
        said = object_of(
            self._http.call("GET", path_to("session/status", instance), seconds=self.read_seconds)
        )
        word = text_of(said, "state") or text_of(said, "message")
        if not word:
            raise BadAnswer("the answer tells no state")
        sight = self._sights[instance]
        if word != NOT_FOUND:
            sight.is_gone = False
        if word == "CONNECTED" or word in UNPAIRED:
            sight.is_well()
        # in trouble its page says all sorts of things, some of them never twice
        return word if word in events.WORDS else "session_not_connected"

    def _qr(self, instance: str) -> str | None:
        said = self._http.call("GET", path_to("session/qr", instance), seconds=self.read_seconds)
        return text_of(object_of(said), "qr")

    def _send(self, instance: str, to: str, said: dict[str, Any], seconds: float) -> str:
        # to mark the chat as seen broke the sending with it (avoylenko/wwebjs-api#95)
        options = {"sendSeen": False, **said["options"]}
        body = {"chatId": self._chat(instance, to), **said, "options": options}
        answer = object_of(
            self._http.call("POST", path_to("client/sendMessage", instance), body=body, seconds=seconds)
        )
        if answer.get("success") is True and answer.get("message") is None:
            raise Rejected("it could not open the chat, and nothing was sent")
        if provider_id := events.id_of(object_of(answer.get("message"))):
            return provider_id
        raise BadAnswer("the answer names no message")

    def _chat(self, instance: str, to: str) -> str:
        number = to.removesuffix(PERSON)
        if not number.isdecimal():
            return to
        # when it cannot say so in time, the number is taken as it is
        with suppress(TimedOut, BadAnswer):
            if chat := self._chats.get(number) or self._chat_of(instance, number):
                return chat
            raise NotOnWhatsApp
        return f"{number}{events.USER}"

    def _chat_of(self, instance: str, number: str) -> str | None:
        """What WhatsApp itself calls this number, in Brazil with or without its ninth digit."""
        path = path_to("client/getNumberId", instance)
        said = object_of(self._http.call("POST", path, body={"number": number}, seconds=self.read_seconds))
        if said.get("success") is not True:
            raise BadAnswer("the answer tells nothing of the number")
        chat = text_of(object_of(said.get("result")), "_serialized")
        if chat:
            if len(self._chats) >= MOST_CHATS_KEPT:
                self._chats.clear()
            self._chats[number] = chat
        return chat


class AlreadyThere(Rejected):
    """It is running."""


class StillStarting(NotConnected):
    """Its browser takes its time."""


class OutOfReach(NotConnected):
    """Its browser runs, and WhatsApp's page does not come up in it."""


def refusal(answer: Answer) -> GatewayError:
    """What an answer of wwebjs-api that is no success means."""
    status, text = answer.status, answer.text
    if status == 404 and answer.is_json:  # not there, not connected, crashed: it never got as far as WhatsApp
        return NotConnected(text)
    if status == 422 and text.startswith("Session already exists"):
        return AlreadyThere(text)
    cause = text_of(object_of(answer.body), "error") or ""
    if status == 422 and (not cause or cause.startswith("net::")):  # it loses the cause of a timeout
        return OutOfReach("its browser cannot reach WhatsApp")
    return refused(answer)
