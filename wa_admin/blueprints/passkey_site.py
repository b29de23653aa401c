"""The site that a passkey belongs to: a host name, never a number."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import request

from ..app import settings
from ..services.passkeys import Site


def by_name() -> str:
    """The address of this page under a name, where it was opened by the number of this machine."""
    host = urlsplit(f"//{request.host}")
    try:
        is_ours = ipaddress.ip_address(host.hostname or "").is_loopback
    except ValueError:
        return ""
    port = f":{host.port}" if host.port else ""
    return f"{request.scheme}://localhost{port}{request.full_path.rstrip('?')}" if is_ours else ""


def site() -> Site | None:
    """None where the page was opened by number: a passkey belongs to a name."""
    host = (urlsplit(f"//{request.host}").hostname or "").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        public = urlsplit(settings().public_url or "")
        origins = [f"{request.scheme}://{request.host}"]
        if public.hostname == host:  # https ends at a proxy that does not tell us
            origins.append(f"{public.scheme}://{public.netloc}")
        return Site(host, tuple(origins))
    return None
