"""The timeline in words: one line of it as a sentence that a person would say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask_babel import format_timedelta
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from . import phone
from .models import Event, Reason, Status

# kinds that an event can have, by what a person would look for
TOPICS: dict[str, tuple[str, ...]] = {
    "connection": (
        "status", "link_started", "pairing_code_asked", "link_cancelled", "code_expired", "scanned", "linked",
        "restarted", "restarted_for_silence", "reconnect_asked", "reconnect_failed", "disconnected_by_admin",
        "unlinked_by_admin", "replaced_by_admin", "gateway_down", "gateway_back", "webhook_installed",
    ),
    "messages": (
        "sent", "failed", "expired", "uncertain", "cancelled", "retried", "arrived", "paused", "resumed",
    ),
    "people": (
        "login", "login_failed", "logout", "login_revoked", "user_added", "user_edited", "role_changed",
        "password_changed", "set_up", "key_added", "key_revoked", "session_created", "session_edited",
        "session_deleted", "default_changed",
    ),
}  # fmt: skip
# the daily bread: left out of the overview, where it would bury everything else
ROUTINE = ("sent",)

_SENTENCES: dict[str, tuple[str, Any]] = {
    "link_started": ("brand", _l("%(who)s started linking %(session)s")),
    "pairing_code_asked": ("brand", _l("%(who)s asked for a pairing code for %(session)s")),
    "link_cancelled": ("mute", _l("%(who)s stopped linking %(session)s")),
    "code_expired": ("warn", _l("Nobody scanned the code of %(session)s in time")),
    "scanned": ("brand", _l("A phone scanned the code of %(session)s")),
    "linked": ("ok", _l("%(session)s was linked to %(number)s")),
    "restarted": ("mute", _l("%(who)s restarted %(session)s")),
    "restarted_for_silence": ("warn", _l("%(session)s was restarted, since nothing had come through")),
    "reconnect_asked": ("mute", _l("%(who)s asked %(session)s to reconnect")),
    "reconnect_failed": ("warn", _l("%(session)s tried to reconnect, without success")),
    "disconnected_by_admin": ("mute", _l("%(who)s disconnected %(session)s")),
    "unlinked_by_admin": ("bad", _l("%(who)s unlinked %(number)s")),
    "replaced_by_admin": ("brand", _l("%(who)s began to replace the number of %(session)s")),
    "gateway_down": ("bad", _l("The gateway stopped answering")),
    "gateway_back": ("ok", _l("The gateway answers again")),
    "webhook_installed": ("mute", _l("The gateway was told again where to report on %(session)s")),
    "sent": ("ok", _l("A message to %(to)s was sent")),
    "failed": ("bad", _l("A message to %(to)s was not delivered")),
    "expired": ("bad", _l("A message to %(to)s was not sent in time")),
    "uncertain": ("warn", _l("Nobody knows whether a message to %(to)s left")),
    "cancelled": ("mute", _l("%(who)s cancelled a message to %(to)s")),
    "retried": ("brand", _l("%(who)s had a message to %(to)s sent again")),
    "arrived": ("ok", _l("%(who)s said that a message to %(to)s arrived")),
    "paused": ("warn", _l("%(who)s paused sending on %(session)s")),
    "resumed": ("ok", _l("%(who)s resumed sending on %(session)s")),
    "session_created": ("brand", _l("%(who)s added the session %(session)s")),
    "session_edited": ("mute", _l("%(who)s edited %(session)s")),
    "session_deleted": ("bad", _l("%(who)s deleted the session %(session)s")),
    "default_changed": ("mute", _l("%(who)s made %(session)s the default session")),
    "set_up": ("brand", _l("%(who)s set up wa-admin")),
    "login": ("mute", _l("%(who)s logged in")),
    "login_failed": ("warn", _l("Somebody failed to log in as %(email)s")),
    "logout": ("mute", _l("%(who)s logged out")),
    "login_revoked": ("warn", _l("%(who)s ended a log-in")),
    "user_added": ("brand", _l("%(who)s added %(email)s")),
    "user_edited": ("mute", _l("%(who)s edited an account")),
    "role_changed": ("warn", _l("%(who)s changed the role of %(email)s")),
    "password_changed": ("warn", _l("%(who)s changed a password")),
    "key_added": ("brand", _l("%(who)s added the API key %(name)s")),
    "key_revoked": ("warn", _l("%(who)s revoked the API key %(name)s")),
}
_BY_REASON: dict[str, tuple[str, Any]] = {
    Reason.NEVER_LINKED: ("mute", _l("%(session)s is not linked yet")),
    Reason.QR_EXPIRED: ("warn", _l("The codes of %(session)s ran out before a phone scanned one")),
    Reason.PASSKEY_REQUIRED: ("bad", _l("WhatsApp wants a passkey before it links %(session)s")),
    Reason.AUTH_FAILURE: ("bad", _l("WhatsApp refused the login of %(session)s")),
    Reason.LOGGED_OUT: ("bad", _l("WhatsApp unlinked %(session)s on the phone")),
    Reason.REPLACED: ("bad", _l("Another program took over the login of %(session)s")),
    Reason.BANNED: ("bad", _l("WhatsApp blocked the number of %(session)s")),
    Reason.OUTDATED: ("bad", _l("WhatsApp no longer accepts the gateway's version for %(session)s")),
    Reason.NETWORK: ("warn", _l("%(session)s lost the network")),
    Reason.GATEWAY_UNREACHABLE: ("mute", _l("%(session)s cannot be seen: its gateway does not answer")),
    Reason.SILENT: ("warn", _l("%(session)s is connected, but nothing comes through")),
    Reason.STOPPED: ("mute", _l("%(session)s was disconnected")),
}
_BY_STATUS: dict[str, tuple[str, Any]] = {
    Status.DISCONNECTED: ("warn", _l("%(session)s is disconnected")),
    Status.QR_PENDING: ("brand", _l("%(session)s waits for the phone to scan a code")),
    Status.CONNECTING: ("warn", _l("%(session)s is connecting")),
    Status.CONNECTED: ("ok", _l("%(session)s is connected")),
}
_ACTORS: dict[str, Any] = {
    "cli": _l("the command line"),
    "panel": _l("the panel"),
    "phone": _l("the phone"),
    "gateway": _l("the gateway"),
    "check": _l("the regular check"),
    "scheduler": _l("the scheduler"),
}


_UNITS: tuple[tuple[Literal["day", "hour", "minute", "second"], int], ...] = (
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


@dataclass(frozen=True)
class Line:
    """`tone` is ok, warn, bad, mute or brand; `topic` one of TOPICS."""

    event: Event
    sentence: str
    note: str
    tone: str
    topic: str


def line(event: Event, before: Event | None, names: Mapping[str, str]) -> Line:
    """`before` is the session's previous change of status, `names` who stands behind an e-mail address."""
    tone, template = _template(event)
    sentence = template % _Facts(event, names) if template else _unknown(event, names)
    return Line(event, sentence[:1].upper() + sentence[1:], _note(event, before), tone, topic(event.kind))


def who(actor: str, names: Mapping[str, str] | None = None) -> str:
    """The one who acted, as part of a sentence: a person's name, “the key orders-api”, “the phone” …"""
    if actor.startswith("key:"):
        return _("the key %(name)s", name=actor.removeprefix("key:"))
    if actor in _ACTORS:
        return str(_ACTORS[actor])
    return (names or {}).get(actor, actor)


def topic(kind: str) -> str:
    return next((name for name, kinds in TOPICS.items() if kind in kinds), "people")


def _template(event: Event) -> tuple[str, str]:
    if event.kind != "status":
        tone, template = _SENTENCES.get(event.kind, ("mute", ""))
    else:
        fallback = _BY_STATUS.get(event.status or "", ("mute", ""))
        tone, template = _BY_REASON.get(event.reason or "", fallback)
    return tone, str(template)


class _Facts(dict[str, str]):
    """What a sentence may name. A fact that an old line lacks shows as a dash instead of failing the page."""

    def __init__(self, event: Event, names: Mapping[str, str]) -> None:
        detail = {key: str(value) for key, value in event.detail.items() if value is not None}
        for key in ("number", "to"):
            if key in detail:
                detail[key] = phone.for_reading(detail[key])
        session = event.session_name or detail.get("session") or _("a session")
        super().__init__({**detail, "who": who(event.actor, names), "session": session})

    def __missing__(self, key: str) -> str:
        return "–"


def _unknown(event: Event, names: Mapping[str, str]) -> str:
    return _("%(who)s: %(kind)s", who=who(event.actor, names), kind=event.kind.replace("_", " "))


def _note(event: Event, before: Event | None) -> str:
    if event.kind == "linked" and event.detail.get("wrong_number"):
        return _("This is not the number that was expected.")
    if event.kind != "status" or before is None or _is_up(before) == _is_up(event):
        return ""
    lasted = _span(before.at, event.at)
    if _is_up(before):
        return _("It had been connected for %(time)s.", time=lasted)
    return _("It had been away for %(time)s.", time=lasted)


def _is_up(event: Event) -> bool:
    return event.status == Status.CONNECTED and event.reason != Reason.GATEWAY_UNREACHABLE


def _span(begin: datetime, end: datetime) -> str:
    """The two largest units are enough: 3 days 4 hours."""
    seconds = max(1, int((end - begin).total_seconds()))
    first = next(n for n, (_, size) in enumerate(_UNITS) if seconds >= size)
    parts = []
    for unit, size in _UNITS[first : first + 2]:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(format_timedelta(count * size, granularity=unit, threshold=10_000))
    return " ".join(parts)
