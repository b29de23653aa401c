"""Posts to addresses that customers gave: only where it may go, never on to elsewhere, never for long."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import httpx

from . import network
from .addresses import Network
from .deadline import deadline
from .http import retry_after

DEADLINE_SECONDS = 15.0
MOST_OF_AN_ANSWER = 64 * 1024  # read only to use the connection again; nobody looks at it
READ_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Reply:
    """`status` of the answer, or `error`: not_allowed, no_connection, not_trusted, timeout, broken or
    internal (a fault of ours)."""

    status: int | None = None
    retry_after_seconds: float | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Outbound:
    """One pool of connections; public addresses only, and those of the networks that are `allowed`."""

    def __init__(
        self,
        allowed: tuple[Network, ...] = (),
        *,
        seconds: float = DEADLINE_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        tls = tls or httpx.create_ssl_context(trust_env=False)
        # without httpx's client, which would log the URL: it may hold a secret
        self._transport = network.Transport(tls, allow_private=False, allowed=allowed)
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"wa-admin/{version('wa-admin')}",
        }

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """What came back before the deadline."""
        try:
            with deadline(self._seconds):
                request = httpx.Request(
                    "POST",
                    url,
                    headers={**self._headers, **headers},
                    content=body,
                    extensions={"timeout": httpx.Timeout(self._seconds).as_dict()},
                )
                response = self._transport.handle_request(request)
                try:
                    _read_on(response)
                finally:
                    response.close()
        except httpx.TransportError as error:
            return Reply(error=_word(error))
        return Reply(response.status_code, retry_after(response.headers.get("retry-after")))

    def close(self) -> None:
        self._transport.close()


def _read_on(response: httpx.Response) -> None:
    """To the end if it is near. The answer is known already: what breaks here only costs the connection."""
    taken = 0
    try:
        with deadline(READ_ANSWER_SECONDS):
            for part in response.iter_raw():
                taken += len(part)
                if taken > MOST_OF_AN_ANSWER:
                    return
    except httpx.TransportError:
        return


def _word(error: httpx.TransportError) -> str:
    causes = _causes(error)
    if any(isinstance(cause, network.Forbidden) for cause in causes):
        return "not_allowed"
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "not_trusted"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "no_connection"
    return "timeout" if isinstance(error, httpx.TimeoutException) else "broken"


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found
