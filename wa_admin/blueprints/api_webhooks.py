"""The webhooks of apps over the API: who is told what, and what became of it."""

from __future__ import annotations

from types import SimpleNamespace

from flask import Blueprint, g
from flask_babel import lazy_gettext as _l

from ..api.operation import operation
from ..models import Subscription
from ..permissions import Permission
from ..services import calls, subscriptions
from .access import key_or_login, proved

bp = Blueprint("api_webhooks", __name__, url_prefix="/api/v1/webhooks")

MANAGE = key_or_login(Permission.MANAGE)
IN_PATH = ("webhook_not_found", "not_found")  # the latter for what is no number
OF_FIELDS = ("unfit_text", "url_bad", "webhook_name_taken")


@bp.get("/")
@MANAGE
@operation(_l("List the webhooks"), gives="Webhooks")
def index():
    return {"webhooks": subscriptions.listed(g.caller.workspace_id)}


@bp.post("/")
@MANAGE
@proved
@operation(
    _l("Add a webhook"),
    description=_l(
        "The address is called with a POST for each event, signed as Standard Webhooks says. The secret to "
        "check it with is in this answer only."
    ),
    takes="NewWebhook",
    gives="WebhookWithSecret",
    status=(201,),
    refuses=(*OF_FIELDS, "webhook_limit"),
)
def add(body):
    return _with_secret(*subscriptions.add(g.caller.workspace_id, **body, actor=g.caller.actor))


@bp.get("/<int:id>/")
@MANAGE
@operation(_l("Look at one webhook"), gives="Webhook", refuses=IN_PATH)
def show(id):
    return subscriptions.find(g.caller.workspace_id, id)


@bp.patch("/<int:id>/")
@MANAGE
@proved
@operation(
    _l("Change, pause or resume a webhook"),
    description=_l("What is not given stays as it is."),
    takes="WebhookEdit",
    gives="Webhook",
    refuses=(*IN_PATH, *OF_FIELDS),
)
def edit(id, body):
    workspace_id, is_active = g.caller.workspace_id, body.pop("is_active", None)
    found = subscriptions.find(workspace_id, id)
    if body:
        found = subscriptions.edit(workspace_id, id, **body, actor=g.caller.actor)
    if is_active is not None:
        switch = subscriptions.resume if is_active else subscriptions.pause
        found = switch(workspace_id, id, actor=g.caller.actor)
    return found


@bp.delete("/<int:id>/")
@MANAGE
@proved
@operation(
    _l("Remove a webhook"),
    description=_l("With the log of its calls, and those that still wait."),
    gives="Webhook",
    refuses=IN_PATH,
)
def remove(id):
    return subscriptions.remove(g.caller.workspace_id, id, actor=g.caller.actor)


@bp.post("/<int:id>/test/")
@MANAGE
@proved
@operation(
    _l("Send a test event"),
    gives="WebhookCall",
    status=(202,),
    refuses=(*IN_PATH, "webhook_paused"),
)
def test(id):
    return subscriptions.test(g.caller.workspace_id, id)


@bp.post("/<int:id>/rotate/")
@MANAGE
@proved
@operation(
    _l("Make a new secret"),
    description=_l("For 24 hours the old one signs beside it: each call carries two signatures."),
    gives="WebhookWithSecret",
    refuses=IN_PATH,
)
def rotate(id):
    return _with_secret(*subscriptions.rotate_secret(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.get("/<int:id>/calls/")
@MANAGE
@operation(
    _l("Look at the log of a webhook"),
    description=_l("Newest first: what arrived for 7 days, all else for 30."),
    asks="WebhookCallsQuery",
    gives="WebhookCalls",
    refuses=IN_PATH,
)
def log(id, query):
    page = calls.page(g.caller.workspace_id, id, query.get("cursor"), query["limit"])
    return {
        "calls": page.items,
        "next_cursor": page.next_cursor,
        "previous_cursor": page.previous_cursor,
    }


@bp.post("/<int:id>/resend/")
@MANAGE
@proved
@operation(
    _l("Make all failed calls again"),
    gives="Resent",
    status=(202,),
    refuses=(*IN_PATH, "webhook_paused"),
)
def resend_failed(id):
    return {"count": calls.resend_failed(g.caller.workspace_id, id)}


@bp.post("/calls/<int:id>/resend/")
@MANAGE
@proved
@operation(
    _l("Make one call again"),
    description=_l("Whatever became of it, at once and under the same webhook-id."),
    gives="WebhookCall",
    status=(202,),
    refuses=("call_not_found", "not_found", "webhook_paused"),
)
def resend(id):
    return calls.resend(g.caller.workspace_id, id)


def _with_secret(subscription: Subscription, secret: str) -> SimpleNamespace:
    told = {column.name: getattr(subscription, column.name) for column in Subscription.__table__.columns}
    return SimpleNamespace(**told, secret=secret)
