"""What every answer carries for the browser's safety, and which hosts and methods are answered at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request
from werkzeug.exceptions import SecurityError

from .. import config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)
ON_EVERYTHING = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_NAMED = [(name, name.lower(), value) for name, value in ON_EVERYTHING.items()]
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
FOR_EVER = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    app.before_request(_refuse_methods)
    app.before_request(_refuse_hosts)
    app.wsgi_app = _dressed(app.wsgi_app)  # type: ignore[method-assign, assignment]


def _refuse_methods() -> None:
    if request.method not in METHODS:
        abort(405)


def _refuse_hosts() -> None:
    """A page elsewhere can point its own name at this machine (DNS rebinding): its browser's requests carry
    that name. Probes hold nothing to steal; the key of an app, and that of a gateway, which stands in the
    address, are sent on purpose, by whatever name."""
    if request.blueprint in ("probes", "hooks") or "Authorization" in request.headers:
        return
    if not is_trusted(request.host, current_app.config["SETTINGS"]):
        raise SecurityError("the Host header names another site")


@lru_cache(maxsize=64)
def is_trusted(host: str, settings: config.Settings) -> bool:
    """Whether the panel goes by this name: loopback, WA_PUBLIC_URL, WA_HOST, and where plain HTTP on a
    network was allowed any private address, which unlike a name nobody else can point here."""
    name = _name_of(host)
    if not name:
        return False
    own = {_name_of(urlsplit(settings.public_url).netloc), settings.host.lower()} - {"", "0.0.0.0", "::"}
    if name in own or name.endswith(".localhost") or config.is_loopback(name):
        return True
    try:
        return settings.allow_insecure_http and ipaddress.ip_address(name).is_private
    except ValueError:
        return False


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _dressed(serve: WSGIApplication) -> WSGIApplication:
    """Puts the headers on every answer. Around Flask rather than in it: a hook costs ten times as much."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, _with_ours(environ, status, headers), exc_info)

        return serve(environ, start)

    return application


def _with_ours(
    environ: WSGIEnvironment, status: str, headers: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    present = {name.lower(): value for name, value in headers}
    ours = [(name, value) for name, lower, value in _NAMED if lower not in present]
    if environ["wsgi.url_scheme"] == "https":
        ours.append(("Strict-Transport-Security", STRICT_TRANSPORT))
    path = environ["PATH_INFO"]
    if path.startswith("/static/"):
        if status[:3] in ("200", "304") and ("v=" in environ["QUERY_STRING"] or "/vendor/" in path):
            headers = [(name, value) for name, value in headers if name.lower() != "cache-control"]
            ours.append(("Cache-Control", FOR_EVER))
    elif "cache-control" not in present:
        ours.append(("Cache-Control", "no-store"))
    if vary := present.get("vary"):
        headers = [(name, value) for name, value in headers if name.lower() != "vary"]
        ours.append(("Vary", f"{vary}, HX-Request"))
    else:
        ours.append(("Vary", "HX-Request"))
    return headers + ours
