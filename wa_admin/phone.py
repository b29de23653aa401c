"""Phone numbers put right: from what a person typed to what WhatsApp takes, and back for reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import phonenumbers
from flask_babel import lazy_gettext as _l
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from .refusal import Refusal

# A group id is digits of 16 and more (120363…), or the old form: creator's number, dash, Unix time.
GROUP = re.compile(r"^([0-9]{16,25}|[0-9]{8,15}-[0-9]{9,11})$")
LONGEST_E164 = 15
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
    bare = re.sub(r"\D", "", name)
    for candidate, fits in _readings(name, bare, region):
        if candidate is not None and fits(candidate):
            used = phonenumbers.format_number(candidate, PhoneNumberFormat.E164)[1:]
            if len(used) <= LONGEST_E164:
                return used
    raise BadNumber(
        "bad_number", _l("“%(typed)s” has too few or too many digits for a phone number.", typed=text)
    )


@lru_cache(maxsize=1024)
def for_reading(number: str | None) -> str:
    """`628123456789` as `+62 812-3456-789`; what is no number comes back as it is."""
    if not number or not number.isdecimal():
        return number or ""
    try:
        return phonenumbers.format_number(phonenumbers.parse("+" + number), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return number


def is_region(code: str) -> bool:
    """Whether numbers can be read as those of this country: ID, BR …"""
    return code in phonenumbers.SUPPORTED_REGIONS


def _cleaned(typed: str) -> str:
    text = typed.strip()
    if not text:
        raise BadNumber("number_missing", _l("Enter a phone number."))
    if len(text) > LONGEST or not text.isprintable():
        raise BadNumber("bad_number", _l("This is not a phone number."))
    return text


def _readings(
    name: str, bare: str, region: str
) -> list[tuple[PhoneNumber | None, Callable[[PhoneNumber], bool]]]:
    """The ways to read it, likeliest first: 0062… and +62… leave no doubt, bare digits do."""
    valid, possible = phonenumbers.is_valid_number, _is_possible
    if name.lstrip().startswith("+"):
        return [(_parsed("+" + bare, None), possible)]
    if bare.startswith("00"):
        return [(_parsed("+" + bare[2:], None), possible)]
    national = _parsed(bare, region)
    if bare.startswith("0"):
        return [(national, possible)]
    international = _parsed("+" + bare, None)
    has_own_code = bare.startswith(str(phonenumbers.country_code_for_region(region)))
    if has_own_code:
        # old Indonesian numbers (62 and 8 or 9 digits) are shorter than today's plan: possible is enough,
        # unless it is a mobile number as it stands (the area code of Santa Maria in Brazil is 55 too)
        return [(international, valid), (national, _is_mobile), (international, possible)]
    return [(national, valid), (international, valid), (national, possible), (international, possible)]


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _is_possible(number: PhoneNumber) -> bool:
    """As long as its country's numbers are; one without its area code is not."""
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def _is_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) in (
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
