"""Where gateways call back."""

import logging
from functools import partial

from flask import Blueprint, Response, abort, current_app, request

from .. import clock, knocks
from ..app import vault
from ..drivers.contract import BadAnswer
from ..extensions import csrf, db
from ..services import gateways, inbox
from .access import public

bp = Blueprint("hooks", __name__)
csrf.exempt(bp)

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024


@bp.post("/hooks/<int:gateway_id>/<secret>")
@bp.post("/hooks/<int:gateway_id>/<secret>/<event>")
@public
def receive(gateway_id, secret, event=None):
    gateway = request.environ.get(knocks.GATEWAY)
    if gateway is None and not (gateway := gateways.by_hook(db.engine, vault(), gateway_id, secret)):
        return "", 404  # without the page for people: whoever guesses costs us little
    request.max_content_length = MAX_BODY_BYTES
    body, now = request.get_data(), clock.now()
    if not gateways.is_genuine(gateway, secret, dict(request.headers), body):
        _log.warning("a webhook of gateway %s does not prove that it is", gateway.id)
        abort(401)
    try:
        inbox.keep(gateway, body, now)
    except BadAnswer as error:
        _log.warning("a webhook of gateway %s made no sense: %s", gateway.id, error)
        abort(400)
    except inbox.GatewayGone:
        return "", 404
    gateways.reported(gateway, secret, now)
    # not empty: waitress would hold that back until it is closed, and so until all is read
    response = Response("ok\n", mimetype="text/plain")
    response.call_on_close(partial(current_app.extensions["reader"].came, gateway.id))
    return response
