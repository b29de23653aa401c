"""The HTTP API for programs: sessions and messages, in one envelope."""

from __future__ import annotations

from flask import Blueprint, g, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from .. import phone, qr
from ..api.errors import GATEWAY
from ..api.operation import operation
from ..app import MAX_REQUEST_BYTES, settings
from ..models import MessageStatus, WhatsAppSession
from ..permissions import Permission
from ..refusal import Refusal
from ..services import attachments, gateways, links, moves, outbox, roster, sessions, sync
from .access import key_or_login, proved

bp = Blueprint("api_v1", __name__, url_prefix="/api/v1")

LOOK, SEND = key_or_login(Permission.LOOK), key_or_login(Permission.SEND)
LINK, KEEP = key_or_login(Permission.LINK), key_or_login(Permission.MANAGE)
IN_PATH = ("session_not_found", "session_ambiguous")
OF_A_MESSAGE = ("message_not_found", "not_found")  # the latter for what is no number
NO_NUMBER = ("bad_number", "group_id")  # of a person


class NoCode(Refusal):
    code = "no_code"
    status = 409


# --- sessions ------------------------------------------------------------------------------------


@bp.post("/sessions/init/")
@KEEP
@operation(
    _l("Add a session and start linking it"),
    description=_l(
        "The session is stored first. When the gateway cannot be reached it is there all the same, and its "
        "“reason” says so: connect it once the gateway is back."
    ),
    takes="NewSession",
    gives="Session",
    status=(201,),
    refuses=(
        "session_limit",
        "name_taken",
        "name_bad",
        "session_id_taken",
        "session_id_bad",
        *NO_NUMBER,
        "unknown_gateway",
        "no_gateway",
    ),
)
def init(body):
    added = sessions.create(
        g.caller.workspace_id,
        body["instance_name"],
        session_id=body.get("session_id"),
        phone_number=body.get("phone_number"),
        description=body.get("description") or "",
        gateway=body.get("gateway"),
        actor=g.caller.actor,
    )
    try:
        return links.link(g.caller.workspace_id, added.id, actor=g.caller.actor)
    except gateways.GatewayRefused:
        return _find(added.id)


@bp.get("/sessions/list/")
@LOOK
@operation(
    _l("List the sessions"), description=_l("The default one first, then the oldest."), gives="Sessions"
)
def list_sessions():
    found = roster.listed(g.caller.workspace_id)
    return {
        "sessions": found,
        "total_count": len(found),
        "connected_count": sum(one.is_connected for one in found),
        "limit": settings().max_sessions,
    }


@bp.get("/sessions/status/<path:id>/")
@LOOK
@operation(
    _l("Look at one session"),
    description=_l("What the panel knows, with its age: no gateway is asked."),
    gives="Session",
    refuses=IN_PATH,
)
def status(id):
    return _find(id)


@bp.get("/sessions/qr/<path:id>/")
@LINK
@proved
@operation(
    _l("Get the code that waits for the phone"),
    description=_l(
        "Come again when it expires: how long a code lives and how many a set has depends on the gateway. "
        "None is asked. With ?phone= the answer must hold a pairing code: ask for one by POST refresh-qr "
        "with that phone first."
    ),
    asks="QrQuery",
    gives="Qr",
    refuses=(*IN_PATH, "no_code", *NO_NUMBER),
)
def qr_code(id, query):
    if "phone" in query:
        phone.digits(query["phone"], settings().default_region)
    wa_session = _find(id)
    waiting = links.qr_of(wa_session)
    if waiting is None:
        raise NoCode(_l("No code waits for the phone now. POST connect or refresh-qr asks for some."))
    if "phone" in query and not waiting.pairing_code:
        raise NoCode(_l("No pairing code was asked for yet. POST refresh-qr with this phone asks for one."))
    links.note_shown(wa_session, actor=g.caller.actor)
    return {
        "code": waiting.code,
        "svg": qr.svg(waiting.code, _("QR code for linking")) if waiting.code else None,
        "image": qr.data_uri(waiting.image) if waiting.image else None,
        "expires_at": waiting.expires_at,
        "sequence": waiting.sequence,
        "codes": waiting.codes,
        "pairing_code": waiting.pairing_code,
    }


@bp.post("/sessions/connect/<path:id>/")
@LINK
@operation(
    _l("Connect a session"),
    description=_l("With the stored login; where there is none, or with a phone, linking starts."),
    takes="LinkCall",
    gives="Session",
    refuses=(*IN_PATH, "session_inactive", *NO_NUMBER, *GATEWAY),
)
def connect(id, body):
    if body.get("phone"):
        return _pair(id, body["phone"])
    return links.connect(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.post("/sessions/refresh-qr/<path:id>/")
@LINK
@proved
@operation(
    _l("Ask for new codes"),
    description=_l("A new set of QR codes; with a phone, a pairing code as well."),
    takes="LinkCall",
    gives="Session",
    refuses=(*IN_PATH, "session_inactive", "already_connected", *NO_NUMBER, *GATEWAY),
)
def refresh_qr(id, body):
    if body.get("phone"):
        return _pair(id, body["phone"])
    return links.link(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.post("/sessions/restart/<path:id>/")
@LINK
@operation(
    _l("Restart a session"),
    description=_l("The connection is built anew; the login stays."),
    gives="Session",
    refuses=(*IN_PATH, *GATEWAY),
)
def restart(id):
    return links.restart(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.post("/sessions/disconnect/<path:id>/")
@LINK
@operation(
    _l("Disconnect a session"),
    description=_l("It stays offline until somebody connects it; the login stays."),
    gives="Session",
    refuses=(*IN_PATH, *GATEWAY),
)
def disconnect(id):
    return links.disconnect(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.post("/sessions/logout/<path:id>/")
@LINK
@proved
@operation(
    _l("Unlink the phone"),
    description=_l("Linking again needs the phone in hand. Waiting messages stay."),
    gives="Session",
    refuses=(*IN_PATH, *GATEWAY),
)
def logout(id):
    return links.logout(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.post("/sessions/set-primary/<path:id>/")
@KEEP
@operation(
    _l("Make a session the default"),
    description=_l("Messages that name no session go out from it. It must be connected."),
    gives="Session",
    refuses=(*IN_PATH, "not_connected"),
)
def set_primary(id):
    return sessions.make_default(g.caller.workspace_id, _find(id).id, actor=g.caller.actor)


@bp.delete("/sessions/delete/<path:id>/")
@KEEP
@proved
@operation(
    _l("Remove a session"),
    description=_l("Here and at the gateway. Its messages stay on record; waiting ones are cancelled."),
    asks="DeleteQuery",
    gives="Deleted",
    refuses=(*IN_PATH, "default_session", *GATEWAY),
)
def delete(id, query):
    found = _find(id)
    gone = {"id": found.id, "instance_name": found.name}
    sessions.delete(
        g.caller.workspace_id,
        found.id,
        force=query.get("force", False),
        only_here=query.get("only_here", False),
        actor=g.caller.actor,
    )
    return gone


@bp.post("/sessions/move/<path:id>/")
@KEEP
@proved
@operation(
    _l("Move a session to another gateway"),
    description=_l(
        "Its name, id, messages and API stay; the phone must be linked anew. “left_behind” says why the old "
        "gateway may still hold it."
    ),
    takes="MoveCall",
    gives="Moved",
    refuses=(*IN_PATH, "unknown_gateway", "session_id_taken"),
)
def move(id, body):
    moved = moves.move(g.caller.workspace_id, _find(id).id, body["gateway"], actor=g.caller.actor)
    return {"session": moved.wa_session, "left_behind": moved.left_behind or None}


@bp.post("/sessions/sync/")
@KEEP
@operation(
    _l("Adopt the sessions that the gateway has"),
    description=_l(
        "Those that nobody here knows become sessions of this workspace, and each of them reports here from "
        "then on. Again it changes nothing. Sessions of other workspaces are not told of."
    ),
    takes="SyncCall",
    gives="Synced",
    refuses=("unknown_gateway", *GATEWAY),
)
def sync_sessions(body):
    return sync.sync(g.caller.workspace_id, body.get("gateway"), actor=g.caller.actor)


# --- messages ------------------------------------------------------------------------------------


@bp.post("/messages/send/")
@SEND
@operation(
    _l("Send a message"),
    description=_l(
        "Accepted means stored: it is not lost, and it waits while the phone is offline. The same "
        "Idempotency-Key gives the same message for 30 days, so a call that got no answer can be repeated."
    ),
    takes="NewMessage",
    gives="Message",
    status=(202, 201),
    headers=("Idempotency-Key",),
    largest_bytes=MAX_REQUEST_BYTES,
    refuses=(
        "bad_number", "bad_group_id", "message_missing", "message_too_long", "session_not_found",
        "session_ambiguous", "session_inactive", "no_session", "spread_off", "key_bad",
        "idempotency_key_reused", "bad_base64", "media_empty", "media_refused", "media_not_image",
        "media_too_large",
    ),
)  # fmt: skip
def send(body):
    media = body.get("media")
    attached = media and attachments.NewAttachment.read(media["data"], media["filename"], media["kind"])
    message = outbox.send(
        g.caller.workspace_id,
        body["recipient"],
        body.get("message", ""),
        session_name=body.get("session_id"),
        attached=attached,
        key=request.headers.get("Idempotency-Key"),
        valid_for_seconds=body.get("valid_for_seconds"),
        source=g.caller.actor,
    )
    return message, 201 if message.sent_at else 202


@bp.get("/messages/")
@LOOK
@operation(
    _l("List messages"),
    description=_l("The newest first, 50 a page."),
    asks="MessagesQuery",
    gives="Messages",
    refuses=IN_PATH,
)
def list_messages(query):
    page = outbox.page(
        g.caller.workspace_id,
        status=MessageStatus(query["status"]) if "status" in query else None,
        cursor=query.get("cursor"),
        session_id=_find(query["session_id"]).id if "session_id" in query else None,
        limit=query["limit"],
    )
    return {
        "messages": page.items,
        "next_cursor": page.next_cursor,
        "previous_cursor": page.previous_cursor,
    }


@bp.get("/messages/<int:id>/")
@LOOK
@operation(
    _l("Look at one message"),
    description=_l("With every step of its delivery."),
    gives="MessageWithSteps",
    refuses=OF_A_MESSAGE,
)
def show_message(id):
    return outbox.find(g.caller.workspace_id, id)


@bp.post("/messages/<int:id>/cancel/")
@SEND
@operation(
    _l("Cancel a message"),
    description=_l(
        "While it is queued. It is then “cancelled”, or “uncertain” when an attempt before may have left."
    ),
    gives="MessageWithSteps",
    refuses=(*OF_A_MESSAGE, "wrong_state"),
)
def cancel(id):
    return outbox.cancel(g.caller.workspace_id, id, actor=g.caller.actor)


@bp.post("/messages/<int:id>/retry/")
@SEND
@operation(
    _l("Send a message again"),
    description=_l("After it failed, expired or became uncertain; an uncertain one may then arrive twice."),
    gives="MessageWithSteps",
    status=(202,),
    refuses=(*OF_A_MESSAGE, "wrong_state"),
)
def retry(id):
    return outbox.retry(g.caller.workspace_id, id, actor=g.caller.actor)


@bp.post("/messages/<int:id>/arrived/")
@SEND
@operation(
    _l("Say that an uncertain message arrived"),
    description=_l(
        "When somebody has seen it on the phone, or the recipient says so. It then counts as sent."
    ),
    gives="MessageWithSteps",
    refuses=(*OF_A_MESSAGE, "wrong_state"),
)
def it_arrived(id):
    return outbox.it_arrived(g.caller.workspace_id, id, actor=g.caller.actor)


def _find(id: str | int) -> WhatsAppSession:
    return roster.find(g.caller.workspace_id, id)


def _pair(id: str, typed: str) -> WhatsAppSession:
    return links.pairing_code(g.caller.workspace_id, _find(id).id, typed, actor=g.caller.actor)
