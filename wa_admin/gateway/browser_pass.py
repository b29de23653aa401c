"""How a browser gets in to the simulator's page: the key once, or a token that works once, then a cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading

from flask import Response, request

from wa_admin.gateway.server import gateway, same

COOKIE = "simulator"
TOKEN_SECONDS = 300.0


class Tokens:
    """Single-use ways in, handed out to whoever has the key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expiries: dict[str, float] = {}

    def issue(self, now: float) -> str:
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._expiries = {one: expiry for one, expiry in self._expiries.items() if expiry > now}
            self._expiries[token] = now + TOKEN_SECONDS
        return token

    def redeem(self, token: str, now: float) -> bool:
        with self._lock:
            return self._expiries.pop(token, 0.0) > now


def give(response: Response) -> Response:
    response.set_cookie(COOKIE, _value(), httponly=True, samesite="Strict", path="/simulator")
    return response


def is_shown() -> bool:
    return same(request.cookies.get(COOKIE, ""), _value())


def is_same_origin() -> bool:
    """A cookie counts for requests of the page itself only."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    return request.headers.get("Origin") == request.host_url.rstrip("/")


def _value() -> str:
    """Follows from the key, which it does not show, so that it outlives a restart."""
    return hmac.new(gateway().settings.key.encode(), b"simulator page", hashlib.sha256).hexdigest()
