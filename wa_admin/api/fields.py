"""Fields that say what is wrong with a code and a sentence, and that take no type for another."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from marshmallow import ValidationError, fields


class Fault(NamedTuple):
    code: str
    sentence: Any


FAULTS = {
    "missing": _l("This field is needed."),
    "wrong_type": _l("This value has the wrong type."),
    "unknown_field": _l("There is no such field."),
    "empty": _l("This may not be empty."),
    "too_long": _l("This is too long."),
    "bad_characters": _l("This holds control characters, which cannot be stored."),
    "out_of_range": _l("This number is too small or too large."),
    "not_a_choice": _l("This is none of the values that can be used here."),
    "bad_base64": _l("This is not base64."),
}
CODE_OF_KEY = {"required": "missing", "null": "wrong_type"}


def wrong(code: str) -> ValidationError:
    return ValidationError([Fault(code, FAULTS[code])])  # type: ignore[list-item]


class _Coded(fields.Field[Any]):
    def make_error(self, key: str, **_: Any) -> ValidationError:
        return wrong(CODE_OF_KEY.get(key, "wrong_type"))


class Text(_Coded, fields.String):
    """Text of 1 to `longest` characters; line breaks and tabs only where `lines` allows them."""

    def __init__(self, *, longest: int, lines: bool = False, may_be_empty: bool = False, **more: Any) -> None:
        metadata = {"maxLength": longest, "minLength": 0 if may_be_empty else 1, **more.pop("metadata", {})}
        super().__init__(metadata=metadata, **more)
        self.longest, self.may_be_empty = longest, may_be_empty
        self.allowed = "\r\n\t" if lines else ""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> str:
        if isinstance(value, bytes):  # marshmallow would decode them; JSON has none, a caller in Python may
            raise wrong("wrong_type")
        text = str(super()._deserialize(value, attr, data, **more))
        if not text.strip() and not self.may_be_empty:
            raise wrong("empty")
        if len(text) > self.longest:
            raise wrong("too_long")
        if not text.isprintable() and any(map(self._is_bad, text)):
            raise wrong("bad_characters")
        return text

    def _is_bad(self, letter: str) -> bool:
        return unicodedata.category(letter) in ("Cc", "Cs") and letter not in self.allowed


class Choice(_Coded, fields.String):
    """One of a closed list of words."""

    def __init__(self, words: list[str], **more: Any) -> None:
        super().__init__(metadata={"enum": words, **more.pop("metadata", {})}, **more)
        self.words = words

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> str:
        text = str(super()._deserialize(value, attr, data, **more))
        if text not in self.words:
            raise wrong("not_a_choice")
        return text


class Number(_Coded, fields.Integer):
    """A whole number from `low` to `high`; `true` is none. From a query it comes as digits."""

    def __init__(self, low: int, high: int, *, from_text: bool = False, **more: Any) -> None:
        super().__init__(metadata={"minimum": low, "maximum": high, **more.pop("metadata", {})}, **more)
        self.low, self.high, self.from_text = low, high, from_text

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> int:
        if self.from_text and isinstance(value, str) and len(value) <= 20:
            digits = value.removeprefix("-")
            value = int(value) if digits.isascii() and digits.isdecimal() else value
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong("wrong_type")
        if not self.low <= value <= self.high:
            raise wrong("out_of_range")
        return value


class Seconds(_Coded, fields.Float):
    """A time from `low` to `high` seconds, whole or not."""

    def __init__(self, low: float, high: float, **more: Any) -> None:
        super().__init__(metadata={"minimum": low, "maximum": high, **more.pop("metadata", {})}, **more)
        self.low, self.high = low, high

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any
    ) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong("wrong_type")
        if not self.low <= value <= self.high:
            raise wrong("out_of_range")
        return value


class YesNo(_Coded, fields.Boolean):
    """`true` or `false`; from a query those words."""

    def __init__(self, *, from_text: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.from_text = from_text

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> bool:
        if self.from_text and value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise wrong("wrong_type")
        return value


class Bytes(_Coded, fields.String):
    """Bytes, written as base64."""

    def __init__(self, **more: Any) -> None:
        metadata = {"format": "byte", **more.pop("metadata", {})}
        super().__init__(metadata=metadata, **more)

    def _deserialize(  # type: ignore[override]
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any
    ) -> bytes:
        text = super()._deserialize(value, attr, data, **more)
        if not text:
            raise wrong("empty")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise wrong("bad_base64") from error


class Nested(_Coded, fields.Nested):
    pass


class Object(_Coded, fields.Dict):
    """An object whose fields are somebody else's affair."""


class Moment(fields.DateTime):
    """A moment in UTC, such as 2026-01-31T09:00:00.123Z."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **more: Any) -> str | None:
        return moment(value)


def moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
