"""The words for every state a person can meet: shape, colour, name, what happened and what to do next.

Colours are tones of the style sheet, shapes are icons of the sprite. Sentences may hold facts of the row,
such as %(at)s. No code without a sentence, no blame, no exclamation marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext

from .models import CallStatus, Look, MessageStatus, Reason, Role, SwitchedOff

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
    Look.ENGINE_CRASHED: Words(
        _("The engine keeps stopping"),
        "warn",
        "alert",
        _("The part of the gateway that speaks WhatsApp stopped several times, last at %(at)s."),
        _("We go on trying. The gateway’s log says why; an update of wa-admin may mend it."),
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
        _("WhatsApp links this account to a new device only with its passkey."),
        _("“Finish linking” says what that takes."),
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
    "gateway_not_trusted": (
        _("The certificate of the gateway is not trusted."),
        _("Give the gateway the certificate of the CA that signed it, or have it renewed."),
    ),
    "gateway_address": (
        _("The gateway’s name leads to an address that is not allowed."),
        _("An owner can allow private addresses for it, under Settings, Gateways."),
    ),
    "gateway_timeout": (_("The gateway did not answer in time."), _("It may be busy. We keep trying.")),
    "gateway_bad_answer": (
        _("The gateway gave an answer that makes no sense."),
        _("Check that its address belongs to a gateway and not to another program."),
    ),
    "gateway_auth": (
        _("The gateway refuses our key."),
        _("Enter the right one under Settings, Gateways; WA_GATEWAY_KEY holds that of the first one."),
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
    "file_too_large": (_("The file is too large."), _("Look at it on the phone.")),
    "rate_limited": (_("WhatsApp asks us to slow down."), _("It is tried again later.")),
    "unsupported": (_("This gateway cannot do that."), _("Use another way, or another gateway.")),
    "expired": (_("Its time ran out before it could leave."), _("Send it again if it still matters.")),
    "interrupted": (
        _("The sending process ended in the middle."),
        _("Ask the recipient whether it arrived."),
    ),
    "restored": (
        _("It comes from a backup, and may have been sent after that was made."),
        _("Ask the recipient whether it arrived."),
    ),
}
UNKNOWN_ERROR = (_("The gateway could not do it."), _("The gateway’s own answer, or its log, says why."))

PROOFS = {"delivery": _("a delivery"), "message": _("a message came in")}
GATEWAYS = {
    "bundled": _("Built in"),
    "evolution": "Evolution API",
    "waha": "WAHA",
    "gowa": "GOWA",
    "wa_gateway": "wa-gateway",
    "wwebjs": "wwebjs-api",
    "webhook": _("Addresses of your own"),
}
THEMES = {"system": _("As the device"), "light": _("Light"), "dark": _("Dark")}
ROLES = {Role.SUPERVISOR: _("Supervisor"), Role.OPERATOR: _("Operator"), Role.ADMIN: _("Admin")}
ROLE_SENTENCES = {
    Role.OPERATOR: _("Sends messages and sees what becomes of them."),
    Role.SUPERVISOR: _("Sees everything and may pause the sending. Sends nothing."),
    Role.ADMIN: _("Does everything: links phones, manages sessions, people and API keys."),
}
# what an app's key may do
SCOPES = {
    "look": _("see sessions and messages"),
    "send": _("send messages"),
    "link": _("link, connect and disconnect"),
    "manage": _("manage sessions and webhooks"),
}

# outgoing webhooks: kinds of events, what becomes of a call, and why one failed
TIDINGS: Mapping[str, Any] = {
    "message.received": _("Messages that come in"),
    "message.status": _("What becomes of messages sent"),
    "session.status": _("How sessions are"),
    "webhook.test": _("A test"),
}
CALLS: Mapping[CallStatus, Words] = {
    CallStatus.WAITING: Words(_("Waiting"), "mute", "clock"),
    CallStatus.DELIVERED: Words(_("Delivered"), "ok", "check"),
    CallStatus.FAILED: Words(_("Failed"), "bad", "alert"),
}
CALL_ERRORS: Mapping[str, Any] = {
    "not_allowed": _("The address is private, which is not allowed."),
    "no_connection": _("Nobody answers at this address."),
    "not_trusted": _("Its certificate is not trusted."),
    "timeout": _("The app did not answer within 15 seconds."),
    "broken": _("The connection broke before there was an answer."),
    "internal": _("It could not be made ready here; the log of wa-admin says why."),
    "disabled": _("The webhook was switched off first."),
    "restored": _(
        "It waited when the backup was made that wa-admin was restored from, and may have been made since."
    ),
}
WEBHOOKS_OFF: Mapping[SwitchedOff, Any] = {
    SwitchedOff.GONE: _("Its app answered that it is gone."),
    SwitchedOff.WORN_OUT: _("Its app has taken no call for five days."),
}
WEBHOOK_NEXT = _("When the app is well again, resume the webhook, then send again what failed.")
