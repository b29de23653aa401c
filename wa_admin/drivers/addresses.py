"""Where a gateway may live: a host's addresses, and which of them no request ever goes to."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where clouds tell a machine its secrets; link-local ones are refused as a whole
METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
# IPv4 in the last 32 bits: NAT64 (RFC 6052, RFC 8215), SIIT (RFC 2765), "compatible" (RFC 4291)
WRAPPING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
# not public by IANA's registries of special purposes, and yet global to Python 3.11
NOT_GLOBAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "fec0::/10", "5f00::/16")))


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host, which may be one already. Raises httpcore.ConnectError, ConnectTimeout."""
    if _address(host):
        return [host]
    import httpcore  # here, since pages check addresses too and must not pay for it at the start

    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    # a lookup cannot be interrupted, only left alone
    threading.Thread(target=ask, daemon=True).start()
    try:
        rows = found.result(seconds)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("the lookup of the name took too long") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("no such host") from error
    return list(dict.fromkeys(row[4][0] for row in rows))


def is_forbidden(text: str, allow_private: bool, allowed: Iterable[Network] = ()) -> bool:
    """Nothing we call lives there: metadata services never, private addresses unless they may."""
    address = _unwrapped(_address(text))
    if address is None or address.is_link_local or address.is_multicast or address in METADATA:
        return True
    is_public = address.is_global and not any(address in network for network in NOT_GLOBAL)
    return not (allow_private or is_public or any(address in network for network in allowed))


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _unwrapped(address: Address | None) -> Address | None:
    """The IPv4 address inside an IPv6 one: ::ffff:127.0.0.1 is not seen as loopback by Python 3.11."""
    if not isinstance(address, ipaddress.IPv6Address) or address.is_loopback or address.is_unspecified:
        return address
    if any(address in network for network in WRAPPING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
