from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request, url_for

from ..permissions import Permission
from ..refusal import Refusal
from ..services import existing, links, roster
from .access import proved, requires
from .sessions import linking

bp = Blueprint("existing", __name__)


@bp.route("/sessions/<int:id>/existing", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def enter(id):
    wa_session, trouble = roster.find(g.caller.workspace_id, id), None
    if request.method == "POST":
        given = request.form.get("instance", ""), request.form.get("token", "")
        try:
            wa_session = existing.enter(g.caller.workspace_id, id, *given, actor=g.caller.actor)
            return _go_on(wa_session)
        except Refusal as refusal:
            trouble = refusal
    page = render_template("sessions/existing.html", wa_session=wa_session, trouble=trouble)
    return page, trouble.status if trouble else 200


def _go_on(wa_session):
    """Where its phone is not linked there yet, that is next."""
    if wa_session.is_connected:
        return redirect(url_for("sessions.show", id=wa_session.id), 303)
    return linking(
        wa_session.id, lambda: links.link(g.caller.workspace_id, wa_session.id, actor=g.caller.actor)
    )
