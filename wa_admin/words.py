"""What people read, and in which language and zone. Hands all of it to the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytz  # type: ignore[import-untyped]
from babel import Locale
from flask import Flask, current_app, g, has_request_context, request
from flask_babel import (
    format_decimal,
    format_percent,
    get_locale,
    gettext,
    ngettext,
)
from flask_login import current_user
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from . import clock, cookies, phone
from .models import Look, MessageStatus, Reason, Role
from .moments import ago, at, clock_time, day, moment, script_words, span, until
from .vocabulary import (
    ERRORS,
    GATEWAYS,
    LOOKS,
    MESSAGES,
    PROOFS,
    REASONS,
    ROLE_SENTENCES,
    ROLES,
    SCOPES,
    UNKNOWN_ERROR,
    Words,
)

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia", "pt_BR": "Português (Brasil)"}
# how dates and numbers are written; English readers here expect 21 Nov and 24 hours
LOCALES = {"en": "en_GB"}


def register(app: Flask) -> None:
    """Hand the words and filters to the templates."""
    app.jinja_env.filters.update(
        phone=readable_phone, ago=ago, until=until, moment=moment, day=day, clock=clock_time, span=span,
        number=readable_number, percent=percent, size=readable_size, at=at,
    )  # fmt: skip
    app.jinja_env.globals.update(
        look_words=look_words, message_words=message_words, error_words=error_words,
        reason_word=lambda reason: REASONS[Reason(reason)], role_word=lambda role: ROLES[Role(role)],
        role_sentence=lambda role: ROLE_SENTENCES[Role(role)], scope_words=scope_words,
        proof_word=lambda proof: PROOFS.get(proof, ""), waiting_words=waiting_words,
        gateway_word=lambda kind: GATEWAYS.get(kind, kind), example_number=phone.example,
        region_name=lambda region: get_locale().territories.get(region, region),
        html_language=html_language, script_words=script_words, initials=initials, now=clock.now,
    )  # fmt: skip


# --- language and zone ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """Who reads an answer: their account, and what their browser tells."""

    account: Any
    cookies: Mapping[str, str]
    accepted: str | None


def locale() -> Locale:
    """The locale to answer in: account, then cookie, then what the browser prefers."""
    reader = _reader()
    wished = (getattr(reader.account, "language", None), cookies.held(reader.cookies, cookies.LANGUAGE))
    return _chosen(wished, reader.accepted, tuple(languages()))


def _reader() -> Reader:
    """In `g.reader` where something is written for somebody else than whoever asks, or without a request."""
    if "reader" in g:
        return g.reader  # type: ignore[no-any-return]
    if has_request_context():
        return Reader(current_user, request.cookies, request.headers.get("Accept-Language"))
    return NOBODY


NOBODY = Reader(None, {}, None)


@lru_cache(maxsize=64)
def _chosen(wished: tuple[str | None, ...], accepted: str | None, spoken: tuple[str, ...]) -> Locale:
    """The same browsers wish for the same again and again."""
    chosen = next((code for code in wished if code in spoken), None)
    if chosen is None:
        tags = {code.replace("_", "-"): code for code in spoken}
        preferred = parse_accept_header(accepted, LanguageAccept).best_match(list(tags), default="en")
        chosen = tags[preferred]
    return _locale(chosen)


@lru_cache(maxsize=len(LANGUAGES))
def _locale(code: str) -> Locale:
    return Locale.parse(LOCALES.get(code, code))


def languages() -> dict[str, str]:
    """The languages that can be chosen, by code: English, and each that has a translation."""
    return _translated(current_app.config["BABEL_TRANSLATION_DIRECTORIES"])


def time_zone() -> Any:
    """The zone to write times in: account, then what the browser said, else UTC."""
    reader = _reader()
    cookie = unquote(cookies.held(reader.cookies, cookies.TIME_ZONE))
    for name in filter(None, (getattr(reader.account, "time_zone", None), cookie)):
        try:
            return pytz.timezone(name)
        except pytz.UnknownTimeZoneError:
            continue
    return pytz.utc


def html_language() -> str:
    """The language as browsers write it: en, id, pt-BR."""
    locale = get_locale()
    return "pt-BR" if locale.language == "pt" else str(locale.language)


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
    words, facts = look_word(wa_session), _Facts(wa_session)
    return Words(words.word, words.tone, words.icon, words.what % facts, words.next % facts)


def look_word(wa_session: Any) -> Words:
    """The same for who needs no sentence: the facts of those are not filled in."""
    return look_teller()(wa_session)


def look_teller() -> Callable[[Any], Words]:
    """`look_word` for a page that is full of them: the reader's language is asked for once."""
    locale, catalogues = str(get_locale()), current_app.config["BABEL_TRANSLATION_DIRECTORIES"]
    return lambda wa_session: _look_words(wa_session.look, locale, catalogues)


@lru_cache(maxsize=len(LOOKS) * len(LANGUAGES))
def _look_words(look: Look, _locale: str, _catalogues: str) -> Words:
    """Translated once: every open page asks for the same ones again and again."""
    words = LOOKS[look]
    return Words(str(words.word), words.tone, words.icon, str(words.what), str(words.next))


class _Facts(dict[str, str]):
    """The facts that a sentence asks for; a time costs more to write than the rest of it."""

    def __init__(self, wa_session: Any) -> None:
        super().__init__()
        self.of = wa_session

    def __missing__(self, fact: str) -> str:
        if fact == "proof_at":
            return at(self.of.last_proof_at or self.of.status_at)
        return at(self.of.connected_at if self.of.look == Look.CONNECTED else self.of.status_at)


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


def scope_words(scopes: str) -> str:
    """What a key may do, from its comma-separated scopes."""
    return ", ".join(str(SCOPES[scope]) for scope in scopes.split(","))


# --- filters -------------------------------------------------------------------------------------


def readable_phone(number: str | None) -> str:
    """A number for reading; a group by its id."""
    if number and number.endswith("@g.us"):
        return gettext("Group %(id)s", id=number.removesuffix("@g.us"))
    return phone.for_reading(number)


def readable_number(value: int) -> str:
    """In groups of three; small ones, which polls are full of, without asking anybody how."""
    return str(value) if 0 <= value < 1000 else format_decimal(value)


def readable_size(size_bytes: int) -> str:
    """Of so many bytes, in the reader's writing: 1,6 MB."""
    size, units = float(size_bytes), ["KB", "MB", "GB", "TB"]
    unit = "B"
    while size >= 1024 and units:
        size, unit = size / 1024, units.pop(0)
    return f"{format_decimal(size, format='#,##0.#' if size < 10 else '#,##0')} {unit}"


def percent(value: float | None) -> str:
    """Of a number from 0 to 100."""
    return "" if value is None else format_percent(value / 100, "#,##0.#%")


def initials(name: str) -> str:
    parts = name.split()
    return "".join(part[0] for part in parts[:1] + parts[1:][-1:]).upper() or "?"
