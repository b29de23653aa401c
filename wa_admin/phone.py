"""Phone numbers put right: from what a person typed to what WhatsApp takes, and back for reading.

The countries' plans are loaded when the first number comes: `numbering`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_babel import lazy_gettext as _l

from .refusal import Refusal

# A group id is digits of 16 and more (120363…), or the old form: creator's number, dash, Unix time.
GROUP = re.compile(r"^([0-9]{16,25}|[0-9]{8,15}-[0-9]{9,11})$")
USER_SERVERS = ("s.whatsapp.net", "c.us")
LONGEST = 128


class BadNumber(Refusal):
    """What was typed is not a number that can be used; the sentence says why."""

    def __init__(self, code: str, sentence: Any) -> None:
        super().__init__(sentence, code=code, field="recipient")


@dataclass(frozen=True)
class Recipient:
    """`address` is E.164 digits without the plus for a person, else a whole id (…@g.us, …@lid)."""

    address: str


def recipient(typed: str, region: str) -> Recipient:
    """Whom a message goes to: a person in any human form, a group id, or a WhatsApp id.

    Raises BadNumber.
    """
    text = _cleaned(typed)
    name, _, server = text.partition("@")
    if server == "g.us" or (not server and GROUP.match(name)):
        if not GROUP.match(name):
            raise BadNumber("bad_group_id", _l("“%(typed)s” is not a group id.", typed=text))
        return Recipient(f"{name}@g.us")
    if server == "lid":
        if not (name.isascii() and name.isdecimal()):
            raise BadNumber("bad_number", _l("“%(typed)s” is not a WhatsApp id.", typed=text))
        return Recipient(f"{name}@lid")
    return Recipient(digits(text, region))


def digits(typed: str, region: str) -> str:
    """E.164 digits without the plus, of a person's number. Raises BadNumber, also for a group id."""
    text = _cleaned(typed)
    name, _, server = text.partition("@")
    if server == "g.us" or GROUP.match(name):
        raise BadNumber("group_id", _l("This is the id of a group, not the number of a person."))
    if server and server not in USER_SERVERS:
        raise BadNumber("bad_number", _l("“%(typed)s” is not a phone number.", typed=text))
    if server:
        # 62812…:7@s.whatsapp.net names one device of the account
        name = "+" + name.split(":")[0]
    if not re.fullmatch(r"[\d\s()+./\-\u2010-\u2015\u00a0]+", name):
        raise BadNumber(
            "bad_number",
            _l("“%(typed)s” is not a phone number: use digits, such as 0812… or +62 812….", typed=text),
        )
    from . import numbering

    used = numbering.digits(name, region)
    if used is None:
        raise BadNumber(
            "bad_number", _l("“%(typed)s” has too few or too many digits for a phone number.", typed=text)
        )
    return used


@lru_cache(maxsize=1024)
def for_reading(number: str | None) -> str:
    """`628123456789` as `+62 812-3456-789`; what is no number comes back as it is."""
    if not number or not number.isdecimal():
        return number or ""
    from . import numbering

    return numbering.for_reading(number)


def example(region: str) -> str:
    """How a mobile number of that country looks."""
    from . import numbering

    return numbering.example(region)


def is_region(code: str) -> bool:
    """Whether numbers can be read as those of this country: ID, BR …"""
    from . import numbering

    return code in numbering.REGIONS


def _cleaned(typed: str) -> str:
    text = typed.strip()
    if not text:
        raise BadNumber("number_missing", _l("Enter a phone number."))
    if len(text) > LONGEST or not text.isprintable():
        raise BadNumber("bad_number", _l("This is not a phone number."))
    return text
