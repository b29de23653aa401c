"""Where gateways call back."""

import logging

from flask import Blueprint, abort, request

from .. import clock
from ..drivers.contract import BadAnswer
from ..extensions import csrf
from ..services import events, gateways
from .access import public

bp = Blueprint("hooks", __name__)
csrf.exempt(bp)

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024


@bp.post("/hooks/<int:gateway_id>/<secret>")
@bp.post("/hooks/<int:gateway_id>/<secret>/<event>")
@public
def receive(gateway_id, secret, event=None):
    gateway = gateways.by_hook(gateway_id, secret)
    if gateway is None:
        return "", 404  # without the page for people: whoever guesses costs us little
    request.max_content_length = MAX_BODY_BYTES
    driver, headers, body = gateways.driver(gateway), dict(request.headers), request.get_data()
    if not driver.is_genuine(headers, body):
        _log.warning("a webhook of gateway %s is not signed as it should be", gateway.id)
        abort(401)
    try:
        seen = driver.read_events(body)
    except BadAnswer as error:
        _log.warning("a webhook of gateway %s made no sense: %s", gateway.id, error)
        abort(400)
    gateways.reported(gateway, secret, clock.now())
    events.take_in(gateway, seen)
    return "", 200
