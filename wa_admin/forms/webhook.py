"""An app's address, and what it wants to hear of."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import SelectChoice, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from ..services import subscriptions, tidings
from ..vocabulary import TIDINGS
from .account import Form, one_line

TOO_LONG = _l("This is too long.")


class Events(SelectMultipleField):
    """Check boxes, one for each kind of event."""

    data: Any
    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, label: Any, **more: Any) -> None:
        super().__init__(label, choices=[SelectChoice(kind, TIDINGS[kind]) for kind in tidings.KINDS], **more)

    def pre_validate(self, form: Any) -> None:
        """A kind that is none is left out; `subscriptions` says so when nothing is left."""
        self.data = [kind for kind in self.data or [] if kind in tidings.KINDS]


class WebhookForm(Form):
    name = StringField(_l("Name"), [one_line(subscriptions.LONGEST_NAME)])
    url = StringField(
        _l("Address"),
        [InputRequired(_l("Fill this in.")), Length(max=subscriptions.LONGEST_URL, message=TOO_LONG)],
    )
    events = Events(_l("Tell it of"), default=list(tidings.KINDS))


class WebhookEditForm(Form):
    name = StringField(_l("Name"), [one_line(subscriptions.LONGEST_NAME)])
    url = StringField(_l("New address"), [Length(max=subscriptions.LONGEST_URL, message=TOO_LONG)])
    events = Events(_l("Tell it of"))
