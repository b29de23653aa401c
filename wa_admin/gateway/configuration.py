"""Evolution's routes for the webhook and the settings of an instance."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, jsonify

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import schema_error
from wa_admin.gateway.server import authorised, gateway, json_body

bp = Blueprint("configuration", __name__)


@bp.post("/webhook/set/<name:name>")
def set_webhook(name):
    instance = authorised(name)
    body = json_body()
    if not isinstance(body.get("webhook"), dict):
        raise schema_error('instance requires property "webhook"')
    webhook = read_webhook(body["webhook"], instance.webhook)
    gateway().store.update(instance.id, webhook=webhook)
    gateway().callbacks.hurry(instance.id)
    return webhook | {"instanceId": instance.id}, 201


@bp.get("/webhook/find/<name:name>")
def find_webhook(name):
    instance = authorised(name)
    return jsonify(instance.webhook and instance.webhook | {"instanceId": instance.id})


@bp.post("/settings/set/<name:name>")
def set_settings(name):
    instance = authorised(name)
    body = json_body()
    wanted = {key: body[key] for key in dialect.DEFAULT_SETTINGS if key in body}
    booleans = [key for key, value in dialect.DEFAULT_SETTINGS.items() if value is False]
    missing = [f'instance requires property "{key}"' for key in booleans if key not in wanted]
    if errors := missing + settings_errors(wanted):
        raise schema_error(*errors)
    gateway().store.update(instance.id, settings=instance.settings | wanted)
    return {"settings": {"instanceName": name, "settings": wanted}}, 201


@bp.get("/settings/find/<name:name>")
def find_settings(name):
    return authorised(name).settings


def settings_errors(settings: dict[str, Any]) -> list[str]:
    kinds = {bool: "boolean", str: "string"}
    expected = {key: type(value) for key, value in dialect.DEFAULT_SETTINGS.items()}
    return [
        f"{key} is not of a type(s) {kinds[expected[key]]}"
        for key, value in settings.items()
        if not isinstance(value, expected[key])
    ]


def read_webhook(wanted: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any]:
    """The webhook to store: what is left out keeps its old value. Raises Refusal."""
    url, enabled, headers = wanted.get("url"), wanted.get("enabled"), wanted.get("headers")
    if not isinstance(enabled, bool):
        raise schema_error('webhook requires property "enabled"')
    if not isinstance(url, str) or not url:
        raise schema_error('The "url" cannot be empty')
    if headers is not None and not _is_headers(headers):
        raise schema_error("webhook.headers is not an object of plain header names and values")
    events = wanted.get("events", [] if not enabled else None)
    if not isinstance(events, list):
        raise schema_error('webhook requires property "events"')
    for position, event in enumerate(events):
        if event not in dialect.EVENT_NAMES:
            names = ",".join(dialect.EVENT_NAMES)
            raise schema_error(f"webhook.events[{position}] is not one of enum values: {names}")
    old = stored or {"headers": None, "webhookByEvents": False, "webhookBase64": False}
    now = dialect.now_iso()
    return {
        "id": old.get("id") or f"wh{now}",
        "url": url,
        "headers": old["headers"] if headers is None else headers,
        "enabled": enabled,
        "events": (events or list(dialect.EVENT_NAMES)) if enabled else [],
        "webhookByEvents": bool(wanted.get("byEvents", old["webhookByEvents"])),
        "webhookBase64": bool(wanted.get("base64", old["webhookBase64"])),
        "createdAt": old.get("createdAt") or now,
        "updatedAt": now,
    }


def _is_headers(headers: Any) -> bool:
    return isinstance(headers, dict) and all(
        re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII)
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        for name, value in headers.items()
    )
