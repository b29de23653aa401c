"""How every process writes its log: one line a record, text or JSON, and no secret in it.

Needs nothing but the standard library until JSON is asked for.
"""

from __future__ import annotations

import contextvars
import logging
import re
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from flask import Flask, Response

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(in_request)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
TEXT_TIME, JSON_TIME = "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%SZ"  # UTC, in every process
access = logging.getLogger("wa_admin.access")
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

QUIET = {"waitress": logging.WARNING, "waitress.queue": logging.ERROR, "apscheduler": logging.ERROR,
         "httpx": logging.WARNING, "httpcore": logging.WARNING, "alembic": logging.WARNING}  # fmt: skip
OURS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "in_request"}
# asked again and again by pages, browsers, gateways and probes
UNREMARKABLE = ("/static/", "/hooks/", "/healthz", "/readyz", "/metrics")
LONGEST_PATH = 300  # of ours; a stranger may ask for 200 kB of it


def set_up(log_format: str, level: int = logging.INFO) -> None:
    """Send everything that is logged in this process to stderr, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_formatter() if log_format == "json" else _text_formatter())
    handler.addFilter(Redaction())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name, its_level in QUIET.items():
        logging.getLogger(name).setLevel(its_level)


def give_up(reason: object) -> NoReturn:
    """One line, and the exit code that says: starting me again will not help."""
    print(f"wa-admin: {reason}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def follow_requests(app: Flask) -> None:
    """Give each request an id, also in the answer, and write one line about it, without its query string."""
    from flask import g, request

    @app.before_request
    def begin() -> None:
        g.began_at = time.perf_counter()
        g.request_id = secrets.token_hex(6)
        request_id.set(g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        if "began_at" not in g:  # refused before our turn: a bad Host header
            begin()
        response.headers["X-Request-ID"] = g.request_id
        quiet = response.status_code < 400 and (
            request.path.startswith(UNREMARKABLE)
            or (request.method == "GET" and "HX-Request" in request.headers)
        )
        level = logging.DEBUG if quiet else logging.INFO
        seconds = time.perf_counter() - g.began_at
        note_answer(request.method, request.path, response.status_code, seconds, level)
        return response


def note_answer(method: str, path: str, status: int, seconds: float, level: int = logging.INFO) -> None:
    """One line about a request, for people and for machines."""
    if access.isEnabledFor(level):
        line = method, path[:LONGEST_PATH], status, round(seconds * 1000)
        fields = dict(zip(("method", "path", "status", "ms"), line, strict=True))
        access.log(level, "%s %s %d %d ms", *line, extra=fields)


class Redaction(logging.Filter):
    """Takes secrets, phone numbers and line breaks out of a record, its traceback and its extra fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if own := request_id.get():
            record.request_id = own
        record.in_request = f" [{own}]" if own else ""
        if record.exc_info:
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            # indented, so that nothing in it can pass for a line of ours
            record.exc_text = "\n".join("    " + redact(line) for line in text.splitlines())
            record.exc_info = None
        for name in record.__dict__.keys() - OURS:
            if isinstance(value := record.__dict__[name], str):
                record.__dict__[name] = redact(value)
        return True


def redact(text: str) -> str:
    """The text on one line, with everything masked that a log must not hold."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _mask_number(match: re.Match[str]) -> str:
    """+62 812-3456-7890 -> +62***890"""
    digits = re.sub(r"\D", "", match[0])
    return f"+{digits[:2]}***{digits[-3:]}" if len(digits) >= 8 else match[0]


def _mask_blob(match: re.Match[str]) -> str:
    """Hide what looks random; a long path is left as it is."""
    longest = max(match[0].split("/"), key=len)
    kinds = (str.isupper, str.islower, str.isdigit)
    is_random = len(longest) >= 20 and all(any(map(kind, longest)) for kind in kinds)
    return "[secret]" if is_random else match[0]


PATTERNS: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"), lambda match: repr(match[0])[1:-1]),
    (re.compile(r"\bwak_[\w-]{6,}"), "wak_[secret]"),
    (re.compile(r"\b2@[^\s\"'<>]{8,}"), "[code]"),
    (re.compile(r"(/hooks/[^/\s]+/)[^/\s?\"']+"), r"\1[secret]"),
    (re.compile(r"(/l/)[^/\s?\"']{8,}"), r"\1[secret]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [secret]"),
    (
        re.compile(
            r"(?i)((?:token|secret|password|passwd|apikey|api_key|cookie|authorization|pairing_?code)"
            r"[\"']?\s*[=:]\s*[\"']?)(?!\[secret|bearer|basic)[^\s\"'&,;}]+"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?<![\w/])[0-9a-fA-F]{32,}(?!\w)"), "[secret]"),
    (re.compile(r"[A-Za-z0-9+/_-]{32,}={0,2}"), _mask_blob),
    (re.compile(r"(?<![\w.])\+?\d{9,16}(?!\w|\.\d)"), _mask_number),
    (re.compile(r"(?<![\w.])\+\d[\d ().-]{6,20}\d"), _mask_number),
    (re.compile(r"(?<![\w.:-])0\d{2,4}[ -]\d{3,4}[ -]\d{3,5}(?!\d)"), _mask_number),
]


def _text_formatter() -> logging.Formatter:
    formatter = logging.Formatter(TEXT, datefmt=TEXT_TIME)
    formatter.converter = time.gmtime
    return formatter


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    formatter = JsonFormatter(
        JSON,
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "traceback"},
        reserved_attrs=[*OURS],
        datefmt=JSON_TIME,
    )
    formatter.converter = time.gmtime
    return formatter
