"""Where no request of a driver ever goes."""

import socket
import time

import httpcore
import pytest

from wa_admin.drivers.addresses import is_forbidden, look_up
from wa_admin.drivers.contract import Access, Unreachable
from wa_admin.drivers.http import Http

METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "100.100.100.200",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "[ff02::1]",
    "192.0.0.192",
    "[64:ff9b:1::a9fe:a9fe]",
    "[::ffff:0:a9fe:a9fe]",
    "[::a9fe:a9fe]",
]
PRIVATE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::1]",
    "0.0.0.0",
    "[::]",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[fc00::1]",
    "198.18.0.1",
    "192.0.0.1",
    "[64:ff9b:1::7f00:1]",
    "[::ffff:0:7f00:1]",
    "[::7f00:1]",
    "[fec0::1]",
]


def ask(host, **more):
    http = Http(Access(f"http://{host}:9", **more))
    try:
        with pytest.raises(Unreachable) as caught:
            http.call("GET", "/", seconds=2)
    finally:
        http.close()
    return caught.value.detail


@pytest.mark.figure("spellings of addresses that are not asked, or only when they may be")
@pytest.mark.parametrize("host", METADATA)
def test_the_secrets_of_a_cloud_are_never_asked_for_however_they_are_spelled(host):
    assert ask(host) == "the address of the gateway is not allowed"


@pytest.mark.figure("spellings of addresses that are not asked, or only when they may be")
@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_only_asked_when_it_may_be(host):
    assert ask(host, allow_private=False) == "the address of the gateway is not allowed"


@pytest.mark.figure("spellings of addresses that are not asked, or only when they may be")
@pytest.mark.parametrize(
    "host", ["0177.0.0.1", "0251.0376.0251.0376", "127.0.0.1%0d%0aHost:x", "x@127.0.0.1"]
)
def test_some_spellings_are_no_url_at_all(host):
    with pytest.raises(ValueError, match="URL"):
        ask(host)


def test_this_machine_may_be_asked():
    assert ask("127.0.0.1") == "connection refused"


def test_a_public_address_is_allowed():
    assert not is_forbidden("93.184.216.34", allow_private=False)
    assert not is_forbidden("2606:2800:220:1::1", allow_private=False)


def test_a_name_is_looked_up_once_and_all_its_addresses_count(monkeypatch):
    asked = []

    def answer(host, port, **more):
        asked.append(host)
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert ask("rebinding.example") == "the address of the gateway is not allowed"
    assert asked == ["rebinding.example"]


def test_a_lookup_that_hangs_does_not_hold_the_call(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: time.sleep(5) or [])
    began = time.monotonic()
    with pytest.raises(httpcore.ConnectTimeout):
        look_up("slow.example", 80, 0.1)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example"])
def test_a_name_that_does_not_exist_is_unreachable(host):
    assert ask(host)
