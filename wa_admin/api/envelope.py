"""The shape of every answer of v1, and of every refusal below /api."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Response, g, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import HTTPException

from .. import storage, words
from ..drivers.contract import GatewayError
from ..refusal import Refusal

_log = logging.getLogger(__name__)

BUSY_RETRY_SECONDS, STORAGE_RETRY_SECONDS = 5, 60
STORAGE_WORDS = {
    storage.FULL: _l("There is no room left on the disk of wa-admin. Nothing was stored: make room first."),
    storage.READ_ONLY: _l(
        "The database of wa-admin can only be read. Nothing was stored: give it back the right to write."
    ),
}

# what the web server itself says, in our words: status -> code, sentence
OF_HTTP = {
    400: ("bad_request", _l("This request cannot be read.")),
    401: ("unauthorized", _l("Send your API key as “Authorization: Bearer wak_…”.")),
    403: ("forbidden", _l("This key or account may not do that.")),
    404: ("not_found", _l("There is nothing at this address.")),
    405: ("method_not_allowed", _l("This address does not take that method.")),
    413: ("too_large", _l("The request is too large.")),
    415: ("unsupported_media_type", _l("Send JSON, with the header Content-Type: application/json.")),
    429: ("too_many_requests", _l("Too many requests: wait a little.")),
}
# a gateway's trouble keeps one status, whether a service put it into words or not
OF_GATEWAY = {
    "gateway_unreachable": 503,
    "gateway_not_trusted": 503,
    "gateway_address": 503,
    "gateway_timeout": 504,
    "rate_limited": 503,
    "not_connected": 409,
    "unsupported": 501,
}


def is_called() -> bool:
    """Whether this request is for the API, so that whatever goes wrong is told in JSON."""
    return request.path == "/api" or request.path.startswith("/api/")


def success(data: Any, status: int = 200) -> Response:
    return answer({"success": True, "data": data}, status)


def failure(
    status: int, code: str, sentence: Any, field: str | None = None, retry_after_seconds: int | None = None
) -> Response:
    """A refusal, in the shape of the API that was called."""
    if request.path.startswith("/api/admin/"):
        shape: dict[str, Any] = {"error": str(sentence), "code": code}
        if field:
            shape["field"] = field
    else:
        error = {"code": code, "message": str(sentence)}
        if field:
            error["field"] = field
        shape = {"success": False, "error": error}
    response = answer(shape, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if retry_after_seconds is not None:
        response.headers["Retry-After"] = str(retry_after_seconds)
    return response


def answer(shape: Any, status: int) -> Response:
    response = Response(json.dumps(shape) + "\n", status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def refused(error: Refusal) -> Response:
    status = OF_GATEWAY.get(error.code, error.status)
    return failure(status, error.code, error.sentence, error.field, error.retry_after_seconds)


def gateway_failed(error: GatewayError) -> Response:
    retry = error.retry_after_seconds
    return failure(
        OF_GATEWAY.get(error.code, 409 if error.permanent else 502),
        error.code,
        " ".join(words.error_words(error.code)),
        retry_after_seconds=max(1, int(retry)) if retry else None,
    )


def http_failed(error: HTTPException) -> Response:
    status = error.code or 500
    if status not in OF_HTTP and status < 500:
        status = 400
    code, sentence = OF_HTTP.get(status, ("server_error", _l("Something went wrong here.")))
    response = failure(status, code, sentence)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def database_busy() -> Response:
    return failure(
        503,
        "database_busy",
        _("The database is busy. Nothing was stored: try again in some seconds."),
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )


def not_stored(trouble: str) -> Response:
    """No room, or a database that may only be read: that takes a person."""
    return failure(503, trouble, STORAGE_WORDS[trouble], retry_after_seconds=STORAGE_RETRY_SECONDS)


def broken(error: Exception) -> Response:
    """Ours to mend: the log has the story, the caller a number to quote."""
    reference = getattr(g, "request_id", "")
    _log.exception("a call of the API failed")
    sentence = _("Something went wrong here. The log of wa-admin tells more.")
    return failure(500, "server_error", f"{sentence} {reference}".strip())
