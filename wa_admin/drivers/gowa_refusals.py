"""What an answer of GOWA that is no success means: its status alone does not tell."""

from __future__ import annotations

import re

from .contract import (
    BadKey,
    GatewayError,
    InstanceNotFound,
    NotConnected,
    NotOnWhatsApp,
    RateLimited,
    Rejected,
    Unsupported,
)
from .http import Answer, refused
from .shapes import text_of

HOLD_SECONDS = 3600.0  # after 463, WhatsApp's limit on new chats: GOWA itself has tried twice by then


class NameTaken(Rejected):
    """There is a device of this name."""


class AlreadyLinked(Rejected):
    """Nothing to scan: the device is logged in."""


class LoginStored(NotConnected):
    """Nothing to scan: a login is stored, only its connection is down."""


BY_CODE: dict[str, type[GatewayError]] = {
    "ALREADY_LOGGED_IN": AlreadyLinked,
    "SESSION_SAVED_ERROR": LoginStored,
    # the same status as a wrong password, which is answered in plain text
    "AUTHENTICATION_ERROR": NotConnected,
    "INVALID_WA_CLI": NotConnected,
    "QR_CHANNEL_ERROR": NotConnected,
    "DEVICE_MANAGER_UNAVAILABLE": NotConnected,
    "DEVICE_NOT_FOUND": InstanceNotFound,
    "NOT_FOUND": InstanceNotFound,
}
# of INTERNAL_SERVER_ERROR only the text tells what it is
BY_TEXT: tuple[tuple[str, type[GatewayError]], ...] = (
    (r"^device .* not found$", InstanceNotFound),
    (r"^device .* already exists$", NameTaken),
    (r"is not logged in \(session deleted\)|client not initialized|not connected", NotConnected),
    (r"no pending passkey", Rejected),
)


def refusal(answer: Answer) -> GatewayError:
    """What an answer of GOWA that is no success means."""
    if not isinstance(answer.body, dict):
        return _plain(answer)
    code, said, text = text_of(answer.body, "code") or "", text_of(answer.body, "message") or "", answer.text
    if named := BY_CODE.get(code):
        return named(text)
    if code == "INVALID_JID" and re.search("not on whatsapp|not registered", said):
        return NotOnWhatsApp()
    if code == "WA_REACHOUT_TIMELOCK":
        return RateLimited("WhatsApp lets no new chat begin now (463)", retry_after_seconds=HOLD_SECONDS)
    if code == "INTERNAL_SERVER_ERROR":
        for pattern, error in BY_TEXT:
            if re.search(pattern, said):
                return error(text)
    return refused(answer)


def _plain(answer: Answer) -> GatewayError:
    if answer.status == 401:
        return BadKey("the user or password of basic auth is wrong")
    if answer.status == 404:
        return Unsupported("this version of GOWA has no such route")
    return refused(answer)
