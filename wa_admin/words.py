"""What people read: in which language and zone, and the words for every state they can meet.

A state is shown as a shape, a colour (tone), one word, and sentences that say what happened, what it
means for messages, and what to do next. Registered with Jinja by `register`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import phonenumbers
import pytz  # type: ignore[import-untyped]
from flask import Flask, current_app, has_request_context, request
from flask_babel import (
    format_decimal,
    format_percent,
    get_locale,
    gettext,
    lazy_gettext,
    ngettext,
)
from flask_login import current_user

from . import clock, phone
from .models import Look, MessageStatus, Reason, Role
from .moments import ago, at, clock_time, day, moment, script_words, span, until

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia", "pt_BR": "Português (Brasil)"}
# how dates and numbers are written; English readers here expect 21 Nov and 24 hours
LOCALES = {"en": "en_GB"}
LANGUAGE_COOKIE = "wa_language"
TIME_ZONE_COOKIE = "wa_time_zone"  # set by app.js

_ = lazy_gettext


@dataclass(frozen=True)
class Words:
    """How a state is shown. The sentences may hold %(at)s and other facts of the row."""

    word: Any
    tone: str
    icon: str
    what: Any = ""
    next: Any = ""


LOOKS: Mapping[Look, Words] = {
    Look.NEVER_LINKED: Words(
        _("Not linked yet"),
        "brand",
        "phone",
        _("No phone is linked to this session."),
        _("Link the phone that holds the number."),
    ),
    Look.STARTING: Words(
        _("Starting"),
        "brand",
        "hourglass",
        _("The gateway opens the session, usually within 10 seconds."),
    ),
    Look.WAITING_FOR_SCAN: Words(
        _("Waiting for the phone"),
        "brand",
        "qr",
        _("A code is ready."),
        _("Scan it with the phone that holds the number."),
    ),
    Look.FINISHING: Words(
        _("Finishing on the phone"),
        "brand",
        "hourglass",
        _("The code was scanned."),
        _("Keep WhatsApp open on the phone for a moment."),
    ),
    Look.CONNECTED: Words(
        _("Connected"),
        "ok",
        "check",
        _("Messages go out and come in. Since %(at)s."),
    ),
    Look.PAUSED: Words(
        _("Sending is paused"),
        "mute",
        "pause",
        _("The number is connected. Messages are accepted and wait."),
        _("Resume when you are ready."),
    ),
    Look.SILENT: Words(
        _("Silent"),
        "warn",
        "moon",
        _(
            "The gateway says connected, but WhatsApp has given no sign of life since %(proof_at)s. "
            "Messages may not arrive."
        ),
        _("Restart the connection. If it stays silent, open WhatsApp on the phone."),
    ),
    Look.RECONNECTING: Words(
        _("Reconnecting"),
        "warn",
        "rotate",
        _("The connection to WhatsApp broke off at %(at)s. It comes back by itself; the phone stays linked."),
    ),
    Look.GATEWAY_UNREACHABLE: Words(
        _("Gateway unreachable"),
        "mute",
        "plug",
        _("We cannot reach the gateway. The phone may well be fine."),
        _("We keep trying. Check that the gateway runs."),
    ),
    Look.NO_NETWORK: Words(
        _("WhatsApp out of reach"),
        "warn",
        "globe",
        _("The gateway is fine, but it has not reached WhatsApp since %(at)s."),
        _("We keep trying. Check the internet connection of the machine the gateway runs on."),
    ),
    Look.UNLINKED: Words(
        _("Unlinked on the phone"),
        "bad",
        "unlink",
        _("WhatsApp removed this device at %(at)s."),
        _("Nobody can bring it back from here: link the phone again."),
    ),
    Look.QR_EXPIRED: Words(
        _("Nobody scanned the code"),
        "mute",
        "qr",
        _("The code expired to protect your account."),
        _("Show a new one when the phone is at hand."),
    ),
    Look.PASSKEY_REQUIRED: Words(
        _("WhatsApp asks for a passkey"),
        "warn",
        "passkey",
        _("This account is protected by a passkey, which only WhatsApp’s own apps can show."),
        _("On the phone open Settings > Account > Passkeys, remove the passkey, then link again."),
    ),
    Look.AUTH_FAILURE: Words(
        _("WhatsApp refused the login"),
        "bad",
        "key",
        _("The login stored here no longer works, since %(at)s."),
        _("Link the phone again."),
    ),
    Look.REPLACED: Words(
        _("Opened somewhere else"),
        "warn",
        "swap",
        _("Another program took over this connection at %(at)s."),
        _("Stop the other one first, then connect here again."),
    ),
    Look.BANNED: Words(
        _("Blocked by WhatsApp"),
        "bad",
        "shield",
        _("WhatsApp does not let this number connect. We do not try by ourselves, that would make it worse."),
        _("Open WhatsApp on the phone: it says why, and how to ask for a review."),
    ),
    Look.OUTDATED: Words(
        _("Too old for WhatsApp"),
        "warn",
        "download",
        _("WhatsApp no longer accepts this version of the gateway, since %(at)s."),
        _("Update wa-admin or the gateway, then connect again. The phone stays linked."),
    ),
    Look.STOPPED: Words(
        _("Disconnected"),
        "mute",
        "power",
        _("Someone disconnected this session here at %(at)s. The phone stays linked."),
        _("Connect when you want to send again."),
    ),
    Look.INACTIVE: Words(
        _("Switched off"),
        "mute",
        "sleep",
        _("This session takes no messages."),
        _("Switch it on to use it."),
    ),
}

# a few words for a list or a timeline
REASONS: Mapping[Reason, Any] = {
    Reason.NEVER_LINKED: _("not linked yet"),
    Reason.QR_EXPIRED: _("nobody scanned the code"),
    Reason.PASSKEY_REQUIRED: _("WhatsApp asks for a passkey"),
    Reason.AUTH_FAILURE: _("WhatsApp refused the login"),
    Reason.LOGGED_OUT: _("unlinked on the phone"),
    Reason.REPLACED: _("opened somewhere else"),
    Reason.BANNED: _("blocked by WhatsApp"),
    Reason.OUTDATED: _("too old for WhatsApp"),
    Reason.NETWORK: _("the network broke off"),
    Reason.GATEWAY_UNREACHABLE: _("the gateway cannot be reached"),
    Reason.SILENT: _("no sign of life"),
    Reason.STOPPED: _("disconnected here"),
}

MESSAGES: Mapping[MessageStatus, Words] = {
    MessageStatus.QUEUED: Words(
        _("Queued"),
        "mute",
        "clock",
        _("It waits for its turn, or for the session to be back."),
        _("Nothing to do."),
    ),
    MessageStatus.SENDING: Words(_("Sending"), "brand", "send", _("The gateway has it right now.")),
    MessageStatus.SENT: Words(
        _("Sent"), "mute", "check", _("WhatsApp took it; no phone has confirmed it yet.")
    ),
    MessageStatus.DELIVERED: Words(
        _("Delivered"), "mute", "check-double", _("It is on the recipient’s phone.")
    ),
    MessageStatus.READ: Words(_("Read"), "brand", "read", _("The recipient opened it.")),
    MessageStatus.PLAYED: Words(_("Played"), "brand", "play", _("The recipient played it.")),
    MessageStatus.FAILED: Words(
        _("Failed"),
        "bad",
        "alert",
        _("It did not leave and is not tried again."),
        _("See why, then send it again."),
    ),
    MessageStatus.EXPIRED: Words(
        _("Expired"),
        "mute",
        "expired",
        _("It was not sent in the time it was meant for."),
        _("Send it again if it still matters."),
    ),
    MessageStatus.CANCELLED: Words(
        _("Cancelled"), "mute", "cancelled", _("Someone took it back before it left.")
    ),
    MessageStatus.UNCERTAIN: Words(
        _("Uncertain"),
        "warn",
        "question",
        _("We do not know whether this left. It may have arrived."),
        _("Ask the recipient, or send it again and risk a duplicate."),
    ),
}

# what stands on a delivery, a message or a failing gateway: cause and next step
ERRORS: Mapping[str, tuple[Any, Any]] = {
    "gateway_unreachable": (
        _("The gateway cannot be reached."),
        _("Check that it runs and that its address is right."),
    ),
    "gateway_timeout": (_("The gateway did not answer in time."), _("It may be busy. We keep trying.")),
    "gateway_bad_answer": (
        _("The gateway gave an answer that makes no sense."),
        _("Check that its address belongs to a gateway and not to another program."),
    ),
    "gateway_auth": (
        _("The gateway refuses our key."),
        _("Set WA_GATEWAY_KEY to the key of the gateway and start again."),
    ),
    "gateway_not_found": (
        _("The gateway does not know this session."),
        _("Link the phone again to create it anew."),
    ),
    "gateway_unlicensed": (
        _("The gateway says that its licence is not in order."),
        _("See to its licence; messages wait until then."),
    ),
    "outcome_unknown": (
        _("The gateway cannot say whether it left."),
        _("Ask the recipient whether it arrived."),
    ),
    "refused_by_whatsapp": (
        _("WhatsApp took it first and refused it afterwards."),
        _("Check on the phone whether the number may write to this recipient."),
    ),
    "not_connected": (_("The session was not connected."), _("It goes out once the session is back.")),
    "not_on_whatsapp": (
        _("This number is not on WhatsApp."),
        _("Check the number, or reach the person another way."),
    ),
    "rejected": (
        _("WhatsApp refused this message."),
        _("Change the message or the recipient before you send it again."),
    ),
    "rate_limited": (_("WhatsApp asks us to slow down."), _("It is tried again later.")),
    "unsupported": (_("This gateway cannot do that."), _("Use another way, or another gateway.")),
    "expired": (_("Its time ran out before it could leave."), _("Send it again if it still matters.")),
    "interrupted": (
        _("The sending process ended in the middle."),
        _("Ask the recipient whether it arrived."),
    ),
}
UNKNOWN_ERROR = (_("The gateway could not do it."), _("Look at the gateway’s own answer below."))

PROOFS = {"delivery": _("a delivery"), "message": _("a message came in")}
GATEWAYS = {"bundled": _("Built in"), "evolution": "Evolution API"}
ROLES = {Role.SUPERVISOR: _("Supervisor"), Role.OPERATOR: _("Operator"), Role.ADMIN: _("Admin")}


def register(app: Flask) -> None:
    """Hand the words and filters to the templates."""
    app.jinja_env.filters.update(
        phone=readable_phone, ago=ago, until=until, moment=moment, day=day, clock=clock_time, span=span,
        number=format_decimal, percent=percent, at=at,
    )  # fmt: skip
    app.jinja_env.globals.update(
        look_words=look_words, message_words=message_words, error_words=error_words,
        reason_word=lambda reason: REASONS[Reason(reason)], role_word=lambda role: ROLES[Role(role)],
        proof_word=lambda proof: PROOFS.get(proof, ""), waiting_words=waiting_words,
        gateway_word=lambda kind: GATEWAYS.get(kind, kind), example_number=example_number,
        region_name=lambda region: get_locale().territories.get(region, region),
        html_language=html_language, script_words=script_words, initials=initials, now=clock.now,
    )  # fmt: skip


# --- language and zone ---------------------------------------------------------------------------


def language() -> str:
    """The locale to answer in: account, then cookie, then what the browser prefers."""
    spoken = languages()
    if not has_request_context():
        return LOCALES["en"]
    wished = (getattr(current_user, "language", None), request.cookies.get(LANGUAGE_COOKIE))
    chosen = next((code for code in wished if code in spoken), None)
    if chosen is None:
        tags = {code.replace("_", "-"): code for code in spoken}
        chosen = tags[request.accept_languages.best_match(list(tags), default="en")]
    return LOCALES.get(chosen, chosen)


def languages() -> dict[str, str]:
    """The languages that can be chosen, by code: English, and each that has a translation."""
    return _translated(current_app.config["BABEL_TRANSLATION_DIRECTORIES"])


def time_zone() -> Any:
    """The zone to write times in: account, then what the browser said, else UTC."""
    if not has_request_context():
        return pytz.utc
    cookie = unquote(request.cookies.get(TIME_ZONE_COOKIE, ""))
    for name in (getattr(current_user, "time_zone", None), cookie):
        try:
            return pytz.timezone(name or "")
        except pytz.UnknownTimeZoneError:
            continue
    return pytz.utc


def html_language() -> str:
    return str(get_locale().language) if get_locale().language != "pt" else "pt-BR"


@lru_cache(maxsize=4)
def _translated(directory: str) -> dict[str, str]:
    return {
        code: name
        for code, name in LANGUAGES.items()
        if code == "en" or Path(directory, code, "LC_MESSAGES", "messages.mo").exists()
    }


# --- states --------------------------------------------------------------------------------------


def look_words(wa_session: Any) -> Words:
    """The words for what the session looks like now, its facts filled in."""
    words = LOOKS[wa_session.look]
    facts = {
        "at": at(wa_session.connected_at if wa_session.look == Look.CONNECTED else wa_session.status_at),
        "proof_at": at(wa_session.last_proof_at or wa_session.status_at),
    }
    return Words(words.word, words.tone, words.icon, str(words.what) % facts, str(words.next) % facts)


def waiting_words(count: int) -> str:
    """What becomes of the messages that wait; nothing when none does."""
    if not count:
        return ""
    return ngettext("%(num)s message waits safely.", "%(num)s messages wait safely.", count)


def message_words(status: MessageStatus | str) -> Words:
    return MESSAGES[MessageStatus(status)]


def error_words(code: str | None) -> tuple[str, str]:
    """Cause and next step for a stored error code."""
    cause, step = ERRORS.get(code or "", UNKNOWN_ERROR)
    return str(cause), str(step)


# --- filters -------------------------------------------------------------------------------------


def readable_phone(number: str | None) -> str:
    """A number for reading; a group by its id."""
    if number and number.endswith("@g.us"):
        return gettext("Group %(id)s", id=number.removesuffix("@g.us"))
    return phone.for_reading(number)


def example_number(region: str) -> str:
    """How a mobile number of that country looks."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return (
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        if example
        else "+62 812-3456-789"
    )


def percent(value: float | None) -> str:
    """Of a number from 0 to 100."""
    return "" if value is None else format_percent(value / 100, "#,##0.#%")


def initials(name: str) -> str:
    parts = name.split()
    return "".join(part[0] for part in parts[:1] + parts[1:][-1:]).upper() or "?"
