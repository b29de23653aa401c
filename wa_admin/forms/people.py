"""What is filled in about other people, about the apps that call, and about workspaces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from wtforms import EmailField, Field, PasswordField, SelectChoice, SelectMultipleField, StringField

from .. import vocabulary
from ..models import Role, WhatsAppSession
from ..permissions import KEY_SCOPES, Permission
from ..services import api_keys, users, workspaces
from .account import AUTOMATIC, Choice, Form, Pairs, fit, fit_password, languages, one_line, typed, zones

ROLES: Pairs = [(role.value, sentence) for role, sentence in vocabulary.ROLE_SENTENCES.items()]
ALL, SOME = "all", "some"
NEVER = "never"
LIFETIMES_DAYS = (30, 90, 365)


class ManyOf(SelectMultipleField):
    """Some of a list, as boxes to tick."""

    def __init__(self, label: Any, pairs: Sequence[tuple[Any, Any]] = (), **more: Any) -> None:
        super().__init__(label, validate_choice=True, **more)
        self.offer(pairs)

    def offer(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        self.pairs = list(pairs)
        self.choices = [SelectChoice(value, text) for value, text in pairs]


class WithSessions(Form):
    """Beside the rest: all sessions, or only some of them."""

    sees = Choice(
        _l("Sessions"),
        lambda: [(ALL, _l("All sessions, those to come too")), (SOME, _l("Only these:"))],
        default=ALL,
    )
    sessions = ManyOf(_l("Sessions"), coerce=int)

    def __init__(self, there: list[WhatsAppSession], sent: bool = True, **values: Any) -> None:
        super().__init__(sent, **values)
        self.sessions.offer([(one.id, one.name) for one in there])

    @property
    def session_ids(self) -> list[int] | None:
        """None for all."""
        return self.sessions.data or [] if self.sees.data == SOME else None


class AssignmentForm(WithSessions):
    pass


class InvitationForm(WithSessions):
    email = EmailField(_l("E-mail"), [fit(users.checked_email)])
    role = Choice(_l("Role"), lambda: ROLES, default=Role.OPERATOR.value)


class PersonForm(Form):
    name = StringField(_l("Name"), [one_line(users.LONGEST_NAME)])
    email = EmailField(_l("E-mail"), [fit(users.checked_email)])
    role = Choice(_l("Role"), lambda: ROLES, default=Role.OPERATOR.value)
    password = PasswordField(_l("First password"))

    def validate_password(self, field: Field) -> None:
        if field.data:
            fit_password(self, field)


class RoleForm(Form):
    role = Choice(_l("Role"), lambda: ROLES)


class JoinForm(Form):
    """For somebody new."""

    name = StringField(_l("Your name"), [one_line(users.LONGEST_NAME)])
    password = PasswordField(_l("Password"), [fit_password])
    language = Choice(_l("Language"), languages, default=AUTOMATIC)
    time_zone = Choice(_l("Time zone"), zones, default=AUTOMATIC)


class KnownForm(Form):
    """For somebody who has an account and cannot log in."""

    password = PasswordField(_l("Your password"), typed())


class KeyForm(WithSessions):
    name = StringField(_l("Name"), [one_line(api_keys.LONGEST_NAME)])
    scopes = ManyOf(
        _l("The app may"),
        [(scope, vocabulary.SCOPES[scope]) for scope in KEY_SCOPES],
        default=[Permission.LOOK, Permission.SEND],
    )
    expires = Choice(_l("Works"), lambda: _lifetimes(), default=NEVER)

    def expires_at(self, now: datetime) -> datetime | None:
        return None if self.expires.data == NEVER else now + timedelta(days=int(self.expires.data))


class WorkspaceForm(Form):
    name = StringField(_l("Name"), [one_line(workspaces.LONGEST_NAME)])


def _lifetimes() -> Pairs:
    days = [(str(one), ngettext("For %(num)s day", "For %(num)s days", one)) for one in LIFETIMES_DAYS]
    return [(NEVER, _l("Until it is revoked")), *days]
