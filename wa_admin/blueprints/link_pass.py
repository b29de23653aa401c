"""The link page for somebody without an account, and the page on which it is made."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for

from .. import clock, hx, pulse
from ..app import settings
from ..models import WhatsAppSession
from ..permissions import Permission
from ..refusal import Refusal
from ..services import glance, link_passes, roster, stats
from . import codes
from .access import proved, public, requires
from .link_passkeys import assertion, told

bp = Blueprint("link_pass", __name__)

HIDDEN = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow", "Cache-Control": "no-store"}


# --- for whoever makes it ------------------------------------------------------------------------


@bp.route("/sessions/<int:id>/link/pass", methods=["GET", "POST"])
@requires(Permission.LINK)
@proved
def make(id):
    wa_session, url = roster.find(g.caller.workspace_id, id), ""
    if request.method == "POST":
        _made, token = link_passes.make(g.caller.workspace_id, id, actor=g.caller.actor)
        base = settings().public_url or request.host_url.rstrip("/")
        url = f"{base}{url_for('.show', token=token)}"
    page = render_template(
        "link_pass/make.html",
        wa_session=wa_session,
        current=link_passes.current(g.caller.workspace_id, id),
        url=url,
    )
    return page, 201 if url else 200


@bp.post("/sessions/<int:id>/link/pass/revocation")
@requires(Permission.LINK)
def revoke(id):
    link_passes.revoke(g.caller.workspace_id, id, actor=g.caller.actor)
    return redirect(url_for(".make", id=id), 303)


# --- for the owner of the phone ------------------------------------------------------------------


@bp.get("/l/<token>")
@public
def show(token):
    return _guarded(lambda: _page(token))


@bp.get("/l/<token>/panel")
@public
def panel(token):
    return _guarded(lambda: _panel(token))


@bp.get("/l/<token>/picture")
@public
def picture(token):
    return _guarded(lambda: codes.picture_of(link_passes.visit(token, address=_address()).wa_session))


@bp.post("/l/<token>/code")
@public
def start(token):
    return _guarded(lambda: _started(token, lambda: link_passes.start(token, address=_address())))


@bp.post("/l/<token>/phone")
@public
def start_by_phone(token):
    number = request.form.get("phone", "")
    return _guarded(
        lambda: _started(
            token, lambda: link_passes.start_by_number(token, number, address=_address()), by="phone"
        )
    )


@bp.post("/l/<token>/passkey/challenge")
@public
def passkey_challenge(token):
    return _guarded(lambda: told(lambda: link_passes.passkey_challenge(token, address=_address())))


@bp.post("/l/<token>/passkey")
@public
def answer_passkey(token):
    signed = assertion()
    return _guarded(
        lambda: _started(token, lambda: link_passes.answer_passkey(token, signed, address=_address()))
    )


@bp.post("/l/<token>/passkey/<any(confirmation, denial):said>")
@public
def compare_passkey_code(token, said):
    is_same = said == "confirmation"
    return _guarded(
        lambda: _started(
            token, lambda: link_passes.compare_passkey_code(token, is_same=is_same, address=_address())
        )
    )


def _guarded(answer) -> Response:
    """What is over has a page of its own, and no answer tells anybody else where it was read."""
    try:
        response = make_response(answer())
    except (link_passes.PassUnknown, link_passes.PassOver) as over:
        if hx.asked():
            response = hx.fragment(render_template("link_pass/_over.html", over=over))
        else:
            response = make_response(render_template("link_pass/over.html", over=over), over.status)
    response.headers.update(HIDDEN)
    return response


def _page(token: str, trouble: Refusal | None = None, by: str = ""):
    context = _context(token, by or _by()) | {"trouble": trouble, "settings": settings()}
    status = trouble.status if trouble else 200
    if hx.asked():
        return hx.fragment(render_template("link_pass/_link.html", **context), status=status)
    return render_template("link_pass/show.html", **context), status


def _panel(token: str):
    context = _context(token, _by())
    if request.args.get("v") == context["version"]:
        return hx.unchanged()
    say = pulse.spoken(context["seen"]) if request.args.get("was") != context["scene"] else ""
    return hx.fragment(render_template("link_pass/_panel.html", trouble=None, **context), say=say)


def _started(token: str, act, by: str = ""):
    try:
        act()
    except (link_passes.PassUnknown, link_passes.PassOver):
        raise
    except Refusal as refusal:
        return _page(token, refusal, by)
    if hx.asked():
        return _page(token, by=by)
    return redirect(url_for(".show", token=token, by=by or None), 303)


def _context(token: str, by: str) -> dict[str, Any]:
    wa_session = link_passes.visit(token, address=_address()).wa_session
    seen = _seen(wa_session)
    drawn = pulse.panel(seen, by, picture_at=url_for(".picture", token=token))
    return drawn | {"token": token, "seen": seen}


def _seen(wa_session: WhatsAppSession) -> glance.Glance:
    now = clock.now()
    return glance.Glance(wa_session, stats.today(wa_session, now), now)


def _by() -> str:
    return "phone" if request.values.get("by") == "phone" else "qr"


def _address() -> str:
    return request.remote_addr or ""
