"""The helper outside of wa-admin: its HTTP API, at WA_PANEL_URL with WA_API_KEY."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from .errors import BadAnswer, NotConfigured, PanelBusy, PanelUnreachable, Refused, refused
from .values import LinkCode, SentMessage, Session

LOCAL_PANEL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(connect=3.0, read=15.0, write=15.0, pool=5.0)
# no proxy of the environment leads there, or may see what is sent there
THIS_MACHINE = ("all://localhost", "all://127.0.0.1", "all://[::1]")
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

_shared: dict[tuple[int, str, str], OverHttp] = {}
_shared_lock = threading.Lock()


def shared() -> OverHttp:
    """One client for the process, whatever the number of threads; a forked child makes its own.

    Raises NotConfigured.
    """
    place = (os.getpid(), _panel_url(os.environ), _api_key(os.environ))
    with _shared_lock:
        if place not in _shared:
            _shared.clear()
            _shared[place] = OverHttp(place[1], place[2])
        return _shared[place]


def _panel_url(environ: Mapping[str, str]) -> str:
    url = environ.get("WA_PANEL_URL", "").strip().rstrip("/") or LOCAL_PANEL
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotConfigured(
            f"WA_PANEL_URL must be the http:// or https:// address of wa-admin, not {url!r}.",
            code="bad_panel_url",
        )
    return url


def _api_key(environ: Mapping[str, str]) -> str:
    key, path = environ.get("WA_API_KEY", "").strip(), environ.get("WA_API_KEY_FILE", "").strip()
    if not key and path:
        try:
            key = Path(path).read_text().strip()
        except OSError as error:
            raise NotConfigured(
                f"WA_API_KEY_FILE cannot be read: {error.strerror}.", code="api_key_missing"
            ) from error
    if not key:
        raise NotConfigured(
            "Set WA_API_KEY to an API key of wa-admin: Settings > API keys, or `wa-admin keys add NAME`.",
            code="api_key_missing",
        )
    if not key.isascii() or not key.isprintable():
        raise NotConfigured("WA_API_KEY is not an API key of wa-admin.", code="api_key_missing")
    return key


class OverHttp:
    """One panel and one key. `transport` is for tests at the wire."""

    def __init__(self, url: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self.client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=TIMEOUT,
            transport=transport,
            mounts=dict.fromkeys(THIS_MACHINE),
        )

    def send(
        self,
        to: str,
        message: str,
        session_name: str | None,
        *,
        key: str | None,
        wait_seconds: float,
        valid_for_seconds: float | None,
    ) -> SentMessage:
        """The same key goes with every try, so trying again after a lost answer cannot send twice."""
        key = uuid.uuid4().hex if key is None else _fit_for_a_header(key)
        body: dict[str, Any] = {"recipient": to, "message": message}
        if session_name is not None:
            body["session_id"] = session_name
        if valid_for_seconds is not None:
            body["valid_for_seconds"] = valid_for_seconds
        pauses = _Pauses(wait_seconds)
        while True:
            try:
                sent = SentMessage.read(self._post(body, key))
                break
            except (PanelUnreachable, PanelBusy) as error:
                if isinstance(error, PanelUnreachable):
                    error.key = key
                if not pauses.take():
                    raise
        return self._settled(sent, _Pauses(pauses.seconds_left))

    def sessions(self) -> list[Session]:
        return [Session.read(one) for one in self._call("GET", "/api/v1/sessions/list/")["sessions"]]

    def session(self, name: str) -> Session:
        return Session.read(self._call("GET", f"/api/v1/sessions/status/{_in_path(name)}/"))

    def look_again(self, name: str) -> Session:
        return self.session(name)

    def connect(self, name: str) -> Session:
        return Session.read(self._call("POST", f"/api/v1/sessions/connect/{_in_path(name)}/", json={}))

    def link_code(self, name: str) -> LinkCode | None:
        try:
            return LinkCode.read(self._call("GET", f"/api/v1/sessions/qr/{_in_path(name)}/"))
        except Refused as error:
            if error.code == "no_code":
                return None
            raise

    def _post(self, body: dict[str, Any], key: str) -> Any:
        # what httpx would stumble over is for the panel to refuse: half a character, not-a-number, bytes
        content = json.dumps(body, default=lambda odd: {})
        headers = {"Idempotency-Key": key.encode(), "Content-Type": "application/json"}
        return self._call("POST", "/api/v1/messages/send/", content=content, headers=headers)

    def _settled(self, sent: SentMessage, pauses: _Pauses) -> SentMessage:
        """It is accepted: from here on, trouble with asking is no error, only less news."""
        while not sent.is_settled and pauses.take():
            try:
                sent = SentMessage.read(self._call("GET", f"/api/v1/messages/{sent.id}/"))
            except (PanelUnreachable, PanelBusy):
                continue
        return sent

    def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self.client.request(method, path, **request)
        except httpx.InvalidURL as error:
            raise NotConfigured(f"WA_PANEL_URL cannot be used: {error}.", code="bad_panel_url") from error
        except httpx.TransportError as error:
            raise PanelUnreachable(
                f"wa-admin does not answer at {self.url} ({type(error).__name__}). "
                "Is it running, and is WA_PANEL_URL its address?"
            ) from error
        return self._data(response)

    def _data(self, response: httpx.Response) -> Any:
        if response.is_redirect:
            raise BadAnswer(
                f"{self.url} sends us to {response.headers.get('location', 'elsewhere')}: "
                "set WA_PANEL_URL to the address wa-admin has now.",
                code="redirected",
            )
        try:
            answer = response.json()
            if answer["success"]:
                return answer["data"]
            fault = answer["error"]
            code, sentence, field = fault["code"], fault["message"], fault.get("field")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BadAnswer(
                f"What answers at {self.url} (status {response.status_code}) is not wa-admin: "
                "check WA_PANEL_URL, and the proxy before it.",
                code="bad_answer",
            ) from error
        raise refused(response.status_code, code, sentence, field)


class _Pauses:
    """Short pauses that grow, until the time is over."""

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        self.next = FIRST_PAUSE_SECONDS

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())

    def take(self) -> bool:
        """Sleep once; False, without sleeping, when the time is over."""
        if not self.seconds_left:
            return False
        time.sleep(min(self.next, self.seconds_left))
        self.next = min(self.next * 2, LONGEST_PAUSE_SECONDS)
        return True


def _fit_for_a_header(key: str) -> str:
    if key != key.strip() or not (key.isascii() and key.isprintable()):
        sentence = "An idempotency key has 1 to 255 printable ASCII characters and no space around it."
        raise refused(400, "key_bad", sentence, "key")
    return key


def _in_path(name: str) -> str:
    """A name may hold spaces and slashes (`Totale Bot`); the empty one must still reach the right route."""
    return quote(name.strip(), safe="", errors="replace") or "-"
