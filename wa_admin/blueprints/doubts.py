"""Several messages in doubt at once: what became of them, as somebody knows."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import ngettext

from .. import clock
from ..models import MessageStatus
from ..permissions import Permission
from ..services import doubts, outbox
from . import row_number
from .access import requires

bp = Blueprint("doubts", __name__, url_prefix="/messages/doubts")

PAGE = 50


@bp.get("")
@requires(Permission.SEND)
def index():
    page = outbox.page(
        g.caller.workspace_id,
        status=MessageStatus.UNCERTAIN,
        cursor=request.args.get("cursor", type=row_number),
        limit=PAGE,
    )
    now = clock.now()
    return render_template(
        "doubts/index.html",
        page=page,
        checked=[one.id for one in page.items if doubts.is_being_checked(one, now)],
        has_all="all" in request.args,
        asks="none" in request.args,
    )


@bp.post("/arrival")
@requires(Permission.SEND)
def arrived():
    if not (ids := _ids()):
        return _none_chosen()
    count = outbox.decide_about(g.caller.workspace_id, ids, outbox.it_arrived, actor=g.caller.actor)
    flash(ngettext("You say that %(num)s message arrived.", "You say that %(num)s messages arrived.", count))
    return redirect(url_for(".index"), 303)


@bp.post("/deliveries")
@requires(Permission.SEND)
def send_again():
    """Asks first: what did arrive arrives twice then."""
    if not (ids := _ids()):
        return _none_chosen()
    if "is_sure" not in request.form:
        found = [outbox.find(g.caller.workspace_id, id) for id in ids]
        return render_template("doubts/resend.html", messages=found)
    count = outbox.decide_about(g.caller.workspace_id, ids, outbox.retry, actor=g.caller.actor)
    flash(ngettext("%(num)s message is sent again.", "%(num)s messages are sent again.", count))
    return redirect(url_for(".index"), 303)


def _ids() -> list[int]:
    ids = request.form.getlist("ids", type=row_number)
    if len(ids) > PAGE:
        abort(400)
    return ids


def _none_chosen():
    return redirect(url_for(".index", none=1), 303)
