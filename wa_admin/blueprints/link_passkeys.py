"""The passkey that WhatsApp asks for while a phone is linked, on the link page of who works here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from ..api import body
from ..permissions import Permission
from ..refusal import Refusal
from ..services import link_passkeys
from .access import proved, requires
from .sessions import linking

bp = Blueprint("link_passkeys", __name__, url_prefix="/sessions/<int:id>/link/passkey")


@bp.post("/challenge")
@requires(Permission.LINK)
@proved
def challenge(id):
    return told(lambda: link_passkeys.challenge(g.caller.workspace_id, id))


@bp.post("")
@requires(Permission.LINK)
@proved
def answer(id):
    return _done(id, link_passkeys.answer, assertion())


@bp.post("/confirmation")
@requires(Permission.LINK)
@proved
def confirm(id):
    return _done(id, link_passkeys.confirm)


@bp.post("/denial")
@requires(Permission.LINK)
@proved
def deny(id):
    return _done(id, link_passkeys.deny)


def told(ask: Callable[[], dict[str, Any]]) -> Response:
    """For static/link_passkey.js: a challenge, or the sentence that says why there is none."""
    try:
        said, status = ask(), 200
    except Refusal as refusal:
        said, status = {"trouble": str(refusal)}, refusal.status
    response = jsonify(said)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def assertion() -> object:
    """What was signed, or nothing that could be."""
    try:
        return body.read(request.form.get("assertion", ""))
    except Refusal:
        return None


def _done(id: int, act: Callable[..., Any], *values: object):
    return linking(id, lambda: act(g.caller.workspace_id, id, *values, actor=g.caller.actor))
