"""Coming in and going out: the first run, the login page, the language of strangers."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user

from .. import hx, words
from ..forms import refusals_shown_in
from ..forms.account import LoginForm, ProofForm, SetupForm
from ..models import User
from ..passwords import TooBusy
from ..permissions import Permission
from ..refusal import Refusal
from ..services import logins, users
from ..services.logins import WrongPassword
from ..services.throttle import TooManyAttempts
from .access import is_own_path, page_before, public, requires

bp = Blueprint("auth", __name__)

A_YEAR = timedelta(days=365)


@bp.route("/login", methods=["GET", "POST"])
@public
def login():
    if current_user.is_authenticated:
        return redirect(_next())
    if not User.exists():
        return render_template("auth/not_set_up.html"), 404
    form = LoginForm(next=_next())
    refusal = None
    if form.validate_on_submit():
        try:
            token = logins.log_in(form.email.data, form.password.data, address=_address(), agent=_agent())
            return _enter(token, _next())
        except (WrongPassword, TooManyAttempts, TooBusy) as error:
            refusal = error
    return _asked_again("auth/login.html", form, refusal)


@bp.post("/logout")
@public
def logout():
    _leave()
    response = hx.go(url_for(".login"))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@bp.route("/confirm", methods=["GET", "POST"])
@requires(Permission.LOOK)
def confirm():
    form = ProofForm(next=_next())
    refusal = None
    if form.validate_on_submit():
        try:
            logins.prove(current_user._get_current_object(), form.password.data, address=_address())
            return redirect(_next(), 303)
        except (WrongPassword, TooManyAttempts, TooBusy) as error:
            refusal = error
    return _asked_again("auth/confirm.html", form, refusal)


@bp.route("/setup", methods=["GET", "POST"])
@public
def setup():
    token = request.values.get("token", "")
    form = SetupForm(token=token)
    if form.validate_on_submit():
        with refusals_shown_in(form):
            login = users.set_up(
                token,
                form.email.data,
                form.name.data,
                form.password.data,
                language=form.language.data,
                time_zone=form.time_zone.data,
                address=_address(),
                agent=_agent(),
            )
            return _enter(login, url_for("sessions.home"))
    users.check_setup_token(token)
    return render_template("auth/setup.html", form=form), 422 if form.errors else 200


@bp.post("/language")
@public
def language():
    response = redirect(page_before(), 303)
    if (chosen := request.form.get("language", "")) in words.languages():
        response.set_cookie(words.LANGUAGE_COOKIE, chosen, max_age=A_YEAR, samesite="Lax", httponly=True)
    return response


def _enter(token: str, target: str):
    """A new login never inherits what lay in the cookie before."""
    _leave()
    session[logins.COOKIE_KEY] = token
    session.permanent = True
    return redirect(target, 303)


def _leave() -> None:
    token = session.get(logins.COOKIE_KEY)
    session.clear()
    if isinstance(token, str):
        logins.log_out(token)


def _asked_again(template: str, form: LoginForm | ProofForm, refusal: Refusal | None):
    """The form, with what the service had against it; its password is never sent back."""
    status = 422 if form.errors else 200
    if refusal is not None:
        form.form_errors.append(str(refusal))
        status = refusal.status
    response = make_response(
        render_template(template, form=form, refusal=refusal, languages=words.languages()), status
    )
    if refusal is not None and refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _next() -> str:
    target = request.values.get("next")
    return target if target and is_own_path(target) else url_for("sessions.home")


def _address() -> str:
    return request.remote_addr or ""


def _agent() -> str:
    return request.user_agent.string
