"""What a call brings, read strictly: JSON only, each name once, nothing that JSON itself does not know."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import request
from flask_babel import lazy_gettext as _l

from ..refusal import Refusal


class NotJson(Refusal):
    code = "unsupported_media_type"
    status = 415

    def __init__(self) -> None:
        super().__init__(_l("Send JSON, with the header Content-Type: application/json."))


class BadJson(Refusal):
    code = "bad_json"

    def __init__(self) -> None:
        super().__init__(_l("The body is not valid JSON."))


class DuplicateName(Refusal):
    code = "duplicate_name"

    def __init__(self, name: str) -> None:
        super().__init__(_l("This name is given twice."), field=name[:80])


def json_body() -> Any:
    """The body as JSON, an empty object when there is none. Raises NotJson, BadJson, DuplicateName."""
    raw = request.get_data(cache=False)
    if not raw:
        return {}
    if request.mimetype != "application/json":
        raise NotJson
    return read(raw)


def read(raw: bytes | str) -> Any:
    """JSON that came from outside. Raises BadJson, DuplicateName."""
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadJson from error


def query() -> dict[str, str]:
    """The query, each name at most once. Raises DuplicateName."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise DuplicateName(name)
    return request.args.to_dict()


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, value in pairs:
        if name in found:
            raise DuplicateName(name)
        found[name] = value
    return found


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are JavaScript, not JSON."""
    raise ValueError(constant)
