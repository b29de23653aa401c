"""How each kind of gateway proves that a webhook is its own."""

import hmac
import json

from wa_admin.services import gateways

PROOFS = {
    "bundled": "Authorization",
    "evolution": "Authorization",
    "gowa": "X-Hub-Signature-256",
    "waha": "X-Webhook-Hmac",
    "wa_gateway": "key",
    "wwebjs": "x-api-key",
}
KEY = "the-key"


def proof(gateway, body):
    """The header for this body; none for a kind that sends no webhooks."""
    (key, *_), kind = gateways.access(gateway).sign_keys, gateway.kind
    if kind not in PROOFS:
        return {}
    made = {
        "gowa": lambda: "sha256=" + hmac.new(key.encode(), body, "sha256").hexdigest(),
        "waha": lambda: hmac.new(key.encode(), body, "sha512").hexdigest(),
        "bundled": lambda: token(key, _instance(body)),
        "evolution": lambda: token(key, _instance(body)),
    }
    return {PROOFS[kind]: made.get(kind, lambda: KEY)()}


def token(key, instance):
    """What a webhook of this session bears on Evolution and the bundled gateway."""
    return "Bearer " + hmac.new(key.encode(), f"webhooks of {instance}".encode(), "sha256").hexdigest()


def address():
    """The path where the gateway that there is reports to."""
    return "/hooks/" + gateways.hook_url(gateways.of_workspace()).split("/hooks/")[1]


def bearing(instance="support_line"):
    """The headers of what it reports about this session."""
    (key, *_) = gateways.access(gateways.of_workspace()).sign_keys
    return {"Authorization": token(key, instance)}


def _instance(body):
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    name = str(said.get("instance")) if isinstance(said, dict) else ""
    return name.encode("utf-8", "replace").decode().replace("\0", "?")
