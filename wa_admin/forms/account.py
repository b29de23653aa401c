"""What people fill in about themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytz
from flask import request
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, Field, HiddenField, PasswordField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, StopValidation

from .. import passwords, plain, vocabulary, words
from ..refusal import Refusal
from ..services import users

# where most of our readers live; every other zone follows by name
COMMON_ZONES = (
    "Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", "Asia/Pontianak", "America/Sao_Paulo", "America/Manaus",
    "America/Fortaleza", "America/Cuiaba", "America/Rio_Branco", "America/Noronha", "Asia/Singapore",
    "Asia/Kuala_Lumpur", "Asia/Kolkata", "Europe/Lisbon", "Europe/London", "Europe/Berlin", "UTC",
)  # fmt: skip
ZONES = (*COMMON_ZONES, *(zone for zone in pytz.common_timezones if zone not in COMMON_ZONES))
AUTOMATIC = ""
Pairs = list[tuple[str, Any]]


class Form(FlaskForm):
    """Takes text only: a file where a text belongs counts as nothing."""

    def __init__(self, sent: bool = True, **values: Any) -> None:
        """`sent` False: the request is about another form of the page."""
        super().__init__(request.form if sent and request.method == "POST" else None, data=values)


class Choice(SelectField):
    """One of a list, given as pairs of value and label."""

    def __init__(self, label: Any, pairs: Callable[[], Pairs], **more: Any) -> None:
        super().__init__(
            label,
            choices=lambda: [SelectChoice(value, text) for value, text in pairs()],
            invalid_choice_message=_l("Choose one of the list."),
            **more,
        )
        self.pairs = pairs


def fit(check: Callable[[str], str]) -> Callable[[Any, Field], None]:
    """A validator from a service's own check, so that form, API and command line agree."""

    def validate(_form: Any, field: Field) -> None:
        try:
            field.data = check(field.data or "")
        except Refusal as refusal:
            raise StopValidation(str(refusal)) from None

    validate.field_flags = {"required": True}  # type: ignore[attr-defined]
    return validate


def one_line(longest: int, field: str = "name") -> Callable[[Any, Field], None]:
    return fit(lambda text: plain.line(text, longest, field=field))


def fit_password(form: Any, field: Field) -> None:
    own = [form[name].data or "" for name in ("email", "name") if name in form]
    fit(lambda text: passwords.checked(text, own))(form, field)


def typed() -> list[Any]:
    """For a password that exists: whether it fits is for the service to say."""
    return [InputRequired(_l("Type the password.")), Length(max=1000, message=_l("This is too long."))]


def zones() -> Pairs:
    return [(AUTOMATIC, _l("As the browser says")), *((zone, zone.replace("_", " ")) for zone in ZONES)]


def languages() -> Pairs:
    return [(AUTOMATIC, _l("As the browser says")), *words.languages().items()]


class LoginForm(Form):
    email = EmailField(
        _l("E-mail"),
        [InputRequired(_l("Type your e-mail address.")), Length(max=254, message=_l("This is too long."))],
    )
    password = PasswordField(_l("Password"), typed())
    next = HiddenField()


class ProofForm(Form):
    password = PasswordField(_l("Your password"), typed())
    next = HiddenField()


class SetupForm(Form):
    name = StringField(_l("Your name"), [one_line(users.LONGEST_NAME)])
    email = EmailField(_l("E-mail"), [fit(users.checked_email)])
    password = PasswordField(_l("Password"), [fit_password])
    language = Choice(_l("Language"), languages, default=AUTOMATIC)
    time_zone = Choice(_l("Time zone"), zones, default=AUTOMATIC)
    token = HiddenField()


class ProfileForm(Form):
    name = StringField(_l("Your name"), [one_line(users.LONGEST_NAME)])
    language = Choice(_l("Language"), languages, default=AUTOMATIC)
    time_zone = Choice(_l("Time zone"), zones, default=AUTOMATIC)
    theme = Choice(_l("Appearance"), lambda: list(vocabulary.THEMES.items()))


class PasswordForm(Form):
    password = PasswordField(_l("Current password"), typed())
    new_password = PasswordField(_l("New password"))

    def __init__(self, own_words: Iterable[str], sent: bool = True) -> None:
        super().__init__(sent)
        self.own_words = tuple(own_words)

    def validate_new_password(self, field: Field) -> None:
        fit(lambda text: passwords.checked(text, self.own_words))(self, field)
