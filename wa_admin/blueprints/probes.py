"""What machines ask: does the process live, can it do its work, how much of it."""

from time import perf_counter

from flask import Blueprint, Response, current_app, g, request

from .. import clock
from ..config import is_loopback
from ..metrics import Latencies, exposition
from ..permissions import Permission
from ..services import api_keys, vitals
from .access import KeyMayNot, public
from .headers import is_trusted

bp = Blueprint("probes", __name__)

PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


@bp.record_once
def _measure(state):
    state.app.extensions["latencies"] = Latencies()


@bp.after_app_request
def _observe(response):
    if "began_at" in g:
        seconds = perf_counter() - g.began_at
        latencies = current_app.extensions["latencies"]
        latencies.observe(request.endpoint or "none", response.status_code, seconds)
    return response


@bp.get("/healthz")
@public
def healthz():
    return {"status": "ok"}


@bp.get("/readyz")
@public
def readyz():
    problems = vitals.problems(clock.now())
    if current_app.config.get("IS_STOPPING"):
        problems["panel"] = "is stopping"
    if problems:
        return {"status": "not ready", "problems": problems}, 503
    if _is_from_this_machine() and (lease := vitals.scheduler_lease()):
        return {"status": "ready", "scheduler": lease.holder}
    return {"status": "ready"}


@bp.get("/metrics")
@public
def metrics():
    if not _is_from_this_machine():
        key = api_keys.check(request.headers.get("Authorization", "").removeprefix("Bearer ").strip())
        if not key.sees_all or Permission.LOOK not in key.scopes:
            raise KeyMayNot(key.scopes)
    text = exposition(vitals.figures(clock.now()), current_app.extensions["latencies"])
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _is_from_this_machine():
    """Not when a proxy on this machine asks for somebody else, or a page that pointed its name at us."""
    is_asked_for_another = any(name in request.headers for name in PROXY_HEADERS)
    is_named = is_trusted(request.host, current_app.config["SETTINGS"])
    return is_loopback(request.remote_addr or "") and is_named and not is_asked_for_another
