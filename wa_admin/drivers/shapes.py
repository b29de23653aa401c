"""Reading JSON that nobody vouches for: what a gateway sends is not to be trusted for its types."""

from __future__ import annotations

import base64
from typing import Any

from .contract import BadAnswer


def need_object(said: Any) -> dict[str, Any]:
    """Raises BadAnswer."""
    if not isinstance(said, dict):
        raise strange()
    return said


def need_array(said: Any) -> list[Any]:
    """Raises BadAnswer."""
    if not isinstance(said, list):
        raise strange()
    return said


def strange() -> BadAnswer:
    return BadAnswer("the answer is not of the shape that this gateway has")


def object_of(value: Any) -> dict[str, Any]:
    """An object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(said: dict[str, Any], key: str) -> str | None:
    """A text that says something, else None."""
    value = said.get(key)
    return _storable(value) if isinstance(value, str) and value else None


def bytes_of(value: Any) -> bytes | None:
    """A file as base64 that is one, else None."""
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) and value else None
    except ValueError:
        return None


def _storable(text: str) -> str:
    """JSON can hold half a character and a zero byte, which no database takes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")
