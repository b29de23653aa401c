"""The one place where drivers speak HTTP, and where what goes wrong gets its name.

it never left          ConnectError, ConnectTimeout, PoolTimeout            Unreachable
it was refused         401, 403                                            BadKey
                       other 4xx                                           Rejected, InstanceNotFound
told to wait           429, 503 with Retry-After                           RateLimited
it may have left       ReadTimeout, WriteTimeout, 408, 504                 TimedOut
                       other transport errors, 1xx, 3xx, other 5xx,
                       a success that is not JSON or too large             BadAnswer
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from .. import clock
from . import network
from .contract import (
    Access,
    BadAnswer,
    BadKey,
    ForbiddenAddress,
    GatewayError,
    InstanceNotFound,
    NotTrusted,
    RateLimited,
    Rejected,
    TimedOut,
    TooLarge,
    Unreachable,
)
from .deadline import deadline, seconds_left
from .network import Forbidden

MAX_BODY_BYTES = 1024 * 1024
CONNECT_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0

NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,  # what we were about to send cannot be said in HTTP
)


@dataclass(frozen=True)
class Answer:
    """`body` is the JSON that came, or None; `is_json` tells a null from nothing. `content` is what came of a
    type that was asked for, None when there is too much of it."""

    status: int
    body: Any = field(repr=False)
    is_json: bool
    retry_after_seconds: float | None = None
    secret: str = field(default="", repr=False)
    mimetype: str = ""
    content: bytes | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """What it says, as one line for the operator; of a body that is not JSON nothing is repeated."""
        line = one_line(self.body, self.secret)
        return line or f"HTTP {self.status} {_phrase(self.status)}".rstrip()


class Http:
    """The connection to one gateway. Raises ValueError for a URL that cannot be a gateway's.

    `key` is the header that carries the key; `refusal` names what an answer that is no success means.
    """

    def __init__(
        self,
        access: Access,
        key: tuple[str, str] | None = None,
        *,
        refusal: Callable[[Answer], GatewayError] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = _checked(access.base_url)
        self._refusal = refusal or refused
        self._key = access.key
        self._client = httpx.Client(
            base_url=url,
            headers=_headers(key, access.extra_header),
            transport=transport or network.Transport(_tls(url, access.ca_pem), access.allow_private),
            trust_env=False,
            follow_redirects=False,
        )

    def call(self, method: str, path: str, *, seconds: float, **more: Any) -> Any:
        """The JSON of a success, at most `seconds` from now. Raises GatewayError."""
        if seconds_left() <= 0:  # an earlier call used up the time of them all
            raise TimedOut("no time was left to ask")
        answer = self.ask(method, path, seconds=seconds, **more)
        if not answer.is_json:
            raise BadAnswer("the answer is not JSON")
        return answer.body

    def ask(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        secret: str = "",
        of_type: str = "json",
        most_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """A success, at most `seconds` from now; its content where its type holds `of_type`, JSON or not.

        `files` are name, content and type by field, sent with the texts of `form` as multipart. `secret` is
        what this very call must not repeat in an error, beside the key. Raises GatewayError.
        """
        timeout = httpx.Timeout(
            connect=min(CONNECT_SECONDS, seconds),
            read=seconds,
            write=seconds,
            pool=min(CONNECT_SECONDS, seconds),
        )
        with deadline(seconds):
            request = self._client.build_request(
                method,
                path,
                json=body,
                data=form,
                files=files,
                params=params,
                headers=headers,
                timeout=timeout,
            )
            answer = self._exchange(request, secret or self._key, of_type, most_bytes)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        return answer

    def fetch(self, method: str, path: str, *, most_bytes: int, **more: Any) -> Answer:
        """A file, of any type, or JSON with one in it. Raises TooLarge, and what `ask` does."""
        answer = self.ask(method, path, of_type="", most_bytes=most_bytes, **more)
        if answer.content is None:
            raise TooLarge(f"it is larger than {most_bytes} bytes, or packed")
        return answer

    def close(self) -> None:
        self._client.close()

    def _exchange(self, request: httpx.Request, secret: str, of_type: str, most_bytes: int) -> Answer:
        try:
            response = self._client.send(request, stream=True)
            try:
                return _read(response, secret, of_type, most_bytes)
            finally:
                response.close()
        except NEVER_LEFT as error:
            raise _unreachable(error) from error
        except httpx.TimeoutException as error:
            raise TimedOut("no answer in time") from error
        except httpx.TransportError as error:
            raise BadAnswer("the connection broke before the answer was complete") from error


def refused(answer: Answer) -> GatewayError:
    """What an answer that is no success means, where the gateway has no word of its own for it."""
    status, text, wait = answer.status, answer.text, answer.retry_after_seconds
    if status in (401, 403):
        return BadKey(text)
    if status == 429 or (status == 503 and wait is not None):
        return RateLimited(text, retry_after_seconds=wait)
    if status in (408, 504):
        return TimedOut(text)
    if status == 404 and answer.is_json:  # a web server that knows no such page says nothing of a session
        return InstanceNotFound(text)
    if 400 <= status < 500:
        return Rejected(text)
    return BadAnswer(f"{text}, which is not followed" if 300 <= status < 400 else text)


def one_line(said: Any, secret: str = "") -> str:
    """The texts in an error body as one short line, numbers and anything like a key or a code left out."""
    line = " ".join("; ".join(dict.fromkeys(_texts(said))).split())
    if secret:
        line = line.replace(secret, "…")
    line = "".join(letter for letter in line if letter.isprintable())
    line = re.sub(r"[\w+/=@,.:-]{24,}", "…", line)
    line = re.sub(r"\+?\d[\d\s().-]{4,}\d", "…", line)
    return line if len(line) <= 200 else line[:199] + "…"


def _texts(said: Any, depth: int = 6) -> Iterator[str]:
    """Evolution nests its messages in arrays, in objects, or in both."""
    if isinstance(said, str) and said.strip():
        yield said.strip()[:500]
    elif isinstance(said, list) and depth:
        for one in said[:5]:
            yield from _texts(one, depth - 1)
    elif isinstance(said, dict) and depth:
        for key in ("response", "message", "output", "payload", "error"):
            yield from _texts(said.get(key), depth - 1)


def _read(response: httpx.Response, secret: str, of_type: str, most_bytes: int) -> Answer:
    mimetype = response.headers.get("content-type", "")
    wanted = any(part in mimetype for part in ("json", of_type))
    content = _content(response, most_bytes) if wanted else None
    is_json, body = _json(content) if "json" in mimetype else (False, None)
    wait = retry_after(response.headers.get("retry-after"))
    return Answer(response.status_code, body, is_json, wait, secret, mimetype, content)


def _content(response: httpx.Response, most_bytes: int) -> bytes | None:
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > most_bytes:
            return None
    return bytes(content)


def _json(content: bytes | None) -> tuple[bool, Any]:
    try:
        return content is not None, json.loads(content) if content is not None else None
    except (ValueError, RecursionError):
        return False, None


def retry_after(header: str | None) -> float | None:
    """Seconds, from seconds or from a date."""
    if not header:
        return None
    try:
        seconds = float(header) if header.isdecimal() else _seconds_until(header)
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - clock.now()).total_seconds()


def _checked(base_url: str) -> httpx.URL:
    url = whole_url(base_url)
    if url.query:
        raise ValueError("The gateway's URL must not hold a query.")
    return url


def whole_url(text: str) -> httpx.URL:
    """A URL with a host. Raises ValueError for one that no gateway can have."""
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError("The gateway's URL is not a URL.") from error
    is_named = url.host and b"%" not in url.raw_host and (url.port or 0) <= 65_535
    if url.scheme not in ("http", "https") or not is_named:
        raise ValueError("The gateway's URL must begin with http:// or https:// and name a host.")
    if url.userinfo or url.fragment:
        raise ValueError("The gateway's URL must not hold a user, a password or a fragment.")
    return url


def _headers(*more: tuple[str, str] | None) -> dict[bytes, bytes]:
    """Bytes, since a key that is not ASCII must not stop us; no compression, so that the cap holds."""
    ours = {b"Accept": b"application/json", b"Accept-Encoding": b"identity"}
    return ours | {header[0].encode(): header[1].encode() for header in more if header}


def _tls(url: httpx.URL, ca_pem: str | None) -> ssl.SSLContext | None:
    if url.scheme != "https":
        return None
    context = httpx.create_ssl_context(trust_env=False)
    if ca_pem:
        context.load_verify_locations(cadata=ca_pem)
    return context


def _unreachable(error: BaseException) -> Unreachable:
    """Why there is no connection: the innermost error knows."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    if isinstance(error, Forbidden):
        return ForbiddenAddress(str(error))
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotTrusted(f"its certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Unreachable("it does not speak TLS")
    if isinstance(error, OSError) and error.strerror:
        return Unreachable(error.strerror.lower())
    return Unreachable(one_line(str(error)) or "no connection")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
