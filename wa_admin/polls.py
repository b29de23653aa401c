"""Answers a poll without news before Flask is asked: most requests of a quiet panel are these.

Only a 204 leaves from here. Whatever is news, or not clearly somebody's own poll, goes on to the views.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from flask import Flask
from itsdangerous import BadSignature
from sqlalchemy import Engine
from werkzeug.http import parse_cookie

from . import pulse
from .crypto import digest
from .extensions import db
from .services import glance, logins

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

POLL = re.compile(r"/sessions/(\d{1,9})/(status|link/panel)")
VERSION: dict[str, Callable[[glance.Glance], str]] = {
    "status": pulse.version,
    "link/panel": pulse.panel_version,
}


def register(app: Flask) -> None:
    with app.app_context():
        engine = db.engine
    app.wsgi_app = _quick(app, engine, app.wsgi_app)  # type: ignore[method-assign, assignment]


def _quick(app: Flask, engine: Engine, serve: WSGIApplication) -> WSGIApplication:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = POLL.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "GET" else None
        if asked is None or not _has_seen_it_all(app, engine, environ, *asked.groups()):
            return serve(environ, start_response)
        start_response("204 NO CONTENT", [("Cache-Control", "no-store")])
        return []

    return application


def _has_seen_it_all(app: Flask, engine: Engine, environ: WSGIEnvironment, id: str, part: str) -> bool:
    token = _token(app, environ.get("HTTP_COOKIE", ""))
    if token is None:
        return False
    seen = environ[glance.SEEN] = glance.ask(engine, int(id), digest(token))
    return seen is not None and [VERSION[part](seen)] == parse_qs(environ["QUERY_STRING"]).get("v")


def _token(app: Flask, cookies: str) -> str | None:
    """The login's token in the signed cookie, when it is ours."""
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    try:
        held = signer.loads(parse_cookie(cookies)[app.config["SESSION_COOKIE_NAME"]])
    except (KeyError, BadSignature):
        return None
    token = held.get(logins.COOKIE_KEY)
    return token if isinstance(token, str) else None
