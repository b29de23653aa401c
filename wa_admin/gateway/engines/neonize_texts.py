"""What neonize says in English only: its errors have no codes, and its log lines hold what nobody may read.

The texts are whatsmeow's (errors.go, send.go, upload.go); what a send error means hangs on whether it was
raised before the first byte left or after.
"""

from __future__ import annotations

import logging
import re

from wa_admin.gateway.engines.contract import Emit, EngineError, ErrorKind, Event

LOG_LENGTH = 300


def failure(text: str) -> EngineError:
    """What a failed call means for its sender; an unknown text admits that the message may have left."""
    for pattern, kind in FAILURES:
        if re.search(pattern, text):
            return EngineError(kind, redact(text))
    return EngineError("timeout", redact(text))


def upload_failure(text: str) -> EngineError:
    """As `failure` for the upload before a send, of which we know that no message left."""
    refused = re.search(r"failed with status code 4\d\d", text)
    return EngineError("rejected" if refused else "not_connected", redact(text))


def connect_failure(text: str) -> Event:
    """What a failed first connect means: mostly no network, but the store is opened there too."""
    if "failed to upgrade database" in text or "failed to open database" in text:
        return {
            "event": "state",
            "state": "close",
            "reason": "auth_failure" if is_unreadable(text) else "crashed",
        }
    return {"event": "state", "state": "connecting", "reason": "network"}


def is_unreadable(text: str) -> bool:
    """Whether the stored login is broken for good."""
    return "file is not a database" in text or "database disk image is malformed" in text


def redact(text: str) -> str:
    """Take QR codes, pairing codes and keys out, and leave the last two digits of each number."""
    for secret, instead in SECRETS:
        text = secret.sub(instead, text)
    return text[:LOG_LENGTH]


def log_to(emit: Emit) -> None:
    """Send the warnings of neonize and whatsmeow to the parent; below these are whole stanzas, with keys."""
    # neonize asks whatsmeow for the level that its own logger has when it connects
    for name in ("neonize", "neonize.utils.log", "whatsmeow", "Whatsmeow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("neonize", "whatsmeow", "Whatsmeow"):
        logging.getLogger(name).handlers = [RedactedLog(emit)]
        logging.getLogger(name).propagate = False
    # it misses ffmpeg for stickers and voice messages, which we do not send
    logging.getLogger("neonize.utils.ffmpeg").setLevel(logging.ERROR)


class RedactedLog(logging.Handler):
    """Log lines as events, redacted."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(logging.WARNING)
        self._tell = emit

    def emit(self, record: logging.LogRecord) -> None:
        level = "warning" if record.levelno < logging.ERROR else "error"
        self._tell({"event": "log", "level": level, "text": redact(f"{record.name}: {record.getMessage()}")})


# The first that is found decides. Everything up to "server returned error" fails before a byte has left,
# except the answer we waited for in vain; "failed to send message node" for another reason stays unknown.
FAILURES: tuple[tuple[str, ErrorKind], ...] = (
    (r"timed out waiting for message send response", "timeout"),
    (r"websocket disconnected before message send", "timeout"),
    (r"websocket not connected", "not_connected"),
    (r"client is nil", "not_connected"),
    (r"the store doesn't contain a device JID", "not_connected"),
    (r"websocket disconnected before info query", "not_connected"),
    (r"info query timed out", "not_connected"),
    (r"no LID found for", "not_on_whatsapp"),
    (r"server returned error \d+", "rejected"),
    (r"info query returned status \d+", "rejected"),
    (r"you're not participating in that group|that group does not exist", "rejected"),
    (r"^failed to (get|fetch|prefetch|encrypt|create sender key|marshal)", "rejected"),
    (r"can't encrypt message for device", "rejected"),
    (r"unknown server|must be a user JID|not yet supported", "bad_request"),
    (r"phone number too short|must not start with 0", "bad_request"),
)

SECRETS = (
    (re.compile(r"https://wa\.me/settings/\S+|\b[12]@[^\s,]+(,[^\s,]+)+"), "[code]"),
    (re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b"), "[code]"),
    (re.compile(r"(?<![\w/+])(?=[\w/+-]*[\d+/])[A-Za-z0-9+/_-]{24,}={0,2}"), "[key]"),
    (re.compile(r"\d{3,}(\d\d)(?!\d)"), r"***\1"),
)
