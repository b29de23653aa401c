"""What the answers of a gateway of URLs mean: whoever built it may have wrapped, misnamed or misspelled."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any

from . import picture
from .contract import BadAnswer, Code, GatewayError, InstanceNotFound, RateLimited, Rejected, State
from .http import Answer, one_line, refused

CODE_LIFE_SECONDS = 60
RETRY_AFTER_SECONDS = 60.0
WRAPPERS = ("data", "body", "result", "results")
STATUS = {
    "connected": ("connected", "open", "online", "working", "ready", "logged_in", "true"),
    "qr_pending": ("connecting", "qr", "qr_pending", "scan_qr_code", "qrcode", "waiting_qr", "pairing"),
    "connecting": ("starting", "opening", "reconnecting", "syncing", "authenticated", "loading"),
    "disconnected": (
        "disconnected",
        "close",
        "closed",
        "offline",
        "logged_out",
        "stopped",
        "failed",
        "not_connected",
        "false",
    ),
}
STATUS_OF = {word: status for status, words in STATUS.items() for word in words}


def refusal(answer: Answer) -> GatewayError:
    """What an answer that is no success means."""
    if answer.status in (404, 410):
        if "is not registered" in answer.text:  # n8n's own words
            return Rejected("the workflow behind this URL is not active")
        return InstanceNotFound(answer.text)
    if 300 <= answer.status < 400:
        return BadAnswer("the URL redirects; enter the final address")
    error = refused(answer)
    if isinstance(error, RateLimited) and error.retry_after_seconds is None:
        error.retry_after_seconds = RETRY_AFTER_SECONDS
    return error


def opened(answer: Answer, *wanted: str) -> dict[str, Any]:
    """The object that holds one of the wanted keys; n8n and others wrap it, which is undone once.

    Raises BadAnswer when there is none, or when it is no JSON, whatever its type says.
    """
    said = json_of(answer)
    if isinstance(said, dict) and _has(said, wanted):
        return said
    for inner in _wrapped(said):
        if isinstance(inner, dict) and _has(inner, wanted):
            return inner
    if isinstance(said, dict) and said.get("message") == "Workflow was started":
        raise BadAnswer("the workflow answers before it is done; set it to reply when it finishes")
    raise BadAnswer(f"the answer has no {' and no '.join(wanted)}")


def json_of(answer: Answer) -> Any:
    """Whatever its type says it is. Raises BadAnswer, with how it begins, when it is none."""
    if answer.content is None:
        raise BadAnswer("the answer is too large")
    try:
        return json.loads(answer.content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        kind = answer.mimetype.partition(";")[0] or "no type"
        begin = one_line({"message": answer.content[:400].decode(errors="replace")}, answer.secret)[:80]
        raise BadAnswer(f"the answer is not JSON but {kind}: {begin or 'nothing'}") from error


def text_of(said: dict[str, Any], field: str) -> str:
    """A text that says something, or a number as one. Raises BadAnswer."""
    value = said.get(field)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise BadAnswer(f"{field} is {'missing' if value in (None, '') else 'not a text'}")
    return value


def success(answer: Answer) -> dict[str, Any]:
    """The object that says that it succeeded. Raises Rejected, with what it says of the failure."""
    said = opened(answer, "success")
    if said["success"] is not True:
        raise Rejected(one_line(said, answer.secret) or "the gateway says that it did not succeed")
    return said


def state_of(said: dict[str, Any]) -> State:
    """An unknown word concludes nothing, so it never turns a green light on."""
    word = said.get("status")
    if not isinstance(word, str | bool):
        raise BadAnswer("status is not a text")
    word = re.sub(r"[\s-]+", "_", str(word).strip().lower())
    reason = "logged_out" if word == "logged_out" else None
    return State(STATUS_OF.get(word), reason, word[:40], number=_number(said.get("phone_number")))


def code_of(said: dict[str, Any]) -> Code | None:
    """The QR code as a picture or as its text. Raises BadAnswer for anything else that is not empty."""
    found = said.get("qr_code_base64")
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise BadAnswer("qr_code_base64 is not a text")
    if re.match(r"\s*(\d@|https://wa\.me/)", found):
        return Code(found.strip(), lifetime_seconds=CODE_LIFE_SECONDS)
    return Code(None, lifetime_seconds=CODE_LIFE_SECONDS, image=_picture(found))


def _wrapped(said: Any) -> list[Any]:
    if isinstance(said, list):
        if len(said) > 1:
            raise BadAnswer("the answer is a list of more than one")
        return said
    return [said.get(wrapper) for wrapper in WRAPPERS] if isinstance(said, dict) else []


def _has(said: dict[str, Any], wanted: tuple[str, ...]) -> bool:
    return any(key in said for key in wanted)


def _number(said: Any) -> str | None:
    """628… from +62 8-…, 628…:7@s.whatsapp.net; None for what can be no phone number."""
    if said is None:
        return None
    if not isinstance(said, str | int) or isinstance(said, bool):
        raise BadAnswer("phone_number is not a text")
    digits = re.sub(r"[\s+()-]|[@:].*", "", str(said), flags=re.DOTALL)
    return digits if re.fullmatch(r"[0-9]{8,15}", digits) else None


def _picture(found: str) -> bytes:
    """From base64, bare or as a data URI; the type is that of the bytes, whatever it says."""
    packed = "".join(re.sub(r"^\s*data:[^,]{0,100};base64,", "", found).split())
    try:
        content = b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (NotBase64, ValueError) as error:
        raise BadAnswer("what came is not a QR image") from error
    return picture.checked(content)
