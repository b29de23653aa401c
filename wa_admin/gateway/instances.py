"""Evolution's routes for instances, their webhook and their settings."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, jsonify, request

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import NotFound, Refusal, schema_error
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.server import authorised, gateway, has_global_key, json_body, need_global_key, same
from wa_admin.gateway.store import Instance, NameTaken

bp = Blueprint("instances", __name__)

VERSION = "2.3.6"
INTEGRATIONS = ("WHATSAPP-BAILEYS", "WHATSAPP-BUSINESS", "EVOLUTION")
NUMBER = re.compile(r"^\d+[\.@\w-]+")
LONGEST_NAME = 255


@bp.get("/")
def root():
    return {
        "status": 200,
        "message": "Welcome to the Evolution API, it is working!",
        "version": VERSION,
        "clientName": "wa-admin",
        "manager": None,
        "documentation": "https://doc.evolution-api.com",
        "whatsappWebVersion": None,
        "engine": gateway().settings.engine,
    }


@bp.post("/verify-creds")
def verify_creds():
    need_global_key()
    return {"status": 200, "message": "Credentials are valid"}


@bp.post("/instance/create")
def create():
    body = json_body()
    name = body.get("instanceName")
    if isinstance(name, str) and gateway().store.find(name):
        raise _name_taken(name)
    need_global_key()
    wanted = _read_create(body)
    try:
        instance = gateway().store.add(**wanted)
    except NameTaken as error:
        raise _name_taken(name) from error
    gateway().callbacks.announce(
        instance.id, "instance.create", {"instanceName": instance.name, "instanceId": instance.id}
    )
    session = gateway().supervisor.session(instance)
    codes = _codes(session, instance.number) if body.get("qrcode") is True else None
    return _created(instance, session.status()["state"], codes), 201


@bp.get("/instance/fetchInstances")
def fetch_instances():
    key = request.headers.get("apikey", "")
    found = gateway().store.instances()
    visible = found if has_global_key() else [one for one in found if same(key, one.token)]
    if not has_global_key() and not visible:
        raise Refusal(401, "Unauthorized")
    for column, parameter in (("name", "instanceName"), ("id", "instanceId"), ("number", "number")):
        if wanted := request.args.get(parameter):
            visible = [one for one in visible if getattr(one, column) == wanted]
            if not visible and not has_global_key():
                raise Refusal(401, "Unauthorized")
            if not visible:
                raise NotFound(f'Instance "{wanted}" not found')
    return jsonify([_item(one) for one in visible])


@bp.get("/instance/connectionState/<name:name>")
def connection_state(name):
    return {"instance": _session(authorised(name)).status()}


@bp.get("/instance/connect/<name:name>")
def connect(name):
    session = _session(authorised(name))
    try:
        return _codes(session, request.args.get("number"))
    except EngineError as error:
        raise Refusal(400, [str(error)]) from error


@bp.post("/instance/restart/<name:name>")
def restart(name):
    return _session(authorised(name)).restart()


@bp.post("/instance/stop/<name:name>")
def stop(name):
    _session(authorised(name)).stop()
    return _done("Instance stopped")


@bp.delete("/instance/logout/<name:name>")
def logout(name):
    instance = authorised(name)
    try:
        _session(instance).logout()
    except EngineError as error:
        if error.kind == "not_connected":
            raise Refusal(400, [f'The "{name}" instance is not connected']) from error
        raise Refusal(500, [str(error)]) from error
    return _done("Instance logged out")


@bp.delete("/instance/delete/<name:name>")
def delete(name):
    instance = authorised(name)
    gateway().supervisor.remove(instance)
    gateway().callbacks.say_goodbye(instance)
    return _done("Instance deleted")


@bp.post("/webhook/set/<name:name>")
def set_webhook(name):
    instance = authorised(name)
    body = json_body()
    if not isinstance(body.get("webhook"), dict):
        raise schema_error('instance requires property "webhook"')
    webhook = _read_webhook(body["webhook"], instance.webhook)
    gateway().store.update(instance.id, webhook=webhook)
    gateway().callbacks.wake(instance.id)
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
    if errors := missing + _settings_errors(wanted):
        raise schema_error(*errors)
    gateway().store.update(instance.id, settings=instance.settings | wanted)
    return {"settings": {"instanceName": name, "settings": wanted}}, 201


@bp.get("/settings/find/<name:name>")
def find_settings(name):
    return authorised(name).settings


def _session(instance: Instance) -> Any:
    return gateway().supervisor.session(instance)


def _codes(session: Any, number: str | None) -> dict[str, Any]:
    """Start linking; with a number also ask for a pairing code. Raises EngineError, Refusal."""
    if not number:
        codes: dict[str, Any] = session.connect()
        return codes
    digits = re.sub(r"[\s+().-]", "", number).partition("@")[0]
    if not re.fullmatch(r"[1-9]\d{6,14}", digits):
        raise Refusal(400, ["number is not a phone number with its country code"])
    paired: dict[str, Any] = session.pair(digits)
    return paired


def _done(message: str) -> dict[str, Any]:
    return {"status": "SUCCESS", "error": False, "response": {"message": message}}


def _name_taken(name: Any) -> Refusal:
    return Refusal(403, [f'This name "{name}" is already in use.'])


def _read_create(body: dict[str, Any]) -> dict[str, Any]:
    """What to store. Raises Refusal, also for names Evolution lets in and cannot address afterwards."""
    name, number, token = body.get("instanceName"), body.get("number"), body.get("token")
    if not isinstance(name, str):
        raise schema_error('instance requires property "instanceName"')
    if not name or len(name) > LONGEST_NAME or any(ord(letter) < 32 for letter in name):
        raise Refusal(400, [f"instanceName must have 1 to {LONGEST_NAME} characters, none of control"])
    if number is not None and not isinstance(number, str):
        raise schema_error("number is not of a type(s) string")
    if number and not NUMBER.match(number):
        raise schema_error('number does not match pattern "^\\\\d+[\\\\.@\\\\w-]+"')
    if token is not None and not isinstance(token, str):
        raise schema_error("token is not of a type(s) string")
    if body.get("integration") not in INTEGRATIONS:
        raise Refusal(400, ["Invalid integration"])
    settings = {key: body[key] for key in dialect.DEFAULT_SETTINGS if body.get(key) is not None}
    if errors := _settings_errors(settings):
        raise schema_error(*errors)
    webhook = body.get("webhook")
    if webhook is not None and not isinstance(webhook, dict):
        raise schema_error("webhook is not of a type(s) object")
    return {
        "name": name,
        "integration": body["integration"],
        "token": token or None,
        "number": number or None,
        "settings": settings,
        "webhook": _read_webhook(webhook | {"enabled": True}, None) if webhook else None,
    }


def _settings_errors(settings: dict[str, Any]) -> list[str]:
    kinds = {bool: "boolean", str: "string"}
    expected = {key: type(value) for key, value in dialect.DEFAULT_SETTINGS.items()}
    return [
        f"{key} is not of a type(s) {kinds[expected[key]]}"
        for key, value in settings.items()
        if not isinstance(value, expected[key])
    ]


def _read_webhook(wanted: dict[str, Any], stored: dict[str, Any] | None) -> dict[str, Any]:
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


def _created(instance: Instance, state: str, codes: dict[str, Any] | None) -> dict[str, Any]:
    webhook = instance.webhook
    answer: dict[str, Any] = {
        "instance": {
            "instanceName": instance.name,
            "instanceId": instance.id,
            "integration": instance.integration,
            "webhookWaBusiness": None,
            "accessTokenWaBusiness": "",
            "status": state,
        },
        "hash": instance.token,
        "webhook": webhook
        and {
            "webhookUrl": webhook["url"],
            "webhookHeaders": webhook["headers"],
            "webhookByEvents": webhook["webhookByEvents"],
            "webhookBase64": webhook["webhookBase64"],
        }
        or {},
        "websocket": {},
        "rabbitmq": {},
        "nats": {},
        "sqs": {},
        "settings": instance.settings,
    }
    if codes is not None:
        answer["qrcode"] = codes
    return answer


def _item(instance: Instance) -> dict[str, Any]:
    """One of fetchInstances; unlike Evolution's, connectionStatus is the live state."""
    disconnection = instance.disconnection or {}
    return {
        "id": instance.id,
        "name": instance.name,
        "connectionStatus": _session(instance).status()["state"],
        "ownerJid": instance.owner_jid,
        "profileName": instance.profile_name,
        "profilePicUrl": None,
        "integration": instance.integration,
        "number": instance.number,
        "businessId": None,
        "token": instance.token,
        "clientName": "wa-admin",
        "disconnectionReasonCode": disconnection.get("disconnectionReasonCode"),
        "disconnectionObject": disconnection.get("disconnectionObject"),
        "disconnectionAt": disconnection.get("disconnectionAt"),
        "createdAt": instance.created_at,
        "updatedAt": instance.updated_at,
        "Chatwoot": None,
        "Proxy": None,
        "Rabbitmq": None,
        "Nats": None,
        "Sqs": None,
        "Websocket": None,
        "Setting": instance.settings
        | {
            "id": instance.id,
            "createdAt": instance.created_at,
            "updatedAt": instance.updated_at,
            "instanceId": instance.id,
        },
        "_count": {"Message": 0, "Contact": 0, "Chat": 0},
    }
