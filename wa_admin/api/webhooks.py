"""The part of the OpenAPI document that tells what apps are told: its section `webhooks`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from .schemas.webhooks import AN_ID, TOLD

HEADERS = {
    "webhook-id": (AN_ID, _l("Of this event: the same on each try. Whoever has seen it does nothing more.")),
    "webhook-timestamp": ("1769850000", _l("When this try was made, in seconds since 1970.")),
    "webhook-signature": (
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        _l("Of id, timestamp and body, by Standard Webhooks; two of them for a day after a new secret."),
    ),
}


def section(refer: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """By kind of event; `refer` gives the reference to a schema."""
    return {kind: {"post": _told(kind, meaning, refer(schema))} for kind, (meaning, schema) in TOLD.items()}


def _told(kind: str, meaning: Any, data: dict[str, Any]) -> dict[str, Any]:
    happened = {"type": "string", "format": "date-time", "description": _("When it happened.")}
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {"type": {"const": kind}, "timestamp": happened, "data": data},
    }
    return {
        "summary": meaning,
        "parameters": [
            {
                "in": "header",
                "name": name,
                "required": True,
                "description": text,
                "schema": {"type": "string", "examples": [example]},
            }
            for name, (example, text) in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "2XX": {"description": _("The app has it. Anything else is tried again for a day and a half.")},
            "410": {"description": _("The app is gone: the webhook is switched off.")},
            "429": {"description": _("Later: Retry-After is honoured.")},
        },
    }
