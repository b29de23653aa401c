"""The timeline in words: one line of it as a sentence that a person would say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from . import moments, words
from .models import Event, Reason, Status

# kinds that an event can have, by what a person would look for
TOPICS: dict[str, tuple[str, ...]] = {
    "connection": (
        "status", "link_started", "link_cancelled", "scanned", "linked", "connect_asked", "restarted",
        "restarted_for_silence", "reconnect_failed", "disconnected_by_admin", "unlinked_by_admin",
        "number_replaced", "gateway_down", "gateway_back", "gateway_refused", "webhook_installed",
        "alert_told", "gateway_alert_told", "webhook_alert_told", "alert_failed", "link_pass_made",
        "link_pass_opened", "link_pass_used", "link_pass_revoked", "passkey_answered", "passkey_confirmed",
        "passkey_denied",
    ),
    "messages": (
        "failed", "cancelled", "cancelled_in_doubt", "retried", "confirmed_by_person", "found_at_gateway",
        "told_by_gateway", "resent_in_doubt", "paused", "resumed",
    ),
    "people": (
        "login", "login_failed", "logout", "login_revoked", "set_up", "user_added", "user_edited",
        "role_changed", "password_changed", "second_factor_added", "second_factor_removed",
        "recovery_codes_renewed", "second_factor_reset", "second_factor_required",
        "sessions_assigned", "invited", "invitation_revoked",
        "workspace_added", "workspace_renamed", "workspace_entered", "key_added", "key_revoked",
        "session_adopted", "session_moved", "gateway_added", "gateway_edited", "gateway_key_changed",
        "gateway_hook_changed", "gateway_removed", "session_created", "session_edited", "session_deleted",
        "session_left_behind", "session_identified",
        "default_changed", "cleaned_up", "spread_on", "spread_off", "channel_added",
        "channel_edited", "channel_paused", "channel_resumed", "channel_removed",
        "webhook_added", "webhook_edited", "webhook_paused", "webhook_resumed", "webhook_removed",
        "webhook_secret_rotated", "webhook_disabled", "contact_exported", "contact_erased",
    ),
}  # fmt: skip

_SENTENCES: dict[str, tuple[str, Any]] = {
    "link_started": ("brand", _l("%(who)s started linking %(session)s")),
    "link_cancelled": ("mute", _l("%(who)s stopped linking %(session)s")),
    "scanned": ("brand", _l("A phone scanned the code of %(session)s")),
    "passkey_answered": ("brand", _l("%(who)s used the passkey to link %(session)s")),
    "passkey_confirmed": ("brand", _l("%(who)s saw the same code on the phone as for %(session)s")),
    "passkey_denied": ("warn", _l("%(who)s saw no such code on the phone, so linking %(session)s ended")),
    "linked": ("ok", _l("%(session)s is linked to %(number)s")),
    "connect_asked": ("brand", _l("%(who)s connected %(session)s again")),
    "restarted": ("mute", _l("%(who)s restarted %(session)s")),
    "restarted_for_silence": ("warn", _l("%(session)s was restarted, since nothing had come through")),
    "reconnect_failed": ("warn", _l("%(session)s tried to reconnect, without success")),
    "disconnected_by_admin": ("mute", _l("%(who)s disconnected %(session)s")),
    "unlinked_by_admin": ("bad", _l("%(who)s unlinked %(number)s from %(session)s")),
    "number_replaced": ("brand", _l("%(who)s began to link another number to %(session)s")),
    "gateway_down": ("bad", _l("The gateway stopped answering")),
    "gateway_back": ("ok", _l("The gateway answers again")),
    "gateway_refused": ("bad", _l("The gateway refused what was asked of it for %(session)s")),
    "webhook_installed": ("mute", _l("The gateway was told again where to report on %(session)s")),
    "failed": ("bad", _l("A message to %(to)s was not delivered")),
    "cancelled": ("mute", _l("%(who)s cancelled a message to %(to)s")),
    "cancelled_in_doubt": ("warn", _l("%(who)s cancelled a message to %(to)s that may have left already")),
    "retried": ("brand", _l("%(who)s had a message to %(to)s sent again")),
    "confirmed_by_person": ("ok", _l("%(who)s saw that a message to %(to)s arrived")),
    "found_at_gateway": ("ok", _l("The gateway has a message to %(to)s that was in doubt: it left")),
    "told_by_gateway": ("ok", _l("The gateway told of a message to %(to)s that was in doubt: it left")),
    "resent_in_doubt": ("warn", _l("A message to %(to)s in doubt was sent again by itself, as set")),
    "paused": ("warn", _l("%(who)s paused sending on %(session)s")),
    "resumed": ("ok", _l("%(who)s resumed sending on %(session)s")),
    "set_up": ("brand", _l("%(who)s set up wa-admin")),
    "login": ("mute", _l("%(who)s logged in")),
    "login_failed": ("warn", _l("Somebody failed to log in as %(email)s")),
    "logout": ("mute", _l("%(who)s logged out")),
    "login_revoked": ("warn", _l("%(who)s ended a log-in")),
    "user_added": ("brand", _l("%(who)s added %(email)s")),
    "user_edited": ("mute", _l("%(who)s edited the account of %(email)s")),
    "role_changed": ("warn", _l("%(who)s changed the role of %(email)s")),
    "password_changed": ("warn", _l("%(who)s changed the password of %(email)s")),
    "sessions_assigned": ("warn", _l("%(who)s changed which sessions %(email)s works with")),
    "invited": ("brand", _l("%(who)s invited %(email)s")),
    "invitation_revoked": ("mute", _l("%(who)s took back the invitation of %(email)s")),
    "workspace_added": ("brand", _l("%(who)s made this workspace")),
    "workspace_renamed": ("mute", _l("%(who)s renamed the workspace %(was)s to %(name)s")),
    "workspace_entered": ("mute", _l("%(who)s came over from another workspace")),
    "key_added": ("brand", _l("%(who)s added the API key %(name)s")),
    "key_revoked": ("warn", _l("%(who)s revoked the API key %(name)s")),
    "contact_exported": ("mute", _l("%(who)s downloaded what is kept of a person")),
    "contact_erased": ("warn", _l("%(who)s erased what was kept of a person")),
    "webhook_added": ("brand", _l("%(who)s added the webhook %(name)s")),
    "webhook_edited": ("mute", _l("%(who)s changed the webhook %(name)s")),
    "webhook_paused": ("warn", _l("%(who)s paused the webhook %(name)s")),
    "webhook_resumed": ("ok", _l("%(who)s resumed the webhook %(name)s")),
    "webhook_removed": ("warn", _l("%(who)s removed the webhook %(name)s")),
    "webhook_secret_rotated": ("warn", _l("%(who)s changed the secret of the webhook %(name)s")),
    "webhook_disabled": ("bad", _l("The webhook %(name)s was switched off: its app took nothing any more")),
    "second_factor_added": ("brand", _l("%(who)s added a second factor")),
    "second_factor_removed": ("warn", _l("%(who)s removed a second factor")),
    "recovery_codes_renewed": ("mute", _l("%(who)s made new recovery codes")),
    "second_factor_reset": ("warn", _l("%(who)s took the second factor of %(email)s away")),
    "second_factor_required": ("warn", _l("%(who)s changed who needs a second factor")),
    "permission_denied": ("warn", _l("%(who)s tried what is not allowed to them: %(session)s")),
    "code_shown": ("mute", _l("%(who)s saw the code that links %(session)s")),
    "session_created": ("brand", _l("%(who)s added the session %(session)s")),
    "session_edited": ("mute", _l("%(who)s edited %(session)s")),
    "session_deleted": ("bad", _l("%(who)s deleted the session %(name)s")),
    "session_left_behind": (
        "bad",
        _l("%(who)s deleted the session %(name)s here; its login may live on at the gateway"),
    ),
    "session_identified": ("brand", _l("%(who)s entered what the gateway calls %(session)s")),
    "session_adopted": ("brand", _l("%(who)s adopted %(session)s from the gateway")),
    "session_moved": ("warn", _l("%(who)s moved %(session)s from %(old)s to %(new)s")),
    "gateway_added": ("brand", _l("%(who)s added the gateway %(name)s")),
    "gateway_edited": ("mute", _l("%(who)s edited the gateway %(name)s")),
    "gateway_key_changed": ("warn", _l("%(who)s changed the key of the gateway %(name)s")),
    "gateway_hook_changed": ("warn", _l("%(who)s changed where the gateway %(name)s reports to")),
    "gateway_removed": ("bad", _l("%(who)s removed the gateway %(name)s")),
    "default_changed": ("mute", _l("%(who)s made %(session)s the default session")),
    "spread_on": ("mute", _l("%(who)s lets messages be spread over all sessions")),
    "spread_off": ("mute", _l("%(who)s stopped the spreading over all sessions")),
    "cleaned_up": ("warn", _l("%(who)s removed the sessions that were added last")),
    "alert_told": ("mute", _l("%(name)s was alerted about %(session)s")),
    "gateway_alert_told": ("mute", _l("%(name)s was alerted about the gateway")),
    "webhook_alert_told": ("mute", _l("%(name)s was alerted about a webhook")),
    "alert_failed": ("bad", _l("An alert did not reach %(name)s")),
    "channel_added": ("brand", _l("%(who)s added the alert channel %(name)s")),
    "channel_edited": ("mute", _l("%(who)s edited the alert channel %(name)s")),
    "channel_paused": ("warn", _l("%(who)s paused the alert channel %(name)s")),
    "channel_resumed": ("ok", _l("%(who)s resumed the alert channel %(name)s")),
    "channel_removed": ("warn", _l("%(who)s removed the alert channel %(name)s")),
    "link_pass_made": ("brand", _l("%(who)s made a link page for the owner of the phone of %(session)s")),
    "link_pass_opened": ("mute", _l("The link page of %(session)s was opened")),
    "link_pass_used": ("ok", _l("The phone of %(session)s was linked through its link page")),
    "restored": ("warn", _l("%(who)s restored wa-admin from the backup of %(made_at)s")),
    "backed_up": ("mute", _l("%(who)s wrote the backup %(session)s")),
    "keys_rotated": ("warn", _l("%(who)s had all secrets sealed anew, with the key %(session)s")),
    "old_keys_dropped": ("warn", _l("%(who)s dropped the encryption keys before %(session)s")),
    "link_pass_revoked": ("warn", _l("%(who)s took back the link page of %(session)s")),
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
    "link_page": _l("the link page"),
    "scheduler": _l("the scheduler"),
}


@dataclass(frozen=True)
class Line:
    """`tone` is ok, warn, bad, mute or brand; `topic` one of TOPICS; `message_id` names one it is about."""

    at: datetime
    sentence: str
    note: str
    tone: str
    topic: str
    message_id: int | None


@dataclass(frozen=True)
class Names:
    """Who stands behind an e-mail address, and to whom a message went."""

    people: Mapping[str, str]
    recipients: Mapping[int, str]


def line(event: Event, names: Names, note: str = "") -> Line:
    tone, template = _template(event)
    sentence = template % _Facts(event, names) if template else _unknown(event, names)
    if template.startswith("%(who)s"):
        sentence = _with_capital(sentence, event.actor)
    if event.kind == "cancelled" and "count" in event.detail:
        sentence = _cancelled_many(event, names)
    if event.kind == "linked" and event.detail.get("wrong_number"):
        tone, note = "warn", _("This is not the number that was expected.")
    return Line(
        at=event.at,
        sentence=sentence,
        note=note or _why(event),
        tone=tone,
        topic=topic(event.kind),
        message_id=event.detail.get("message"),
    )


def lasted(before: Event, event: Event) -> str:
    """How long the session had been connected, or away, when that changed; nothing for a moment."""
    seconds = (event.at - before.at).total_seconds()
    if seconds < 1:
        return ""
    time = moments.span(seconds)
    if is_up(before):
        return _("It had been connected for %(time)s.", time=time)
    return _("It had been away for %(time)s.", time=time)


def is_up(event: Event) -> bool:
    """Whether messages went out after this change of status."""
    return event.status == Status.CONNECTED and event.reason != Reason.GATEWAY_UNREACHABLE


def who(actor: str, people: Mapping[str, str] | None = None) -> str:
    """The one who acted, as part of a sentence: a person's name, “the key orders-api”, “the phone” …"""
    if actor.startswith("key:"):
        return _("the key %(name)s", name=actor.removeprefix("key:"))
    if actor in _ACTORS:
        return str(_ACTORS[actor])
    return (people or {}).get(actor, actor)


def source(actor: str) -> str:
    """The same in a column: a key by its name, a person by what stands before the @."""
    if actor.startswith("key:"):
        return actor.removeprefix("key:")
    return _("command line") if actor == "cli" else actor.partition("@")[0]


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

    def __init__(self, event: Event, names: Names) -> None:
        detail = {key: str(value) for key, value in event.detail.items() if value is not None}
        if "number" in detail:
            detail["number"] = words.readable_phone(detail["number"])
        if recipient := names.recipients.get(event.detail.get("message", 0)):
            detail["to"] = words.readable_phone(recipient)
        session = event.session_name or _("a session")
        super().__init__({**detail, "who": who(event.actor, names.people), "session": session})

    def __missing__(self, key: str) -> str:
        return "–"


def _unknown(event: Event, names: Names) -> str:
    kind = event.kind.replace("_", " ")
    return _("%(who)s: %(kind)s", who=who(event.actor, names.people), kind=kind)


def _cancelled_many(event: Event, names: Names) -> str:
    return ngettext(
        "%(who)s cancelled %(num)s waiting message of %(session)s",
        "%(who)s cancelled %(num)s waiting messages of %(session)s",
        event.detail["count"],
        who=who(event.actor, names.people),
        session=event.session_name or "–",
    )


def _with_capital(sentence: str, actor: str) -> str:
    """“The phone …”; a name or an address stays as it is written."""
    is_ours = actor in _ACTORS or actor.startswith("key:")
    return sentence[:1].upper() + sentence[1:] if is_ours else sentence


def _why(event: Event) -> str:
    """What the gateway had to say, in our words."""
    failure = event.detail.get("failure")
    return words.error_words(failure)[0] if failure else ""
