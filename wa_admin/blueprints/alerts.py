"""Settings → Alerts: where the workspace is told of trouble, and what it was told."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user

from ..forms import refusals_shown_in
from ..forms.alert import FORMS, KINDS, EditForm
from ..permissions import Permission
from ..services import alert_texts, alerts, outages
from ..words import html_language
from .access import proved, requires

bp = Blueprint("alerts", __name__, url_prefix="/settings/alerts")


@bp.get("")
@requires(Permission.MANAGE)
def index():
    workspace_id = g.caller.workspace_id
    return render_template(
        "alerts/index.html",
        channels=alerts.listed(workspace_id),
        open_ones=[
            (one, alert_texts.summary(one), alert_texts.place(one)) for one in outages.open_ones(workspace_id)
        ],
        latest=[(one, alert_texts.summary(one.outage)) for one in alerts.latest(workspace_id)],
        alerts=alerts,
        kinds=KINDS,
    )


@bp.route("/new/<any(email, telegram, slack, webhook, other):kind>", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def new(kind):
    form = FORMS[kind](
        language=current_user.language or html_language().replace("-", "_"), time_zone=str(get_timezone())
    )
    if form.validate_on_submit():
        with refusals_shown_in(form):
            channel = alerts.add(
                g.caller.workspace_id, form.name.data, form.url(), form.manner(), actor=g.caller.actor
            )
            return _tested(channel.id)
    page = render_template("alerts/form.html", form=form, kind=kind, kinds=KINDS, channel=None, alerts=alerts)
    return page, 422 if form.errors else 200


@bp.route("/<int:id>", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def edit(id):
    channel = alerts.find(g.caller.workspace_id, id)
    form = EditForm(**EditForm.of(channel))
    if form.validate_on_submit():
        with refusals_shown_in(form):
            alerts.edit(
                g.caller.workspace_id,
                id,
                form.name.data,
                form.manner(),
                form.url(),
                actor=g.caller.actor,
            )
            flash(_("Saved."), "ok")
            return redirect(url_for(".index"), 303)
    page = render_template(
        "alerts/form.html", form=form, kind="", kinds=KINDS, channel=channel, alerts=alerts
    )
    return page, 422 if form.errors else 200


@bp.post("/<int:id>/test")
@requires(Permission.MANAGE)
def test(id):
    return _tested(id)


@bp.post("/<int:id>/pause")
@requires(Permission.MANAGE)
def pause(id):
    channel = alerts.pause(g.caller.workspace_id, id, actor=g.caller.actor)
    return _done(_("%(name)s is told nothing until you resume it.", name=channel.name))


@bp.post("/<int:id>/resume")
@requires(Permission.MANAGE)
def resume(id):
    channel = alerts.resume(g.caller.workspace_id, id, actor=g.caller.actor)
    return _done(_("%(name)s is told again.", name=channel.name))


@bp.route("/<int:id>/removal", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def remove(id):
    if request.method == "GET":
        channel = alerts.find(g.caller.workspace_id, id)
        return render_template("alerts/remove.html", channel=channel)
    channel = alerts.remove(g.caller.workspace_id, id, actor=g.caller.actor)
    return _done(_("%(name)s was removed.", name=channel.name))


def _tested(id: int):
    """A channel that nobody has heard from is a guess, so a new one is tested at once."""
    outcome = alerts.test(g.caller.workspace_id, id)
    name = alerts.find(g.caller.workspace_id, id).name
    told = _("The test for %(name)s:", name=name)
    flash(f"{told} {alerts.sentence(outcome.code)}", "ok" if outcome.is_told else "bad")
    return redirect(url_for(".index"), 303)


def _done(sentence: str):
    flash(sentence, "ok")
    return redirect(url_for(".index"), 303)
