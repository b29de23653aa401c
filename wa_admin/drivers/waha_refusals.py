"""What an answer of WAHA that is no success means."""

from __future__ import annotations

from typing import Any

from .contract import BadAnswer, GatewayError, NotConnected, RateLimited, Rejected, Unsupported
from .http import Answer, one_line, refused
from .shapes import object_of, text_of

HOLD_SECONDS = 3600.0  # after 463, WhatsApp's limit on new chats


class NameTaken(Rejected):
    """There is a session of this name."""


def refusal(answer: Answer) -> GatewayError:
    """What an answer of WAHA that is no success means."""
    said, text = object_of(answer.body), answer.text
    if answer.status == 422 and "expected" in said:  # the wrong moment, not a bad request
        word = one_line(text_of(said, "status"))
        return NotConnected(f"the session is {word or 'not ready'}")
    if answer.status == 422 and "already exists" in text:
        return NameTaken(text)
    if answer.status == 404 and text.startswith("Cannot "):
        return Unsupported("this version or engine of WAHA cannot do that")
    if answer.status == 500:
        return _broken(said, answer)
    return refused(answer)


def _broken(said: dict[str, Any], answer: Answer) -> GatewayError:
    """An unhandled error repeats our request, and its message may quote it: then nothing of it is kept."""
    message = text_of(object_of(said.get("exception")), "message") or ""
    if "server returned error 463" in message:
        return RateLimited("WhatsApp lets no new chat begin now (463)", retry_after_seconds=HOLD_SECONDS)
    ours = object_of(object_of(said.get("request")).get("body")).values()
    if any(isinstance(one, str) and one and one in message for one in ours):
        message = ""
    return BadAnswer(one_line(message, answer.secret) or answer.text)
