"""The life of one message, told in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from . import moments, sentences, words
from .models import Delivery, Event, Message, MessageStatus, Outcome, Receipt

_RECEIPTS: dict[str, Any] = {
    "delivered": _l("Delivered to their phone"),
    "read": _l("Read"),
    "played": _l("Played"),
}
_ATTEMPTS: dict[Outcome | None, tuple[str, Any]] = {
    None: ("warn", _l("Attempt %(number)s was cut short")),
    Outcome.SENT: ("ok", _l("WhatsApp took it")),
    Outcome.RETRY: ("warn", _l("Attempt %(number)s did not leave")),
    Outcome.FAILED: ("bad", _l("Attempt %(number)s was refused")),
    Outcome.UNCERTAIN: ("warn", _l("Attempt %(number)s has no clear answer")),
}
_ACTS: dict[str, tuple[str, Any]] = {
    "cancelled": ("mute", _l("Cancelled by %(who)s")),
    "cancelled_in_doubt": ("warn", _l("Cancelled by %(who)s, but an attempt before may have arrived")),
    "retried": ("brand", _l("Sent again by %(who)s")),
    "confirmed_by_person": ("ok", _l("Seen to have arrived by %(who)s")),
    "found_at_gateway": ("ok", _l("Looked up: the gateway has it, so it left")),
    "told_by_gateway": ("ok", _l("The gateway told of it by itself: it left")),
    "resent_in_doubt": ("warn", _l("Nobody could say whether it left: sent again, as set")),
}


@dataclass(frozen=True)
class Step:
    """One thing that happened, or at the end the one that is awaited: then `at` is None.

    `tone` is ok, warn, bad, mute or brand; `answer` the gateway's own text, for the curious.
    """

    tone: str
    title: str
    at: datetime | None
    note: str = ""
    answer: str = ""


def steps(message: Message, acts: Sequence[Event], people: Mapping[str, str], now: datetime) -> list[Step]:
    """What happened to the message, oldest first; `acts` are what people did with it."""
    past = [_accepted(message, people)]
    past += [_act(act, people) for act in acts]
    past += [_attempt(message, one) for one in message.deliveries]
    past += [_receipt(one) for one in message.receipts if one.kind in _RECEIPTS]
    past.sort(key=lambda step: step.at or now)
    is_told = message.status == MessageStatus.CANCELLED and acts and acts[-1].kind == "cancelled"
    return past if is_told else past + _ending(message, now)


def may_have_left(message: Message) -> bool:
    """Whether an attempt may have reached WhatsApp, whatever became of the message since."""
    return any(one.outcome not in (Outcome.RETRY, Outcome.FAILED) for one in message.deliveries)


def trouble(message: Message) -> tuple[str, str] | None:
    """Why a message did not arrive, and what a person can do about it."""
    if message.status not in (MessageStatus.FAILED, MessageStatus.EXPIRED):
        return None
    return words.error_words(message.error_code or message.status)


def _accepted(message: Message, people: Mapping[str, str]) -> Step:
    title = _("Accepted from %(source)s", source=sentences.who(message.source, people))
    used = words.readable_phone(message.recipient)
    note = ""
    if message.typed.strip() not in (used, message.recipient):
        note = _("“%(typed)s” was read as %(used)s", typed=message.typed.strip(), used=used)
    return Step("brand", title, message.created_at, note)


def _act(act: Event, people: Mapping[str, str]) -> Step:
    tone, title = _ACTS[act.kind]
    return Step(tone, str(title) % {"who": sentences.who(act.actor, people)}, act.at)


def _attempt(message: Message, delivery: Delivery) -> Step:
    if delivery.outcome is None and message.status == MessageStatus.SENDING:
        title = _("Handing it to WhatsApp, attempt %(number)s", number=delivery.attempt)
        return Step("brand", title, delivery.started_at)
    tone, title = _ATTEMPTS[delivery.outcome]
    title = _("Came back from a backup") if delivery.error_code == "restored" else title
    step = Step(
        tone,
        str(title) % {"number": delivery.attempt},
        delivery.finished_at or delivery.started_at,
        words.error_words(delivery.error_code)[0] if delivery.error_code else "",
        delivery.error_detail or "",
    )
    if delivery.outcome == Outcome.SENT and delivery.attempt > 1:
        return replace(step, note=_("At attempt %(number)s", number=delivery.attempt))
    return step


def _receipt(receipt: Receipt) -> Step:
    return Step("ok", str(_RECEIPTS[receipt.kind]), receipt.at)


def _ending(message: Message, now: datetime) -> list[Step]:
    """How it ended, or what it waits for."""
    status, at = message.status, message.status_at
    if status == MessageStatus.QUEUED:
        return [Step("mute", _("Waiting"), None, waits_for(message, now))]
    if status == MessageStatus.CANCELLED:
        return [Step("mute", _("Cancelled"), at)]
    if status == MessageStatus.EXPIRED:
        return [Step("bad", _("Given up: its time ran out"), at)]
    if status == MessageStatus.FAILED and not _ended_with(message, Outcome.FAILED):
        return [Step("bad", _("Not delivered"), at)]
    return []


def waits_for(message: Message, now: datetime) -> str:
    """Why a queued message has not left yet, as a sentence."""
    wa_session = message.session
    if wa_session is None:
        return _("Its session is gone. Cancel it, or send it as a new message.")
    if wa_session.paused_at:
        return _(
            "Sending is paused on %(session)s. It leaves when somebody resumes it.", session=wa_session.name
        )
    if not wa_session.can_send:
        return _(
            "%(session)s is not connected. It leaves by itself when the number is back.",
            session=wa_session.name,
        )
    if message.next_at and message.next_at > now:
        return _("The next attempt comes at %(time)s.", time=moments.at(message.next_at))
    return _("It is in line and leaves in a moment.")


def _ended_with(message: Message, outcome: Outcome) -> bool:
    return bool(message.deliveries) and message.deliveries[-1].outcome == outcome
