"""A gateway: where it is, and what it wants to be shown."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, PasswordField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import Length

from ..models import Gateway
from ..services import gateway_settings, gateways
from .account import Form, one_line

ADDRESS = {
    "waha": "http://127.0.0.1:3000", "gowa": "http://127.0.0.1:3000", "evolution": "http://127.0.0.1:8080",
    "wa_gateway": "http://127.0.0.1:5001", "wwebjs": "http://127.0.0.1:3000", "webhook": "",
}  # fmt: skip
# where each gateway keeps the key that it wants
KEYS: dict[str, Any] = {
    "waha": _l("What its WAHA_API_KEY holds."),
    "gowa": _l("User and password of its APP_BASIC_AUTH, as user:password."),
    "evolution": _l("What its AUTHENTICATION_API_KEY holds."),
    "wa_gateway": _l("What its KEY holds."),
    "wwebjs": _l("What its API_KEY holds."),
}
URLS: dict[str, Any] = {
    "create": _l("Address to create a session"),
    "connect": _l("Address to connect it"),
    "status": _l("Address to ask for its status"),
    "disconnect": _l("Address to disconnect it"),
    "send": _l("Address to send a message"),
}


class GatewayForm(Form):
    """For one that is added; fields are named as the service names them in its refusals."""

    name = StringField(_l("Name"), [one_line(gateway_settings.LONGEST_NAME)])
    base_url = StringField(_l("Address"), [Length(max=500)])
    url_create = StringField(URLS["create"], [Length(max=1000)])
    url_connect = StringField(URLS["connect"], [Length(max=1000)])
    url_status = StringField(URLS["status"], [Length(max=1000)])
    url_disconnect = StringField(URLS["disconnect"], [Length(max=1000)])
    url_send = StringField(URLS["send"], [Length(max=1000)])
    key = PasswordField(_l("Key"), [Length(max=gateway_settings.LONGEST_KEY)])
    header = StringField(_l("Extra header"), [Length(max=1100)])
    ca_pem = TextAreaField(_l("Certificate of its CA"), [Length(max=gateway_settings.LONGEST_CA)])
    allow_private = BooleanField(_l("It may live on this machine or in a private network"))

    def where(self) -> dict[str, Any]:
        """What both adding and changing give to the service."""
        return {
            "name": self.name.data,
            "base_url": (self.base_url.data or "").strip(),
            "urls": {action: self[f"url_{action}"].data or "" for action in gateways.URLS},
            "ca_pem": self.ca_pem.data or "",
            "allow_private": bool(self.allow_private.data),
        }


class GatewayEditForm(GatewayForm):
    """Addresses with keys in them and the header are written here, and never shown."""

    key = None  # type: ignore[assignment]
    keeps_header = BooleanField(_l("Keep the extra header that it has"))

    @staticmethod
    def of(gateway: Gateway) -> dict[str, Any]:
        return {
            "name": gateway.name,
            "base_url": gateway.base_url,
            "ca_pem": gateway.ca_pem or "",
            "allow_private": gateway.allow_private,
            "keeps_header": gateway.sealed_header is not None,
        }


class KeyForm(Form):
    key = PasswordField(_l("New key"), [Length(max=gateway_settings.LONGEST_KEY)])


class RemovalForm(Form):
    """`move_to` is asked for while sessions live on it."""

    move_to = SelectField(_l("Where its sessions go"), validate_choice=False)

    def __init__(self, others: list[Gateway]) -> None:
        super().__init__()
        self.move_to.choices = [SelectChoice(one.name, one.name) for one in others]


def urls_of(form: GatewayForm) -> list[Field]:
    return [form[f"url_{action}"] for action in gateways.URLS]
