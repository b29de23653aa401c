"""An alert in words: what happened, since when, what waits, the one next step, and where to go.

No message text and no secret; of a number only its ends. In the language and time zone of the channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app, g
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import func, select

from .. import moments, words
from ..app import settings
from ..extensions import db
from ..models import (
    NEEDS_A_LINK,
    AlertChannel,
    Call,
    CallStatus,
    Gateway,
    Look,
    Notice,
    Outage,
    Reason,
    Subscription,
    SwitchedOff,
    WhatsAppSession,
    Workspace,
)
from ..models.session import ENGINE_CRASHED, LOOK_OF_REASON
from ..vocabulary import LOOKS, WEBHOOK_NEXT, WEBHOOKS_OFF
from .outages import SILENT_STORM, STORM

SHOWN_NAMES = 5


@dataclass(frozen=True)
class Text:
    title: str
    body: str


@contextmanager
def written_for(channel: AlertChannel) -> Iterator[None]:
    """Everything in here is in the channel's language and zone."""
    with current_app.app_context():
        g.reader = words.Reader(channel, {}, None)
        yield


def of(notices: Sequence[Notice]) -> Text:
    """One text for all of them. Inside written_for()."""
    texts = [_of_one(notice) for notice in notices]
    if len(texts) == 1:
        return texts[0]
    title = ngettext("%(num)s alert", "%(num)s alerts", len(texts))
    return Text(_titled(title), "\n\n".join(f"{one.title}\n{one.body}" for one in texts))


def test() -> Text:
    """What the test button sends. Inside written_for()."""
    body = _("Alerts of wa-admin will arrive here. This is only a test; there is nothing to do.")
    return Text(_titled(_("Test")), f"{body}\n{settings().panel_url}/settings/alerts")


def summary(outage: Outage) -> str:
    """An outage in a few words, for a list."""
    if outage.session_id is not None:
        wa_session = db.session.get_one(WhatsAppSession, outage.session_id)
        return f"{wa_session.name}: {LOOKS[_look(outage, wa_session)].word}"
    if outage.subscription_id is not None:
        return _("Webhook %(name)s was switched off", name=_webhook(outage).name)
    name = db.session.get_one(Gateway, outage.gateway_id).name
    if outage.reason == STORM:
        return _("Gateway %(name)s: many sessions were lost at once", name=name)
    if outage.reason == SILENT_STORM:
        return _("Gateway %(name)s: nothing comes through from many sessions", name=name)
    return f"{_('Gateway %(name)s', name=name)}: {words.error_words(outage.reason)[0]}"


def place(outage: Outage) -> str:
    """The page where something can be done about it, within the panel."""
    if outage.subscription_id is not None:
        return f"/settings/webhooks/{outage.subscription_id}"
    if outage.gateway_id is not None:
        return "/health"
    return f"/sessions/{outage.session_id}" + ("/link" if outage.reason in NEEDS_A_LINK else "")


def _of_one(notice: Notice) -> Text:
    outage = db.session.get_one(Outage, notice.outage_id)
    if notice.is_end:
        return _end(outage)
    if outage.subscription_id is not None:
        return _of_webhook(outage)
    return _of_gateway(outage) if outage.gateway_id else _of_session(outage)


def _of_session(outage: Outage) -> Text:
    wa_session = db.session.get_one(WhatsAppSession, outage.session_id)
    shown = LOOKS[_look(outage, wa_session)]
    at = moments.at(outage.began_at)
    facts = {"at": at, "proof_at": moments.at(wa_session.last_proof_at or outage.began_at)}
    what, step = str(shown.what) % facts, str(shown.next) % facts
    lines = [
        what,
        _named(wa_session),
        _in_workspace(outage),
        _since(outage),
        _waiting(wa_session.waiting_count),
        step,
    ]
    return _text(f"{wa_session.name}: {shown.word}", lines, place(outage))


def _of_gateway(outage: Outage) -> Text:
    held = _sessions(outage)
    names = ", ".join(one.name for one in held[:SHOWN_NAMES]) + (" …" if len(held) > SHOWN_NAMES else "")
    if outage.reason == STORM:
        what = _("The gateway answers, but many of its sessions were lost at once.")
        step = _("Look at the gateway first, then at the sessions one by one.")
    elif outage.reason == SILENT_STORM:
        what = _("The gateway calls its sessions connected, but nothing comes through from many of them.")
        step = _("Look whether the gateway can reach wa-admin with its events: Settings, Gateways says so.")
    else:
        what, step = words.error_words(outage.reason)
    sessions = ngettext("%(num)s session depends on it", "%(num)s sessions depend on it", len(held))
    waiting = sum(one.waiting_count for one in held)
    about = [f"{sessions}: {names}", _in_workspace(outage), _since(outage)]
    lines = [what, *about, _waiting(waiting), step]
    return _text(summary(outage), lines, place(outage))


def _of_webhook(outage: Outage) -> Text:
    webhook = _webhook(outage)
    what = f"{WEBHOOKS_OFF[SwitchedOff(outage.reason)]} {_('It is told nothing any more.')}"
    query = select(func.count()).select_from(Call)
    failed = query.filter_by(subscription_id=webhook.id, status=CallStatus.FAILED)
    count = db.session.scalar(failed) or 0
    lost = ngettext("%(num)s call did not arrive.", "%(num)s calls did not arrive.", count)
    about = [_("App: %(host)s", host=webhook.host), _in_workspace(outage), _since(outage)]
    return _text(summary(outage), [what, *about, lost, str(WEBHOOK_NEXT)], place(outage))


def _end(outage: Outage) -> Text:
    """Says all of it, since the beginning may never have been told."""
    span = moments.span(((outage.ended_at or outage.began_at) - outage.began_at).total_seconds())
    lasted = _(
        "It began at %(began)s and was over at %(ended)s, %(span)s later.",
        began=moments.at(outage.began_at),
        ended=moments.at(outage.ended_at),
        span=span,
    )
    if outage.subscription_id is not None:
        title, waiting = _("Webhook %(name)s is switched on again", name=_webhook(outage).name), 0
    elif outage.gateway_id:
        name = db.session.get_one(Gateway, outage.gateway_id).name
        title, waiting = _("Gateway %(name)s works again", name=name), 0
    else:
        wa_session = db.session.get_one(WhatsAppSession, outage.session_id)
        waiting = wa_session.waiting_count
        title = _("%(name)s is connected again", name=wa_session.name)
        if not wa_session.is_connected:
            title = _("%(name)s was switched off by a person", name=wa_session.name)
    return _text(title, [lasted, summary(outage), _waiting(waiting) if waiting else ""], "/")


def _look(outage: Outage, wa_session: WhatsAppSession) -> Look:
    if outage.reason == Reason.NETWORK and wa_session.gateway_word == ENGINE_CRASHED:
        return Look.ENGINE_CRASHED
    others = {
        Reason.NETWORK: Look.NO_NETWORK,
        Reason.SILENT: Look.SILENT,
        Reason.GATEWAY_UNREACHABLE: Look.GATEWAY_UNREACHABLE,
    }
    return {**LOOK_OF_REASON, **others}[Reason(outage.reason)]


def _webhook(outage: Outage) -> Subscription:
    return db.session.get_one(Subscription, outage.subscription_id)


def _sessions(outage: Outage) -> list[WhatsAppSession]:
    query = select(WhatsAppSession).filter_by(
        workspace_id=outage.workspace_id, gateway_id=outage.gateway_id, is_active=True
    )
    return list(db.session.scalars(query.order_by(WhatsAppSession.is_default.desc(), WhatsAppSession.id)))


def _named(wa_session: WhatsAppSession) -> str:
    name = _("Session: %(name)s", name=wa_session.name)
    number = wa_session.number
    return f"{name} (+{number[:2]} … {number[-3:]})" if number else name


def _since(outage: Outage) -> str:
    return _("Since %(at)s", at=moments.at(outage.began_at))


def _waiting(count: int) -> str:
    return words.waiting_words(count) or _("No message waits.")


def _in_workspace(outage: Outage) -> str:
    """Nobody sees the word until there is a second one."""
    if (db.session.scalar(select(func.count()).select_from(Workspace)) or 0) < 2:
        return ""
    return _("Workspace: %(name)s", name=db.session.get_one(Workspace, outage.workspace_id).name)


def _text(title: str, lines: Sequence[str], path: str) -> Text:
    body = "\n".join([*filter(None, lines), f"{settings().panel_url}{path}"])
    return Text(_titled(title), body)


def _titled(title: str) -> str:
    return f"wa-admin: {title}"
