"""What every answer carries for the browser's safety, and which hosts and methods are answered at all."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request
from werkzeug.exceptions import SecurityError

from .. import config

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
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
FOR_EVER = "public, max-age=31536000, immutable"


def register(app: Flask) -> None:
    app.before_request(_refuse_methods)
    app.before_request(_refuse_hosts)
    app.after_request(_add_headers)


def _refuse_methods() -> None:
    if request.method not in METHODS:
        abort(405)


def _refuse_hosts() -> None:
    """A page elsewhere can point its own name at this machine (DNS rebinding): its browser's requests carry
    that name. Probes hold nothing to steal, and an app's key is sent on purpose, by whatever name."""
    if request.blueprint == "probes" or "Authorization" in request.headers:
        return
    if not is_trusted(request.host, current_app.config["SETTINGS"]):
        raise SecurityError("the Host header names another site")


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


def _add_headers(response: Response) -> Response:
    present = {name.lower() for name, _ in response.headers}
    for name, value in ON_EVERYTHING.items():  # setdefault() would look through all of them for each
        if name.lower() not in present:
            response.headers.add(name, value)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    response.vary.add("HX-Request")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    elif response.status_code in (200, 304) and ("v" in request.args or "/vendor/" in request.path):
        response.headers["Cache-Control"] = FOR_EVER
    return response
