"""Where a request ends is never in doubt, or a second one could hide in it from a proxy in front of us."""

import re
import socket

import pytest
from running_panel import RunningPanel

HEAD = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
DOUBTFUL = [
    b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN),
    b"Content-Length: 0, %d\r\n\r\n" % len(HIDDEN),
    b"Content-Length: +0\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 0_0\r\n\r\n",
    b"Content-Length: 0x0\r\n\r\n",
    b"Content-Length : 0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
    CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    CHUNKED + b"\r\n-1\r\n\r\n",
    CHUNKED + b"\r\n0x0\r\n\r\n",
    CHUNKED + b"\r\n0\n\n",
    CHUNKED + b"\r\n0;a\nb\r\n\r\n",
    CHUNKED + b"\r\n1\r\nabc\r\n0\r\n\r\n",
    b"X: a\rContent-Length: 99\r\nContent-Length: 0\r\n\r\n",
    b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
]


@pytest.fixture
def panel(app, data_dir):
    panel = RunningPanel(data_dir, "wak_none")
    yield panel
    panel.close()


def answers_to(panel, request):
    """The status of each answer until the panel hangs up."""
    with socket.create_connection(("127.0.0.1", panel.port), timeout=60) as client:
        client.sendall(request)
        told = b"".join(iter(lambda: client.recv(65536), b""))
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", told)]


def test_nothing_hides_behind_a_request_of_doubtful_length(panel):
    for doubtful in DOUBTFUL:
        answers = answers_to(panel, HEAD + doubtful + HIDDEN)
        assert answers in ([400], [501]), doubtful
    # chunks decide where a length is given as well (RFC 9112 6.3), so this one is no part of the first
    told_longer = CHUNKED + b"Content-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN))
    assert answers_to(panel, HEAD + told_longer + HIDDEN) == [400, 200]
