"""Passwords: how they are hashed, how they are checked, and which are too easy to guess."""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import lazy_gettext as _

from .refusal import Refusal

SHORTEST, LONGEST = 12, 128
MEMORY_KIB, PASSES, LANES = 46 * 1024, 1, 1  # the first choice of OWASP's password storage cheat sheet
AT_ONCE = 2  # each check holds MEMORY_KIB, and a core
PATIENCE_SECONDS = 10.0

OUR_WORDS = ("whatsapp", "waadmin", "panel", "admin")
# what a guesser tries at no cost: neighbours on the keyboard, the alphabet, digits in a row
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "!@#$%^&*()")
SPELLED_OUT = str.maketrans("@48310$57!", "aabeiossti")
SEPARATORS = re.compile(r"[\s._-]+")
BREACHED = Path(__file__).parent / "breached.bin"  # sorted marks, made by .ci/breached.py
MARK_BYTES = 5  # one good password in 25 million is refused for nothing
# how many things a guesser must get right, a known word or a row counting as one
ENOUGH_GUESSES = 6

_places = threading.BoundedSemaphore(AT_ONCE)
_hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


class UnfitPassword(Refusal):
    code = "unfit_password"
    status = 422

    def __init__(self, sentence: Any) -> None:
        super().__init__(sentence, field="password")


class TooBusy(Refusal):
    code = "too_busy"
    status = 503
    retry_after_seconds = 10

    def __init__(self) -> None:
        super().__init__(_("Too many people are signing in at this moment. Try again in a few seconds."))


def hashed(password: str) -> str:
    """The argon2id hash to store. Raises TooBusy."""
    with _Place():
        return _hasher.hash(_normal(password))


def fits(stored: str, password: str) -> bool:
    """Whether this is the password behind the hash. Raises TooBusy."""
    if len(password) > LONGEST:
        return False
    try:
        with _Place():
            return _hasher.verify(stored, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


@cache
def nobodys() -> str:
    """A hash nobody has the password of: checking against it takes as long as against a real one."""
    return _hasher.hash(secrets.token_hex())


def checked(password: str, own_words: Iterable[str] = ()) -> str:
    """The password, when it may be used by somebody called `own_words`. Raises UnfitPassword."""
    missing = SHORTEST - len(password)
    if missing > 0:
        raise UnfitPassword(
            _("Use at least %(count)s characters. A few words in a row are fine.", count=SHORTEST)
        )
    if len(password) > LONGEST:
        raise UnfitPassword(_("Use at most %(count)s characters.", count=LONGEST))
    if guesses(password, own_words) < ENOUGH_GUESSES:
        raise UnfitPassword(_("This one is easy to guess. Add a word or two that nobody connects with you."))
    if is_breached(password):
        raise UnfitPassword(_("This one has leaked somewhere and is on the lists of guessers. Use another."))
    return password


def is_breached(password: str) -> bool:
    """Whether it is among the most frequent passwords that leaked, in large letters or small ones."""
    marks, wanted = BREACHED.read_bytes(), breach_mark(password)
    found = bisect_left(range(len(marks) // MARK_BYTES), wanted, key=lambda at: _mark(marks, at))
    return _mark(marks, found) == wanted


def breach_mark(password: str) -> bytes:
    """What the file keeps of a password, which must not be readable there."""
    return sha256(_normal(password).casefold().encode()).digest()[:MARK_BYTES]


def _mark(marks: bytes, at: int) -> bytes:
    return marks[at * MARK_BYTES : (at + 1) * MARK_BYTES]


def guesses(password: str, own_words: Iterable[str] = ()) -> int:
    """How many parts somebody must guess; a well-known word, a row of keys or a year is one part."""
    text = _unrepeated(SEPARATORS.sub("", password.casefold()))
    spelled_out = text.translate(SPELLED_OUT)  # p@ssw0rd
    words = {*_weak_words(), *OUR_WORDS, *_pieces(own_words)}
    parts = at = 0
    while at < len(text):
        word = max(_word_at(text, at, words), _word_at(spelled_out, at, words))
        at += max(word, _row_at(text, at), _year_at(text, at), 1)
        parts += 1
    return parts


def _word_at(text: str, at: int, words: set[str]) -> int:
    longest = min(len(text) - at, 20)
    return next((size for size in range(longest, 2, -1) if text[at : at + size] in words), 0)


def _row_at(text: str, at: int) -> int:
    """The length of a row of keys (up or down) or of one repeated character, when it is 3 or more."""
    size = 1
    while at + size < len(text) and text[at + size] == text[at]:
        size += 1
    for row in (*ROWS, *(row[::-1] for row in ROWS)):
        reach = size
        while text[at : at + reach + 1] in row and at + reach < len(text):
            reach += 1
        size = max(size, reach)
    return size if size > 2 else 0


def _year_at(text: str, at: int) -> int:
    return 4 if re.match(r"(19|20)\d\d", text[at:]) else 0


def _unrepeated(text: str) -> str:
    """`abcabcabc` is no better than `abc`."""
    period = (text + text).find(text, 1)
    return text[:period]


def _pieces(own_words: Iterable[str]) -> set[str]:
    found = {piece for word in own_words for piece in re.split(r"[\W_]+", word.casefold())}
    return {piece for piece in found if len(piece) > 2}


@cache
def _weak_words() -> frozenset[str]:
    return frozenset((Path(__file__).parent / "weak_words.txt").read_text("utf-8").split())


def _normal(password: str) -> str:
    """The same characters whatever the keyboard composed them of (NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


class _Place:
    """One of the few places to compute a hash in this process."""

    def __enter__(self) -> None:
        if not _places.acquire(timeout=PATIENCE_SECONDS):
            raise TooBusy

    def __exit__(self, *_: object) -> None:
        _places.release()
