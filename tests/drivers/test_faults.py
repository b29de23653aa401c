"""Everything a network and a gateway can do wrong, done by a real server; each has its cell in the table.

No call outlives its deadline by more than half a second, whatever drips.
"""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wa_admin.drivers import DRIVERS
from wa_admin.drivers.contract import (
    Access,
    Attached,
    BadAnswer,
    BadKey,
    Driver,
    GatewayError,
    NotTrusted,
    RateLimited,
    Rejected,
    TimedOut,
    Unreachable,
)

HASTY_SECONDS, PATIENT_SECONDS = 0.4, 20.0
LARGE_SECONDS = 1.5  # encoding takes its part
GRACE_SECONDS = 8.0  # of a busy machine; who is silent or drips does so for longer
LARGE_BYTES = 4 * 2**20  # more than sockets hold for a reader that does not read
JSON = "Content-Type: application/json"
SENT = '{"key":{"id":"3EB0A"}}'
OPEN = '{"instance":{"state":"open"}}'

Behaviour = Callable[["Gateway", socket.socket], None]


class Gateway:
    """A server that reads a request and then behaves as it was told."""

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None, reads: bool = True) -> None:
        self._behave, self._tls, self._reads = behave, tls, reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self.over = threading.Event()
        self.connections = self.requests = 0
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with suppress(OSError):  # hung up already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(5)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            while not self._reads or read_request(connection):
                self.requests += 1
                self._behave(self, connection)
                if not self._reads:
                    break
        except OSError:
            pass  # the other side had enough
        finally:
            self._open.discard(connection)
            connection.close()


def read_request(connection: socket.socket) -> bool:
    """Read one request to its end; False when there is none."""
    said = b""
    while b"\r\n\r\n" not in said:
        if not (more := connection.recv(65_536)):
            return False
        said += more
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return True


def says(status: str, *headers: str, body: str = "{}") -> Behaviour:
    head = "\r\n".join([f"HTTP/1.1 {status}", *(headers or [JSON]), f"Content-Length: {len(body.encode())}"])
    return lambda gateway, connection: connection.sendall(f"{head}\r\n\r\n{body}".encode())


def raw(said: bytes, then: Behaviour | None = None) -> Behaviour:
    """Say these bytes, then do something or hang up."""

    def behave(gateway: Gateway, connection: socket.socket) -> None:
        connection.sendall(said)
        (then or hang_up)(gateway, connection)

    return behave


def hang_up(gateway: Gateway, connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def reset(gateway: Gateway, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def keep_silent(gateway: Gateway, connection: socket.socket) -> None:
    gateway.over.wait(60)


def drip(what: bytes, first: bytes = b"", every_seconds: float = 0.05) -> Behaviour:
    """Say it byte by byte, again and again: no single read is slow."""

    def behave(gateway: Gateway, connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            for position in range(len(what)):
                if gateway.over.wait(every_seconds):
                    return
                connection.sendall(what[position : position + 1])

    return behave


def flood(what: bytes, first: bytes) -> Behaviour:
    def behave(gateway: Gateway, connection: socket.socket) -> None:
        connection.sendall(first)
        while not gateway.over.is_set():
            connection.sendall(what)

    return behave


def ok(length: int | str) -> bytes:
    return f"HTTP/1.1 201 Created\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n".encode()


CHUNKED = f"HTTP/1.1 201 Created\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
FAULTS: dict[str, tuple[Behaviour, type[GatewayError]]] = {
    "500": (says("500 Internal Server Error", body='{"response":{"message":"no"}}'), BadAnswer),
    "502 of a proxy": (says("502 Bad Gateway", "Content-Type: text/html", body="<h1>502</h1>"), BadAnswer),
    "503": (says("503 Service Unavailable"), BadAnswer),
    "503 with Retry-After": (says("503 Service Unavailable", JSON, "Retry-After: 7"), RateLimited),
    "429": (says("429 Too Many Requests", JSON, "Retry-After: 7"), RateLimited),
    "400": (says("400 Bad Request", body='{"response":{"message":["Text is required"]}}'), Rejected),
    "401": (says("401 Unauthorized", body='{"response":{"message":"Unauthorized"}}'), BadKey),
    "403": (says("403 Forbidden"), BadKey),
    "404 of a web server": (says("404 Not Found", "Content-Type: text/html", body="<h1>404</h1>"), Rejected),
    "409": (says("409 Conflict"), Rejected),
    "413": (says("413 Content Too Large"), Rejected),
    "422": (says("422 Unprocessable Content"), Rejected),
    "redirect": (says("301 Moved Permanently", "Location: http://127.0.0.1:1/x", JSON), BadAnswer),
    "redirect that keeps the method": (says("307 Temporary Redirect", "Location: /x", JSON), BadAnswer),
    "silence": (keep_silent, TimedOut),
    "hung up": (hang_up, BadAnswer),
    "reset before the answer": (reset, BadAnswer),
    "reset before the body": (raw(ok(500), reset), BadAnswer),
    "reset after half the body": (raw(ok(500) + b'{"key":{"id":', reset), BadAnswer),
    "half a body, hung up": (raw(ok(500) + b'{"key":{"id":'), BadAnswer),
    "half a body, silence": (raw(ok(500) + b'{"key":{"id":', keep_silent), TimedOut),
    "garbage": (raw(b"\x16\x03\x01 not HTTP at all\r\n\r\n"), BadAnswer),
    "garbage as JSON": (says("201 Created", body="{'key': "), BadAnswer),
    "null": (says("200 OK", body="null"), BadAnswer),
    "no message id": (says("201 Created", body='{"key":{}}'), BadAnswer),
    "HTML with 200": (says("200 OK", "Content-Type: text/html", body="<html>Welcome</html>"), BadAnswer),
    "nothing with 200": (says("200 OK", body=""), BadAnswer),
    "10 MiB": (raw(ok(10 * 2**20) + b"[" + b" " * 10 * 2**20), BadAnswer),
    "an endless body": (flood(b"10000\r\n" + b" " * 65_536 + b"\r\n", CHUNKED), BadAnswer),
    "an endless header": (flood(b"a" * 65_536, b"HTTP/1.1 200 OK\r\nX-A: "), BadAnswer),
    "endless answers before the answer": (
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", every_seconds=0.002),
        TimedOut,
    ),
    "a compressed body": (
        lambda gateway, connection: connection.sendall(
            f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n".encode()
            + gzip.compress(b"{}" * 9)[:9]
        ),
        BadAnswer,
    ),
    "a header that drips": (drip(b"X-Slow: yes\r\n", b"HTTP/1.1 201 Created\r\n"), TimedOut),
    "a first line that drips": (drip(b"HTTP/1.1 201 Created and so on "), TimedOut),
    "a body that drips": (drip(b" ", ok(500)), TimedOut),
    "a chunked body that drips": (drip(b"1\r\n \r\n", CHUNKED), TimedOut),
}


@pytest.fixture(params=["bundled", "evolution"])
def drive(request) -> Iterator[Callable[..., Driver]]:
    """A driver whose calls all have the same deadline."""
    made: list[Driver] = []

    def make(url: str, seconds: float = PATIENT_SECONDS, **access: Any) -> Driver:
        deadlines = dict.fromkeys(("read_seconds", "send_seconds", "send_media_seconds"), seconds)
        kind = type("Timed", (DRIVERS[request.param],), deadlines)
        made.append(kind(Access(url, "key", **access), pause=lambda seconds: None))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def gateway() -> Iterator[Callable[..., Gateway]]:
    running: list[Gateway] = []

    def start(*args: Any, **more: Any) -> Gateway:
        running.append(Gateway(*args, **more))
        return running[-1]

    yield start
    for one in running:
        one.close()


def failure(driver: Driver, act: Callable[[Driver], Any]) -> GatewayError:
    """The error of a call, which must not outlive its deadline."""
    began = time.monotonic()
    with pytest.raises(GatewayError) as caught:
        act(driver)
    assert time.monotonic() - began <= driver.send_seconds + GRACE_SECONDS
    return caught.value


def send(driver: Driver) -> str:
    return driver.send_text("main", "4915100000003", "Hello", "ref-1")


def send_large(driver: Driver) -> str:
    file = Attached("document", b"x" * LARGE_BYTES, "application/pdf", "big.pdf")
    return driver.send_media("main", "4915100000003", "", file, "ref-1")


def ask_state(driver: Driver) -> str | None:
    return driver.state("main").status


def seconds_for(error: type[GatewayError]) -> float:
    """What ends at its deadline is given little; the rest must not be hurried by a busy machine."""
    return HASTY_SECONDS if error is TimedOut else PATIENT_SECONDS


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_lands_in_its_cell(drive, gateway, fault):
    behave, error = FAULTS[fault]
    caught = failure(drive(gateway(behave).url, seconds_for(error)), send)
    assert type(caught) is error
    assert caught.may_have_left == (error in (BadAnswer, TimedOut))


@pytest.mark.parametrize(
    "fault",
    ["500", "429", "401", "redirect", "silence", "reset before the body", "null", "a body that drips"],
)
def test_reading_a_state_fails_alike(drive, gateway, fault):
    behave, error = FAULTS[fault]
    assert type(failure(drive(gateway(behave).url, seconds_for(error)), ask_state)) is error


@pytest.mark.parametrize("fault", ["503 with Retry-After", "429"])
def test_the_time_to_wait_is_told(drive, gateway, fault):
    assert failure(drive(gateway(FAULTS[fault][0]).url), send).retry_after_seconds == 7


def test_a_redirect_is_not_followed(drive, gateway):
    elsewhere = gateway(says("201 Created", body=SENT))
    here = gateway(says("307 Temporary Redirect", f"Location: {elsewhere.url}/x", JSON))
    failure(drive(here.url), send)
    assert (here.requests, elsewhere.connections) == (1, 0)


def test_nobody_listens(drive):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    caught = failure(drive(url), send)
    assert type(caught) is Unreachable
    assert caught.detail == "connection refused"
    assert not caught.may_have_left


def test_a_full_queue_of_connections_is_unreachable(drive):
    with socket.socket() as listener, ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        caught = failure(drive(f"http://127.0.0.1:{listener.getsockname()[1]}", HASTY_SECONDS), send)
    assert type(caught) is Unreachable


def test_a_request_that_is_not_taken_ends_at_the_deadline(drive, gateway):
    server = gateway(keep_silent, reads=False)
    assert type(failure(drive(server.url, LARGE_SECONDS), send_large)) is TimedOut


def test_a_request_that_is_taken_in_drops_ends_at_the_deadline(drive, gateway):
    def sip(gateway: Gateway, connection: socket.socket) -> None:
        while connection.recv(20_000) and not gateway.over.wait(0.02):
            pass

    server = gateway(sip, reads=False)
    assert type(failure(drive(server.url, LARGE_SECONDS), send_large)) is TimedOut


def test_a_large_request_that_is_taken_arrives(drive, gateway):
    assert send_large(drive(gateway(says("201 Created", body=SENT)).url)) == "3EB0A"


def test_a_refusal_that_comes_before_the_request_is_taken_is_heard(drive, gateway):
    def refuse(gateway: Gateway, connection: socket.socket) -> None:
        connection.recv(1)
        says("413 Content Too Large", JSON, "Connection: close")(gateway, connection)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    assert type(failure(drive(gateway(refuse, reads=False).url), send_large)) is Rejected


def test_a_connection_is_used_again(drive, gateway):
    server = gateway(says("200 OK", body=OPEN))
    driver = drive(server.url)
    assert [ask_state(driver) for _ in range(3)] == ["connected"] * 3
    assert (server.requests, server.connections) == (3, 1)


def test_after_a_fault_the_driver_works_on(drive, gateway):
    behaviours = iter([hang_up, says("200 OK", body=OPEN)])
    driver = drive(gateway(lambda server, connection: next(behaviours)(server, connection)).url)
    failure(driver, ask_state)
    assert ask_state(driver) == "connected"


def test_calls_at_the_same_time_do_not_wait_for_each_other(drive, gateway):
    together = threading.Barrier(4, timeout=20)

    def meet(server: Gateway, connection: socket.socket) -> None:
        together.wait()
        says("200 OK", body=OPEN)(server, connection)

    driver = drive(gateway(meet).url)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask_state, [driver] * 4)) == ["connected"] * 4


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "gateway.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_signed_is_refused(drive, gateway, tls):
    server = gateway(says("201 Created", body=SENT), tls)
    caught = failure(drive(server.url), send)
    assert type(caught) is NotTrusted
    assert caught.detail == "its certificate is not trusted: self-signed certificate"
    assert server.requests == 0


def test_a_certificate_of_the_ca_that_was_given_is_taken(drive, gateway, tls, certificate):
    server = gateway(says("201 Created", body=SENT), tls)
    assert send(drive(server.url, ca_pem=certificate.read_text())) == "3EB0A"


def test_a_drip_inside_tls_ends_at_the_deadline(drive, gateway, tls, certificate):
    server = gateway(drip(b"X-Slow: yes\r\n", b"HTTP/1.1 201 Created\r\n"), tls)
    driver = drive(server.url, HASTY_SECONDS, ca_pem=certificate.read_text())
    assert type(failure(driver, send)) is TimedOut


def test_a_gateway_that_speaks_no_tls_is_unreachable(drive, gateway):
    server = gateway(lambda gateway, connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), reads=False)
    caught = failure(drive(server.url.replace("http", "https")), send)
    assert type(caught) is Unreachable
    assert caught.detail == "it does not speak TLS"


def test_a_handshake_that_never_comes_ends_at_the_deadline(drive, gateway):
    server = gateway(keep_silent, reads=False)
    driver = drive(server.url.replace("http", "https"), HASTY_SECONDS)
    assert type(failure(driver, send)) is Unreachable
