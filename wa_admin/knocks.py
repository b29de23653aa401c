"""Turns a webhook with a wrong secret away before Flask is asked: anybody may send them, at any pace.

Whose the right one is, the view finds in the environment under GATEWAY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from . import log
from .extensions import db
from .services import gateways

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOOK = re.compile(r"/hooks/([0-9]{1,18})/([^/]+)(/[^/]+)?")
GATEWAY = "wa_admin.gateway"
NOTHING_HERE = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "0")]


def register(app: Flask) -> None:
    with app.app_context():
        engine = db.engine
    app.wsgi_app = _guarded(app, engine, app.wsgi_app)  # type: ignore[method-assign, assignment]


def _guarded(app: Flask, engine: Engine, serve: WSGIApplication) -> WSGIApplication:
    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began, path = perf_counter(), environ["PATH_INFO"]
        asked = HOOK.fullmatch(path) if environ["REQUEST_METHOD"] == "POST" else None
        if not asked:
            return serve(environ, start_response)
        try:
            gateway = gateways.by_hook(engine, app.extensions["vault"], int(asked[1]), asked[2])
        except SQLAlchemyError:
            # the view finds out, or has an answer for a database that is away
            return serve(environ, start_response)
        if gateway is not None:
            environ[GATEWAY] = gateway
            return serve(environ, start_response)
        seconds = perf_counter() - began
        app.extensions["latencies"].observe("hooks.receive", 404, seconds)
        log.note_answer("POST", path, 404, seconds)
        start_response("404 NOT FOUND", NOTHING_HERE[:])
        return []

    return application
