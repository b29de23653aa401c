"""Answers polls before Flask is asked: most requests of a panel are these, and it would be half their cost.

Whatever is not clearly somebody's own poll goes on to the views, which say why. So does news of the panel
that shows a code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

from flask import Flask, g
from sqlalchemy import Engine
from werkzeug.http import parse_cookie

from . import pulse
from .blueprints.headers import is_trusted
from .crypto import digest
from .extensions import db
from .services import glance, logins
from .words import Reader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .app import SignedCookie

_log = logging.getLogger(__name__)

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
        answer = _answer(app, engine, environ, int(asked[1]), asked[2]) if asked else None
        return (answer or serve)(environ, start_response)

    return application


def _answer(
    app: Flask, engine: Engine, environ: WSGIEnvironment, id: int, part: str
) -> WSGIApplication | None:
    if not is_trusted(environ.get("HTTP_HOST", ""), app.config["SETTINGS"]):
        return None
    cookies = parse_cookie(environ.get("HTTP_COOKIE"))
    held = cast("SignedCookie", app.session_interface).held(cookies.get(app.config["SESSION_COOKIE_NAME"]))
    token = held.get(logins.COOKIE_KEY)
    if not isinstance(token, str):
        return None
    seen = environ[glance.SEEN] = glance.ask(engine, id, digest(token))
    query = parse_qs(environ["QUERY_STRING"])
    if seen is None or any(len(values) > 1 for values in query.values()):
        return None
    if query.get("v") == [VERSION[part](seen)]:
        return _unchanged
    if part != "status" or environ.get("HTTP_HX_REQUEST") != "true":
        return None
    reader = Reader(seen.by, cookies, environ.get("HTTP_ACCEPT_LANGUAGE"))
    return _news(app, seen, reader, *query.get("was", []))


def _news(app: Flask, seen: glance.Glance, reader: Reader, was: str | None = None) -> WSGIApplication | None:
    with app.app_context():
        g.reader = reader
        try:
            return pulse.told(seen, was)
        except Exception:
            _log.exception("a status could not be told")
            return None  # the view has a page for it


def _unchanged(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 NO CONTENT", [("Cache-Control", "no-store")])
    return []
