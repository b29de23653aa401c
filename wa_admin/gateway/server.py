"""HTTP in: the application, who may ask, and how failures look."""

from __future__ import annotations

import hmac
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import UnicodeConverter

from wa_admin.gateway.answers import NotFound, Refusal, instance_missing, schema_error
from wa_admin.gateway.callbacks import Callbacks
from wa_admin.gateway.sends import Sends
from wa_admin.gateway.settings import Settings
from wa_admin.gateway.store import Instance, Store
from wa_admin.gateway.supervisor import Supervisor

log = logging.getLogger("wa_admin.gateway.server")

LARGEST_BODY_BYTES = 48 * 1024 * 1024
SLASH = "\x1f"  # stands for an encoded slash inside a name; names hold no control characters


@dataclass(frozen=True)
class Gateway:
    """What the routes work with."""

    settings: Settings
    store: Store
    supervisor: Supervisor
    callbacks: Callbacks
    sends: Sends


def create_app(gateway: Gateway) -> Flask:
    """The WSGI application: Evolution's routes, and the simulator's when that engine runs."""
    from wa_admin.gateway import configuration, instances, messages, simulator_page

    app = Flask("wa_admin.gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["gateway"] = gateway
    app.url_map.merge_slashes = False
    app.url_map.converters["name"] = NameConverter
    for room in (instances, configuration, messages):
        app.register_blueprint(room.bp)
    if gateway.settings.engine == "simulator":
        app.register_blueprint(simulator_page.bp)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(sqlite3.OperationalError, _database_busy)
    app.register_error_handler(Exception, _unexpected)
    app.wsgi_app = KeepEncodedSlashes(app.wsgi_app)  # type: ignore[method-assign]
    return app


def gateway() -> Gateway:
    found: Gateway = current_app.extensions["gateway"]
    return found


def authorised(name: str) -> Instance:
    """The instance of this name for who may use it: first whether it exists, then the key, as recorded."""
    instance = gateway().store.find(name)
    if instance is None:
        raise instance_missing(name)
    if not (has_global_key() or same(request.headers.get("apikey", ""), instance.token)):
        raise Refusal(401, "Unauthorized")
    return instance


def need_global_key() -> None:
    if not has_global_key():
        raise Refusal(401, "Unauthorized")


def has_global_key() -> bool:
    return same(request.headers.get("apikey", ""), gateway().settings.key)


def same(given: str, secret: str) -> bool:
    """Compare in constant time; headers may hold anything."""
    return bool(given) and hmac.compare_digest(given.encode(), secret.encode())


def json_body() -> dict[str, Any]:
    """The body as a JSON object. Raises Refusal."""
    raw = request.get_data()
    try:
        body = json.loads(raw) if raw else {}
        json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate cannot be stored
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error
    if not isinstance(body, dict):
        raise schema_error("instance is not of a type(s) object")
    return body


class MalformedBody(Refusal):
    """400 with the words of a 500: recorded."""

    def __init__(self) -> None:
        super().__init__(400, "The body is not valid JSON")

    def body(self) -> Any:
        return super().body() | {"error": "Internal Server Error"}


class NameConverter(UnicodeConverter):
    """An instance name: any text, as one percent-encoded segment."""

    def to_python(self, value: str) -> str:
        return value.replace(SLASH, "/")


class KeepEncodedSlashes:
    """WSGI decodes %2F, which would split a name in two; so the path is read from the raw URI again."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        uri = environ.get("REQUEST_URI", "")
        if "%2f" in uri.lower():
            path = urlsplit(uri).path if uri.startswith("http") else uri.partition("?")[0]
            path = path.replace("%2F", SLASH).replace("%2f", SLASH)
            environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
        return self._app(environ, start_response)


def _refused(refusal: Refusal) -> Response:
    response = jsonify(refusal.body())
    response.status_code = refusal.status
    response.headers.extend(refusal.headers)
    return response


def _http_error(error: HTTPException) -> Response:
    if error.code in (404, 405):
        path = request.environ.get("REQUEST_URI", request.path).partition("?")[0]
        return _refused(NotFound(f"Cannot {request.method} {path}"))
    return _refused(Refusal(error.code or 500, [error.name]))


def _database_busy(error: sqlite3.OperationalError) -> Response:
    log.error("the gateway's database refused: %s", error)
    return _refused(Refusal(503, ["the gateway cannot write its data"], headers={"Retry-After": "5"}))


def _unexpected(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.endpoint, exc_info=error)
    return _refused(Refusal(500, ["the gateway failed, its log says why"]))
