"""Settings: the people of a workspace, what they may do, and who is invited."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import sentences
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.people import ALL, SOME, AssignmentForm, InvitationForm, PersonForm, RoleForm
from ..models import Role
from ..permissions import Permission
from ..services import invitations, roster, second_factor, users
from .access import proved, requires
from .sessions import counted

bp = Blueprint("people", __name__, url_prefix="/settings/people")


@bp.get("")
@requires(Permission.MANAGE)
@proved
def index():
    return _page()


@bp.post("")
@requires(Permission.MANAGE)
@proved
def add():
    form = PersonForm()
    if form.validate():
        given = form.password.data
        with refusals_shown_in(form):
            password = given or users.new_password()
            added = users.add(
                current_user.workspace_id,
                form.email.data,
                form.name.data,
                password,
                Role(form.role.data),
                actor=current_user.email,
            )
            return _page(added=added, shown_password="" if given else password), 201
    return render_template("settings/add_person.html", form=form), 422


@bp.get("/new")
@requires(Permission.MANAGE)
@proved
def new():
    return render_template("settings/add_person.html", form=PersonForm(sent=False))


@bp.post("/invitations")
@requires(Permission.MANAGE)
@proved
def invite():
    form = InvitationForm(roster.listed(current_user.workspace_id))
    if form.validate():
        with refusals_shown_in(form):
            invited, token = invitations.issue(
                current_user.workspace_id,
                form.email.data,
                Role(form.role.data),
                session_ids=form.session_ids,
                actor=current_user.email,
            )
            panel_url = settings().public_url or request.host_url.rstrip("/")
            link = panel_url + url_for("joining.join", token=token)
            return _page(invited=invited, link=link), 201
    return _page(form), 422


@bp.post("/invitations/<int:id>/revocation")
@requires(Permission.MANAGE)
@proved
def revoke(id):
    gone = invitations.revoke(current_user.workspace_id, id, actor=current_user.email)
    return _done(_("The link for %(email)s no longer works.", email=gone.email))


@bp.get("/<int:id>")
@requires(Permission.MANAGE)
@proved
def person(id):
    return _person_page(id)


@bp.post("/<int:id>/role")
@requires(Permission.MANAGE)
@proved
def set_role(id):
    form = RoleForm()
    if form.validate():
        with refusals_shown_in(form):
            user = users.set_role(
                current_user.workspace_id, id, Role(form.role.data), actor=current_user.email
            )
            return _done(_("%(name)s has another role now.", name=user.name))
    return _person_page(id, form=form), 422


@bp.post("/<int:id>/sessions")
@requires(Permission.MANAGE)
@proved
def assign(id):
    form = AssignmentForm(roster.listed(current_user.workspace_id))
    if form.validate():
        with refusals_shown_in(form):
            user = users.assign(current_user.workspace_id, id, form.session_ids, actor=current_user.email)
            return _done(_("%(name)s works with other sessions now.", name=user.name))
    return _person_page(id, assignment_form=form), 422


@bp.post("/<int:id>/access")
@requires(Permission.MANAGE)
@proved
def let_in(id):
    user = users.set_active(current_user.workspace_id, id, True, actor=current_user.email)
    return _done(_("%(name)s may log in again.", name=user.name))


@bp.post("/<int:id>/access/end")
@requires(Permission.MANAGE)
@proved
def keep_out(id):
    user = users.set_active(current_user.workspace_id, id, False, actor=current_user.email)
    return _done(_("%(name)s can no longer log in.", name=user.name))


@bp.post("/<int:id>/password")
@requires(Permission.MANAGE)
@proved
def reset_password(id):
    new = users.new_password()
    users.reset_password(
        current_user.workspace_id, id, new, by_owner=current_user.is_owner, actor=current_user.email
    )
    return _person_page(id, shown_password=new)


def _page(form: InvitationForm | None = None, **shown: Any):
    workspace_id = current_user.workspace_id
    people, there = users.listed(workspace_id), roster.listed(workspace_id)
    counted(len(there))
    return render_template(
        "settings/people.html",
        form=form or InvitationForm(there, sent=False),
        people=people,
        assigned=users.assigned(workspace_id),
        last_seen=users.last_seen(workspace_id),
        required=second_factor.is_required(workspace_id),
        invitations=invitations.listed(workspace_id),
        who=partial(sentences.who, people={one.email: one.name for one in people}),
        **{"added": None, "shown_password": "", "invited": None, "link": ""} | shown,
    )


def _person_page(
    id: int,
    form: RoleForm | None = None,
    assignment_form: AssignmentForm | None = None,
    shown_password: str = "",
):
    workspace_id = current_user.workspace_id
    user, there = users.find(workspace_id, id), roster.listed(workspace_id)
    counted(len(there))
    own = list(users.assigned(workspace_id).get(user.id, {}))
    sees = ALL if user.sees_all else SOME
    return render_template(
        "settings/person.html",
        user=user,
        form=form or RoleForm(sent=False, role=user.role.value),
        assignment_form=assignment_form or AssignmentForm(there, sent=False, sees=sees, sessions=own),
        opens_more=users.opens_more(user) and not current_user.is_owner,
        shown_password=shown_password,
    )


def _done(sentence: str):
    flash(sentence, "ok")
    return redirect(url_for(".index"), 303)
