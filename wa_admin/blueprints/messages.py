from __future__ import annotations

import re
from datetime import date

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from .. import clock, hx, moments, phone, sentences, story, words
from ..app import settings
from ..forms import refusals_shown_in
from ..forms.message import ComposeForm
from ..models import Message, MessageStatus
from ..permissions import Permission
from ..services import activity, board, doubts, outbox, roster, search
from . import RowNumber, row_number
from .access import requires

bp = Blueprint("messages", __name__, url_prefix="/messages")

SETTLING_POLL_SECONDS = 2

bp.add_app_template_filter(sentences.source, "source")


@bp.context_processor
def rights():
    return {"may_send": current_user.is_authenticated and current_user.may(Permission.SEND)}


@bp.get("")
@requires(Permission.LOOK)
def index():
    chosen, text, day = _chosen(), _text(), request.args.get("day", type=_day)
    start, end = moments.bounds(day) if day else (None, None)
    sought = search.Search(text, start, end)
    shown = board.page(
        g.caller.workspace_id, chosen, request.args.get("cursor", type=row_number), search=sought
    )
    drawn = {
        "counts": board.counts(g.caller.workspace_id),
        "sought": {"q": text or None, "day": day},
        "longest": search.LONGEST,
        "has_any": bool(shown.rows or chosen or sought or "cursor" in request.args),
        # who looks back is not told of what comes in
        **_drawn(shown, chosen, is_newest=shown.newer is None and not sought),
    }
    if hx.asked():
        return hx.fragment(render_template("messages/_found.html", **drawn), say=_found(shown))
    return render_template("messages/index.html", **drawn)


@bp.get("/board")
@requires(Permission.LOOK)
def changes():
    """What changed on a list that somebody is looking at: no row comes, goes or moves."""
    chosen, is_newest = _chosen(), request.args.get("newest") == "1"
    shown = board.changed(g.caller.workspace_id, chosen, _ids("shown"), with_news=is_newest)
    if request.args.get("v", type=int) == shown.version:
        return hx.unchanged()
    page = render_template("messages/_board.html", **_drawn(shown, chosen, is_newest))
    has_more_news = shown.news > request.args.get("news", 0, type=int)
    return hx.fragment(page, say=_news(shown.news) if has_more_news else "")


@bp.get("/<int:id>")
@requires(Permission.LOOK)
def show(id):
    return render_template("messages/show.html", **_story_of(outbox.find(g.caller.workspace_id, id)))


@bp.get("/<int:id>/steps")
@requires(Permission.LOOK)
def steps(id):
    if request.args.get("v", "") == board.version(g.caller.workspace_id, id):
        return hx.unchanged()
    message = outbox.find(g.caller.workspace_id, id)
    page = render_template("messages/_story.html", **_story_of(message))
    moved = request.args.get("was") != message.status
    return hx.fragment(page, say=words.message_words(message.status).word if moved else "")


@bp.route("/new", methods=["GET", "POST"])
@requires(Permission.SEND)
def new():
    known = roster.listed(g.caller.workspace_id)
    earlier = _earlier()
    form = ComposeForm(known, **_prefilled(earlier))
    if form.validate_on_submit():
        with refusals_shown_in(form):
            message = outbox.send(
                g.caller.workspace_id,
                form.recipient.data,
                form.message.data or "",
                session_name=form.session_name,
                attached=form.attached,
                key=form.key,
                valid_for_seconds=form.valid_for_seconds.data or None,
                source=g.caller.actor,
            )
            return hx.go(url_for(".show", id=message.id))
    shown = {"form": form, "sessions": known, "earlier": earlier, "longest": outbox.TEXT_LENGTH}
    status = 422 if form.errors else 200
    if hx.asked():
        return hx.fragment(
            render_template("messages/_compose.html", **shown), say=form.first_error, status=status
        )
    return render_template("messages/new.html", **shown), status


@bp.post("/<int:id>/cancellation")
@requires(Permission.SEND)
def cancel(id):
    return _shown(outbox.cancel(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.get("/<int:id>/deliveries")
@requires(Permission.SEND)
def ask_to_retry(id):
    """A page of its own for what a dialog asks where there is JavaScript."""
    return render_template("messages/resend.html", message=outbox.find(g.caller.workspace_id, id))


@bp.post("/<int:id>/deliveries")
@requires(Permission.SEND)
def retry(id):
    return _shown(outbox.retry(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/<int:id>/arrival")
@requires(Permission.SEND)
def it_arrived(id):
    return _shown(outbox.it_arrived(g.caller.workspace_id, id, actor=g.caller.actor))


@bp.post("/<int:id>/copies")
@requires(Permission.SEND)
def resend_as_new(id):
    message = outbox.resend_as_new(g.caller.workspace_id, id, source=g.caller.actor)
    flash(_("This is the new message. The earlier one stays on record as it was."))
    return hx.go(url_for(".show", id=message.id))


def _shown(message: Message):
    """Where an act on a message ends: its story again, in place or as a page."""
    if hx.asked():
        page = render_template("messages/_story.html", **_story_of(message))
        return hx.fragment(page, say=words.message_words(message.status).word)
    return redirect(url_for(".show", id=message.id), 303)


def _drawn(shown: board.Board, chosen: str | None, is_newest: bool) -> dict[str, object]:
    return {
        "board": shown,
        "chosen": chosen,
        "is_newest": is_newest,
        "news": _news(shown.news) if shown.news else "",
        "has_session": bool(shown.rows) or bool(roster.listed(g.caller.workspace_id)),
        "poll_seconds": settings().poll_seconds,
    }


def _found(shown: board.Board) -> str:
    count = len(shown.rows)
    if shown.older or shown.newer:
        return _("Found %(count)s messages on this page", count=count)
    return ngettext("Found %(num)s message", "Found %(num)s messages", count) if count else _("Nothing found")


def _news(count: int) -> str:
    if count > board.PAGE:
        return _("More than %(count)s new messages", count=board.PAGE)
    return ngettext("%(num)s new message", "%(num)s new messages", count)


def _story_of(message: Message) -> dict[str, object]:
    acts = activity.acts_on(message)
    return {
        "message": message,
        "steps": story.steps(message, acts, activity.people(message.workspace_id), clock.now()),
        "may_have_left": story.may_have_left(message),
        "trouble": story.trouble(message),
        "is_being_checked": doubts.is_being_checked(message, clock.now()),
        "version": board.version(g.caller.workspace_id, message.id),
        "poll_seconds": _poll_seconds(message),
    }


def _poll_seconds(message: Message) -> int | None:
    """None when nothing more can happen by itself."""
    is_on_its_way = not message.is_settled or message.status == MessageStatus.SENT
    if is_on_its_way or doubts.is_being_checked(message, clock.now()):
        return SETTLING_POLL_SECONDS
    if message.status in (MessageStatus.DELIVERED, MessageStatus.UNCERTAIN):
        return settings().poll_seconds
    return None


def _earlier() -> Message | None:
    """The message that the new one starts from."""
    id = request.args.get("copy_of", type=row_number)
    return outbox.find(g.caller.workspace_id, id) if id is not None else None


def _prefilled(earlier: Message | None) -> dict[str, object]:
    """The text of an earlier message, perhaps for another number, or a test to one's own."""
    if earlier is not None:
        return {
            "session_id": earlier.session_id,
            "recipient": phone.for_reading(earlier.recipient),
            "message": earlier.body,
        }
    number = request.args.get("session", type=row_number)
    workspace_id = g.caller.workspace_id
    wa_session = roster.default(workspace_id) if number is None else roster.find(workspace_id, number)
    if wa_session is None or "test" not in request.args:
        return {"session_id": wa_session and wa_session.id}
    return {
        "session_id": wa_session.id,
        "recipient": phone.for_reading(wa_session.number),
        "message": _("A test from wa-admin: it works."),
    }


def _chosen() -> str | None:
    chosen = request.args.get("status") or None
    if chosen is not None and chosen not in board.FILTERS:
        abort(404)
    return chosen


def _text() -> str:
    """What somebody looks for, as one line."""
    return " ".join(request.args.get("q", "").replace("\0", "").split())[: search.LONGEST]


def _day(text: str) -> date:
    """A day on which there may be messages. Raises ValueError."""
    day = date.fromisoformat(text)
    if not 2000 <= day.year < 3000:
        raise ValueError("no message is so old or so new")
    return day


def _ids(name: str) -> list[int]:
    parts = request.args.get(name, "").split(",")
    ids = [int(part) for part in parts if re.fullmatch(RowNumber.regex, part)]
    if len(ids) > board.PAGE:
        abort(400)
    return ids
