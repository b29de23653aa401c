"""Chats over the API: who writes to us, and what."""

from __future__ import annotations

from flask import Blueprint, g
from flask_babel import lazy_gettext as _l

from ..api.operation import operation
from ..permissions import Permission
from ..services import chats, conversation
from .access import key_or_login

bp = Blueprint("api_chats", __name__, url_prefix="/api/v1/chats")

LOOK = key_or_login(Permission.LOOK)


@bp.get("/")
@LOOK
@operation(
    _l("List the chats"),
    description=_l(
        "By their last message, the newest first, 50 a page. A chat begins when somebody writes; to answer, "
        "send a message to its recipient from its session."
    ),
    asks="ChatsQuery",
    gives="Chats",
    refuses=("bad_cursor",),
)
def index(query):
    page = chats.listed(
        g.caller.workspace_id,
        unread="state" in query,
        cursor=query.get("cursor"),
        limit=query["limit"],
    )
    return {"chats": page.items, "next_cursor": page.older}


@bp.get("/<int:id>/messages/")
@LOOK
@operation(
    _l("Read a chat"),
    description=_l(
        "The newest 50: what came in, what was written on the phone, and what was sent. Reading them so "
        "marks nothing as read."
    ),
    asks="ChatMessagesQuery",
    gives="ChatMessages",
    refuses=("chat_not_found", "not_found", "bad_cursor"),
)
def messages(id, query):
    chat = chats.find(g.caller.workspace_id, id)
    page = conversation.page(chat, query.get("cursor"), query["limit"])
    return {"messages": page.entries, "next_cursor": page.older}
