"""Settings: one's own account, and the keys of apps."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import browsers, clock, sentences
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.account import PasswordForm, ProfileForm
from ..forms.people import KeyForm
from ..permissions import Permission
from ..services import activity, api_keys, logins, roster, second_factor, users
from ..services import spread as spreading
from .access import proved, requires
from .auth import renew_token

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
            renew_token()
            return _done(_("Your password is changed, and your other log-ins have ended."), ".account")
    return _account_page(_profile_form(sent=False), form)


@bp.post("/account/logins/<int:id>/end")
@requires(Permission.LOOK)
@proved
def end_login(id):
    logins.revoke(_me(), id)
    return _done(_("That log-in has ended."), ".account")


@bp.post("/account/logins/end")
@requires(Permission.LOOK)
@proved
def end_other_logins():
    logins.revoke_others(_me())
    return _done(_("Your other log-ins have ended."), ".account")


@bp.route("/keys", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def keys():
    there = roster.listed(current_user.workspace_id)
    form, added, raw = KeyForm(there), None, ""
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added, raw = api_keys.issue(
                current_user.workspace_id,
                form.name.data,
                scopes=[Permission(one) for one in form.scopes.data],
                session_ids=form.session_ids,
                expires_at=form.expires_at(clock.now()),
                actor=current_user.email,
            )
            form = KeyForm(there, sent=False)
    found = api_keys.listed(current_user.workspace_id)
    page = render_template(
        "settings/keys.html",
        form=form,
        keys=found,
        limits=api_keys.sessions_of(found),
        now=clock.now(),
        who=partial(sentences.who, people=activity.people(current_user.workspace_id)),
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


@bp.route("/spread", methods=["GET", "POST"])
@requires(Permission.MANAGE)
def spread():
    if request.method == "POST":
        spreading.switch(current_user.workspace_id, request.form.get("on") == "1", actor=current_user.email)
        return redirect(url_for(".spread"), 303)
    return render_template("settings/spread.html", is_on=spreading.is_on(current_user.workspace_id))


def _account_page(form: ProfileForm, password_form: PasswordForm):
    page = render_template(
        "settings/account.html",
        form=form,
        password_form=password_form,
        factors=second_factor.of(current_user.user_id),
        logins=logins.sessions_of(current_user.user_id),
        browser=browsers.browser,
    )
    return page, 422 if form.errors or password_form.errors else 200


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
