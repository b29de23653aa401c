"""The second factor: showing it when one logs in, setting it up, and helping who lost theirs."""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user

from .. import cookies, qr
from ..forms import refusals_shown_in
from ..forms.second_factor import AppForm, CodeForm, PasskeyForm
from ..passwords import TooBusy
from ..permissions import Permission
from ..refusal import Refusal
from ..services import logins, passkeys, second_factor
from ..services.passkeys import BadPasskey, Question, Site
from ..services.second_factor import WrongCode
from ..services.throttle import TooManyAttempts
from . import known_browser
from .access import page_before, proved, public, requires, without_second_factor
from .auth import asked_again, enter, going_on, held_token, renew_token, where_from
from .passkey_site import by_name, site

bp = Blueprint("second_factor", __name__)

QUESTION_KEY = "passkey_question"  # where the challenge lies in Flask's signed session


# --- logging in ----------------------------------------------------------------------------------


@bp.route("/login/second-step", methods=["GET", "POST"])
@public
def second_step():
    form, refusal, token = CodeForm(next=going_on()), None, held_token()
    try:
        waiting = logins.waiting(token)
        if form.validate_on_submit():
            whole = second_factor.pass_with_code(token, form.code.data, **where_from())
            return known_browser.remember(enter(whole, going_on()), waiting.email)
    except logins.LoginOver as over:
        return _back_to_login(over)
    except (WrongCode, TooManyAttempts) as error:
        refusal, form.code.data = error, ""
    return _step_page(form, refusal, waiting)


@bp.post("/login/passkey/question")
@public
def ask_passkey():
    return _ask(passkeys.ask_for(_site()))


@bp.post("/login/passkey")
@public
def log_in_with_passkey():
    """Whole logins and second steps: a passkey is enough for both."""
    asked_by, question, answer = _site(), _asked(), request.form.get("credential", "")
    token = held_token()
    waits = logins.waits(token)
    try:
        if waits:
            new = passkeys.pass_second_step(token, asked_by, question, answer, **where_from())
        else:
            new = passkeys.log_in(asked_by, question, answer, **where_from())
    except (BadPasskey, TooManyAttempts, TooBusy, logins.LoginOver, logins.WrongPassword) as refusal:
        flash(str(refusal))
        return redirect(url_for(".second_step" if waits else "auth.login", next=going_on()), 303)
    return _remembering(enter(new, going_on()))


@bp.post("/confirm/passkey")
@requires(Permission.LOOK)
@without_second_factor
def confirm_with_passkey():
    try:
        passkeys.prove(_me(), _site(), _asked(), request.form.get("credential", ""))
    except BadPasskey as refusal:
        flash(str(refusal))
        return redirect(url_for("auth.confirm", next=going_on()), 303)
    renew_token()
    return redirect(going_on(), 303)


# --- setting it up -------------------------------------------------------------------------------


@bp.get("/settings/second-factor")
@requires(Permission.LOOK)
@proved
@without_second_factor
def index():
    return _page(PasskeyForm(name=""))


@bp.route("/settings/second-factor/app", methods=["GET", "POST"])
@requires(Permission.LOOK)
@proved
@without_second_factor
def app():
    form, me = AppForm(), _me()
    offer = (
        second_factor.offered(me, form.sealed.data or "")
        if request.method == "POST"
        else second_factor.offer(me)
    )
    if form.validate_on_submit():
        with refusals_shown_in(form):
            codes = second_factor.add_app(me, offer.sealed, form.code.data, address=where_from()["address"])
            return _set_up(codes, _("Codes of your app are asked for from now on."))
    form.code.data = ""
    page = render_template(
        "settings/account_app.html", form=form, offer=offer, qr=qr.svg(offer.uri, _("QR code for the app"))
    )
    return page, 422 if form.errors else 200


@bp.post("/settings/second-factor/passkeys/question")
@requires(Permission.LOOK)
@proved
@without_second_factor
def ask_new_passkey():
    return _ask(passkeys.ask_new(_me(), _site()))


@bp.post("/settings/second-factor/passkeys")
@requires(Permission.LOOK)
@proved
@without_second_factor
def add_passkey():
    form = PasskeyForm()
    if form.validate():
        with refusals_shown_in(form):
            codes = passkeys.add(_me(), _site(), _asked(), form.credential.data or "", form.name.data)
            return _remembering(_set_up(codes, _("You can log in with this passkey from now on.")))
    return _page(form)


@bp.post("/settings/second-factor/codes")
@requires(Permission.LOOK)
@proved
def renew_codes():
    return _codes_page(second_factor.renew_codes(_me()))


@bp.route("/settings/second-factor/app/removal", methods=["GET", "POST"])
@requires(Permission.LOOK)
@proved
def remove_app():
    if request.method == "GET":
        return render_template("settings/account_remove.html", passkey=None)
    second_factor.remove_app(_me())
    return _renewed(_("No codes of an app are asked for any more."))


@bp.route("/settings/second-factor/passkeys/<int:id>/removal", methods=["GET", "POST"])
@requires(Permission.LOOK)
@proved
def remove_passkey(id):
    if request.method == "GET":
        found = next((one for one in second_factor.of(_me().user_id).passkeys if one.id == id), None)
        if found is None:
            raise passkeys.PasskeyNotFound
        return render_template("settings/account_remove.html", passkey=found)
    passkeys.remove(_me(), id)
    return _renewed(_("This passkey opens nothing any more."))


# --- others --------------------------------------------------------------------------------------


@bp.post("/settings/second-factor/required")
@requires(Permission.MANAGE)
@proved
def require():
    wanted = request.form.get("required") == "1"
    second_factor.require(_me(), wanted)
    flash(
        _("Everybody needs a second factor now.")
        if wanted
        else _("A second factor is up to each person now."),
        "ok",
    )
    return redirect(page_before(), 303)


@bp.post("/settings/people/<int:id>/second-factor/removal")
@requires(Permission.MANAGE)
@proved
def reset(id):
    member = second_factor.reset(current_user.workspace_id, id, by=_me(), actor=current_user.email)
    flash(
        _(
            "%(name)s logs in with the password alone now, and can set up a new second factor.",
            name=member.name,
        ),
        "ok",
    )
    return redirect(page_before(), 303)


# --- answers -------------------------------------------------------------------------------------


def _page(form: PasskeyForm):
    page = render_template(
        "settings/account_factors.html",
        form=form,
        factors=second_factor.of(_me().user_id),
        site=site(),
        by_name=by_name(),
    )
    return page, 422 if form.errors else 200


def _step_page(form: CodeForm, refusal: Refusal | None, waiting: logins.Identity):
    factors = second_factor.of(waiting.user_id)
    return asked_again("auth/second_step.html", form, refusal, factors=factors, waiting=waiting, site=site())


def _set_up(codes: list[str], sentence: str):
    """Once another factor counts: the codes, if there are new ones, under a new token."""
    renew_token()
    if codes:
        return _codes_page(codes)
    flash(sentence, "ok")
    return redirect(url_for(".index"), 303)


def _codes_page(codes: list[str]):
    return make_response(render_template("settings/account_codes.html", codes=codes), 201)


def _renewed(sentence: str):
    renew_token()
    flash(sentence, "ok")
    return redirect(url_for(".index"), 303)


def _back_to_login(over: logins.LoginOver):
    flash(str(over))
    return redirect(url_for("auth.login", next=going_on()), 303)


def _remembering(response):
    """This browser has a passkey for us: the login page offers it first."""
    cookies.keep(response, cookies.KNOWS_PASSKEY, "1")
    return response


# --- asking browsers -----------------------------------------------------------------------------


def _site() -> Site:
    here = site()
    if here is None:
        raise BadPasskey
    return here


def _ask(question: Question) -> Response:
    session[QUESTION_KEY] = [question.challenge, question.until]
    return Response(question.options, mimetype="application/json")


def _asked() -> Question | None:
    """What we asked last; each question has one answer."""
    match session.pop(QUESTION_KEY, None):
        case [str(challenge), int() | float() as until]:
            return Question("", challenge, until)
    return None


def _me() -> logins.Identity:
    return current_user._get_current_object()
