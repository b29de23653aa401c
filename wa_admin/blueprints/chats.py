from __future__ import annotations

import json
from itertools import groupby
from urllib.parse import quote

from flask import Blueprint, Response, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from .. import chat_words, hx, moments
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.chat import ReplyForm
from ..models import Chat
from ..permissions import Permission
from ..services import chat_search, chats, conversation, incoming_files, outbox, privacy, roster
from . import row_number
from .access import proved, public, requires

bp = Blueprint("chats", __name__, url_prefix="/chats")

bp.add_app_template_filter(moments.hour)
bp.add_app_template_global(chat_words.title, "chat_title")
bp.add_app_template_global(chat_words.number, "chat_number")
bp.add_app_template_global(chat_words.preview, "chat_preview")
bp.add_app_template_global(chat_words.kind, "line_kind")
bp.add_app_template_global(chat_words.FILES.get, "file_words")


@bp.context_processor
def rights():
    return {"may": current_user.may} if current_user.is_authenticated else {}


@bp.get("")
@requires(Permission.LOOK)
def index():
    text = " ".join(request.args.get("q", "").replace("\0", "").split())[: chat_search.LONGEST]
    drawn = _sought(text) if text else _listed()
    if hx.asked():
        return hx.fragment(render_template("chats/_found.html", **drawn), say=_say_found(drawn))
    return render_template("chats/index.html", **drawn)


@bp.get("/list")
@requires(Permission.LOOK)
def changes():
    """The newest page of the list, for somebody who looks at it."""
    if request.args.get("v") == chats.version(g.caller.workspace_id):
        return hx.unchanged()
    return hx.fragment(render_template("chats/_news.html", **_listed()))


@bp.get("/unread")
@requires(Permission.LOOK)
def unread():
    """What the menu shows beside the place."""
    count, before = chats.unread(g.caller.workspace_id), request.args.get("v", type=int)
    if count == before:
        return hx.unchanged()
    is_news = before is not None and count > before
    say = ngettext("%(num)s unread chat", "%(num)s unread chats", count) if is_news else ""
    drawn = {"unread_count": count, "poll_seconds": settings().poll_seconds}
    return hx.fragment(render_template("chats/_unread.html", **drawn), say=say)


@bp.get("/<int:id>")
@requires(Permission.LOOK)
def show(id):
    chat = chats.find(g.caller.workspace_id, id)
    drawn = {**_conversation(chat), **_listed(), "form": ReplyForm(), "longest": outbox.TEXT_LENGTH}
    return render_template("chats/show.html", **drawn)


@bp.get("/<int:id>/thread")
@requires(Permission.LOOK)
def thread(id):
    """The newest part of a conversation, for somebody who looks at it."""
    version = conversation.version(g.caller.workspace_id, id)
    if version is not None and request.args.get("v") == version:
        return hx.unchanged()
    chat = chats.find(g.caller.workspace_id, id)
    page = render_template("chats/_thread.html", **_conversation(chat))
    has_news = chat.unread_count and not chat.last_from_me
    say = _("New message from %(name)s", name=chat_words.title(chat)) if has_news else ""
    return hx.fragment(page, say=say)


@bp.post("/<int:id>/reading")
@requires(Permission.SEND)
def mark_read(id):
    chats.mark_read(g.caller.workspace_id, id)
    if hx.asked():
        return hx.fragment("", events={"wa:chats": {}})
    return hx.go(url_for(".show", id=id))


@bp.post("/<int:id>/messages")
@requires(Permission.SEND)
def reply(id):
    form = ReplyForm()
    if form.validate_on_submit():
        with refusals_shown_in(form):
            text = form.message.data or ""
            chats.reply(g.caller.workspace_id, id, text, key=form.key, source=g.caller.actor)
            return _sent(id)
    chat = chats.find(g.caller.workspace_id, id)
    drawn = {"chat": chat, "form": form, "longest": outbox.TEXT_LENGTH}
    if hx.asked():
        return hx.fragment(render_template("chats/_reply.html", **drawn), say=_first(form), status=422)
    page = {**_conversation(chat), **_listed(), **drawn}
    return render_template("chats/show.html", **page), 422


@bp.get("/<int:id>/files/<int:file_id>")
@requires(Permission.LOOK)
def file(id, file_id):
    """To a link that runs out: what a page holds does not open a file for ever."""
    return redirect(
        url_for(".open_file", token=incoming_files.pass_for(g.caller.workspace_id, id, file_id)), 303
    )


@bp.get("/files/<token>")
@public
def open_file(token):
    """For whoever holds the link: a browser saves it, and draws it only where a page asks for a picture."""
    found, is_shown = incoming_files.opened(token)
    return Response(
        found.content,
        mimetype=found.mimetype if is_shown else "application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.filename)}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "no-store",
        },
    )


@bp.get("/<int:id>/export")
@requires(Permission.MANAGE)
@proved
def export(id):
    """All that is kept of the person, as a file."""
    person = privacy.of_chat(chats.find(g.caller.workspace_id, id))
    told = json.dumps(privacy.export(person, actor=g.caller.actor), ensure_ascii=False, indent=2)
    headers = {
        "Content-Disposition": f'attachment; filename="contact-{id}.json"',
        "Cache-Control": "no-store",
    }
    return Response(told, mimetype="application/json", headers=headers)


@bp.get("/<int:id>/removal")
@requires(Permission.MANAGE)
@proved
def removal(id):
    chat = chats.find(g.caller.workspace_id, id)
    privacy.of_chat(chat)
    return render_template("chats/removal.html", chat=chat)


@bp.post("/<int:id>/removal")
@requires(Permission.MANAGE)
@proved
def erase(id):
    person = privacy.of_chat(chats.find(g.caller.workspace_id, id))
    erased = privacy.erase(person, actor=g.caller.actor)
    flash(
        _(
            "Erased: %(lines)s messages that came in, the texts of %(messages)s sent ones, %(files)s files.",
            lines=erased.lines,
            messages=erased.messages,
            files=erased.files,
        ),
        "ok",
    )
    return hx.go(url_for(".index"))


def _sent(id: int):
    """The conversation again, and an empty form."""
    if not hx.asked():
        return hx.go(url_for(".show", id=id))
    chat = chats.find(g.caller.workspace_id, id)
    drawn = {**_conversation(chat), "form": ReplyForm(formdata=None), "longest": outbox.TEXT_LENGTH}
    return hx.fragment(render_template("chats/_sent.html", **drawn), events={"wa:chats": {}})


def _first(form: ReplyForm) -> str:
    return next((str(error) for errors in form.errors.values() for error in errors), "")


def _sought(text: str) -> dict[str, object]:
    before = request.args.get("before", type=row_number)
    found = chat_search.look_for(g.caller.workspace_id, text, before)
    return {"q": text, "found": found, "open_id": 0, "sessions": roster.first(g.caller.workspace_id, 2)}


def _say_found(drawn) -> str:
    if "found" not in drawn:
        return ""
    count = len(drawn["found"].chats) + len(drawn["found"].lines)
    return ngettext("Found %(num)s", "Found %(num)s", count) if count else _("Nothing found")


def _listed() -> dict[str, object]:
    """The list, and what it is narrowed to."""
    cursor, is_unread = request.args.get("cursor"), "unread" in request.args
    try:
        shown = chats.listed(g.caller.workspace_id, unread=is_unread, cursor=cursor)
    except chats.BadCursor:
        abort(404)
    return {
        "q": "",
        "listed": shown,
        "is_unread": is_unread,
        # who looks at a part of it, or back, is not told of what comes in
        "is_live": shown.is_newest and not is_unread,
        "open_id": (request.view_args or {}).get("id") or request.args.get("open", 0, type=row_number),
        "sessions": roster.first(g.caller.workspace_id, 2),
        "poll_seconds": settings().poll_seconds,
    }


def _conversation(chat: Chat) -> dict[str, object]:
    before, line_id = request.args.get("before"), request.args.get("line", type=row_number)
    if line_id is not None:
        before = conversation.up_to(chat, line_id) or abort(404)
    try:
        shown = conversation.page(chat, before)
    except chats.BadCursor:
        abort(404)
    return {
        "chat": chat,
        "days": [(day, list(some)) for day, some in groupby(shown.entries, lambda one: moments.day(one.at))],
        "older": shown.older,
        "is_newest": before is None,
        "version": shown.version,
        "poll_seconds": settings().poll_seconds,
    }
