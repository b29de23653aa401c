"""Sockets for drivers: no wait outlasts the deadline of its call, and only checked addresses are dialled.

httpx's timeouts are per read: a gateway that drips its answer byte by byte holds a call for ever. Here
every wait on a socket (lookup, connect, TLS, each write, each read) gets what is left until the deadline.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from .addresses import Network, is_forbidden, look_up
from .deadline import seconds_left

# Node, which Evolution runs on, hangs up an idle connection after 5 s. A send that meets the hang-up may
# have left or not, so we let go first.
IDLE_SECONDS = 2.0
MOST_CONNECTIONS = 50


class Transport(httpx.BaseTransport):
    """httpx's own transport, made of public parts of httpcore, on our sockets."""

    def __init__(
        self, tls: ssl.SSLContext | None, allow_private: bool, allowed: tuple[Network, ...] = ()
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=Dialler(allow_private, allowed),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _in_httpx_words():
            answer = self._pool.handle_request(asked)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _in_httpx_words():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


@contextmanager
def _in_httpx_words() -> Iterator[None]:
    """Both libraries name their errors alike."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        name = next(one.__name__ for one in type(error).__mro__ if hasattr(httpx, one.__name__))
        raise getattr(httpx, name)(str(error)) from error
    except httpcore.UnsupportedProtocol as error:
        raise httpx.UnsupportedProtocol(str(error)) from error


class Forbidden(httpcore.ConnectError):
    """No request goes there."""


class Dialler(httpcore.NetworkBackend):
    """Looks a name up once, checks every address it has, and connects to one of those."""

    def __init__(self, allow_private: bool, allowed: tuple[Network, ...] = ()) -> None:
        self._allow_private, self._allowed = allow_private, allowed
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = look_up(host, port, _left(timeout, httpcore.ConnectTimeout))
        if any(is_forbidden(address, self._allow_private, self._allowed) for address in addresses):
            raise Forbidden("the address of the gateway is not allowed")
        failure: Exception = httpcore.ConnectError("no such host")
        for address in addresses:
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._plain.connect_tcp(address, port, left, local_address, socket_options))
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline of the call that uses it just then."""

    def __init__(self, plain: httpcore.NetworkStream) -> None:
        self._plain = plain

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # httpcore waits the whole timeout for each part that the other side takes
        connection, rest = self._plain.get_extra_info("socket"), memoryview(buffer)
        while rest:
            connection.settimeout(_left(timeout, httpcore.WriteTimeout))
            try:
                rest = rest[connection.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)

    def close(self) -> None:
        self._plain.close()


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
    left = min(seconds_left(), math.inf if timeout is None else timeout)
    if left <= 0:
        raise late("the deadline has passed")
    return left
