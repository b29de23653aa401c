"""The page that an invitation opens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import words
from ..forms import refusals_shown_in
from ..forms.people import JoinForm, KnownForm
from ..models import Invitation
from ..services import invitations, workspaces
from .access import public
from .auth import enter, where_from

bp = Blueprint("joining", __name__)


@bp.get("/join")
@public
def join():
    return _page(invitations.look_up(_token()))


@bp.post("/join")
@public
def accept():
    invitation = invitations.look_up(_token())
    if current_user.is_authenticated:
        member = invitations.accept(_token(), current_user._get_current_object())
        flash(_("Welcome, %(name)s.", name=member.name), "ok")
        return redirect(url_for("sessions.home"), 303)
    if invitations.guest(invitation) is None:
        return _begin(invitation)
    return _come_back(invitation)


def _begin(invitation: Invitation):
    form = JoinForm()
    if form.validate():
        with refusals_shown_in(form):
            login = invitations.accept_as_new(
                _token(),
                form.name.data,
                form.password.data,
                language=form.language.data,
                time_zone=form.time_zone.data,
                **where_from(),
            )
            return enter(login, url_for("sessions.home"))
    return _page(invitation, form), 422


def _come_back(invitation: Invitation):
    form = KnownForm()
    if form.validate():
        with refusals_shown_in(form):
            invitations.accept_with_password(_token(), form.password.data, address=where_from()["address"])
            flash(_("You have joined. Log in now."), "ok")
            return redirect(url_for("auth.login"), 303)
    return _page(invitation, form), 422


def _page(invitation: Invitation, form: JoinForm | KnownForm | None = None):
    guest = invitations.guest(invitation)
    mine = current_user.is_authenticated and current_user.email == invitation.email
    return render_template(
        "auth/join.html",
        invitation=invitation,
        workspace_name=workspaces.name_of(invitation.workspace_id),
        guest=guest,
        is_me=mine,
        may_log_in=guest is not None and invitations.has_a_way_in(guest),
        form=form or (KnownForm(sent=False) if guest else JoinForm(sent=False)),
        token=_token(),
        languages=words.languages(),
    )


def _token() -> str:
    return request.values.get("token", "")
