from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from .. import phone
from ..models import WhatsAppSession
from ..services import gateways
from ..services.session_fields import DESCRIPTION_LENGTH, NAME_LENGTH


class SessionForm(FlaskForm):
    """Fields are named as the service names them in its refusals; it checks their contents."""

    # a form that came without its fields must not pass for one with an empty box
    name = StringField(
        _l("Name"),
        [InputRequired(_l("Give the session a name, such as “Support line”.")), Length(max=NAME_LENGTH)],
    )
    phone_number = StringField(_l("Phone number"), [Length(max=128)])
    session_id = StringField(_l("Session ID"), [Length(max=64)])
    description = TextAreaField(_l("Description"), [Length(max=DESCRIPTION_LENGTH)])
    is_active = BooleanField(_l("Use this session"), default=True)
    gateway = SelectField(_l("Gateway"), choices=lambda: _gateways(), validate_choice=False)

    @staticmethod
    def of(wa_session: WhatsAppSession) -> dict[str, Any]:
        """What the fields hold before anybody types."""
        return {
            "name": wa_session.name,
            "phone_number": phone.for_reading(wa_session.phone_number),
            "session_id": wa_session.session_id,
            "description": wa_session.description,
            "is_active": wa_session.is_active,
        }

    def values(self) -> dict[str, Any]:
        return {
            "name": self.name.data or "",
            "phone_number": self.phone_number.data or "",
            "session_id": (self.session_id.data or "").strip() or None,
            "description": self.description.data or "",
            "is_active": bool(self.is_active.data),
        }


def _gateways() -> list[SelectChoice]:
    return [SelectChoice(one.name, one.name) for one in gateways.listed()]
