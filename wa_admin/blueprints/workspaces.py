"""Going from one workspace to another, and, for owners, which there are."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..forms import refusals_shown_in
from ..forms.people import WorkspaceForm
from ..models import Workspace
from ..permissions import Permission
from ..services import logins, workspaces
from .access import proved, requires

bp = Blueprint("workspaces", __name__)


@bp.app_context_processor
def places():
    return {"my_workspaces": _mine}


@bp.post("/workspaces/<int:id>/entrance")
@requires(Permission.LOOK)
def enter(id):
    workspaces.enter(_me(), id)
    return redirect(url_for("sessions.home"), 303)


@bp.route("/settings/workspaces", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def index():
    form = WorkspaceForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added = workspaces.add(form.name.data, owner=_me(), actor=current_user.email)
            return _done(_("%(name)s is there, and you are its admin.", name=added.name))
    page = render_template(
        "settings/workspaces.html",
        form=form,
        summaries=workspaces.listed(),
        mine={one.id for one in workspaces.of_person(current_user.user_id)},
    )
    return page, 422 if form.errors else 200


@bp.route("/settings/workspaces/<int:id>", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def edit(id):
    found = workspaces.find(id)
    form = WorkspaceForm(name=found.name)
    if form.validate_on_submit():
        with refusals_shown_in(form):
            workspaces.rename(id, form.name.data, actor=current_user.email)
            return _done(_("Saved."))
    page = render_template("settings/workspace.html", form=form, workspace=workspaces.find(id))
    return page, 422 if form.errors else 200


@bp.route("/settings/workspaces/<int:id>/removal", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def remove(id):
    if request.method == "GET":
        return render_template("settings/remove_workspace.html", workspace=workspaces.find(id))
    return _done(_("%(name)s was removed.", name=workspaces.remove(id, actor=current_user.email)))


@bp.post("/settings/workspaces/<int:id>/membership")
@requires(Permission.OWN)
@proved
def join(id):
    workspaces.join_as_owner(_me(), id)
    return redirect(url_for("sessions.home"), 303)


def _mine() -> list[Workspace]:
    """Where else somebody may look; nothing, and no query, for who is in one workspace only."""
    return workspaces.of_person(current_user.user_id) if current_user.is_elsewhere_too else []


def _me() -> logins.Identity:
    me: Any = current_user
    identity: logins.Identity = me._get_current_object()
    return identity


def _done(sentence: str):
    flash(sentence, "ok")
    return redirect(url_for(".index"), 303)
