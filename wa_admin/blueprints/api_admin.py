"""Sessions in camelCase, for panels written against that shape."""

from __future__ import annotations

from flask import Blueprint, g
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..api.errors import GATEWAY
from ..api.operation import operation
from ..models import WhatsAppSession
from ..permissions import Permission
from ..refusal import Refusal
from ..services import roster, sessions
from .access import key_or_login, proved

bp = Blueprint("api_admin", __name__, url_prefix="/api/admin")

ADDRESS = "/whatsapp-sessions"


class OneIsDefault(Refusal):
    code = "default_session"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("One session is always the default: make another one the default instead."))


@bp.get(ADDRESS)
@key_or_login(Permission.LOOK)
@operation(_l("List the sessions"), gives="AdminSession", many=True, is_bare=True)
def index():
    return roster.listed(g.caller.workspace_id)


@bp.post(ADDRESS)
@key_or_login(Permission.MANAGE)
@operation(
    _l("Add a session"),
    takes="NewAdminSession",
    gives="AdminSession",
    status=(201,),
    is_bare=True,
    refuses=(
        "session_limit",
        "name_taken",
        "name_bad",
        "session_id_taken",
        "session_id_bad",
        "bad_number",
        "group_id",
        "not_connected",
        "no_gateway",
    ),
)
def create(body):
    return sessions.create(
        g.caller.workspace_id,
        body["name"],
        session_id=body.get("session_id"),
        phone_number=body.get("phone_number"),
        description=body.get("description") or "",
        is_active=body.get("is_active", True),
        is_default=body.get("is_default"),
        actor=g.caller.actor,
    )


@bp.put(ADDRESS)
@key_or_login(Permission.MANAGE)
@operation(
    _l("Change a session"),
    description=_l("What is not given stays as it is; an empty phoneNumber clears it."),
    takes="AdminSessionEdit",
    gives="AdminSession",
    is_bare=True,
    refuses=(
        *GATEWAY,
        "session_not_found", "name_taken", "name_bad", "session_id_taken", "session_id_bad",
        "session_id_fixed", "bad_number", "group_id", "not_connected", "default_session",
    ),
)  # fmt: skip
def edit(body):
    workspace_id, wanted = g.caller.workspace_id, _find(body["id"])
    if body.get("is_default") is False and wanted.is_default:
        raise OneIsDefault
    if body.get("is_default") and not wanted.is_default and not wanted.is_connected:
        raise sessions.NotConnectedYet(wanted)  # before anything is stored
    edited = sessions.edit(
        workspace_id,
        wanted.id,
        name=body.get("name"),
        session_id=body.get("session_id") or None,
        phone_number=(body["phone_number"] or "") if "phone_number" in body else None,
        description=(body["description"] or "") if "description" in body else None,
        is_active=body.get("is_active"),
        actor=g.caller.actor,
    )
    if body.get("is_default"):
        return sessions.make_default(workspace_id, wanted.id, actor=g.caller.actor)
    return edited


@bp.delete(ADDRESS)
@key_or_login(Permission.MANAGE)
@proved
@operation(
    _l("Remove a session"),
    description=_l("Not the default one: make another one the default first."),
    asks="AdminDeleteQuery",
    gives="AdminDeleted",
    is_bare=True,
    refuses=("session_not_found", "session_ambiguous", "default_session", *GATEWAY),
)
def delete(query):
    found = _find(query["id"])
    name = found.name
    sessions.delete(g.caller.workspace_id, found.id, actor=g.caller.actor)
    return {"message": _("“%(name)s” was removed.", name=name)}


def _find(id: int | str) -> WhatsAppSession:
    try:
        return roster.find(g.caller.workspace_id, id)
    except (roster.SessionNotFound, roster.AmbiguousSession) as refusal:
        refusal.field = "id"  # not the sessionId that the same call may change
        raise
