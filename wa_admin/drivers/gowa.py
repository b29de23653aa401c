"""GOWA (go-whatsapp-web-multidevice) 8 and 9; its "device" is our session."""

from __future__ import annotations

import builtins
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import httpx

from .. import clock
from . import gowa_events, picture
from .contract import (
    CAPABILITIES,
    Access,
    Attached,
    BadAnswer,
    Checked,
    Code,
    Driver,
    InstanceNotFound,
    NotConnected,
    Rejected,
    Remote,
    Seen,
    SentSeen,
    State,
    Unsupported,
    Webhook,
)
from .evolution_events import PERSON, number_of
from .gowa_events import state_of
from .gowa_refusals import AlreadyLinked, LoginStored, NameTaken, refusal
from .http import Http
from .shapes import need_array, need_object, strange, text_of
from .signatures import header, is_signed

NAME = r"[A-Za-z0-9_-]+"  # it does not decode an id in a path
PAIRING_SECONDS = 160


class Gowa(Driver):
    """GOWA. No event tells of states or codes, so both are asked for; `access.key` is `user:password`.

    A code is a picture, and only the first one of a login can be had: the next one is another `connect`.
    """

    kind = "gowa"
    capabilities = frozenset(CAPABILITIES) - {"ids_in_advance", "download"}
    hook_events = frozenset({"message", "message.ack"})
    hook_proof = "signature"
    hook_retries_seconds = 120.0  # five attempts of up to 10 s, 1 to 8 s between them (webhook.go)
    tells_codes = False
    codes = 1
    # `secret` is what it signs with unless told otherwise; the rest are examples of its documentation
    weak_keys: ClassVar[frozenset[str]] = frozenset(
        {
            "secret",
            "admin:admin",
            "admin:replace-with-a-strong-password",
            "user:pass",
            "user1:pass1",
            "user2:pass2",
            "kemal:secret",
            "toni:password",
            "userName:secretPassword",
        }
    )
    read_seconds: ClassVar[float] = 10.0
    link_seconds: ClassVar[float] = 50.0  # it waits for the first code; its own limit is 45 s
    send_seconds: ClassVar[float] = 50.0
    send_media_seconds: ClassVar[float] = 60.0

    def __init__(
        self,
        access: Access,
        *,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        basic = "Basic " + b64encode(access.key.encode()).decode()
        self._http = Http(access, ("Authorization", basic), refusal=refusal, transport=transport)
        self._sign_keys = [key for key in access.sign_keys if key not in self.weak_keys]
        self._now = now
        self._lacking: frozenset[str] = frozenset()
        self._instances: dict[str, str] = {}  # by JID

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """Its version, "8" for any 8.x: only 9 tells. Raises Unsupported for what is older."""
        try:
            info = need_object(self._call("GET", "/app/info"))
        except (InstanceNotFound, Rejected, Unsupported):
            self._devices()
            self._lacking = frozenset() if self._has_hooks() else frozenset({"set_webhook", "passkey"})
            return "8"
        self._lacking = frozenset()
        return (text_of(info, "version") or "").removeprefix("v")

    def offers(self) -> frozenset[str]:
        """Before 8.10.0 there is one webhook for all, in its environment, and no passkey."""
        return self.capabilities - self._lacking

    def create(self, instance: str) -> None:
        if not re.fullmatch(NAME, instance):
            raise Rejected("GOWA takes only letters, digits, - and _ for a session id")
        try:
            self._call("POST", "/devices", body={"device_id": instance})
        except NameTaken:
            self._device(instance)

    def connect(self, instance: str) -> Code | State:
        device = self._device(instance)  # a login of an unknown id would silently create it
        state = state_of(device)
        if state.status == "connected":
            return state
        if state.number:
            return self._reconnect(instance)
        try:
            said = need_object(self._call("GET", path_to(instance, "login"), seconds=self.link_seconds))
        except AlreadyLinked:
            return self.state(instance)
        except LoginStored:
            return self._reconnect(instance)
        return self._drawn(said)

    def code(self, instance: str) -> State:
        """Only `connect` can have a code; this tells when it was scanned."""
        return self.state(instance)

    def pair(self, instance: str, phone: str) -> Code:
        state = state_of(self._device(instance))
        if state.status == "connected":
            raise AlreadyLinked("the session is linked already")
        if state.number:
            raise NotConnected("the session is linked and on its way back")
        path, params = path_to(instance, "login/code"), {"phone": phone}
        said = need_object(self._call("POST", path, params=params, seconds=self.link_seconds))
        code = (text_of(said, "pair_code") or "").replace("-", "")
        if not code:
            raise BadAnswer("the answer holds no pairing code")
        return Code(None, code, None, self._now() + timedelta(seconds=PAIRING_SECONDS), PAIRING_SECONDS)

    def passkey_challenge(self, instance: str) -> dict[str, Any]:
        challenge = need_object(self._call("GET", "/app/passkey", instance)).get("challenge")
        if not isinstance(challenge, dict):
            raise Rejected("WhatsApp asks for no passkey now")
        return challenge

    def answer_passkey(self, instance: str, assertion: Mapping[str, Any]) -> None:
        self._call("POST", "/app/passkey/response", instance, body=dict(assertion))

    def confirm_passkey(self, instance: str) -> None:
        self._call("POST", "/app/passkey/confirm", instance)

    def state(self, instance: str) -> State:
        state = state_of(self._device(instance))
        return self._with_passkey(instance, state) if state.status == "qr_pending" else state

    def stop(self, instance: str) -> None:
        raise Unsupported("GOWA goes offline only by unlinking")

    def restart(self, instance: str) -> None:
        """Raises NotConnected when no login is stored."""
        self._reconnect(instance)

    def logout(self, instance: str) -> None:
        self._call("POST", path_to(instance, "logout"), seconds=self.link_seconds)

    def delete(self, instance: str) -> None:
        try:
            self._call("DELETE", path_to(instance), seconds=self.link_seconds)
        except InstanceNotFound:
            return

    def list(self) -> builtins.list[Remote]:
        return [Remote(name, state.number, state.profile_name) for name, state in self.states().items()]

    def states(self) -> dict[str, State]:
        """Of those whose id can be used in a path; one that some other client named otherwise cannot."""
        found = [(text_of(device, "id") or "", state_of(device)) for device in self._devices()]
        return {name: state for name, state in found if re.fullmatch(NAME, name)}

    def webhook(self, instance: str) -> Webhook | None:
        """Not enabled when it is signed with another key than our newest."""
        said = need_object(self._call("GET", path_to(instance, "webhook")))
        url = text_of(said, "webhook_url")
        if url is None:
            return None
        names = (text_of(said, "webhook_events") or "").split(",")
        is_signed_by_us = text_of(said, "webhook_secret") in self._sign_keys[:1]
        return Webhook(url, is_signed_by_us, frozenset(name.strip() for name in names) - {""})

    def set_webhook(self, instance: str, url: str) -> None:
        """Raises Rejected without a key of our own to sign with: it would take the word `secret`."""
        if not self._sign_keys:
            raise Rejected("there is no key of our own for GOWA to sign its webhooks with")
        body = {
            "webhook_url": url,
            "webhook_secret": self._sign_keys[0],
            "webhook_events": ",".join(sorted(self.hook_events)),
            "webhook_insecure_skip_verify": False,
        }
        try:
            self._call("PATCH", path_to(instance, "webhook"), body=body)
        except Unsupported as error:
            raise Unsupported("before GOWA 8.10.0 the webhook is set in WHATSAPP_WEBHOOK only") from error

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        body = {"phone": _jid(to), "message": text}
        said = self._call("POST", "/send/message", instance, body=body, seconds=self.send_seconds)
        return _id_of(said)

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        form = {"phone": _jid(to), "caption": caption}
        field = "file"
        if attached.kind == "image":
            field = "image"
            form["compress"] = "false"  # else it is shrunk to 600 px
        said = self._call(
            "POST",
            f"/send/{field}",
            instance,
            form=form,
            files={field: (attached.filename, attached.content, attached.mimetype)},
            seconds=self.send_media_seconds,
        )
        return _id_of(said)

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        """A lookup that failed also says no, so a no is believed only when our own number is found."""
        found = [self._is_on_whatsapp(instance, number) for number in numbers]
        if not all(found):
            own = state_of(self._device(instance)).number
            if own is None or not self._is_on_whatsapp(instance, own):
                raise NotConnected("GOWA could not look the number up")
        return [
            Checked(number, exists, _jid(_digits(number)) if exists else None)
            for number, exists in zip(numbers, found, strict=True)
        ]

    def find_sent(self, instance: str, to: str, since: datetime) -> builtins.list[SentSeen]:
        chat = _jid(to)
        # before 8.5 it did not decode a path
        path = f"/chat/{quote(chat, safe='@')}/messages"
        # its start_time compares times as texts, each in a zone of its own: to the west of UTC it hides some
        params = {"limit": "50", "is_from_me": "true"}
        said = need_object(self._call("GET", path, instance, params=params))
        seen = gowa_events.sent(instance, need_array(said.get("data") or []), chat)
        return [one for one in seen if one.at and one.at >= since]

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        algorithm, _, signature = header(headers, "X-Hub-Signature-256").partition("=")
        return algorithm == "sha256" and is_signed(body, signature, self._sign_keys, "sha256")

    def identity(self, body: bytes) -> bytes:
        return gowa_events.identity(body)

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        return gowa_events.read(body, self._instance_of)

    def _call(
        self,
        method: str,
        path: str,
        instance: str | None = None,
        *,
        seconds: float | None = None,
        **more: Any,
    ) -> Any:
        """The results, which may be missing. Without a path of its own a device is named in a header."""
        headers = {"X-Device-Id": quote(instance, safe="")} if instance is not None else None
        said = self._http.call(method, path, headers=headers, seconds=seconds or self.read_seconds, **more)
        return need_object(said).get("results")

    def _device(self, instance: str) -> dict[str, Any]:
        """The one honest answer about a device."""
        device = need_object(self._call("GET", path_to(instance)))
        self._remember(instance, device)
        return device

    def _devices(self) -> builtins.list[dict[str, Any]]:
        said = self._call("GET", "/devices") or []  # none is null
        if not isinstance(said, list):
            raise strange()
        devices = [need_object(one) for one in said]
        for device in devices:
            self._remember(text_of(device, "id"), device)
        return devices

    def _remember(self, instance: str | None, device: dict[str, Any]) -> None:
        if instance and (jid := text_of(device, "jid")):
            self._instances[jid] = instance

    def _instance_of(self, jid: str) -> str | None:
        if jid and jid not in self._instances:
            self._devices()
        return self._instances.get(jid)

    def _has_hooks(self) -> bool:
        """A route that is there knows no such device; one that is not is no JSON."""
        try:
            self._call("GET", path_to("wa-admin-asks", "webhook"))
        except InstanceNotFound:
            return True
        except Unsupported:
            return False
        return True

    def _reconnect(self, instance: str) -> State:
        self._call("POST", path_to(instance, "reconnect"), seconds=self.link_seconds)
        return State("connecting", word="connecting")

    def _drawn(self, said: dict[str, Any]) -> Code:
        """The picture behind a link, fetched at once: whoever has the link can scan."""
        # host and scheme of the link are often wrong behind a proxy, and its prefix is in our base URL
        path = "/statics/" + urlsplit(text_of(said, "qr_link") or "").path.partition("/statics/")[2]
        if not re.fullmatch(r"/statics/qrcode/[\w-]+\.png", path):
            raise BadAnswer("the answer holds no link to a code")
        try:
            answer = self._http.ask("GET", path, seconds=self.read_seconds, of_type="image/png")
        except Unsupported as error:
            raise NotConnected("the code was gone before it could be fetched") from error
        duration = said.get("qr_duration")
        if not isinstance(duration, int) or not 0 < duration <= 60:
            raise strange()
        seconds = 2 * duration  # it tells half of the code's life
        ends_at = self._now() + timedelta(seconds=seconds)
        return Code(None, None, 1, ends_at, seconds, picture.checked(answer.content or b""))

    def _with_passkey(self, instance: str, state: State) -> State:
        try:
            said = need_object(self._call("GET", "/app/passkey", instance))
        except Unsupported:
            return state
        step, code = text_of(said, "status") or "none", text_of(said, "code")
        if step == "none":
            return state
        return replace(state, status="connecting", reason="passkey_required", word=step, passkey_code=code)

    def _is_on_whatsapp(self, instance: str, number: str) -> bool:
        params = {"phone": _digits(number)}
        said = need_object(
            self._call("GET", "/user/check", instance, params=params, seconds=self.send_seconds)
        )
        if not isinstance(said.get("is_on_whatsapp"), bool):
            raise strange()
        return bool(said["is_on_whatsapp"])


def path_to(instance: str, route: str = "") -> str:
    device = quote(instance, safe="").replace(".", "%2E")
    return f"/devices/{device}/{route}".rstrip("/")


def _jid(to: str) -> str:
    """A bare number of more than 15 digits would be taken for a group."""
    return to.replace("@c.us", PERSON) if "@" in to else to + PERSON


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number_of(number) or number)


def _id_of(said: Any) -> str:
    found = text_of(need_object(said), "message_id")
    if found is None:
        raise BadAnswer("the answer names no message")
    return found
