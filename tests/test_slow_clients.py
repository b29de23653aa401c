"""Clients that send a byte now and then hold up nobody: waitress reads them all in one loop."""

import socket
import time
from contextlib import ExitStack

import pytest
from running_panel import RunningPanel

HEAD = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = HEAD + b"Content-Length: 1000\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nemail="
EACH, PROBES = 40, 40


@pytest.fixture
def panel(app, data_dir):
    panel = RunningPanel(data_dir, "wak_none")
    yield panel
    panel.close()


def slow(panel, begin):
    client = socket.create_connection(("127.0.0.1", panel.port), timeout=10)
    client.sendall(begin)
    return client


def test_forty_slow_heads_and_forty_slow_bodies_hold_up_nobody(panel):
    with ExitStack() as open_ones:
        heads = [open_ones.enter_context(slow(panel, HEAD)) for _ in range(EACH)]
        bodies = [open_ones.enter_context(slow(panel, BODY)) for _ in range(EACH)]
        took = []
        for _ in range(PROBES):
            for one in heads:
                one.sendall(b"X")
            for one in bodies:
                one.sendall(b"x")
            began = time.perf_counter()
            assert panel.client.get("/healthz").status_code == 200
            took.append(time.perf_counter() - began)
    # not the slowest: on a busy machine that one says more about the machine
    assert sorted(took)[PROBES // 2] < 0.5
