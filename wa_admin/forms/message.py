from __future__ import annotations

import hashlib
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

from ..crypto import new_token
from ..models import WhatsAppSession

LONGEST_TEXT = 65_536  # what WhatsApp takes
NO_LIMIT = 0
VALID_FOR = [
    (NO_LIMIT, _l("As long as it takes")),
    (5 * 60, _l("5 minutes, as for a login code")),
    (60 * 60, _l("1 hour")),
    (6 * 60 * 60, _l("6 hours")),
    (24 * 60 * 60, _l("1 day")),
]


def _with_plain_line_ends(text: str | None) -> str | None:
    """Browsers post CR LF, which phones would show as two lines."""
    return text.replace("\r\n", "\n") if text else text


class ComposeForm(FlaskForm):
    """One message to one recipient. `once` names this copy of the form: a second click sends nothing."""

    to = StringField(
        _l("To"),
        [
            DataRequired(_l("Enter a phone number.")),
            Length(max=128, message=_l("This is too long for a number.")),
        ],
    )
    text = TextAreaField(
        _l("Message"),
        [Length(max=LONGEST_TEXT, message=_l("WhatsApp takes at most %(max)d characters."))],
        filters=[_with_plain_line_ends],
    )
    file = FileField(_l("Image or document"))
    valid_for = SelectField(_l("Worth sending for"), coerce=int, choices=VALID_FOR, default=NO_LIMIT)
    session = SelectField(_l("Session"))
    once = HiddenField(default=new_token)

    def __init__(self, sessions: list[WhatsAppSession], **prefilled: Any) -> None:
        super().__init__(data=prefilled)
        if len(sessions) > 1:
            self.session.choices = [(one.name, one.name) for one in sessions]
        else:
            del self.session

    def validate_text(self, field: TextAreaField) -> None:
        if not (field.data or "").strip() and not self.file.data:
            raise ValidationError(_l("Write a text, or attach a file."))

    @property
    def session_name(self) -> str | None:
        return self.session.data if "session" in self else None

    @property
    def valid_for_seconds(self) -> int | None:
        return self.valid_for.data or None

    @property
    def key(self) -> str:
        """The same form with the same content is the same message; with another content it is a new one."""
        parts = (self.once.data, self.to.data, self.text.data, self.file.data and self.file.data.filename)
        return "form:" + hashlib.sha256(repr(parts).encode()).hexdigest()
