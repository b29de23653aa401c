"""The life of one message, told in steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from . import moments, sentences, words
from .models import Delivery, Message, MessageStatus, Outcome

_RECEIPTS: dict[str, tuple[str, Any]] = {
    "delivered": ("delivered", _l("Delivered to their phone")),
    "read": ("read", _l("Read")),
    "played": ("read", _l("Played")),
}
_ATTEMPTS: dict[Outcome | None, tuple[str, str, Any]] = {
    None: ("uncertain", "warn", _l("Attempt %(number)s was cut short")),
    Outcome.SENT: ("sent", "ok", _l("WhatsApp took it")),
    Outcome.RETRY: ("queued", "warn", _l("Attempt %(number)s did not leave")),
    Outcome.FAILED: ("failed", "bad", _l("Attempt %(number)s was refused")),
    Outcome.UNCERTAIN: ("uncertain", "warn", _l("Attempt %(number)s has no clear answer")),
}


@dataclass(frozen=True)
class Step:
    """One thing that happened, or at the end the one that is awaited. `mark` is a status word, for the icon.

    `answer` is the gateway's own text, for the curious; `at` is None for what is still to come.
    """

    mark: str
    tone: str
    title: str
    at: datetime | None
    note: str = ""
    answer: str = ""


def steps(message: Message, now: datetime) -> list[Step]:
    """What happened to the message, oldest first."""
    past = [_accepted(message)]
    past += [_attempt(message, one) for one in message.deliveries]
    past += _receipts(message)
    past.sort(key=lambda step: step.at or now)
    return past + _ending(message, now)


def trouble(message: Message) -> tuple[str, str] | None:
    """Why a message did not arrive, and what a person can do about it."""
    if message.status not in (MessageStatus.FAILED, MessageStatus.EXPIRED):
        return None
    return words.error_words(message.error_code or message.status)


def _accepted(message: Message) -> Step:
    title = _("Accepted from %(source)s", source=sentences.who(message.source))
    used = words.readable_phone(message.recipient)
    note = ""
    if message.typed.strip() not in (used, message.recipient):
        note = _("“%(typed)s” was read as %(used)s", typed=message.typed.strip(), used=used)
    return Step("queued", "brand", title, message.created_at, note)


def _attempt(message: Message, delivery: Delivery) -> Step:
    if delivery.outcome is None and message.status == MessageStatus.SENDING:
        title = _("Handing it to WhatsApp, attempt %(number)s", number=delivery.attempt)
        return Step("sending", "brand", title, delivery.started_at)
    mark, tone, title = _ATTEMPTS[delivery.outcome]
    step = Step(
        mark,
        tone,
        str(title) % {"number": delivery.attempt},
        delivery.finished_at or delivery.started_at,
        words.error_words(delivery.error_code)[0] if delivery.error_code else "",
        delivery.error_detail or "",
    )
    if delivery.outcome == Outcome.SENT and delivery.attempt > 1:
        return replace(step, note=_("At attempt %(number)s", number=delivery.attempt))
    return step


def _receipts(message: Message) -> list[Step]:
    told = []
    for receipt in message.receipts:
        if receipt.kind in _RECEIPTS:
            mark, title = _RECEIPTS[receipt.kind]
            told.append(Step(mark, "ok", str(title), receipt.at))
    return told


def _ending(message: Message, now: datetime) -> list[Step]:
    """How it ended, or what it waits for."""
    status, at = message.status, message.status_at
    if status == MessageStatus.QUEUED:
        return [Step("queued", "mute", _("Waiting"), None, waits_for(message, now))]
    if status == MessageStatus.CANCELLED:
        return [Step("cancelled", "mute", _("Cancelled"), at, _("Nothing was sent."))]
    if status == MessageStatus.EXPIRED:
        return [Step("expired", "bad", _("Given up: its time ran out"), at, _("Nothing was sent."))]
    if status == MessageStatus.FAILED and not _ended_with(message, Outcome.FAILED):
        return [Step("failed", "bad", _("Not delivered"), at)]
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
