"""WAHA 2024.10 and later; its "session" is ours."""

from __future__ import annotations

import builtins
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from .. import clock
from . import waha_events, waha_hooks
from .contract import (
    CAPABILITIES,
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
    OutcomeUnknown,
    Rejected,
    Remote,
    Seen,
    SentSeen,
    State,
    Unsupported,
    Webhook,
)
from .evolution_events import PERSON
from .http import Answer, Http
from .shapes import need_array, need_object, object_of, strange, text_of
from .signatures import header, is_signed
from .waha_events import USER, jid_of, message_id, state_of
from .waha_refusals import NameTaken, refusal

FIRST_CODE_SECONDS, CODE_SECONDS, CODES = 60, 20, 6
# Of the engines only these two take an id in advance, as of this version
ENGINES_WITH_IDS, VERSION_WITH_IDS = ("NOWEB", "GOWS"), (2026, 4, 3)
MOST_CHATS_KEPT = 10_000


class Waha(Driver):
    """WAHA. The QR code is in none of its events, so it is asked for.

    Ids in advance: WAHA sends a text under the WhatsApp id that it is given, and WhatsApp shows an id once.
    Its `new-message-id` would have to be stored between two calls; instead the id is derived from the
    reference, which is on disk before the call, in the form that both engines make themselves: 3EB0 and 18
    hex digits (Baileys generateMessageIDV2, whatsmeow GenerateMessageID). So the same reference has the same
    id after a crash too. WEBJS and WPP, versions before 2026.4.3, and files on any of them take no id: there
    a doubtful send is OutcomeUnknown, which nobody repeats.
    """

    kind = "waha"
    capabilities = frozenset(CAPABILITIES)
    hook_events = frozenset({"session.status", "message", "message.ack", "message.ack.group"})
    hook_proof = "signature"
    hook_retries_seconds = 2400.0  # as `waha_hooks.entry` asks of it: 2 s doubled ten times, and some jitter
    tells_codes = False
    codes = CODES
    reopens_within_seconds = 60.0  # NOWEB drops and reopens its link every half hour: WAHA #756, #2073
    # examples of its documentation
    weak_keys: ClassVar[frozenset[str]] = frozenset(
        {"yoursecretkey", "admin", "666", "0" * 32, "4" * 32, "my-secret-key", "super-secret"}
    )
    read_seconds: ClassVar[float] = 10.0
    code_seconds: ClassVar[float] = 20.0  # out of state it waits, up to 14 s, before it says so
    change_seconds: ClassVar[float] = 30.0  # starting a browser takes its time
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
        self._http = Http(access, ("X-Api-Key", access.key), refusal=refusal, transport=transport)
        self._sign_keys = access.sign_keys
        self._pause = pause
        self._now = now
        self._engine, self._version = "", ""
        self._seen: dict[str, tuple[bytes, int, datetime]] = {}  # digest, sequence and end of the last code
        self._chats: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        said = need_object(self._http.call("GET", "/api/server/version", seconds=self.read_seconds))
        self._engine, self._version = text_of(said, "engine") or "", text_of(said, "version") or ""
        return self._version

    def offers(self) -> frozenset[str]:
        """What the engine can that `version` has told of."""
        lacking = set() if self._takes_ids() else {"ids_in_advance"}
        return self.capabilities - lacking - (set() if self._engine in ("GOWS", "") else {"passkey"})

    def create(self, instance: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,54}", instance):
            raise Rejected("WAHA takes letters, digits, - and _ for a session id, at most 54")
        config = {
            "metadata": {"wa_admin": "1"},
            "ignore": {"status": True, "groups": None, "channels": True, "broadcast": True},
        }
        try:
            body = {"name": instance, "start": False, "config": config}
            self._http.call("POST", "/api/sessions", body=body, seconds=self.change_seconds)
        except NameTaken:
            self._session(instance)

    def connect(self, instance: str) -> Code | State:
        session = self._session(instance)
        word, engine = session.get("status"), object_of(session.get("engine")).get("engine")
        if word == "FAILED" and engine == "WEBJS":
            self._pause(3.0)  # it restarts by itself after 2 s
            session = self._session(instance)
            word = session.get("status")
        if word in ("STOPPED", "FAILED"):
            self._seen.pop(instance, None)
            # a failed one gives new codes only after a restart
            session = self._act(instance, "start" if word == "STOPPED" else "restart")
        return self._code_of(instance, session)

    def code(self, instance: str) -> Code | State:
        return self._code_of(instance, self._session(instance))

    def pair(self, instance: str, phone: str) -> Code:
        """Raises Rejected when the session names its device, which WhatsApp then refuses to pair by code."""
        for _ in self._paced(10, 1.5):
            found = self.connect(instance)
            if isinstance(found, Code):
                break
            if found.status == "connected":
                raise Rejected("the session is linked already")
        else:
            raise NotConnected("WAHA is not ready to link yet")
        client = object_of(object_of(self._session(instance).get("config")).get("client"))
        if client.get("deviceName"):
            raise Rejected("the session has config.client.deviceName, which breaks pairing codes")
        path = path_to("auth/request-code", instance)
        said = need_object(
            self._http.call("POST", path, body={"phoneNumber": phone}, seconds=self.change_seconds)
        )
        code = (text_of(said, "code") or "").replace("-", "")
        if not code:
            raise BadAnswer("the answer holds no pairing code")
        return Code(None, code)

    def passkey_challenge(self, instance: str) -> dict[str, Any]:
        path = path_to("auth/passkey/challenge", instance)
        return need_object(self._of_passkey("GET", path))

    def answer_passkey(self, instance: str, assertion: Mapping[str, Any]) -> None:
        self._of_passkey("POST", path_to("auth/passkey", instance), body=dict(assertion))

    def confirm_passkey(self, instance: str) -> None:
        self._of_passkey("POST", path_to("auth/passkey/confirm", instance))

    def state(self, instance: str) -> State:
        return self._state(instance, self._session(instance))

    def stop(self, instance: str) -> None:
        self._act(instance, "stop")

    def restart(self, instance: str) -> None:
        self._act(instance, "restart")

    def logout(self, instance: str) -> None:
        """Unlink. WhatsApp does not always remove the device on the phone: "Linked devices" shows it.

        WAHA then starts anew and shows codes; with nobody to scan them they would end as FAILED.
        """
        self._act(instance, "logout")
        self._act(instance, "stop")

    def delete(self, instance: str) -> None:
        try:
            self._do("DELETE", _session_path(instance), seconds=self.change_seconds)
        except InstanceNotFound:
            return
        self._seen.pop(instance, None)

    def list(self) -> builtins.list[Remote]:
        return [Remote(name, state.number, state.profile_name) for name, state in self.states().items()]

    def states(self) -> dict[str, State]:
        """Of all sessions, which WAHA's list tells as they are at this moment."""
        # without all=true it hides the stopped ones
        rows = self._http.call("GET", "/api/sessions", params={"all": "true"}, seconds=self.read_seconds)
        if not isinstance(rows, list):
            raise strange()
        found = [(text_of(row, "name"), state_of(row)) for row in map(need_object, rows)]
        return {name: state for name, state in found if name}

    def webhook(self, instance: str) -> Webhook | None:
        """Ours among those of the session; not enabled when it is signed with another key than our newest."""
        hook = waha_hooks.ours_of(self._session(instance))
        if hook is None:
            return None
        is_signed_by_us = waha_hooks.key_of(hook) in self._sign_keys[:1]
        return Webhook(text_of(hook, "url") or "", is_signed_by_us, waha_hooks.events_of(hook))

    def set_webhook(self, instance: str, url: str) -> None:
        """Writing restarts the session, so what is there already is left alone. Raises Rejected without a key
        to sign with."""
        if not self._sign_keys:
            raise Rejected("there is no key for WAHA to sign its webhooks with")
        session = self._session(instance, params={"expand": "apps"})
        wanted = waha_hooks.entry(url, self.hook_events, self._sign_keys[0])
        hooks = waha_hooks.with_entry(session, wanted)
        if hooks is None:
            return
        body: dict[str, Any] = {"config": {**object_of(session.get("config")), "webhooks": hooks}}
        if isinstance(session.get("apps"), list):
            body["apps"] = session["apps"]  # what is left out here is gone
        self._http.call("PUT", _session_path(instance), body=body, seconds=self.change_seconds)

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        if not self._version:
            with _before_it_left():
                self.version()
        body = {"session": instance, "chatId": self._chat(instance, to), "text": text, "linkPreview": False}
        if self._takes_ids():
            body["id"] = id_of(instance, reference)
        return self._send("/api/sendText", body, self.send_seconds)

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        file = {
            "mimetype": attached.mimetype,
            "filename": attached.filename,
            "data": b64encode(attached.content).decode(),
        }
        body = {"session": instance, "chatId": self._chat(instance, to), "caption": caption, "file": file}
        route = "/api/sendImage" if attached.kind == "image" else "/api/sendFile"
        return self._send(route, body, self.send_media_seconds)

    def download(self, instance: str, source: Mapping[str, str], most_bytes: int) -> Downloaded:
        path = source.get("path", "")
        if not path.startswith(waha_events.FILES):
            raise Rejected("WAHA gave no address for this file")
        answer = self._http.fetch("GET", path, seconds=self.send_media_seconds, most_bytes=most_bytes)
        return Downloaded(answer.content or b"")

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        found = [self._chat_of(instance, re.sub(r"\D", "", number)) for number in numbers]
        return [
            Checked(number, chat is not None, jid_of(chat) if chat else None)
            for number, chat in zip(numbers, found, strict=True)
        ]

    def find_sent(self, instance: str, to: str, since: datetime) -> builtins.list[SentSeen]:
        """NOWEB knows it only where its store is switched on."""
        chat = self._chat(instance, to)
        params = {
            "limit": "50",
            "downloadMedia": "false",
            "filter.fromMe": "true",
            "filter.timestamp.gte": str(int(since.timestamp())),
        }
        path = path_to(f"chats/{quote(chat, safe='@')}/messages", instance)
        rows = self._http.call("GET", path, params=params, seconds=self.read_seconds)
        seen = waha_events.sent(instance, need_array(rows), jid_of(chat))
        return [one for one in seen if one.at and one.at >= since]

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        if header(headers, "X-Webhook-Hmac-Algorithm").lower() not in ("", "sha512"):
            return False
        return is_signed(body, header(headers, "X-Webhook-Hmac"), self._sign_keys, "sha512")

    def identity(self, body: bytes) -> bytes:
        return waha_events.identity(body)

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        return waha_events.read(body)

    def _session(self, instance: str, **more: Any) -> dict[str, Any]:
        said = self._http.call("GET", _session_path(instance), seconds=self.read_seconds, **more)
        return need_object(said)

    def _act(self, instance: str, verb: str) -> dict[str, Any]:
        path = f"{_session_path(instance)}/{verb}"
        return need_object(self._http.call("POST", path, seconds=self.change_seconds))

    def _do(self, method: str, path: str, *, seconds: float, **more: Any) -> Answer:
        """For what may answer with nothing at all."""
        answer = self._http.ask(method, path, seconds=seconds, **more)
        if answer.mimetype and not answer.is_json:
            raise BadAnswer("the answer is not JSON")
        return answer

    def _of_passkey(self, method: str, path: str, **more: Any) -> Any:
        if self._engine not in ("GOWS", ""):
            raise Unsupported("of WAHA's engines only GOWS can finish a link with a passkey")
        try:
            return self._do(method, path, seconds=self.read_seconds, **more).body
        except NotConnected as error:
            raise Rejected("WhatsApp asks for no passkey now") from error

    def _state(self, instance: str, session: dict[str, Any]) -> State:
        state = state_of(session)
        if state.word == "FAILED" and state.number is None and instance in self._seen:
            return replace(state, reason="qr_expired")  # its codes have run out
        if state.word != "PASSKEY_CONFIRMATION_REQUIRED":
            return state
        try:
            said = self._of_passkey("GET", path_to("auth/passkey/confirmation", instance))
        except (Rejected, Unsupported):  # over since we looked
            return state
        return replace(state, passkey_code=text_of(need_object(said), "code"))

    def _code_of(self, instance: str, session: dict[str, Any]) -> Code | State:
        if session.get("status") != "SCAN_QR_CODE":  # to ask then would only wait
            if session.get("status") != "FAILED":
                self._seen.pop(instance, None)
            return self._state(instance, session)
        path = path_to("auth/qr", instance)
        try:
            said = self._http.call("GET", path, params={"format": "raw"}, seconds=self.code_seconds)
        except NotConnected:  # scanned, or out of codes, since we looked
            return self.state(instance)
        qr = text_of(need_object(said), "value")
        if qr is None:
            raise BadAnswer("the answer holds no code")
        return self._shown(instance, qr)

    def _shown(self, instance: str, qr: str) -> Code:
        """WAHA tells no life of a code: the first has about 60 s, the next 20 s, since we first saw it."""
        digest, now = sha256(qr.encode()).digest(), self._now()
        known, sequence, ends_at = self._seen.get(instance, (b"", 0, now))
        if known != digest:
            sequence = min(sequence + 1, CODES)
            ends_at = now + timedelta(seconds=_life(sequence))
            self._seen[instance] = digest, sequence, ends_at
        return Code(qr, None, sequence, ends_at, _life(sequence))

    def _takes_ids(self) -> bool:
        numbers = tuple(map(int, re.findall(r"\d+", self._version)[:3]))
        return self._engine in ENGINES_WITH_IDS and numbers >= VERSION_WITH_IDS

    def _chat(self, instance: str, to: str) -> str:
        """Where to send: what WhatsApp calls that number, which in Brazil and Mexico can be another one."""
        if "@" in to and not to.endswith((PERSON, USER)):
            return to
        with _before_it_left():
            chat = self._chat_of(instance, to.partition("@")[0].partition(":")[0])
        if chat is None:
            raise NotOnWhatsApp()
        return chat

    def _chat_of(self, instance: str, number: str) -> str | None:
        """Asked once per number: WhatsApp dislikes many such questions."""
        if chat := self._chats.get((instance, number)):
            return chat
        params = {"phone": number, "session": instance}
        said = need_object(
            self._http.call("GET", "/api/contacts/check-exists", params=params, seconds=self.read_seconds)
        )
        if not isinstance(said.get("numberExists"), bool):
            raise strange()
        if not said["numberExists"]:
            return None
        if len(self._chats) >= MOST_CHATS_KEPT:
            self._chats.clear()
        chat = self._chats[instance, number] = text_of(said, "chatId") or number + USER
        return chat

    def _send(self, route: str, body: dict[str, Any], seconds: float) -> str:
        try:
            said = need_object(self._http.call("POST", route, body=body, seconds=seconds))
        except GatewayError as error:
            if error.may_have_left and "id" not in body:
                raise OutcomeUnknown(error.detail) from error
            raise
        found = message_id(said.get("id")) or message_id(said.get("key")) or body.get("id")
        if found is None:
            raise OutcomeUnknown("the answer names no message")
        return str(found)

    def _paced(self, times: int, seconds: float) -> Iterator[None]:
        for turn in range(times):
            if turn:
                self._pause(seconds)
            yield


def id_of(instance: str, reference: str) -> str:
    """The WhatsApp id under which a reference leaves."""
    return "3EB0" + sha256(f"{instance}\0{reference}".encode()).hexdigest()[:18].upper()


def path_to(route: str, instance: str) -> str:
    return f"/api/{quote(instance, safe='').replace('.', '%2E')}/{route}"


def _session_path(instance: str) -> str:
    return f"/api/sessions/{quote(instance, safe='').replace('.', '%2E')}"


@contextmanager
def _before_it_left() -> Iterator[None]:
    """What fails here fails before the message was handed over, however it fails."""
    try:
        yield
    except GatewayError as error:
        if error.may_have_left:
            raise NotConnected(f"WAHA did not say where the number is reached: {error.detail}") from error
        raise


def _life(sequence: int) -> int:
    return FIRST_CODE_SECONDS if sequence == 1 else CODE_SECONDS
