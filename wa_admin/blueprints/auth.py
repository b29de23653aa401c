"""Coming in and going out: the first run, the login page, the language of strangers."""

from __future__ import annotations

from typing import Any, TypedDict

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask_login import current_user

from .. import cookies, hx, words
from ..forms import refusals_shown_in
from ..forms.account import Form, LoginForm, ProofForm, SetupForm
from ..models import User
from ..passwords import TooBusy
from ..permissions import Permission
from ..refusal import Refusal
from ..services import logins, second_factor, users
from ..services.logins import WrongPassword
from ..services.throttle import TooManyAttempts
from . import known_browser
from .access import is_own_path, page_before, public, requires, without_second_factor
from .passkey_site import by_name, site

bp = Blueprint("auth", __name__)


@bp.route("/login", methods=["GET", "POST"])
@public
def login():
    if current_user.is_authenticated:
        return redirect(going_on())
    if request.method == "GET" and logins.waits(held_token()):
        return redirect(url_for("second_factor.second_step", next=going_on()), 303)
    if not User.exists():
        return render_template("auth/not_set_up.html"), 404
    form = LoginForm(next=going_on())
    refusal = None
    if form.validate_on_submit():
        try:
            email, browser = form.email.data, known_browser.mark(form.email.data)
            token = logins.log_in(email, form.password.data, browser=browser, **where_from())
            if logins.waits(token):
                return enter(token, url_for("second_factor.second_step", next=going_on()))
            return known_browser.remember(enter(token, going_on()), email)
        except (WrongPassword, TooManyAttempts, TooBusy) as error:
            refusal = error
    knows_passkey = bool(cookies.held(request.cookies, cookies.KNOWS_PASSKEY))
    return asked_again(
        "auth/login.html", form, refusal, knows_passkey=knows_passkey, site=site(), by_name=by_name()
    )


@bp.post("/logout")
@public
def logout():
    _leave()
    response = hx.go(url_for(".login"))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@bp.route("/confirm", methods=["GET", "POST"])
@requires(Permission.LOOK)
@without_second_factor
def confirm():
    form = ProofForm(next=going_on())
    refusal = None
    if form.validate_on_submit():
        try:
            logins.prove(
                current_user._get_current_object(), form.password.data, address=where_from()["address"]
            )
            renew_token()
            return redirect(going_on(), 303)
        except (WrongPassword, TooManyAttempts, TooBusy) as error:
            refusal = error
    has_passkey = bool(second_factor.of(current_user.user_id).passkeys)
    return asked_again("auth/confirm.html", form, refusal, has_passkey=has_passkey and site() is not None)


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
                **where_from(),
            )
            return enter(login, url_for("sessions.home"))
    users.check_setup_token(token)
    return render_template("auth/setup.html", form=form), 422 if form.errors else 200


@bp.post("/language")
@public
def language():
    response = redirect(page_before(), 303)
    if (chosen := request.form.get("language", "")) in words.languages():
        cookies.keep(response, cookies.LANGUAGE, chosen)
    return response


def enter(token: str, target: str):
    """A new login never inherits what lay in the cookie before."""
    _leave()
    session[logins.COOKIE_KEY] = token
    session.permanent = True
    return redirect(target, 303)


def renew_token() -> None:
    """What the cookie held until now opens nothing any more (here at once, in other processes within 5 s)."""
    session[logins.COOKIE_KEY] = logins.renewed(current_user._get_current_object())


def _leave() -> None:
    token = held_token()
    session.clear()
    if token:
        logins.log_out(token)


def asked_again(template: str, form: Form, refusal: Refusal | None, **shown: Any):
    """The form, with what the service had against it; its password or code is never sent back."""
    status = 422 if form.errors else 200
    if refusal is not None:
        form.form_errors.append(str(refusal))
        status = refusal.status
    page = render_template(template, form=form, refusal=refusal, languages=words.languages(), **shown)
    response = make_response(page, status)
    if refusal is not None and refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def going_on() -> str:
    """The path of ours that follows, once somebody is in or has shown who they are."""
    target = request.values.get("next")
    return target if target and is_own_path(target) else url_for("sessions.home")


def held_token() -> str:
    """The token in the cookie, whatever it is worth; empty for none."""
    token = session.get(logins.COOKIE_KEY)
    return token if isinstance(token, str) else ""


class WhereFrom(TypedDict):
    address: str
    agent: str


def where_from() -> WhereFrom:
    """Address and browser of this request, as services take them."""
    return {"address": request.remote_addr or "", "agent": request.user_agent.string}
