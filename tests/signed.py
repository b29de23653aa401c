"""How each kind of gateway proves that a webhook is its own."""

import hmac

from wa_admin.services import gateways

PROOFS = {"gowa": "X-Hub-Signature-256", "waha": "X-Webhook-Hmac", "wa_gateway": "key", "wwebjs": "x-api-key"}
KEY = "the-key"


def proof(gateway, body):
    """The header for this body; nothing where the secret in the URL is all there is."""
    (key, *_), kind = gateways.access(gateway).sign_keys, gateway.kind
    proofs = {
        "gowa": "sha256=" + hmac.new(key.encode(), body, "sha256").hexdigest(),
        "waha": hmac.new(key.encode(), body, "sha512").hexdigest(),
    }
    return {PROOFS[kind]: proofs.get(kind, KEY)} if kind in PROOFS else {}
