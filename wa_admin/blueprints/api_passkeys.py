"""The passkey that WhatsApp asks for while a phone is linked, for an app with a link page of its own."""

from __future__ import annotations

from flask import Blueprint, g
from flask_babel import lazy_gettext as _l

from ..api.errors import GATEWAY
from ..api.operation import operation
from ..permissions import Permission
from ..services import link_passkeys, roster
from .access import key_or_login, proved

bp = Blueprint("api_passkeys", __name__, url_prefix="/api/v1/sessions/passkey")

LINK = key_or_login(Permission.LINK)
IN_PATH = ("session_not_found", "session_ambiguous")


@bp.get("/<path:id>/")
@LINK
@proved
@operation(
    _l("See whether WhatsApp asks for a passkey"),
    description=_l(
        "While a session is “connecting” for the reason “passkey_required”. With a “code”, a person compares "
        "it with the phone's and you POST passkey/confirm; without one, POST passkey/challenge and "
        "passkey/answer. No gateway is asked."
    ),
    gives="PasskeyStep",
    refuses=IN_PATH,
)
def show(id):
    wa_session = roster.find(g.caller.workspace_id, id)
    return {"is_asked": wa_session.asks_for_passkey, "code": link_passkeys.code_of(wa_session)}


@bp.post("/challenge/<path:id>/")
@LINK
@proved
@operation(
    _l("Get what the passkey must sign"),
    description=_l(
        "WebAuthn request options, good only on a page of web.whatsapp.com: hand them as they are to WAHA's "
        "browser extension, and what it gives back to passkey/answer."
    ),
    gives="PasskeyChallenge",
    refuses=(*IN_PATH, "no_passkey_asked", *GATEWAY),
)
def challenge(id):
    return {"challenge": link_passkeys.challenge(g.caller.workspace_id, _id(id))}


@bp.post("/answer/<path:id>/")
@LINK
@proved
@operation(
    _l("Hand over what the passkey signed"),
    description=_l("The answer takes some seconds: it comes once the gateway has said more."),
    takes="PasskeyAnswer",
    gives="Session",
    refuses=(*IN_PATH, "no_passkey_asked", "bad_assertion", "passkey_refused", *GATEWAY),
)
def answer(id, body):
    return link_passkeys.answer(g.caller.workspace_id, _id(id), body["assertion"], actor=g.caller.actor)


@bp.post("/confirm/<path:id>/")
@LINK
@proved
@operation(
    _l("Say whether the phone shows the same code"),
    description=_l("Only a person can: “is_same” false ends the linking."),
    takes="PasskeyComparison",
    gives="Session",
    refuses=(*IN_PATH, "no_passkey_asked", "passkey_refused", *GATEWAY),
)
def confirm(id, body):
    act = link_passkeys.confirm if body["is_same"] else link_passkeys.deny
    return act(g.caller.workspace_id, _id(id), actor=g.caller.actor)


def _id(id: str) -> int:
    return roster.find(g.caller.workspace_id, id).id
