"""Settings: one's own account, the keys of apps, the people of the team."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import browsers
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.account import KeyForm, PasswordForm, PersonForm, ProfileForm, RoleForm
from ..models import Role
from ..permissions import Permission
from ..services import api_keys, logins, users
from .access import proved, requires

bp = Blueprint("settings", __name__, url_prefix="/settings")


@bp.get("")
@requires(Permission.LOOK)
def index():
    return redirect(url_for(".account"))


@bp.route("/account", methods=["GET", "POST"])
@requires(Permission.LOOK)
def account():
    me, form = current_user, _profile_form()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            users.edit_profile(
                me.workspace_id,
                me.user_id,
                name=form.name.data,
                language=form.language.data,
                time_zone=form.time_zone.data,
                theme=form.theme.data,
                actor=me.email,
            )
            return _done(_("Saved."), ".account")
    return _account_page(form, _password_form(sent=False))


@bp.post("/account/password")
@requires(Permission.LOOK)
def password():
    me, form = current_user, _password_form()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            logins.prove(_me(), form.password.data, address=request.remote_addr or "")
            users.set_password(
                me.workspace_id, me.user_id, form.new_password.data, keep_login_id=me.login_id, actor=me.email
            )
            return _done(_("Your password is changed, and your other log-ins have ended."), ".account")
    return _account_page(_profile_form(sent=False), form)


@bp.post("/account/logins/<int:id>/end")
@requires(Permission.LOOK)
def end_login(id):
    logins.revoke(_me(), id)
    return _done(_("That log-in has ended."), ".account")


@bp.post("/account/logins/end")
@requires(Permission.LOOK)
def end_other_logins():
    logins.revoke_others(_me())
    return _done(_("Your other log-ins have ended."), ".account")


@bp.route("/keys", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def keys():
    form, added, raw = KeyForm(), None, ""
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added, raw = api_keys.issue(current_user.workspace_id, form.name.data, actor=current_user.email)
            form.name.data = ""
    page = render_template(
        "settings/keys.html",
        form=form,
        keys=api_keys.listed(current_user.workspace_id),
        added=added,
        raw=raw,
        panel_url=settings().public_url or request.host_url.rstrip("/"),
    )
    return page, _status(form, made=added is not None)


@bp.route("/keys/<int:id>/revocation", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def revoke_key(id):
    if request.method == "GET":
        key = api_keys.find(current_user.workspace_id, id)
        return render_template("settings/revoke_key.html", key=key)
    key = api_keys.revoke(current_user.workspace_id, id, actor=current_user.email)
    return _done(_("The key %(name)s no longer works.", name=key.name), ".keys")


@bp.route("/people", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def people():
    form, added, first_password = PersonForm(), None, ""
    if form.validate_on_submit():
        given = form.password.data
        with refusals_shown_in(form):
            first_password = given or users.new_password()
            added = users.add(
                current_user.workspace_id,
                form.email.data,
                form.name.data,
                first_password,
                Role(form.role.data),
                actor=current_user.email,
            )
            form.name.data = form.email.data = ""
    page = render_template(
        "settings/people.html",
        form=form,
        people=users.listed(current_user.workspace_id),
        last_seen=users.last_seen(current_user.workspace_id),
        added=added,
        shown_password="" if form.password.data else first_password,
    )
    return page, _status(form, made=added is not None)


@bp.get("/people/<int:id>")
@requires(Permission.MANAGE)
@proved
def person(id):
    return _person_page(id)


@bp.post("/people/<int:id>/role")
@requires(Permission.MANAGE)
@proved
def set_role(id):
    form = RoleForm()
    if not form.validate():
        return _person_page(id, form)
    with refusals_shown_in(form):
        user = users.set_role(current_user.workspace_id, id, Role(form.role.data), actor=current_user.email)
        return _done(_("%(name)s has another role now.", name=user.name), ".people")
    return _person_page(id, form)


@bp.post("/people/<int:id>/access")
@requires(Permission.MANAGE)
@proved
def let_in(id):
    user = users.set_active(current_user.workspace_id, id, True, actor=current_user.email)
    return _done(_("%(name)s may log in again.", name=user.name), ".people")


@bp.post("/people/<int:id>/access/end")
@requires(Permission.MANAGE)
@proved
def keep_out(id):
    user = users.set_active(current_user.workspace_id, id, False, actor=current_user.email)
    return _done(_("%(name)s can no longer log in.", name=user.name), ".people")


@bp.post("/people/<int:id>/password")
@requires(Permission.MANAGE)
@proved
def reset_password(id):
    new = users.new_password()
    users.set_password(current_user.workspace_id, id, new, actor=current_user.email)
    return _person_page(id, shown_password=new)


def _account_page(form: ProfileForm, password_form: PasswordForm):
    page = render_template(
        "settings/account.html",
        form=form,
        password_form=password_form,
        logins=logins.sessions_of(current_user.user_id),
        browser=browsers.browser,
    )
    return page, 422 if form.errors or password_form.errors else 200


def _person_page(id: int, form: RoleForm | None = None, shown_password: str = ""):
    user = users.find(current_user.workspace_id, id)
    page = render_template(
        "settings/person.html",
        user=user,
        form=form or RoleForm(role=user.role.value),
        shown_password=shown_password,
    )
    return page, 422 if form is not None and form.errors else 200


def _profile_form(sent: bool = True) -> ProfileForm:
    me = current_user
    values = {"language": me.language or "", "time_zone": me.time_zone or ""}
    return ProfileForm(sent=sent, name=me.name, theme=me.theme, **values)


def _password_form(sent: bool = True) -> PasswordForm:
    return PasswordForm(own_words=(current_user.email, current_user.name), sent=sent)


def _done(sentence: str, endpoint: str):
    flash(sentence, "ok")
    return redirect(url_for(endpoint), 303)


def _status(form, made: bool) -> int:
    return 422 if form.errors else 201 if made else 200


def _me() -> logins.Identity:
    return current_user._get_current_object()
