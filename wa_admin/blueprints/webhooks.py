"""Settings → Webhooks: the addresses of apps, and the log of what they were told."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from .. import sentences
from ..forms import refusals_shown_in
from ..forms.webhook import WebhookEditForm, WebhookForm
from ..permissions import Permission
from ..services import activity, calls, subscriptions
from ..vocabulary import CALL_ERRORS, CALLS, TIDINGS, WEBHOOK_NEXT, WEBHOOKS_OFF
from . import row_number
from .access import proved, requires

bp = Blueprint("webhooks", __name__, url_prefix="/settings/webhooks")

WORDS = {
    "kinds": TIDINGS,
    "call_words": CALLS,
    "call_errors": CALL_ERRORS,
    "why_off": WEBHOOKS_OFF,
    "next_step": WEBHOOK_NEXT,
}


@bp.route("", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def index():
    form = WebhookForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added, secret = subscriptions.add(
                g.caller.workspace_id,
                form.name.data,
                form.url.data,
                form.events.data,
                actor=g.caller.actor,
            )
            return _page(added.id, secret=secret), 201
    page = render_template(
        "webhooks/index.html",
        form=form,
        webhooks=subscriptions.listed(g.caller.workspace_id),
        counts=calls.counts(g.caller.workspace_id),
        **WORDS,
    )
    return page, 422 if form.errors else 200


@bp.get("/<int:id>")
@requires(Permission.MANAGE)
@proved
def show(id):
    return _page(id)


@bp.route("/<int:id>/edit", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def edit(id):
    webhook = subscriptions.find(g.caller.workspace_id, id)
    form = WebhookEditForm(name=webhook.name, events=webhook.events.split(","))
    if form.validate_on_submit():
        with refusals_shown_in(form):
            subscriptions.edit(
                g.caller.workspace_id,
                id,
                name=form.name.data,
                url=form.url.data or None,
                events=form.events.data,
                actor=g.caller.actor,
            )
            return _done(_("Saved."), id)
    page = render_template("webhooks/edit.html", webhook=webhook, form=form)
    return page, 422 if form.errors else 200


@bp.post("/<int:id>/pause")
@requires(Permission.MANAGE)
@proved
def pause(id):
    subscriptions.pause(g.caller.workspace_id, id, actor=g.caller.actor)
    return _done(_("It is paused: what happens from now on is not told."), id)


@bp.post("/<int:id>/resume")
@requires(Permission.MANAGE)
@proved
def resume(id):
    subscriptions.resume(g.caller.workspace_id, id, actor=g.caller.actor)
    return _done(_("It is told what happens from now on."), id)


@bp.post("/<int:id>/test")
@requires(Permission.MANAGE)
@proved
def test(id):
    subscriptions.test(g.caller.workspace_id, id)
    return _done(_("A test event is on its way: see the log below in a moment."), id)


@bp.route("/<int:id>/rotation", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def rotation(id):
    if request.method == "GET":
        return _question(id, "webhooks/rotation.html")
    _webhook, secret = subscriptions.rotate_secret(g.caller.workspace_id, id, actor=g.caller.actor)
    return _page(id, secret=secret)


@bp.route("/<int:id>/removal", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def removal(id):
    if request.method == "GET":
        return _question(id, "webhooks/removal.html")
    removed = subscriptions.remove(g.caller.workspace_id, id, actor=g.caller.actor)
    flash(_("The webhook %(name)s is removed.", name=removed.name), "ok")
    return redirect(url_for(".index"), 303)


@bp.post("/calls/<int:id>/resend")
@requires(Permission.MANAGE)
@proved
def resend(id):
    call = calls.resend(g.caller.workspace_id, id)
    return _done(_("It is sent again now, under the same webhook-id."), call.subscription_id)


@bp.post("/<int:id>/calls/resend")
@requires(Permission.MANAGE)
@proved
def resend_failed(id):
    count = calls.resend_failed(g.caller.workspace_id, id)
    return _done(ngettext("%(num)s call is made again.", "%(num)s calls are made again.", count), id)


def _page(id: int, secret: str = ""):
    cursor = request.args.get("cursor", type=row_number)
    return render_template(
        "webhooks/show.html",
        webhook=subscriptions.find(g.caller.workspace_id, id),
        secret=secret,
        page=calls.page(g.caller.workspace_id, id, cursor, limit=25),
        counts=calls.counts(g.caller.workspace_id).get(id, {}),
        who=partial(sentences.who, people=activity.people(g.caller.workspace_id)),
        **WORDS,
    )


def _question(id: int, template: str):
    return render_template(template, webhook=subscriptions.find(g.caller.workspace_id, id))


def _done(sentence: str, id: int):
    flash(sentence, "ok")
    return redirect(url_for(".show", id=id), 303)
