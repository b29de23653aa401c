from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from .. import clock, hx, overview, pulse, words
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.session import SessionForm
from ..models import Look, WhatsAppSession
from ..permissions import Permission
from ..refusal import Refusal
from ..services import (
    board,
    gateways,
    glance,
    lineup,
    link_passkeys,
    links,
    roster,
    sessions,
    stats,
    timeline,
)
from .access import page_before, proved, requires

bp = Blueprint("sessions", __name__)
bp.add_app_template_global(lambda: settings().max_sessions, "max_sessions")
bp.add_app_template_global(lambda: settings().max_sessions > 1 or _count() > 1, "has_several_sessions")

LATEST = 5
COUNT = "wa_admin.session_count"  # where a request keeps it
BY = ("qr", "phone")


# --- looking -------------------------------------------------------------------------------------


@bp.get("/")
@requires(Permission.LOOK)
def home():
    workspace_id, limit, asked = g.caller.workspace_id, settings().max_sessions, bool(request.args)
    if limit == 1 and len(few := roster.first(workspace_id, 2)) < 2:
        request.environ[COUNT] = len(few)
        return _page_of(few[0]) if few else _first_page()
    shown = _lineup()
    if len(shown.lines) > 1 or asked:
        drawn = overview.page(shown, _count())
        return render_template("sessions/lineup.html", **drawn, limit=limit, csrf=generate_csrf())
    if not shown.lines:
        return _first_page()
    return _page_of(roster.find(workspace_id, shown.lines[0].wa_session.id), total=1)


@bp.get("/sessions/news")
@requires(Permission.LOOK)
def news():
    total = _count()
    if not hx.asked() or total < 2:
        return hx.go(url_for(".home"))
    drawn = overview.page(_lineup(), total)
    return hx.fragment(render_template("sessions/_all_news.html", **drawn, csrf=generate_csrf()))


@bp.get("/sessions/<int:id>")
@requires(Permission.LOOK)
def show(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    return _page_of(wa_session, total=_count())


@bp.get("/sessions/<int:id>/status")
@requires(Permission.LOOK)
def status(id):
    seen = glance.look_up(id)
    if seen is None:
        return hx.go(url_for(".home"))
    return pulse.told(seen, request.args.get("was"))


@bp.get("/sessions/<int:id>/card")
@requires(Permission.LOOK)
def card(id):
    return hx.fragment(_card_of(_seen(roster.find(g.caller.workspace_id, id))))


@bp.get("/sessions/<int:id>/day")
@requires(Permission.LOOK)
def day(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    return hx.fragment(render_template("sessions/_day.html", wa_session=wa_session, **_day(wa_session)))


@bp.get("/sessions/<int:id>/latest")
@requires(Permission.LOOK)
def latest(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    return hx.fragment(render_template("sessions/_latest.html", wa_session=wa_session, **_latest(wa_session)))


# --- linking -------------------------------------------------------------------------------------


@bp.get("/sessions/<int:id>/link")
@requires(Permission.LINK)
@proved
def link_page(id):
    return _link_view(roster.find(g.caller.workspace_id, id))


@bp.get("/sessions/<int:id>/link/panel")
@requires(Permission.LINK)
@proved
def link_panel(id):
    seen = glance.look_up(id)
    if seen is None:
        return hx.go(url_for(".home"))
    changed = request.args.get("was") != pulse.scene(seen)
    page = render_template("sessions/_panel.html", **_panel(seen))
    return hx.fragment(page, say=pulse.spoken(seen) if changed else "")


@bp.post("/sessions/<int:id>/link")
@requires(Permission.LINK)
@proved
def link(id):
    return linking(id, lambda: links.link(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/link/phone")
@requires(Permission.LINK)
@proved
def link_by_phone(id):
    number = request.form.get("phone", "")
    return linking(id, lambda: links.pairing_code(g.caller.workspace_id, id, number, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/link/cancel")
@requires(Permission.LINK)
def cancel_link(id):
    return _shown(links.cancel_link(g.caller.workspace_id, id, actor=g.caller.actor))


# --- keeping -------------------------------------------------------------------------------------


@bp.post("/sessions/<int:id>/connection")
@requires(Permission.LINK)
def connect(id):
    return _shown(links.connect(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/disconnection")
@requires(Permission.LINK)
def disconnect(id):
    return _shown(links.disconnect(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/restart")
@requires(Permission.LINK)
def restart(id):
    return _shown(links.restart(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/logout")
@requires(Permission.LINK)
@proved
def logout(id):
    return _shown(links.logout(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/replacement")
@requires(Permission.LINK)
@proved
def replace(id):
    links.replace(
        g.caller.workspace_id, id, phone_number=request.form.get("phone_number"), actor=g.caller.actor
    )
    return hx.go(url_for(".link_page", id=id))


@bp.post("/sessions/<int:id>/default")
@requires(Permission.MANAGE)
def make_default(id):
    return _shown(sessions.make_default(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/pause")
@requires(Permission.PAUSE)
def pause(id):
    return _shown(sessions.pause(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/resume")
@requires(Permission.PAUSE)
def resume(id):
    return _shown(sessions.resume(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/sessions/<int:id>/activation")
@requires(Permission.MANAGE)
def activate(id):
    is_active = request.form.get("on") == "1"
    return _shown(sessions.edit(g.caller.workspace_id, id, is_active=is_active, actor=g.caller.actor))


@bp.get("/sessions/<int:id>/confirm/<any(disconnect, logout, replace):act>")
@requires(Permission.LINK)
def confirm(id, act):
    return _asked_again(roster.find(g.caller.workspace_id, id), act)


# --- our own row ---------------------------------------------------------------------------------


@bp.route("/sessions/new", methods=["GET", "POST"])
@requires(Permission.MANAGE)
def new():
    form = SessionForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added = sessions.create(
                g.caller.workspace_id,
                **form.values(),
                gateway=form.gateway.data or None,
                actor=g.caller.actor,
            )
            return link(added.id) if "link" in request.form else redirect(url_for(".home"), 303)
    return render_template("sessions/form.html", form=form, wa_session=None), 422 if form.errors else 200


@bp.route("/sessions/<int:id>/edit", methods=["GET", "POST"])
@requires(Permission.MANAGE)
def edit(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    form = SessionForm(**SessionForm.of(wa_session))
    if form.validate_on_submit():
        with refusals_shown_in(form):
            sessions.edit(g.caller.workspace_id, id, **form.values(), actor=g.caller.actor)
            flash(_("Saved."), "ok")
            return redirect(url_for(".home"), 303)
    page = render_template("sessions/form.html", form=form, wa_session=wa_session)
    return page, 422 if form.errors else 200


@bp.route("/sessions/<int:id>/delete", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def delete(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    if request.method == "GET":
        return _asked_again(wa_session, "delete")
    if request.form.get("typed_name", "").strip().casefold() != wa_session.name_key:
        return _asked_again(wa_session, "delete", error=_("This is not its name. Nothing was deleted."))
    only_here = "only_here" in request.form
    try:
        sessions.delete(g.caller.workspace_id, id, force=True, only_here=only_here, actor=g.caller.actor)
    except gateways.GatewayRefused as refused:
        return _asked_again(wa_session, "delete", refused=refused)
    flash(_("%(name)s was deleted.", name=wa_session.name), "ok")
    return hx.go(url_for(".home"))


@bp.route("/sessions/cleanup", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def cleanup():
    workspace_id, keep = g.caller.workspace_id, settings().max_sessions
    plan = sessions.cleanup(workspace_id, keep=keep, dry_run=True, actor=g.caller.actor)
    if not plan.removed:
        return redirect(url_for(".home"), 303)
    error = ""
    if request.method == "POST":
        if request.form.get("typed_count", "").strip() == str(len(plan.removed)):
            done = sessions.cleanup(workspace_id, keep=keep, actor=g.caller.actor)
            count = len(done.removed)
            flash(ngettext("%(num)s session was removed.", "%(num)s sessions were removed.", count), "ok")
            return redirect(url_for(".home"), 303)
        error = _("This is not their number. Nothing was removed.")
    return render_template("sessions/cleanup.html", plan=plan, error=error), 422 if error else 200


# --- answers -------------------------------------------------------------------------------------


def _lineup() -> lineup.Lineup:
    shown = lineup.look_up(*overview.asked_for(request.args))
    if shown is None:  # the login ended since it was let in
        abort(401)
    return shown


def _first_page():
    return render_template("sessions/first.html", settings=settings())


def counted(count: int) -> None:
    """A page that has read all sessions need not have them counted."""
    request.environ[COUNT] = count


def _count() -> int:
    """How many sessions there are to see, counted once for each page."""
    if COUNT not in request.environ:
        request.environ[COUNT] = lineup.count(current_user.workspace_id)
    return request.environ[COUNT]


def _page_of(wa_session: WhatsAppSession, **more):
    drawn = {**_card(_seen(wa_session)), **_day(wa_session), **_latest(wa_session)}
    return render_template("sessions/home.html", **drawn, **more)


def _seen(wa_session: WhatsAppSession) -> glance.Glance:
    now = clock.now()
    return glance.Glance(wa_session, stats.today(wa_session, now), now)


def _card(seen: glance.Glance) -> dict[str, object]:
    return pulse.card(seen, may_link=g.caller.may(Permission.LINK) and g.caller.is_proved)


def _card_of(seen: glance.Glance) -> str:
    return render_template("sessions/_session.html", **_card(seen))


def _shown(wa_session: WhatsAppSession):
    """Where an act ends: the card as it is now, in place or on the page that it was asked from."""
    if not hx.asked():
        before = page_before()
        is_there = before.partition("?")[0] in ("/", url_for(".show", id=wa_session.id))
        return redirect(before if is_there else url_for(".home"), 303)
    seen = _seen(wa_session)
    if not _in_list():
        return pulse.changed(seen, request.args.get("was"), _card_of(seen))
    drawn = overview.line(seen, g.caller.may)
    page = render_template("sessions/_line.html", **drawn, csrf=generate_csrf())
    return hx.fragment(page, say=overview.spoken(seen))


def _in_list() -> dict[str, str]:
    """What an address carries when the act belongs to one of several cards."""
    return {"in": "list"} if request.args.get("in") == "list" else {}


def _link_view(wa_session: WhatsAppSession, trouble: Refusal | None = None, status: int = 200):
    context = _panel(_seen(wa_session)) | {"trouble": trouble, "settings": settings()}
    if hx.asked():
        in_dialog = page_before().partition("?")[0] != url_for("sessions.link_page", id=wa_session.id)
        page = render_template("sessions/_link.html", in_dialog=in_dialog, **context)
        return hx.fragment(page, status=status)
    return render_template("sessions/link.html", in_dialog=False, **context), status


def _panel(seen: glance.Glance) -> dict[str, object]:
    """What the panel shows; who saw a code is put on record."""
    shown = pulse.panel(seen, _by())
    if shown["code"]:
        links.note_shown(seen.wa_session, actor=g.caller.actor)
    if seen.wa_session.look == Look.PASSKEY_REQUIRED and g.caller.may(Permission.MANAGE):
        shown["able"] = link_passkeys.able_gateways(seen.wa_session)
    return shown


def linking(id: int, act):
    """Start linking and show the panel; what went wrong is said inside of it, with the one thing to do."""
    try:
        wa_session = act()
    except Refusal as refusal:
        return _link_view(roster.find(g.caller.workspace_id, id), refusal, refusal.status)
    if hx.asked() and g.caller.is_proved:
        return _link_view(wa_session)
    return redirect(url_for("sessions.link_page", id=id, by=_by()), 303)


def _by() -> str:
    by = request.values.get("by", "qr")
    return by if by in BY else "qr"


def _day(wa_session: WhatsAppSession) -> dict[str, object]:
    return {"strip": timeline.strip(wa_session, clock.now())}


def _latest(wa_session: WhatsAppSession) -> dict[str, object]:
    return {
        "messages": board.latest(wa_session, LATEST),
        "bars": pulse.bars(stats.days(wa_session, clock.now())),
    }


def _asked_again(
    wa_session: WhatsAppSession, act: str, error: str = "", refused: gateways.GatewayRefused | None = None
):
    context = {
        "wa_session": wa_session,
        "act": act,
        "error": error,
        "refused": refused,
        "number": words.readable_phone(wa_session.number),
        "in_dialog": hx.asked(),
        "in_list": _in_list(),
    }
    status = refused.status if refused else 422 if error else 200
    if hx.asked():
        return hx.fragment(render_template("sessions/_confirm.html", **context), status=status)
    return render_template("sessions/confirm.html", **context), status
