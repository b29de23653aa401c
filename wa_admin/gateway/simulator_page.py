"""The simulator's routes: what the phone, its contacts and the network do, as JSON and as a page."""

from __future__ import annotations

from flask import Blueprint, jsonify

from wa_admin.gateway.answers import Refusal
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.engines.world import BAN_SECONDS, BadMode, World
from wa_admin.gateway.server import authorised, gateway, json_body
from wa_admin.gateway.store import Instance

bp = Blueprint("simulator", __name__)


@bp.post("/simulator/<name:name>/<act>")
def simulate(name, act):
    return _simulate(authorised(name), act, json_body())


@bp.get("/simulator/<name:name>/received")
def received(name):
    return jsonify(World(gateway().supervisor.session(authorised(name)).home).received())


def _simulate(instance: Instance, act: str, details: dict) -> dict:
    session = gateway().supervisor.session(instance)
    try:
        return session.simulate(act, details)
    except EngineError as error:
        if error.kind == "not_connected" and session.pid is None:
            return _simulate_offline(World(session.home), act, details)
        raise Refusal(400 if error.kind == "bad_request" else 409, [str(error)]) from error


def _simulate_offline(world: World, act: str, details: dict) -> dict:
    """What can happen while nothing is connected: the session hears of it when it comes back."""
    world.store.mkdir(mode=0o700, parents=True, exist_ok=True)
    if act == "mode":
        try:
            return world.set_mode(details)
        except BadMode as error:
            raise Refusal(400, [str(error)]) from error
    if act == "unlink" and world.memory.login:
        world.remember(unlinked=True)
        return {}
    if act == "ban":
        world.ban(details.get("seconds", BAN_SECONDS))
        return {}
    raise Refusal(409, ["the session is not running: connect it first"])
