"""What every schema is made of: a call is read strictly, an answer is described field by field."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, fields

from ..fields import FAULTS, Fault

LONGEST_SESSION_NAME = 255  # a name that a gateway gave may be longer than ours
BIGGEST_ID = 2**63 - 1


class Call(Schema):
    """Something a caller sends: a field we do not know is refused, so that a slip of the pen is noticed."""

    error_messages: dict[str, Any] = {
        "unknown": Fault("unknown_field", FAULTS["unknown_field"]),
        "type": Fault("wrong_type", FAULTS["wrong_type"]),
    }

    class Meta:
        unknown = RAISE


class Answer(Schema):
    """Something we answer."""


def told(field_type: type[fields.Field[Any]], description: Any = "", example: Any = None, **more: Any) -> Any:
    """A field of an answer, with what the document says of it."""
    metadata = {key: value for key, value in (("description", description), ("example", example)) if value}
    return field_type(metadata=metadata, **more)
