"""Settings → Gateways: those of the installation, whether they fit, and where they report to."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from ..forms import refusals_shown_in
from ..forms.gateway import ADDRESS, KEYS, GatewayEditForm, GatewayForm, KeyForm, RemovalForm, urls_of
from ..permissions import Permission
from ..services import gateway_hooks, gateway_settings, moves, sync
from ..services import gateways as service
from .access import proved, requires

bp = Blueprint("gateways", __name__)


@bp.get("/settings/gateways")
@requires(Permission.OWN)
@proved
def index():
    counts = {one.id: gateway_settings.session_count(one.id) for one in service.listed()}
    return render_template("gateways/index.html", gateways=service.listed(), counts=counts)


@bp.get("/settings/gateways/new")
@requires(Permission.OWN)
@proved
def kinds():
    return render_template("gateways/kinds.html", kinds=gateway_settings.offered())


@bp.route("/settings/gateways/new/<kind>", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def add(kind):
    if kind not in gateway_settings.KINDS:
        abort(404)
    form = GatewayForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            added = gateway_settings.add(
                g.caller.workspace_id,
                kind=kind,
                key=form.key.data or "",
                header=form.header.data or "",
                **form.where(),
                actor=g.caller.actor,
            )
            return _page(added.id, findings=gateway_settings.tried(added)), 201
    return _form_page(form, kind)


@bp.get("/settings/gateways/<int:id>")
@requires(Permission.OWN)
@proved
def show(id):
    return _page(id)


@bp.route("/settings/gateways/<int:id>/edit", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def edit(id):
    gateway = gateway_settings.find(id)
    form = GatewayEditForm(**GatewayEditForm.of(gateway))
    if form.validate_on_submit():
        with refusals_shown_in(form):
            header = None if form.keeps_header.data and not form.header.data else form.header.data
            gateway_settings.edit(
                g.caller.workspace_id, id, header=header, **form.where(), actor=g.caller.actor
            )
            flash(_("Saved."), "ok")
            return redirect(url_for(".show", id=id), 303)
    return _form_page(form, gateway.kind, gateway)


@bp.post("/settings/gateways/<int:id>/test")
@requires(Permission.OWN)
@proved
def test(id):
    return _page(id, findings=gateway_settings.tried(gateway_settings.find(id)))


@bp.route("/settings/gateways/<int:id>/key", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def change_key(id):
    gateway, form = gateway_settings.find(id), KeyForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            gateway_settings.change_key(g.caller.workspace_id, id, form.key.data or "", actor=g.caller.actor)
            return _page(id, findings=gateway_settings.tried(gateway_settings.find(id)))
    page = render_template("gateways/key.html", gateway=gateway, form=form, hint=KEYS.get(gateway.kind, ""))
    return page, 422 if form.errors else 200


@bp.post("/settings/gateways/<int:id>/webhooks")
@requires(Permission.OWN)
@proved
def install_webhooks(id):
    reports = gateway_hooks.mend_all(gateway_settings.find(id), actor=g.caller.actor)
    return _page(id, reports=[(_name_for_reader(one.wa_session), one) for one in reports])


@bp.post("/settings/gateways/<int:id>/webhooks/address")
@requires(Permission.OWN)
@proved
def show_address(id):
    return _page(id, address=service.hook_url(gateway_settings.find(id)))


@bp.route("/settings/gateways/<int:id>/webhooks/secret", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def change_secret(id):
    gateway = gateway_settings.find(id)
    if request.method == "GET":
        return render_template("gateways/secret.html", gateway=gateway)
    gateway_hooks.change_secret(g.caller.workspace_id, id, actor=g.caller.actor)
    if not service.can(gateway, "set_webhook"):
        return _page(id, address=service.hook_url(gateway_settings.find(id)))
    reports = gateway_hooks.mend_all(gateway_settings.find(id), actor=g.caller.actor)
    return _page(id, reports=[(_name_for_reader(one.wa_session), one) for one in reports])


@bp.post("/settings/gateways/<int:id>/webhooks/secret/end")
@requires(Permission.OWN)
@proved
def forget_secret(id):
    gateway_hooks.forget_old_secret(gateway_settings.find(id).id)
    flash(_("The old address is no longer taken."), "ok")
    return redirect(url_for(".show", id=id), 303)


@bp.route("/settings/gateways/<int:id>/removal", methods=["GET", "POST"])
@requires(Permission.OWN)
@proved
def remove(id):
    gateway, count = gateway_settings.find(id), gateway_settings.session_count(id)
    form = RemovalForm([one for one in service.listed() if one.id != id])
    if form.validate_on_submit():
        with refusals_shown_in(form):
            if count and form.move_to.data:
                moves.move_all(id, form.move_to.data, actor=g.caller.actor)
            gateway_settings.remove(g.caller.workspace_id, id, actor=g.caller.actor)
            flash(_("%(name)s was removed.", name=gateway.name), "ok")
            return redirect(url_for(".index"), 303)
    page = render_template("gateways/removal.html", gateway=gateway, count=count, form=form)
    return page, 422 if form.errors else 200


@bp.post("/sessions/sync")
@requires(Permission.MANAGE)
def sync_sessions():
    result = sync.sync(g.caller.workspace_id, request.form.get("gateway") or None, actor=g.caller.actor)
    return render_template("gateways/synced.html", result=result)


@bp.route("/sessions/<int:id>/gateway", methods=["GET", "POST"])
@requires(Permission.MANAGE)
@proved
def move_session(id):
    choice = moves.choice(g.caller.workspace_id, id)
    if request.method == "GET":
        return render_template("gateways/move.html", choice=choice)
    moved = moves.move(g.caller.workspace_id, id, request.form.get("gateway", ""), actor=g.caller.actor)
    if moved.left_behind:
        flash(_("The old gateway could not be told, so it may hold the session still."))
    return redirect(url_for("sessions.link_page", id=id), 303)


# --- answers -------------------------------------------------------------------------------------


def _page(id: int, **more):
    gateway = gateway_settings.find(id)
    return render_template(
        "gateways/show.html",
        gateway=gateway,
        known=gateway_settings.known(gateway),
        count=gateway_settings.session_count(id),
        proof=gateway_hooks.proof(gateway),
        **{"findings": None, "reports": None, "address": "", **more},
    )


def _form_page(form: GatewayForm, kind: str, gateway=None):
    urls = urls_of(form) if kind == service.OF_URLS else []
    for needed in [form.base_url] if not urls else urls[:-1] if gateway is None else []:
        needed.flags.required = True
    page = render_template(
        "gateways/form.html",
        form=form,
        kind=kind,
        gateway=gateway,
        is_fixed=gateway is not None and gateway_settings.is_of_settings(gateway),
        urls=urls,
        key_hint=KEYS.get(kind, ""),
        example=ADDRESS.get(kind, ""),
    )
    return page, 422 if form.errors or form.form_errors else 200


def _name_for_reader(wa_session) -> str:
    """An owner looks after the gateway of all workspaces, and reads the names of this one only."""
    if wa_session.workspace_id == g.caller.workspace_id:
        return wa_session.name
    return _("A session of another workspace")
