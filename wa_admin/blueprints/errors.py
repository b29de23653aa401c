"""Whatever goes wrong, in words: a page, a toast for htmx, JSON below /api."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, g, make_response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, SecurityError

from .. import hx, storage, words
from ..api import envelope
from ..drivers.contract import GatewayError
from ..extensions import login_manager, will_pass
from ..refusal import Refusal
from . import access

_log = logging.getLogger(__name__)

# status -> (title, what to do)
WORDS: dict[int, tuple[Any, Any]] = {
    400: (_l("This request cannot be read"), _l("Go back, load the page again and try once more.")),
    401: (_l("Please log in"), _l("Log in to see this page.")),
    403: (_l("This is not for your role"), _l("Ask an admin to do it, or to change your role.")),
    404: (_l("There is nothing here"), _l("The address may be mistyped, or what it showed was deleted.")),
    405: (_l("This address does not do that"), _l("Go back and use the buttons of the page.")),
    409: (_l("Not possible right now"), _l("Look at how things are now, then decide again.")),
    410: (_l("This link does not work any more"), ""),
    413: (_l("This is too large"), _l("Files may have up to 16 MB. Choose a smaller one.")),
    415: (_l("This kind of content is not understood"), _l("Go back and use the form of the page.")),
    422: (_l("Something is missing or wrong"), _l("Go back, correct it and send it again.")),
    429: (_l("Too many attempts"), _l("Wait a little, then try again.")),
    500: (
        _l("Something broke on our side"),
        _l("Try again. If it stays, show this number to whoever runs the panel: the log has the cause."),
    ),
    502: (_l("The gateway did not do it"), _l("See on the health page how it is, then try again.")),
    503: (_l("Busy for a moment"), _l("Nothing was changed. Try again in some seconds.")),
}  # fmt: skip


def register(app: Flask) -> None:
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(CSRFError, stale_form)
    app.register_error_handler(SecurityError, wrong_host)
    app.register_error_handler(HTTPException, http_failed)
    app.register_error_handler(GatewayError, gateway_failed)
    app.register_error_handler(StaleDataError, changed_meanwhile)
    app.register_error_handler(SQLAlchemyError, database_failed)
    app.register_error_handler(Exception, broken)


def refused(refusal: Refusal) -> Response:
    if envelope.is_called():
        return envelope.refused(refusal)
    response = _answer(refusal.status, sentence=str(refusal))
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def stale_form(error: CSRFError) -> Any:
    """The token of a form does not fit the cookie: another login since, or cookies that are not kept."""
    if envelope.is_called():
        return envelope.failure(400, "csrf", _("Send the CSRF token of the page as X-CSRFToken."))
    if not current_user.is_authenticated and request.endpoint not in ("auth.login", "auth.setup"):
        return access.leave_for_login()
    return _answer(
        400,
        _("This page is out of date"),
        _("You logged in or out since it was opened, or your browser keeps no cookies. Nothing was done."),
        _("Load the page again, then repeat what you did."),
    )


def wrong_host(error: SecurityError) -> Response:
    """In plain text: a page would be built with addresses of that host."""
    sentence = _("This panel does not go by the name in the address. If it should, set WA_PUBLIC_URL to it.")
    if envelope.is_called():
        return envelope.failure(400, "wrong_host", sentence)
    return Response(f"{sentence}\n", status=400, mimetype="text/plain")


def http_failed(error: HTTPException) -> Any:
    if error.response is not None or (error.code or 500) < 400:
        return error.get_response()
    if envelope.is_called():
        return envelope.http_failed(error)
    response = _answer(error.code or 500)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def gateway_failed(error: GatewayError) -> Response:
    if envelope.is_called():
        return envelope.gateway_failed(error)
    cause, advice = words.error_words(error.code)
    return _answer(502, sentence=cause, advice=advice)


def changed_meanwhile(error: StaleDataError) -> Response:
    sentence = _("Somebody else changed this at the same time, so nothing of yours was stored.")
    if envelope.is_called():
        return envelope.failure(409, "changed_meanwhile", sentence)
    return _answer(409, sentence=sentence)


def database_failed(error: SQLAlchemyError) -> Response:
    """Locked for longer than we wait, not there, or without room: nothing was stored."""
    if not will_pass(error):
        return broken(error)
    if isinstance(error, DBAPIError) and (trouble := storage.trouble_of(error.orig)):
        _log.error("nothing can be stored: %s", trouble)
        if envelope.is_called():
            return envelope.not_stored(trouble)
        response = _answer(503, _("Nothing can be stored"), envelope.STORAGE_WORDS[trouble])
        response.headers["Retry-After"] = str(envelope.STORAGE_RETRY_SECONDS)
        return response
    _log.warning("the database is busy or away; the caller was told to come again")
    if envelope.is_called():
        return envelope.database_busy()
    response = _answer(503)
    response.headers["Retry-After"] = str(envelope.BUSY_RETRY_SECONDS)
    return response


def broken(error: Exception) -> Response:
    """Ours to mend: the log has the story, the page a number to find it by."""
    if envelope.is_called():
        return envelope.broken(error)
    _log.error("%s %s failed", request.method, request.endpoint, exc_info=error)
    reference = g.get("request_id", "")
    try:
        return _answer(500, reference=reference)
    except Exception:  # the page of errors is built of what may be broken
        _log.exception("the page for this error failed as well")
        return Response(f"{WORDS[500][0]} ({reference})\n", status=500, mimetype="text/plain")


def _answer(
    status: int, title: Any = "", sentence: Any = "", advice: Any = "", reference: str = ""
) -> Response:
    """The page, or for htmx the toast, that says what happened and what to do next."""
    if "_login_user" not in g and status >= 500:
        g._login_user = login_manager.anonymous_user()  # to find out who it is might fail again
    usual_title, usual_advice = WORDS.get(status) or WORDS[400 if status < 500 else 500]
    if sentence and status >= 500:  # it says what to do; the usual advice is about a bug of ours
        usual_advice = ""
    shown = {
        "status": status,
        "title": title or usual_title,
        "sentence": sentence,
        "advice": advice or usual_advice,
        "reference": reference,
    }
    if hx.asked():
        return hx.fragment(render_template("errors/_toast.html", **shown), status=status)
    return make_response(render_template("errors/page.html", **shown, back=_way_back()), status)


def _way_back() -> str:
    """The page that they came from, unless that is the one that failed."""
    page = access.page_before()
    return page if page.partition("?")[0] != request.path else "/"
