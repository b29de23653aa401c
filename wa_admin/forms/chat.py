from __future__ import annotations

import hashlib

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, TextAreaField
from wtforms.validators import Length, ValidationError

from .. import plain
from ..crypto import new_token
from ..services.outbox import TEXT_LENGTH
from .message import with_plain_line_ends


class ReplyForm(FlaskForm):
    """An answer in a chat. `once` names this copy of the form, so that a second click sends nothing."""

    message = TextAreaField(
        _l("Reply"),
        [Length(max=TEXT_LENGTH, message=_l("A message may have %(max)d characters at most."))],
        filters=[with_plain_line_ends],
    )
    once = HiddenField(default=new_token)

    def validate_message(self, field: TextAreaField) -> None:
        if plain.is_blank(field.data or ""):
            raise ValidationError(_l("Write a message."))

    @property
    def key(self) -> str:
        parts = (self.once.data, self.message.data)
        return "form:" + hashlib.sha256(repr(parts).encode()).hexdigest()
