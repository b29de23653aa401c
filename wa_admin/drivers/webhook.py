"""A gateway that is nothing but URLs, four or five: n8n, Make, a PHP script, a serverless function."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, urlencode
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx

from .contract import (
    Access,
    Attached,
    BadAnswer,
    Checked,
    Code,
    Created,
    Driver,
    InstanceNotFound,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    Remote,
    Seen,
    State,
    TimedOut,
    Unsupported,
    Webhook,
)
from .http import Answer, Http, whole_url
from .webhook_answers import code_of, json_of, opened, refusal, state_of, success, text_of

ACTIONS = ("create", "connect", "status", "disconnect")
NOBODY = "wa-admin-test"  # a session that no gateway has
LONGEST_NAME = 255


class FourUrls(Driver):
    """Four URLs by action, and perhaps a fifth one to send. There is no software behind the contract, so
    whatever answers is read leniently, and nothing is believed that is not said."""

    kind = "webhook"
    capabilities = frozenset({"qr"})
    hook_proof = ""
    tells_codes = False
    codes = 1
    # the deadlines of its calls
    read_seconds: ClassVar[float] = 15.0
    write_seconds: ClassVar[float] = 45.0
    # a gateway that waits for a scan but shows no code is asked again, for 30 s
    code_pause_seconds: ClassVar[float] = 3.0
    code_asks: ClassVar[int] = 11

    def __init__(
        self,
        access: Access,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raises ValueError when one of the four URLs is missing or can be no gateway's."""
        self._urls = _urls(access.urls)
        # each call names its whole URL; where one is of https, its certificate is checked with the CA
        base = max(self._urls.values(), key=lambda url: url.scheme)
        access = replace(access, base_url=str(base.copy_with(path="/", query=None)))
        self._http = Http(access, refusal=refusal, transport=transport)
        self._token_of = access.token_of
        self._pause = pause

    def close(self) -> None:
        self._http.close()

    def version(self) -> str:
        """Ask for a session that nobody has; any JSON will do, and any refusal but one of our header."""
        with suppress(InstanceNotFound, Rejected):
            json_of(self._status(NOBODY, NOBODY))
        return ""

    def create(self, instance: str) -> Created:
        """A new session with every call. Raises OutcomeUnknown when the gateway may have made it."""
        with _doubt("the gateway may have created the session"):
            try:
                said = opened(self._post("create", {"name": instance}), "instance_id", "token")
            except InstanceNotFound as error:
                raise Rejected(f"nothing answers to the URL to create: {error.detail}") from error
        name, token = text_of(said, "instance_id"), text_of(said, "token")
        if len(name) > LONGEST_NAME:
            raise BadAnswer("instance_id is too long")
        return Created(name, token)

    def connect(self, instance: str) -> Code | State:
        """The QR code; a slow gateway is asked again. Raises NotConnected when none came in time."""
        for turn in range(self.code_asks):
            if turn:
                self._pause(self.code_pause_seconds)
            said = opened(self._post("connect", self._naming(instance)), "qr_code_base64", "status")
            if code := code_of(said):
                return code
            if "status" in said and (state := state_of(said)).status != "qr_pending":
                return state
        raise NotConnected("the gateway gave no QR code in time")

    def code(self, instance: str) -> State:
        """Only the state: a new code takes a new `connect`."""
        return self.state(instance)

    def state(self, instance: str) -> State:
        return state_of(opened(self._status(instance, self._token_of(instance)), "status"))

    def logout(self, instance: str) -> None:
        """Disconnect; whether the phone still lists the device is the gateway's affair."""
        with suppress(InstanceNotFound):
            answer = self._post("disconnect", self._naming(instance), seconds=self.read_seconds)
            if answer.content != b"":
                success(answer)

    def delete(self, instance: str) -> None:
        """Disconnect, as there is no URL to delete: the session may live on at the gateway."""
        self.logout(instance)

    def send_text(self, instance: str, to: str, text: str, reference: str) -> str:
        """The gateway's message id, or ours when it gives none. Raises Unsupported without a URL to send,
        OutcomeUnknown when the message may have left: nothing says that the gateway drops repeats."""
        if "send" not in self._urls:
            raise Unsupported("this gateway has no URL to send")
        ours = str(uuid5(NAMESPACE_URL, f"urn:wa-admin:{reference}"))
        body = {**self._naming(instance), "to": to, "message": text, "client_message_id": ours}
        with _doubt("the gateway may have sent the message"):
            said = success(self._post("send", body, request_id=ours))
        return text_of(said, "message_id") if said.get("message_id") else ours

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        return False  # nobody was asked to report anything

    def identity(self, body: bytes) -> bytes:
        raise BadAnswer("a gateway of URLs sends no webhooks")

    def read_events(self, body: bytes) -> builtins.list[Seen]:
        raise BadAnswer("a gateway of URLs sends no webhooks")

    # --- what there is no URL for ---

    def pair(self, instance: str, phone: str) -> Code:
        raise Unsupported("this gateway links by QR code only")

    def stop(self, instance: str) -> None:
        raise Unsupported("nobody says whether this gateway keeps the login when it disconnects")

    def restart(self, instance: str) -> None:
        raise Unsupported("this gateway cannot restart a session; connect it again")

    def list(self) -> builtins.list[Remote]:
        raise Unsupported("this gateway does not list its sessions")

    def webhook(self, instance: str) -> Webhook | None:
        raise Unsupported("this gateway reports nothing, it has to be asked")

    def set_webhook(self, instance: str, url: str) -> None:
        raise Unsupported("this gateway reports nothing, it has to be asked")

    def send_media(self, instance: str, to: str, caption: str, attached: Attached, reference: str) -> str:
        raise Unsupported("this gateway sends text only")

    def check_numbers(self, instance: str, numbers: builtins.list[str]) -> builtins.list[Checked]:
        raise Unsupported("this gateway looks no numbers up")

    # --- its calls ---

    def _naming(self, instance: str) -> dict[str, str]:
        return {"instance_id": instance, "token": self._token_of(instance)}

    def _post(
        self, action: str, body: Mapping[str, str], *, seconds: float | None = None, request_id: str = ""
    ) -> Answer:
        return self._http.ask(
            "POST",
            str(self._urls[action]),
            seconds=seconds or self.write_seconds,
            body=body,
            headers={"X-Request-Id": request_id or str(uuid4())},
            secret=body.get("token", ""),
            of_type="",
        )

    def _status(self, instance: str, token: str) -> Answer:
        """The token travels in the query, as the contract has it, so this URL is a secret."""
        url = self._urls["status"]
        more = urlencode({"instance_id": instance, "token": token}, quote_via=quote)
        query = f"{url.query.decode()}&{more}" if url.query else more
        whole = str(url.copy_with(query=query.encode()))
        return self._http.ask("GET", whole, seconds=self.read_seconds, secret=token, of_type="")


@contextmanager
def _doubt(sentence: str) -> Iterator[None]:
    try:
        yield
    except TimedOut as error:
        raise OutcomeUnknown(sentence) from error


def _urls(given: Mapping[str, str]) -> dict[str, httpx.URL]:
    """By action; a URL may hold a query, as those of workflows do."""
    if missing := [action for action in ACTIONS if not given.get(action, "").strip()]:
        raise ValueError(f"The gateway needs a URL for: {', '.join(missing)}.")
    return {
        action: whole_url(given[action]) for action in (*ACTIONS, "send") if given.get(action, "").strip()
    }
