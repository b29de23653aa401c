"""Evolution's words: how our events, messages and codes look in its bodies (2.3.6, recorded)."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import qrcode  # type: ignore[import-untyped]
from qrcode.image.pure import PyPNGImage  # type: ignore[import-untyped]

DEFAULT_SETTINGS: dict[str, Any] = {
    "rejectCall": False,
    "msgCall": "",
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "wavoipToken": "",
}

EVENT_NAMES = (
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "PRESENCE_UPDATE",
    "CHATS_SET",
    "CHATS_UPSERT",
    "CHATS_UPDATE",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
    "TYPEBOT_START",
    "TYPEBOT_CHANGE_STATUS",
    "REMOVE_INSTANCE",
    "LOGOUT_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "STATUS_INSTANCE",
)

# Baileys' DisconnectReason numbers; 428 is what Evolution says for a connection that was closed
STATUS_REASONS = {
    None: 200,
    "logged_out": 401,
    "banned": 403,
    "outdated": 405,
    "network": 408,
    "qr_expired": 428,
    "stopped": 428,
    "replaced": 440,
    "auth_failure": 500,
    "passkey_required": 500,
    "crashed": 500,
}

# whatsmeow's receipts in Evolution's words
RECEIPTS = {
    "sent": "SERVER_ACK",
    "delivered": "DELIVERY_ACK",
    "read": "READ",
    "played": "PLAYED",
    "failed": "ERROR",
}


def iso(timestamp: float) -> str:
    """2026-11-21T02:03:10.789Z"""
    moment = datetime.fromtimestamp(timestamp, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_iso() -> str:
    return iso(time.time())


def user_of(jid: str | None) -> str | None:
    """The number in front of a JID, or None for a LID or nothing."""
    if not jid or not jid.endswith("@s.whatsapp.net"):
        return None
    return jid.partition("@")[0].partition(":")[0]


@dataclass(frozen=True)
class Code:
    """One QR code of a link attempt; a secret."""

    text: str
    sequence: int
    lifetime_seconds: float
    expires_at: float

    @cached_property
    def picture(self) -> str:
        """A data: URI, PNG, at least 300 pixels wide as Evolution's."""
        drawing = qrcode.QRCode(border=4, box_size=6, error_correction=qrcode.constants.ERROR_CORRECT_L)
        drawing.add_data(self.text)
        drawing.make(fit=True)
        png = io.BytesIO()
        drawing.make_image(image_factory=PyPNGImage).save(png)
        return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()

    def timing(self) -> dict[str, Any]:
        return {
            "count": self.sequence,
            "expiresAt": iso(self.expires_at),
            "lifetimeSeconds": self.lifetime_seconds,
        }


def code_body(code: Code | None, pairing_code: str | None) -> dict[str, Any]:
    """The answer of connect; {"count": 0} when WhatsApp gave no code yet."""
    if code is None:
        return {"count": 0} if pairing_code is None else {"pairingCode": pairing_code, "count": 0}
    return {"pairingCode": pairing_code, "code": code.text, "base64": code.picture, **code.timing()}


QR_LIMIT = {"message": "QR code limit reached, please login again", "statusCode": 500}


def sent_message(
    result: dict[str, Any], content: dict[str, Any], kind: str, instance_id: str, push_name: str | None
) -> dict[str, Any]:
    """The answer of a send, and the data of `send.message`."""
    return {
        "key": {"remoteJid": result["jid"], "fromMe": True, "id": result["id"]},
        "pushName": push_name or "",
        "status": "PENDING",
        "message": content,
        "contextInfo": {"mentionedJid": [], "groupMentions": []},
        "messageType": kind,
        "messageTimestamp": int(result["at"]),
        "instanceId": instance_id,
        "source": "web",
    }


def received_message(event: dict[str, Any], instance_id: str) -> dict[str, Any]:
    """`messages.upsert`; the phone number comes first when it is known, as since 2.3.7."""
    chat, alternative = event["chat"], event.get("chat_alt") or ""
    if chat.endswith("@lid") and alternative.endswith("@s.whatsapp.net"):
        chat, alternative = alternative, chat
    key = {
        "remoteJid": chat,
        "remoteJidAlt": alternative,
        "fromMe": event["from_me"],
        "id": event["id"],
        "participant": event["sender"] if event["group"] else "",
        "addressingMode": "lid" if chat.endswith("@lid") else "pn",
    }
    if event["group"] and event.get("sender_alt"):
        key["participantAlt"] = event["sender_alt"]
    more: dict[str, Any] = {}
    if quoted := event.get("quoted"):
        more["contextInfo"] = {"quotedMessage": {"conversation": quoted}}
    if group_name := event.get("group_name"):
        more["groupSubject"] = group_name  # ours alone
    return {
        "key": key,
        "pushName": event.get("push_name") or "",
        "status": "DELIVERY_ACK",
        "message": _content(event),
        "messageType": event["type"],
        "messageTimestamp": int(event["at"]),
        "instanceId": instance_id,
        "source": "web",
        **more,
    }


def receipt_update(message_id: str, chat: str, status: str, instance_id: str) -> dict[str, Any]:
    """`messages.update`; we keep no messages, so `messageId` repeats `keyId`."""
    return {
        "keyId": message_id,
        "remoteJid": chat,
        "fromMe": True,
        "status": status,
        "instanceId": instance_id,
        "messageId": message_id,
    }


def _content(event: dict[str, Any]) -> dict[str, Any]:
    text = event.get("text")
    if event["type"] == "conversation":
        return {"conversation": text or ""}
    if event["type"] == "reactionMessage":
        return {"reactionMessage": {"text": text or ""}}
    content = {"caption": text} if text else {}
    if file := event.get("file"):
        content["mimetype"] = file["mimetype"]
        if name := file.get("filename"):
            content["fileName"] = name
        if size := file.get("size_bytes"):
            content["fileLength"] = {"low": size, "high": 0, "unsigned": True}
    return {event["type"]: content}
