"""What an answer of Evolution that is no success means: its status alone does not tell."""

from __future__ import annotations

from typing import Any

from .contract import (
    GatewayError,
    NotConnected,
    NotOnWhatsApp,
    OutcomeUnknown,
    Rejected,
    Unlicensed,
    Unsupported,
)
from .http import Answer, refused
from .shapes import text_of

NOT_CONNECTED = (
    "Connection Closed",
    "(reading 'groupMetadata')",
    "(reading 'onWhatsApp')",
    "(reading 'waUploadToServer')",
    "instance is not connected",
)
BY_CODE: dict[tuple[int, str | None], type[GatewayError]] = {
    (503, "LICENSE_REQUIRED"): Unlicensed,  # as of 2.4
    # The bundled gateway's own. Its 504 is left to be a TimedOut: the same reference asked again later
    # tells what became of it; after a 409 nobody knows any more.
    (500, "NOT_CONNECTED"): NotConnected,
    (409, "OUTCOME_UNKNOWN"): OutcomeUnknown,
    (400, "UNSUPPORTED"): Unsupported,
}


class NameTaken(Rejected):
    """There is an instance of this name, or one that is being deleted."""


def refusal(answer: Answer) -> GatewayError:
    """What an answer of Evolution that is no success means."""
    said, text = answer.body if isinstance(answer.body, dict) else {}, answer.text
    if named := BY_CODE.get((answer.status, text_of(said, "code"))):
        return named(text)
    is_of_group = answer.status == 404 and "Error fetching group" in text  # and says nothing of the session
    if (answer.status in (400, 500) or is_of_group) and any(words in text for words in NOT_CONNECTED):
        return NotConnected(text)
    if is_of_group:
        return Rejected(text)
    if answer.status == 400 and answer.body == {}:  # whatsappNumbers of one that never was connected
        return NotConnected("never connected")
    if answer.status == 400 and _says_not_on_whatsapp(said):
        return NotOnWhatsApp()
    if answer.status == 403 and "already in use" in text:
        return NameTaken(text)
    if answer.status == 404 and text.startswith("Cannot "):
        return Unsupported(text)
    return refused(answer)


def _says_not_on_whatsapp(said: dict[str, Any]) -> bool:
    response = said.get("response")
    message = response.get("message") if isinstance(response, dict) else None
    return isinstance(message, list) and any(
        isinstance(one, dict) and one.get("exists") is False for one in message
    )
