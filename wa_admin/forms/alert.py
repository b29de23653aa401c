"""What people fill in about an alert channel: where it is, and how it wants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, IntegerField, PasswordField, StringField, TimeField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from ..models import AlertChannel
from ..services import alert_urls, alerts
from . import refusals_shown_in
from .account import Choice, Form, languages, one_line, zones

LONG = Length(max=500, message=_l("This is too long."))


def needed() -> list[Any]:
    return [InputRequired(_l("Fill this in.")), LONG]


class ChannelForm(Form):
    """What all channels have. A kind adds the fields of its address, and `url()`, which may refuse."""

    name = StringField(_l("Name"), [one_line(alerts.LONGEST_NAME)])
    language = Choice(_l("Language"), lambda: languages()[1:], default="en")
    time_zone = Choice(_l("Time zone"), lambda: zones()[1:], default="UTC")
    quiet_from = TimeField(_l("Quiet from"), [Optional()])
    quiet_until = TimeField(_l("Quiet until"), [Optional()])
    allow_private = BooleanField(_l("It is on this machine or in our own network"))

    @staticmethod
    def of(channel: AlertChannel) -> dict[str, Any]:
        """What the fields hold before anybody types; the address is never shown again."""
        return {
            "name": channel.name,
            "language": channel.language or "en",
            "time_zone": channel.time_zone or "UTC",
            "quiet_from": _time(channel.quiet_from),
            "quiet_until": _time(channel.quiet_until),
            "allow_private": channel.allow_private,
        }

    def manner(self) -> alerts.Manner:
        return alerts.Manner(
            language=self.language.data or None,
            time_zone=self.time_zone.data or None,
            quiet_from=_minutes(self.quiet_from.data),
            quiet_until=_minutes(self.quiet_until.data),
            allow_private=bool(self.allow_private.data),
        )

    def url(self) -> str:
        return ""

    def validate(self, extra_validators: Any = None) -> bool:
        """The address is put together too, and what is wrong with it stands beside its field."""
        if not super().validate(extra_validators):
            return False
        if (self.quiet_from.data is None) != (self.quiet_until.data is None):
            self.quiet_until.errors = [_l("Quiet hours need a beginning and an end.")]
            return False
        with refusals_shown_in(self):
            self.url()
            return True
        return False


class EmailForm(ChannelForm):
    to = StringField(_l("Send to"), needed())
    sender = StringField(_l("From"), needed())
    host = StringField(_l("Mail server"), needed())
    port = IntegerField(
        _l("Port"),
        [
            InputRequired(_l("A port is a number from 1 to 65535.")),
            NumberRange(1, 65535, message=_l("A port is a number from 1 to 65535.")),
        ],
        default=587,
    )
    secure = Choice(
        _l("Encryption"),
        lambda: [("starttls", "STARTTLS"), ("ssl", "TLS"), ("none", _l("None"))],
        default="starttls",
    )
    user = StringField(_l("User"), [LONG])
    password = PasswordField(_l("Password"), [LONG])

    def url(self) -> str:
        return alert_urls.email(
            self.host.data.strip(),
            self.port.data,
            (self.user.data or "").strip(),
            self.password.data or "",
            self.sender.data.strip(),
            self.to.data.strip(),
            self.secure.data,
        )


class TelegramForm(ChannelForm):
    token = StringField(_l("Bot token"), needed())
    chat = StringField(_l("Chat ID"), needed())

    def url(self) -> str:
        return alert_urls.telegram(self.token.data, self.chat.data)


class AddressForm(ChannelForm):
    address = StringField(_l("Address"), needed())


class SlackForm(ChannelForm):
    address = StringField(_l("Webhook address"), needed())

    def url(self) -> str:
        return alert_urls.slack(self.address.data)


class WebhookForm(AddressForm):
    def url(self) -> str:
        return alert_urls.webhook(self.address.data)


class OtherForm(AddressForm):
    def url(self) -> str:
        return alert_urls.other(self.address.data)


class EditForm(ChannelForm):
    address = StringField(_l("New address"), [LONG])

    def url(self) -> str:
        return alert_urls.other(self.address.data) if self.address.data else ""


FORMS: Mapping[str, type[ChannelForm]] = {
    "email": EmailForm,
    "telegram": TelegramForm,
    "slack": SlackForm,
    "webhook": WebhookForm,
    "other": OtherForm,
}
KINDS: Mapping[str, Any] = {
    "email": _l("E-mail"),
    "telegram": "Telegram",
    "slack": "Slack",
    "webhook": _l("Webhook"),
    "other": _l("Discord, ntfy and others"),
}


def _minutes(at: time | None) -> int | None:
    return None if at is None else 60 * at.hour + at.minute


def _time(minutes: int | None) -> time | None:
    return None if minutes is None else time(*divmod(minutes, 60))
