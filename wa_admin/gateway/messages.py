"""Evolution's routes for messages and chats."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
import time
from typing import Any

from flask import Blueprint, jsonify, request

from wa_admin.gateway import dialect
from wa_admin.gateway.answers import BareRefusal, Refusal, schema_error
from wa_admin.gateway.engines.contract import EngineError
from wa_admin.gateway.sends import check_refusal, refusal
from wa_admin.gateway.server import authorised, gateway, json_body
from wa_admin.gateway.store import Instance

bp = Blueprint("messages", __name__)

LONGEST_REFERENCE = 128
LONGEST_DELAY_MS = 10_000
CHECK_SECONDS = 20.0
DOWNLOAD_SECONDS = 50.0
MEDIA_KINDS = ("image", "document", "video", "audio")


@bp.post("/message/sendText/<name:name>")
def send_text(name):
    instance = authorised(name)
    body = json_body()
    to, text = _recipient(body), body.get("text")
    if text is None:
        raise schema_error('instance requires property "text"')
    if not isinstance(text, str):
        raise schema_error("text is not of a type(s) string")
    if not text.strip():
        raise Refusal(400, ["Text is required"])
    _delay(body)
    return _send(instance, {"conversation": text}, "conversation", "send_text", to=to, text=text)


@bp.post("/message/sendMedia/<name:name>")
def send_media(name):
    instance = authorised(name)
    body = request.form.to_dict() if request.mimetype == "multipart/form-data" else json_body()
    to, kind = _recipient(body), body.get("mediatype")
    if kind not in MEDIA_KINDS:
        raise schema_error(f"mediatype is not one of enum values: {','.join(MEDIA_KINDS)}")
    if kind not in ("image", "document"):
        raise Refusal(400, [f"this gateway sends image and document, not {kind}"], code="UNSUPPORTED")
    filename, caption = _text(body, "fileName"), _text(body, "caption")
    data = _bytes(body)
    if kind == "document" and not filename:
        raise Refusal(400, ["For base64 the file name must be informed."])
    mimetype = _text(body, "mimetype") or _guess(kind, filename)
    _delay(body)
    content = {
        "mimetype": mimetype,
        "fileName": filename,
        "caption": caption,
        "fileLength": {"low": len(data), "high": 0, "unsigned": True},
    }
    return _send(
        instance,
        {f"{kind}Message": {key: value for key, value in content.items() if value is not None}},
        f"{kind}Message",
        "send_media",
        to=to,
        kind=kind,
        data=base64.b64encode(data).decode(),
        mimetype=mimetype,
        filename=filename,
        caption=caption,
    )


@bp.get("/message/reference/<name:name>/<name:reference>")
def reference(name, reference):
    return gateway().sends.outcome(authorised(name).id, reference)


@bp.post("/chat/whatsappNumbers/<name:name>")
def whatsapp_numbers(name):
    instance = authorised(name)
    body = json_body()
    numbers = body.get("numbers")
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        lines = ["numbers is not of a type(s) array"]
        raise BareRefusal(400, {"status": 400, "error": "Bad Request", "message": [lines]})
    asked = {number: _digits(number) for number in numbers if not number.endswith("@g.us")}
    try:
        session = gateway().supervisor.session(instance)
        answers = session.submit("check", numbers=list(asked.values())).result(CHECK_SECONDS)
    except TimeoutError as error:
        raise Refusal(504, ["WhatsApp did not answer in time"]) from error
    except EngineError as error:
        if error.kind == "timeout":
            raise Refusal(504, ["WhatsApp did not answer in time"]) from error
        raise check_refusal(error, instance.owner_jid is not None) from error
    known = {answer["number"]: answer for answer in answers}
    groups = [{"jid": jid, "exists": False, "number": jid} for jid in numbers if jid.endswith("@g.us")]
    return jsonify(groups + [known[digits] | {"number": number} for number, digits in asked.items()])


@bp.post("/chat/getBase64FromMediaMessage/<name:name>")
def download(name):
    """The file of a message that came in, by the id of the message."""
    instance = authorised(name)
    message = json_body().get("message")
    key = message.get("key") if isinstance(message, dict) else None
    message_id = key.get("id") if isinstance(key, dict) else None
    if not isinstance(message_id, str) or not message_id:
        raise schema_error('instance requires property "message"')
    return jsonify({"base64": _ask(instance, "download", message_id=message_id)}), 201


@bp.get("/group/findGroupInfos/<name:name>")
def group_info(name):
    """What a group is called; of all that Evolution tells of one, this is asked for here."""
    instance = authorised(name)
    jid = request.args.get("groupJid", "")
    if not re.fullmatch(r"[\d-]+@g\.us", jid):
        raise schema_error('query requires property "groupJid"')
    return jsonify({"id": jid, "subject": _ask(instance, "group_name", jid=jid)})


def _ask(instance: Instance, command: str, **args: Any) -> Any:
    """What the engine knows or fetches. Raises Refusal."""
    try:
        session = gateway().supervisor.session(instance)
        return session.submit(command, **args).result(DOWNLOAD_SECONDS)
    except TimeoutError as error:
        raise Refusal(504, ["WhatsApp did not answer in time"]) from error
    except EngineError as error:
        if error.kind == "not_found":
            raise Refusal(400, [str(error)], code="REJECTED") from error
        raise refusal(error, "") from error


def _send(instance: Instance, content: dict[str, Any], message_type: str, command: str, **args: Any) -> Any:
    def describe(result: dict[str, Any]) -> dict[str, Any]:
        return dialect.sent_message(result, content, message_type, instance.id, instance.profile_name)

    session = gateway().supervisor.session(instance)
    message, replayed = gateway().sends.send(session, _reference(), describe, command, **args)
    return message, 201, {"X-Replayed": "1"} if replayed else {}


def _reference() -> str | None:
    given = request.headers.get("X-Reference")
    if given is not None and not 0 < len(given) <= LONGEST_REFERENCE:
        raise Refusal(400, [f"X-Reference must have 1 to {LONGEST_REFERENCE} characters"])
    return given


def _recipient(body: dict[str, Any]) -> str:
    """Digits, or a JID as it is. Raises Refusal."""
    number = body.get("number")
    if number is None:
        raise schema_error('instance requires property "number"')
    if not isinstance(number, str):
        raise schema_error("Invalid format")
    if re.fullmatch(r"[\d-]+@(g\.us|lid)", number):
        return number
    digits = _digits(number)
    if not re.fullmatch(r"\d{5,20}", digits):
        raise Refusal(400, ["number is neither a phone number nor a JID"])
    return digits


def _digits(number: str) -> str:
    return re.sub(r"[\s+().-]", "", number.removesuffix("@s.whatsapp.net"))


def _text(body: dict[str, Any], field: str) -> str | None:
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise schema_error(f"{field} is not of a type(s) string")
    return value or None


def _bytes(body: dict[str, Any]) -> bytes:
    """The file itself: no URL is ever fetched for a caller. Raises Refusal."""
    if part := request.files.get("file"):
        data = part.read()
        if data:
            return data
    media = body.get("media")
    try:
        data = base64.b64decode(media, validate=True) if isinstance(media, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise Refusal(400, ["Owned media must be a url or base64"])
    return data


def _guess(kind: str, filename: str | None) -> str:
    guessed = mimetypes.guess_type(filename)[0] if filename else None
    return guessed or ("image/jpeg" if kind == "image" else "application/octet-stream")


def _delay(body: dict[str, Any]) -> None:
    """Hold the message back as Evolution does while it shows "typing", at most ten seconds."""
    delay = body.get("delay")
    if isinstance(delay, str) and delay.isdecimal():
        delay = int(delay)
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not delay > 0:  # NaN is not
        return
    time.sleep(min(delay, LONGEST_DELAY_MS) / 1000)
