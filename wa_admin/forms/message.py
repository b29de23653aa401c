from __future__ import annotations

import hashlib
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import HiddenField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, ValidationError

from .. import phone, plain
from ..app import settings
from ..crypto import new_token
from ..models import WhatsAppSession
from ..services.attachments import NewAttachment
from ..services.outbox import TEXT_LENGTH
from . import refusals_as_errors

NO_LIMIT = 0
VALID_FOR = [
    SelectChoice(NO_LIMIT, _l("As long as it takes")),
    SelectChoice(5 * 60, _l("5 minutes, as for a login code")),
    SelectChoice(60 * 60, _l("1 hour")),
    SelectChoice(6 * 60 * 60, _l("6 hours")),
    SelectChoice(24 * 60 * 60, _l("1 day")),
]

NO_SUCH_CHOICE = dict.fromkeys(
    ("invalid_value_message", "invalid_choice_message"), _l("Choose one of the list.")
)


def with_plain_line_ends(text: str | None) -> str | None:
    """Browsers post CR LF, which phones would show as two lines."""
    return text.replace("\r\n", "\n") if text else text


def _posted() -> CombinedMultiDict[str, Any] | None:
    """What was filled in; a file where a text belongs counts as nothing."""
    if request.method != "POST":
        return None
    return CombinedMultiDict(
        [request.form, MultiDict([("media", file) for file in request.files.getlist("media")])]
    )


class ComposeForm(FlaskForm):
    """One message to one recipient; fields are named as the outbox names them in its refusals.

    `once` names this copy of the form, so that a second click sends nothing.
    """

    recipient = StringField(
        _l("To"),
        [
            DataRequired(_l("Enter a phone number.")),
            Length(max=128, message=_l("This is too long for a number.")),
        ],
    )
    message = TextAreaField(
        _l("Message"),
        [Length(max=TEXT_LENGTH, message=_l("A message may have %(max)d characters at most."))],
        filters=[with_plain_line_ends],
    )
    media = FileField(_l("Image or document"))
    valid_for_seconds = SelectField(
        _l("If it cannot leave at once, keep trying for"),
        coerce=int,
        choices=VALID_FOR,
        default=NO_LIMIT,
        **NO_SUCH_CHOICE,
    )
    session_id = SelectField(_l("Send from"), coerce=int, **NO_SUCH_CHOICE)  # its number
    once = HiddenField(default=new_token)

    attached: NewAttachment | None = None  # the file, once it was looked at

    def __init__(self, sessions: list[WhatsAppSession], **prefilled: Any) -> None:
        super().__init__(_posted(), data=prefilled)
        if len(sessions) > 1:
            self.session_id.choices = [SelectChoice(one.id, one.name) for one in sessions]
        else:
            del self.session_id

    def validate_recipient(self, field: StringField) -> None:
        with refusals_as_errors():
            phone.recipient(field.data, settings().default_region)

    def validate_message(self, field: TextAreaField) -> None:
        if plain.is_blank(field.data or "") and not self.media.data:
            raise ValidationError(_l("Write a text, or attach a file."))

    def validate_media(self, field: FileField) -> None:
        if field.data:
            with refusals_as_errors():
                self.attached = NewAttachment.read(field.data.read(), field.data.filename)

    @property
    def session_name(self) -> int | None:
        """The chosen session by its number, which no name of another can be mistaken for."""
        return self.session_id.data if "session_id" in self else None

    @property
    def key(self) -> str:
        """The same form with the same content is the same message; with another content it is a new one."""
        file = self.attached and hashlib.sha256(self.attached.content).hexdigest()
        parts = (self.once.data, self.recipient.data, self.message.data, self.session_name, file)
        return "form:" + hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def first_error(self) -> str:
        """What to read out to somebody who cannot see the fields."""
        listed = [error for errors in self.errors.values() for error in errors]
        return str(listed[0]) if listed else ""
