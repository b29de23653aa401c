"""The simulator's routes: what the phone, its contacts and the network do, as JSON and as a page.

Programs use the `apikey` header; how a browser gets in says `browser_pass`.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import (
    Blueprint,
    Response,
    current_app,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
)

from wa_admin.gateway import browser_pass
from wa_admin.gateway.answers import Refusal, instance_missing
from wa_admin.gateway.dialect import RECEIPTS
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.engines.world import BAN_SECONDS, MODES, BadMode, World
from wa_admin.gateway.server import authorised, gateway, json_body, need_global_key, same
from wa_admin.gateway.store import Instance

bp = Blueprint("simulator", __name__)

ASSETS = Path(__file__).parent / "assets"
SHOWN_MESSAGES = 50
# of the child, maybe before it answered; a scan too, where a passkey is asked for
ENDINGS = ("crash", "unlink", "replace", "ban", "outdated", "scan")
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@bp.record_once
def _give_tokens(state: Any) -> None:
    state.app.extensions["simulator_tokens"] = browser_pass.Tokens()


@bp.get("/simulator")
def page():
    token = request.args.get("token")
    if token and current_app.extensions["simulator_tokens"].redeem(token, time.monotonic()):
        return _let_in()
    if not browser_pass.is_shown():
        return _html("key.html", 401, wrong=bool(token))
    return _phone(request.args.get("session"))


@bp.post("/simulator")
def enter():
    if not browser_pass.is_same_origin() or not same(request.form.get("key", ""), gateway().settings.key):
        return _html("key.html", 401, wrong=True)
    return _let_in()


@bp.post("/simulator/token")
def token():
    need_global_key()
    issued = current_app.extensions["simulator_tokens"].issue(time.monotonic())
    return {
        "token": issued,
        "path": f"/simulator?token={issued}",
        "lifetimeSeconds": browser_pass.TOKEN_SECONDS,
    }


@bp.get("/simulator/assets/<file>")
def asset(file):
    return send_from_directory(ASSETS, file, max_age=300)


@bp.get("/simulator/<name:name>/received")
def received(name):
    return jsonify(_world(_instance(name)).received())


@bp.post("/simulator/<name:name>/<act>")
def simulate(name, act):
    instance = _instance(name)
    if request.mimetype != "application/x-www-form-urlencoded":
        return jsonify(_act(instance, act, json_body()))
    try:
        _act(instance, act, _from_form(act))
    except Refusal as refusal:
        return _phone(name, refusal.status, refusal.message[0])
    return redirect(f"/simulator?session={quote(name, safe='')}", 303)


def _act(instance: Instance, act: str, details: dict[str, Any]) -> dict[str, Any]:
    session = gateway().supervisor.session(instance)
    try:
        answer: dict[str, Any] = session.simulate(act, details)
    except EngineError as error:
        if act in ENDINGS and error.kind == "timeout":
            return {}
        if not session.is_running and (error.kind == "not_connected" or act == "mode"):
            return _act_offline(_world(instance), act, details)
        raise Refusal(400 if error.kind == "bad_request" else 409, [str(error)]) from error
    return answer


def _act_offline(world: World, act: str, details: dict[str, Any]) -> dict[str, Any]:
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
        seconds = details.get("seconds", BAN_SECONDS)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise Refusal(400, ["seconds is a number"])
        world.ban(seconds)
        return {}
    raise Refusal(409, ["the session is not running: connect it first"])


def _instance(name: str) -> Instance:
    if not browser_pass.is_shown():
        return authorised(name)
    if request.method != "GET" and not browser_pass.is_same_origin():
        raise Refusal(403, ["only the simulator's own page may do this"])
    instance = gateway().store.find(name)
    if instance is None:
        raise instance_missing(name)
    return instance


def _world(instance: Instance) -> World:
    return World(gateway().supervisor.session(instance).home)


def _from_form(act: str) -> dict[str, Any]:
    """A form has only words; empty fields were left out on purpose."""
    details: dict[str, Any] = {name: value for name, value in request.form.items() if value}
    if details.get("seconds", "").isdecimal():
        details["seconds"] = int(details["seconds"])
    if act == "mode":
        return {
            name: value == "True" if value in ("True", "False") else value for name, value in details.items()
        }
    return details


def _phone(name: str | None, status: int = 200, said: str | None = None) -> Response:
    instances = gateway().store.instances()
    instance = next((one for one in instances if one.name == name), instances[0] if instances else None)
    session = gateway().supervisor.session(instance) if instance else None
    world = _world(instance) if instance else None
    messages = [_shown(message) for message in world.received()[-SHOWN_MESSAGES:]] if world else []
    return _html(
        "simulator.html",
        status,
        instances=instances,
        instance=instance,
        session=session and session.status(),
        codes=session and session.codes(),
        world=world,
        modes=MODES,
        receipts=RECEIPTS,
        messages=messages[::-1],
        said=said,
    )


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    return message | {"time": datetime.fromtimestamp(message["at"]).astimezone().strftime("%H:%M:%S")}


def _let_in() -> Response:
    return _sealed(browser_pass.give(make_response(redirect("/simulator", 303))))


def _html(template: str, status: int, **values: Any) -> Response:
    return _sealed(make_response(render_template(template, **values), status))


def _sealed(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
