"""The numbering plans of all countries: what digits can mean, and how they are written. Slow to load."""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

REGIONS = phonenumbers.SUPPORTED_REGIONS
LONGEST_E164 = 15


def digits(typed: str, region: str) -> str | None:
    """E.164 without the plus, of digits and what people put between them; None when no plan has them."""
    for candidate, fits in _readings(typed, re.sub(r"\D", "", typed), region):
        if candidate is not None and fits(candidate):
            used = phonenumbers.format_number(candidate, PhoneNumberFormat.E164)[1:]
            if len(used) <= LONGEST_E164:
                return used
    return None


def for_reading(number: str) -> str:
    """E.164 without the plus, in the groups of its country; what is no number comes back as it is."""
    parsed = _parsed("+" + number, None)
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL) if parsed else number


def example(region: str) -> str:
    """A mobile number of that country, in its groups."""
    number = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if number is None:
        return "+62 812-3456-789"
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


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
