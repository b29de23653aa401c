"""Text that people type: one visible line, or a sentence that says what is wrong with it."""

from __future__ import annotations

import unicodedata

from flask_babel import lazy_gettext as _l

from .refusal import Refusal

# Braille blank and Hangul fillers show nothing, though Unicode counts them among symbols and letters
BLANKS = frozenset("\u2800\u3164\u115f\u1160\uffa0")
# marks that turn the reading order of what follows: a name with one can imitate another
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class UnfitText(Refusal):
    code = "unfit_text"
    status = 422


def line(text: str | None, longest: int, *, field: str) -> str:
    """The text as one line without space around it. Raises UnfitText when empty, too long or not one line."""
    text = unicodedata.normalize("NFC", text or "").strip()
    if not text:
        raise UnfitText(_l("Fill this in."), field=field)
    if len(text) > longest:
        raise UnfitText(_l("Use at most %(count)s characters.", count=longest), field=field)
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in TURNS for char in text):
        raise UnfitText(_l("Leave out line breaks, tabs and invisible control characters."), field=field)
    if is_blank(text):
        raise UnfitText(_l("Use at least one visible character."), field=field)
    return text


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen: white space, joiners, variation selectors, fillers, lone accents."""
    return all(
        char in BLANKS or unicodedata.category(char) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me")
        for char in text
    )


def storable(text: str) -> str:
    """As close to it as every database keeps it: what others send is not refused for a half character."""
    return text if text.isprintable() else text.encode(errors="replace").decode().replace("\0", "\ufffd")


def is_storable(text: str) -> bool:
    """Whether every database keeps it: no half character, and no control characters but breaks and tabs."""
    return text.isprintable() or not any(
        unicodedata.category(char) in ("Cc", "Cs") for char in text if char not in "\r\n\t"
    )
