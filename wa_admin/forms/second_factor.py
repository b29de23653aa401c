"""What people fill in to show, or to set up, a second factor."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired, Length

from ..services import passkeys
from .account import Form, one_line

_code = [InputRequired(_l("Type the code.")), Length(max=100, message=_l("This is too long."))]


class CodeForm(Form):
    """The second step of a login."""

    code = StringField(_l("Code"), _code)
    next = HiddenField()


class AppForm(Form):
    """The first code of an authenticator app, for the secret that was shown."""

    code = StringField(_l("Code that the app shows now"), _code)
    sealed = HiddenField()


class PasskeyForm(Form):
    """A new passkey; `credential` is filled in by the browser."""

    name = StringField(_l("Name"), [one_line(passkeys.LONGEST_NAME)])
    credential = HiddenField()
