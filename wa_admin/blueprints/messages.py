from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from .. import clock, hx, phone, story, words
from ..forms import refusals_shown_in
from ..forms.message import ComposeForm
from ..models import Message, MessageStatus, Role
from ..services import board, outbox, sessions
from .access import requires

bp = Blueprint("messages", __name__, url_prefix="/messages")

SETTLING_POLL_SECONDS = 2


@bp.get("")
@requires(Role.SUPERVISOR)
def index():
    chosen = _chosen()
    before, after = (request.args.get(name, type=int) for name in ("before", "after"))
    shown = board.page(current_user.workspace_id, chosen, before=before, after=after)
    return render_template(
        "messages/index.html",
        board=shown,
        chosen=chosen,
        is_newest=shown.newer is None,
        counts=board.counts(current_user.workspace_id),
        has_session=bool(sessions.listed(current_user.workspace_id)),
    )


@bp.get("/board")
@requires(Role.SUPERVISOR)
def changes():
    """What changed on a list that somebody is looking at: no row comes, goes or moves."""
    chosen, is_newest = _chosen(), request.args.get("newest") == "1"
    shown = _ids(request.args.get("shown", ""))
    now_shown = board.changed(current_user.workspace_id, chosen, shown, with_news=is_newest)
    if request.args.get("v", type=int) == now_shown.version:
        return hx.unchanged()
    page = render_template("messages/_board.html", board=now_shown, chosen=chosen, is_newest=is_newest)
    if not now_shown.news or now_shown.news == request.args.get("news", type=int):
        return page
    return hx.saying(page, ngettext("%(num)s new message", "%(num)s new messages", now_shown.news))


@bp.get("/<int:id>")
@requires(Role.SUPERVISOR)
def show(id):
    message = outbox.find(current_user.workspace_id, id)
    return render_template("messages/show.html", **_story_of(message))


@bp.get("/<int:id>/steps")
@requires(Role.SUPERVISOR)
def steps(id):
    message = outbox.find(current_user.workspace_id, id)
    if request.args.get("v", type=int) == message.rev:
        return hx.unchanged()
    page = render_template("messages/_story.html", **_story_of(message))
    if request.args.get("was") == message.status:
        return page
    return hx.saying(page, words.of(message.status))


@bp.route("/new", methods=["GET", "POST"])
@requires(Role.OPERATOR)
def new():
    known = sessions.listed(current_user.workspace_id)
    form = ComposeForm(known, **_prefilled())
    if form.validate_on_submit():
        with refusals_shown_in(form):
            message = outbox.send(
                current_user.workspace_id,
                form.to.data,
                form.text.data or "",
                session_name=form.session_name,
                attached=form.attached,
                key=form.key,
                valid_for_seconds=form.valid_for_seconds,
                source=current_user.email,
            )
            return redirect(url_for(".show", id=message.id), 303)
    return render_template("messages/new.html", form=form, sessions=known), 422 if form.errors else 200


@bp.post("/<int:id>/cancellation")
@requires(Role.OPERATOR)
def cancel(id):
    return _shown(outbox.cancel(current_user.workspace_id, id, actor=current_user.email))


@bp.post("/<int:id>/deliveries")
@requires(Role.OPERATOR)
def retry(id):
    return _shown(outbox.retry(current_user.workspace_id, id, actor=current_user.email))


@bp.post("/<int:id>/arrival")
@requires(Role.OPERATOR)
def it_arrived(id):
    return _shown(outbox.it_arrived(current_user.workspace_id, id, actor=current_user.email))


@bp.post("/<int:id>/copies")
@requires(Role.OPERATOR)
def resend_as_new(id):
    message = outbox.resend_as_new(current_user.workspace_id, id, source=current_user.email)
    flash(_("This is the new message; the old one stays as it was."))
    return redirect(url_for(".show", id=message.id), 303)


def _shown(message: Message):
    """Where an act on a message ends: its story again, in place or as a page."""
    if hx.wanted():
        page = render_template("messages/_story.html", **_story_of(message))
        return hx.saying(page, words.of(message.status))
    return redirect(url_for(".show", id=message.id), 303)


def _story_of(message: Message) -> dict[str, object]:
    now = clock.now()
    return {
        "message": message,
        "steps": story.steps(message, now),
        "trouble": story.trouble(message),
        "poll_seconds": _poll_seconds(message),
    }


def _poll_seconds(message: Message) -> int | None:
    """None when nothing more can happen by itself."""
    if not message.is_settled or message.status == MessageStatus.SENT:
        return SETTLING_POLL_SECONDS
    return words.poll_seconds() if message.status in (MessageStatus.DELIVERED, MessageStatus.UNCERTAIN) else None


def _prefilled() -> dict[str, object]:
    """A test to one's own number, or the text of an earlier message for another number."""
    copied = request.args.get("copy_of", type=int)
    if copied is not None:
        earlier = outbox.find(current_user.workspace_id, copied)
        return {"to": phone.for_reading(earlier.recipient), "text": earlier.body}
    wa_session = sessions.default(current_user.workspace_id)
    if "test" not in request.args or wa_session is None:
        return {}
    return {"to": phone.for_reading(wa_session.number), "text": _("A test from wa-admin. It works.")}


def _chosen() -> str | None:
    chosen = request.args.get("status") or None
    if chosen is not None and chosen not in board.FILTERS:
        abort(404)
    return chosen


def _ids(listed: str) -> list[int]:
    ids = [int(part) for part in listed.split(",") if part.isdecimal()]
    if len(ids) > board.PAGE:
        abort(400)
    return ids
