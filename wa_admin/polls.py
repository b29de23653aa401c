"""Answers polls before Flask is asked: most requests of a panel are these, and it would be half their cost.

Whatever is not clearly somebody's own poll goes on to the views, which say why. So does news of the panel
that shows a code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

from flask import Flask, g
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import parse_cookie

from . import hx, overview, pulse
from .blueprints.headers import is_trusted
from .crypto import digest
from .extensions import db
from .services import chat_news, glance, lineup, logins
from .words import Reader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .app import SignedCookie

_log = logging.getLogger(__name__)

POLL = re.compile(r"/sessions/(?:(\d{1,9})/(status|link/panel)|news)")
CHATS = re.compile(r"/chats/(?:(\d{1,9})/(thread)|(list|unread))")
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
        ask = _asked_for(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "GET" else None
        try:
            answer = _answer(app, engine, environ, ask) if ask else None
        except SQLAlchemyError:
            answer = None  # the view has a page for it
        return (answer or serve)(environ, start_response)

    return application


def _asked_for(path: str) -> Ask | None:
    if found := POLL.fullmatch(path):
        return partial(_of_one, id=int(found[1]), part=found[2]) if found[1] else _of_list
    if found := CHATS.fullmatch(path):
        return partial(_of_chats, id=int(found[1] or 0), part=found[2] or found[3])
    return None


def _answer(app: Flask, engine: Engine, environ: WSGIEnvironment, ask: Ask) -> WSGIApplication | None:
    if not is_trusted(environ.get("HTTP_HOST", ""), app.config["SETTINGS"]):
        return None
    cookies = parse_cookie(environ.get("HTTP_COOKIE"))
    held = cast("SignedCookie", app.session_interface).held(cookies.get(app.config["SESSION_COOKIE_NAME"]))
    token = held.get(logins.COOKIE_KEY)
    if not isinstance(token, str):
        return None
    values = parse_qs(environ["QUERY_STRING"])
    query = {name: several[0] for name, several in values.items()}
    news = ask(engine, environ, digest(token), query)
    if news is None or len(query) < sum(map(len, values.values())):
        return None
    if query.get("v") == news.version:
        return _unchanged
    if news.tell is None or environ.get("HTTP_HX_REQUEST") != "true":
        return None
    reader = Reader(news.by, cookies, environ.get("HTTP_ACCEPT_LANGUAGE"))
    return _told(app, news.tell, reader)


Ask = Callable[["Engine", "WSGIEnvironment", str, dict[str, str]], "News | None"]


@dataclass(frozen=True)
class News:
    """What there is to see now, for whom; `tell` is None where only the view can."""

    version: str
    by: logins.Identity | None
    tell: Callable[[], hx.Fragment | None] | None


def _of_one(
    engine: Engine, environ: WSGIEnvironment, token_hash: str, query: dict[str, str], id: int, part: str
) -> News | None:
    seen = environ[glance.SEEN] = glance.ask(engine, id, token_hash)
    if seen is None:
        return None
    tell = partial(pulse.told, seen, query.get("was")) if part == "status" else None
    return News(VERSION[part](seen), seen.by, tell)


def _of_list(engine: Engine, environ: WSGIEnvironment, token_hash: str, query: dict[str, str]) -> News | None:
    asked = overview.asked_for(query)
    shown = lineup.ask(engine, token_hash, *asked)
    environ[lineup.SEEN] = asked, shown
    if shown is None:
        return None
    tell = partial(overview.news, shown, query.get("v", ""), as_table="table" in query)
    return News(shown.version, shown.by, tell)


def _of_chats(
    engine: Engine, environ: WSGIEnvironment, token_hash: str, query: dict[str, str], id: int, part: str
) -> News | None:
    """Whether there is anything new; what it is, the view says."""
    found = chat_news.ask(engine, token_hash, part, id)
    return News(found[1], found[0], None) if found else None


def _told(app: Flask, tell: Callable[[], hx.Fragment | None], reader: Reader) -> WSGIApplication | None:
    with app.app_context():
        g.reader = reader
        try:
            return tell()
        except Exception:
            _log.exception("a status could not be told")
            return None  # the view has a page for it


def _unchanged(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 NO CONTENT", [("Cache-Control", "no-store")])
    return []
