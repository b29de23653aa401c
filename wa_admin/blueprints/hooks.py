"""Where gateways call back."""

import logging
from functools import partial

from flask import Blueprint, Response, abort, current_app, request

from .. import clock
from ..drivers.contract import BadAnswer
from ..extensions import csrf
from ..services import gateways, inbox
from .access import public

bp = Blueprint("hooks", __name__)
csrf.exempt(bp)

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
BATCHES = 10  # the thread is wanted for other requests


@bp.post("/hooks/<int:gateway_id>/<secret>")
@bp.post("/hooks/<int:gateway_id>/<secret>/<event>")
@public
def receive(gateway_id, secret, event=None):
    gateway = gateways.by_hook(gateway_id, secret)
    if gateway is None:
        return "", 404  # without the page for people: whoever guesses costs us little
    request.max_content_length = MAX_BODY_BYTES
    body, now = request.get_data(), clock.now()
    if not gateways.driver(gateway).is_genuine(dict(request.headers), body):
        _log.warning("a webhook of gateway %s is not signed as it should be", gateway.id)
        abort(401)
    try:
        inbox.keep(gateway, body, now)
    except BadAnswer as error:
        _log.warning("a webhook of gateway %s made no sense: %s", gateway.id, error)
        abort(400)
    gateways.reported(gateway, secret, now)
    # not empty: waitress would hold that back until it is closed, and so until all is read
    response = Response("ok\n", mimetype="text/plain")
    response.call_on_close(partial(_read, current_app._get_current_object(), gateway.id))
    return response


def _read(app, gateway_id):
    """After the answer; whatever goes wrong here is left to the scheduler."""
    with app.app_context():
        try:
            inbox.read(gateway_id, BATCHES)
        except Exception:
            _log.exception("webhooks of gateway %s have to wait", gateway_id)
