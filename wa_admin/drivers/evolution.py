"""Evolution API 2.x; its "instance" is our session."""

from __future__ import annotations

import builtins
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from .. import clock
from . import evolution_events
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
    ReceiptSeen,
    Rejected,
    Remote,
    Seen,
    SentSeen,
    State,
    Unsupported,
    Webhook,
)
from .evolution_events import PERSON, number_of, state_of
from .evolution_refusals import NameTaken, refusal
from .http import Http
from .shapes import need_array, need_object, object_of, text_of
from .signatures import bears_token, header, token_of

CODE_LIFE_SECONDS = 45


class Evolution(Driver):
    """Evolution API; its quirks are those of its contract, section 11."""

    kind = "evolution"
    capabilities = frozenset(CAPABILITIES) - {"ids_in_advance", "passkey"}
    # of its .env.example, its documentation and its first versions
    weak_keys: ClassVar[frozenset[str]] = frozenset(
        {"429683C4C977415CAAFCCE10F7D57E11", "B6D711FCDE4D4FD5936544120E713976", "mude-me", "change-me"}
    )
    # without REMOVE_INSTANCE and LOGOUT_INSTANCE: while such a webhook fails, Evolution deletes nothing
    hook_events = frozenset(
        {
            "QRCODE_UPDATED",
            "CONNECTION_UPDATE",
            "STATUS_INSTANCE",
            "INSTANCE_DELETE",
            "MESSAGES_UPSERT",
            "MESSAGES_UPDATE",
            "SEND_MESSAGE",
        }
    )
    hook_proof = "token"
    # ten attempts of up to 30 s each, up to 300 s and 20 % between two (webhook.controller.ts of 2.3.6)
    hook_retries_seconds = 1800.0
    # the deadlines of its calls
    read_seconds: ClassVar[float] = 10.0
    connect_seconds: ClassVar[float] = 15.0  # 2 s by themselves, up to 10 s with a pairing code
    create_seconds: ClassVar[float] = 20.0  # with a code it waits 5 s and more
    send_seconds: ClassVar[float] = 35.0
    send_media_seconds: ClassVar[float] = 60.0
    download_seconds: ClassVar[float] = 60.0
    # after its start it answers 404 for instances that it has: only the second 404 is believed
    settling_seconds: ClassVar[float] = 2.0
    # its date_time is local time with a Z
    has_true_clock: ClassVar[bool] = False
    keeps_receipts = True

    def __init__(
        self,
        access: Access,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._http = Http(access, ("apikey", access.key), refusal=refusal, transport=transport)
        self._sign_keys = access.sign_keys
        self._pause = pause
        self._now = now
        self._version = ""
        self._first_seen: dict[str, tuple[bytes, datetime]] = {}

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """Reach it and check the key; its version, empty when only that cannot be had."""
        try:
            self._call("POST", "/verify-creds", seconds=self.read_seconds)
        except GatewayError:
            self._version = ""  # it may come back as another one
            raise
        if not self._version:
            try:
                root = need_object(self._call("GET", "/", seconds=self.read_seconds))
                self._version = str(root.get("version") or "")
            except GatewayError:
                return ""  # it asks the internet before it answers this, and may wait in vain
        return self._version

    def create(self, instance: str) -> None:
        try:
            self._create(instance)
        except NameTaken:
            self.state(instance)  # it is ours to use, unless it is just being deleted or the key is wrong

    def connect(self, instance: str) -> Code | State:
        found = self._linking(instance, self._connect(instance))
        if isinstance(found, Code) and self._has_login(instance):
            # on its way back online it still answers with the code that was scanned
            return State("connecting", word="connecting")
        return found

    def pair(self, instance: str, phone: str) -> Code:
        if self.state(instance).status == "connecting":
            return self._pair_anew(instance, phone)
        return self._paired(instance, self._connect(instance, number=phone))

    def state(self, instance: str) -> State:
        said = need_object(
            self._call("GET", path_to("instance/connectionState", instance), seconds=self.read_seconds)
        )
        return self._state(need_object(said.get("instance")))

    def stop(self, instance: str) -> None:
        raise Unsupported("Evolution goes offline only by unlinking")

    def restart(self, instance: str) -> None:
        try:
            self._call("POST", path_to("instance/restart", instance), seconds=self.connect_seconds)
        except Rejected:
            self._connect(instance)  # it restarts only what is not closed

    def logout(self, instance: str) -> None:
        """Unlink from the phone; one that is not linked is fine. The session is made anew, since the old one
        would report no incoming message any more. Raises NotConnected when WhatsApp is out of reach, as only
        WhatsApp can unlink."""
        try:
            said = self._call("DELETE", path_to("instance/logout", instance), seconds=self.read_seconds)
            if "already disconnected" in str(need_object(said).get("response")):  # as of 2.4
                raise NotConnected("already disconnected")
        except NotConnected:
            if self._has_login(instance):
                raise
        self._make_anew(instance)  # in any case: an earlier attempt may have ended right here

    def delete(self, instance: str) -> None:
        """Remove session and login; one that is not there is fine. Raises BadAnswer when it stays."""
        try:
            self._silence(instance)
            self._call("DELETE", path_to("instance/delete", instance), seconds=self.read_seconds)
        except InstanceNotFound:
            return
        self._first_seen.pop(instance, None)
        if not any(self._is_gone(instance) for _ in self._paced(10, 0.5)):
            raise BadAnswer("the gateway said that the session is deleted, but it is still there")

    def list(self) -> builtins.list[Remote]:
        rows = need_array(self._call("GET", "/instance/fetchInstances", seconds=self.read_seconds))
        return [
            Remote(name, number_of(row.get("ownerJid")), text_of(row, "profileName"))
            for row in map(need_object, rows)
            if (name := text_of(row, "name"))
        ]

    def webhook(self, instance: str) -> Webhook | None:
        """Not enabled when it bears no token, or one by another key than our newest."""
        hook = self._found_webhook(instance)
        if hook is None:
            return None
        events = frozenset(filter(lambda event: isinstance(event, str), need_array(hook.get("events") or [])))
        is_enabled = hook.get("enabled") is True and self._bears_our_token(instance, hook)
        return Webhook(text_of(hook, "url") or "", is_enabled, events)

    def set_webhook(self, instance: str, url: str) -> None:
        """Raises Rejected without a key to make a token from, and where it keeps no headers."""
        wanted = self._wanted_webhook(instance, url)
        stored = need_object(self._set_webhook(instance, enabled=True, **wanted))
        if not self._bears_our_token(instance, stored):
            raise Rejected("before Evolution 2.1.1 webhooks have no headers, and so bear no token")

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        body = {"number": to, "text": text, "linkPreview": False}
        return self._send("message/sendText", instance, body, reference, self.send_seconds)

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        body = {
            "number": to,
            "mediatype": attached.kind,
            "media": b64encode(attached.content).decode(),
            "mimetype": attached.mimetype,
            "fileName": attached.filename,
        }
        if caption:
            body["caption"] = caption
        return self._send("message/sendMedia", instance, body, reference, self.send_media_seconds)

    def download(self, instance: str, source: Mapping[str, str], most_bytes: int) -> Downloaded:
        body = {"message": {"key": {"id": source.get("id", "")}}, "convertToMp4": False}
        path = path_to("chat/getBase64FromMediaMessage", instance)
        answer = self._http.fetch(
            "POST", path, body=body, seconds=self.download_seconds, most_bytes=most_bytes * 4 // 3 + 65_536
        )
        said = need_object(answer.body)
        try:
            content = b64decode(said.get("base64") or "", validate=True)
        except (ValueError, TypeError) as error:
            raise BadAnswer("the file is not base64") from error
        if not content:
            raise BadAnswer("the answer holds no file")
        return Downloaded(content, text_of(said, "fileName"))

    def group_name(self, instance: str, jid: str) -> str:
        path, params = path_to("group/findGroupInfos", instance), {"groupJid": jid}
        said = need_object(self._call("GET", path, params=params, seconds=self.read_seconds))
        return text_of(said, "subject") or ""

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        path = path_to("chat/whatsappNumbers", instance)
        rows = need_array(self._call("POST", path, body={"numbers": numbers}, seconds=self.send_seconds))
        found = {text_of(row, "number"): row for row in map(need_object, rows)}
        if missing := [number for number in numbers if number not in found]:
            raise BadAnswer(f"no answer for {len(missing)} of {len(numbers)} numbers")
        return [
            Checked(number, found[number].get("exists") is True, text_of(found[number], "jid"))
            for number in numbers  # the gateway answers in an order of its own
        ]

    def find_sent(self, instance: str, to: str, since: datetime) -> builtins.list[SentSeen]:
        key = {"remoteJid": to if "@" in to else to + PERSON, "fromMe": True}
        body = {"where": {"key": key}, "page": 1, "offset": 50}  # which is the size of the page
        said = need_object(
            self._call("POST", path_to("chat/findMessages", instance), body=body, seconds=self.read_seconds)
        )
        rows = need_array(need_object(said.get("messages")).get("records"))
        seen = evolution_events.sent(instance, rows)
        return [one for one in seen if one.at and one.at >= since]

    def receipts_of(self, instance: str, provider_id: str) -> builtins.list[ReceiptSeen]:
        path, body = path_to("chat/findStatusMessage", instance), {"where": {"id": provider_id}}
        rows = need_array(self._call("POST", path, body=body, seconds=self.read_seconds))
        seen = evolution_events.receipts(instance, rows)
        return [one for one in seen if one.provider_id == provider_id]

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            instance = evolution_events.instance_of(body)
        except BadAnswer:
            return False
        return bears_token(instance, header(headers, "Authorization"), self._sign_keys)

    def identity(self, body: bytes) -> bytes:
        return evolution_events.identity(body)

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        return evolution_events.read(body, self._code, believe_clock=self.has_true_clock)

    def _call(self, method: str, path: str, *, seconds: float, **more: Any) -> Any:
        began = time.monotonic()
        try:
            return self._once(method, path, seconds=seconds, **more)
        except InstanceNotFound:
            if not self.settling_seconds:
                raise
        self._pause(self.settling_seconds)
        return self._once(method, path, seconds=seconds - (time.monotonic() - began), **more)

    def _once(self, method: str, path: str, *, seconds: float, **more: Any) -> Any:
        said = self._http.call(method, path, seconds=seconds, **more)
        if isinstance(said, dict) and said.get("error") is True:  # in spite of its HTTP 200
            raise Rejected("the gateway could not do it")
        return said

    def _create(self, instance: str, **more: Any) -> dict[str, Any]:
        if not instance or instance != instance.strip():
            raise Rejected("a session id neither is empty nor begins or ends with a space")
        body = {"instanceName": instance, "integration": "WHATSAPP-BAILEYS", "qrcode": False, **more}
        return need_object(self._call("POST", "/instance/create", body=body, seconds=self.create_seconds))

    def _connect(self, instance: str, **params: str) -> dict[str, Any]:
        path = path_to("instance/connect", instance)
        return need_object(self._call("GET", path, params=params or None, seconds=self.connect_seconds))

    def _linking(self, instance: str, said: dict[str, Any]) -> Code | State:
        if "instance" in said:
            return self._state(need_object(said["instance"]))
        # without a code it is still on its way to WhatsApp
        return self._code(instance, said) or State("connecting", word="connecting")

    def _paired(self, instance: str, said: dict[str, Any]) -> Code:
        """The pairing code follows the first QR code after a second or so."""
        for _ in self._paced(5, 1.0):
            answer = self._linking(instance, said)
            if isinstance(answer, State) and answer.status == "connected":
                raise Rejected("the session is linked already")
            if isinstance(answer, Code) and answer.pairing_code:
                return answer
            said = self._connect(instance)
        raise NotConnected("WhatsApp gave no pairing code in time")

    def _pair_anew(self, instance: str, phone: str) -> Code:
        """While it shows QR codes Evolution ignores a number, so the session is made again with it."""
        if self._has_login(instance):
            raise NotConnected("the session is linked and on its way back")
        said = self._make_anew(instance, qrcode=True, number=phone)
        return self._paired(instance, need_object(said.get("qrcode") or {}))

    def _make_anew(self, instance: str, **more: Any) -> dict[str, Any]:
        """With the webhook that it had."""
        hook = self._found_webhook(instance)
        if hook and hook.get("enabled") is True:
            more["webhook"] = self._wanted_webhook(instance, text_of(hook, "url") or "")
        self.delete(instance)
        return self._create(instance, **more)

    def _has_login(self, instance: str) -> bool:
        """Evolution's column tells nothing of the connection: login sets open, a QR code connecting, logout
        close."""
        params = {"instanceName": instance}
        rows = need_array(
            self._call("GET", "/instance/fetchInstances", params=params, seconds=self.read_seconds)
        )
        return any(need_object(row).get("connectionStatus") == "open" for row in rows)

    def _silence(self, instance: str) -> None:
        """A webhook that fails would hold up the removal, for twenty minutes and more."""
        hook = self._found_webhook(instance)
        if hook and hook.get("enabled") is True:
            self._set_webhook(instance, enabled=False, url=text_of(hook, "url"))

    def _is_gone(self, instance: str) -> bool:
        try:
            self._once("GET", path_to("instance/connectionState", instance), seconds=self.read_seconds)
        except InstanceNotFound:
            return True
        return False

    def _paced(self, times: int, seconds: float) -> Iterator[None]:
        for turn in range(times):
            if turn:
                self._pause(seconds)
            yield

    def _found_webhook(self, instance: str) -> dict[str, Any] | None:
        said = self._call("GET", path_to("webhook/find", instance), seconds=self.read_seconds)
        return None if said is None else need_object(said)

    def _set_webhook(self, instance: str, **hook: Any) -> Any:
        path = path_to("webhook/set", instance)
        return self._call("POST", path, body={"webhook": hook}, seconds=self.read_seconds)

    def _wanted_webhook(self, instance: str, url: str) -> dict[str, Any]:
        """Headers of somebody else are gone with that; media would make events larger than we take."""
        if not self._sign_keys:
            raise Rejected("there is no key of our own to make the token of its webhooks from")
        headers = {"Authorization": token_of(instance, self._sign_keys[0])}
        events = sorted(self.hook_events)
        return {"url": url, "headers": headers, "byEvents": False, "base64": False, "events": events}

    def _bears_our_token(self, instance: str, hook: dict[str, Any]) -> bool:
        """With a `jwt_key` Evolution would put a token of its own in place of ours."""
        headers = object_of(hook.get("headers"))
        ours = [token_of(instance, key) for key in self._sign_keys[:1]]
        return header(headers, "Authorization") in ours and "jwt_key" not in headers

    def _send(self, route: str, instance: str, body: Any, reference: str, seconds: float) -> str:
        headers = self._naming(reference)
        said = need_object(
            self._call("POST", path_to(route, instance), body=body, headers=headers, seconds=seconds)
        )
        provider_id = text_of(need_object(said.get("key")), "id")
        if provider_id is None:
            raise BadAnswer("the answer names no message")
        return provider_id

    def _naming(self, reference: str) -> dict[str, str] | None:
        """Headers that make a send repeatable; Evolution knows none."""
        return None

    def _state(self, said: dict[str, Any]) -> State:
        return state_of(said)

    def _code(self, instance: str, said: dict[str, Any]) -> Code | None:
        """A code of a `connect` answer or a webhook, or None when there is none in it."""
        qr, pairing_code = said.get("code") or None, said.get("pairingCode") or None
        if not isinstance(qr, str | None) or not isinstance(pairing_code, str | None):
            raise BadAnswer("the code is not a text")
        if not (qr or pairing_code):
            return None
        count = said.get("count")
        sequence = count if isinstance(count, int) and count > 0 else None
        expires_at, lifetime_seconds = self._life(instance, f"{qr} {pairing_code}", said)
        return Code(qr, pairing_code, sequence, expires_at, lifetime_seconds)

    def _life(self, instance: str, code: str, said: dict[str, Any]) -> tuple[datetime | None, int | None]:
        """Evolution does not say how old a code is, so its 45 s count from our first sight of it."""
        digest, now = sha256(code.encode()).digest(), self._now()
        known, seen_at = self._first_seen.setdefault(instance, (digest, now))
        if known != digest:
            self._first_seen[instance] = digest, (seen_at := now)
        return seen_at + timedelta(seconds=CODE_LIFE_SECONDS), CODE_LIFE_SECONDS


def path_to(route: str, instance: str) -> str:
    """A name is any text, so it is one encoded segment; httpx would take `..` for a step up."""
    return f"/{route}/{quote(instance, safe='').replace('.', '%2E')}"
