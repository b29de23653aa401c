"""What calls hold and answers look like, by name; read on the first call, since marshmallow loads slowly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from marshmallow import Schema, ValidationError

from ...refusal import Refusal
from ..fields import FAULTS, Fault
from . import admin, chats, messages, sessions, webhooks
from .shape import Call


class NothingSchema(Call):
    pass


KINDS = {"Nothing": NothingSchema} | {
    name.removesuffix("Schema"): found
    for module in (sessions, messages, chats, admin, webhooks)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, Schema)
}


class BadField(Refusal):
    """A field of the call cannot be used; `code` says what is wrong with it."""

    def __init__(self, field: str, fault: Fault) -> None:
        super().__init__(fault.sentence, code=fault.code, field=field)


def load(name: str, data: Any) -> dict[str, Any]:
    """The fields of a call, checked. Raises BadField about the first one that cannot be used."""
    try:
        return dict(of(name).load(data))
    except ValidationError as error:
        raise BadField(*_first(error.messages)) from error


def dump(name: str, value: Any) -> Any:
    return of(name).dump(value)


@lru_cache(maxsize=64)
def of(name: str) -> Schema:
    return KINDS[name]()


def _first(messages: Any, path: str = "") -> tuple[str, Fault]:
    """Where the first fault lies, as `media.data`, and what it is."""
    if isinstance(messages, Mapping):
        name, inner = next(iter(messages.items()))
        return _first(inner, path if name == "_schema" else f"{path}.{name}".strip(".")[:80])
    fault = messages[0]
    return path, fault if isinstance(fault, Fault) else Fault("wrong_type", FAULTS["wrong_type"])
