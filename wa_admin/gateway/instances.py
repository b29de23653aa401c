"""Evolution's routes for instances."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, jsonify, request

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import NotFound, Refusal, schema_error
from wa_admin.gateway.configuration import read_webhook, settings_errors
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.server import authorised, gateway, has_global_key, json_body, need_global_key, same
from wa_admin.gateway.session import Session
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
    codes = _first_codes(session, instance.number) if body.get("qrcode") is True else None
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


def _session(instance: Instance) -> Session:
    return gateway().supervisor.session(instance)


def _first_codes(session: Session, number: str | None) -> dict[str, Any]:
    """The instance is there whatever happens, so a code that does not come is no failure."""
    try:
        return _codes(session, number)
    except (EngineError, Refusal):
        return session.codes()


def _codes(session: Session, number: str | None) -> dict[str, Any]:
    """Start linking; with a number also ask for a pairing code. Raises EngineError, Refusal."""
    if not number:
        return session.connect()
    digits = re.sub(r"[\s+().-]", "", number).partition("@")[0]
    if not re.fullmatch(r"[1-9]\d{6,14}", digits):
        raise Refusal(400, ["number is not a phone number with its country code"])
    return session.pair(digits)


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
    if errors := settings_errors(settings):
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
        "webhook": read_webhook(webhook | {"enabled": True}, None) if webhook else None,
    }


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
