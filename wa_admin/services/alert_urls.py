"""What people know of a channel, put into the one form that apprise reads."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from flask_babel import lazy_gettext as _l

from ..refusal import Refusal

LONGEST = 2000


class BadAddress(Refusal):
    """An alert cannot be sent where this points to."""

    code = "bad_address"
    status = 422

    def __init__(self, sentence: object = None, field: str = "address") -> None:
        super().__init__(sentence or _l("This is no address that alerts can be sent to."), field=field)


def email(host: str, port: int, user: str, password: str, sender: str, to: str, secure: str) -> str:
    """`secure` is starttls, ssl or none. Raises BadAddress."""
    if not host or any(char in host for char in "/?#@ "):
        raise BadAddress(_l("Type the name of the mail server, such as smtp.example.com."), "host")
    schema = "mailto" if secure == "none" else "mailtos"
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    query = {"from": sender, "to": to, "smtp": host, "format": "text"}
    if secure != "none":
        query["mode"] = secure
    return f"{schema}://{login}{host}:{port}/?{urlencode(query)}"


def telegram(token: str, chat: str) -> str:
    """Raises BadAddress."""
    number, _colon, secret = token.strip().partition(":")
    if not number.isdigit() or len(secret) < 20:
        raise BadAddress(_l("This is no bot token. BotFather gives one like 123456789:AbC…"), "token")
    return f"tgram://{quote(token.strip(), safe=':')}/{quote(chat.strip(), safe='@-')}/?format=text"


def slack(url: str) -> str:
    """Raises BadAddress."""
    if not url.strip().startswith("https://hooks.slack.com/services/"):
        raise BadAddress(_l("A Slack webhook begins with https://hooks.slack.com/services/."))
    return url.strip()


def webhook(url: str) -> str:
    """A POST with JSON to this address. Raises BadAddress."""
    parts = _parts(url)
    if parts.scheme not in ("http", "https"):
        raise BadAddress(_l("Type an address that begins with https:// or http://."))
    schema = "jsons" if parts.scheme == "https" else "json"
    query = urlencode([(f"-{name}", value) for name, value in parse_qsl(parts.query, keep_blank_values=True)])
    return f"{schema}://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def other(url: str) -> str:
    """apprise's own form, or an address that it knows, such as Discord's. Raises BadAddress."""
    url = url.strip()
    if not _parts(url).scheme or len(url) > LONGEST:
        raise BadAddress
    return url


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        is_whole = parts.scheme not in ("http", "https") or bool(parts.hostname and parts.port != 0)
    except ValueError:
        raise BadAddress from None
    if not is_whole or not url.strip().isprintable():
        raise BadAddress
    return parts
