"""What the fields of a session may hold, and how what people type is read."""

from __future__ import annotations

import re
import unicodedata

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import phone, plain
from ..app import settings
from ..extensions import db
from ..models import WhatsAppSession
from ..refusal import Refusal
from .spread import AUTO

SESSION_ID = re.compile(r"[a-z0-9_-]{1,64}")
NAME_LENGTH, DESCRIPTION_LENGTH = 80, 500


def read(
    *,
    name: str | None = None,
    session_id: str | None = None,
    phone_number: str | None = None,
    description: str | None = None,
) -> dict[str, str | None]:
    """The columns for what is given; None leaves one out. Raises Refusal about a field."""
    columns: dict[str, str | None] = {}
    if name is not None:
        name = read_name(name)
        columns |= {"name": name, "name_key": name.casefold()}
    if session_id is not None:
        columns["session_id"] = columns["instance"] = read_session_id(session_id)
    if phone_number is not None:
        columns["phone_number"] = read_expected_number(phone_number)
    if description is not None:
        columns["description"] = read_description(description)
    return columns


def read_name(text: str) -> str:
    """1 to 80 characters that can be shown, composed (NFC). Raises Refusal about `name`."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise Refusal(
            _l("Give the session a name, such as “Support line”."), code="name_missing", field="name"
        )
    if len(name) > NAME_LENGTH:
        raise Refusal(
            _l("The name may have %(count)s characters at most.", count=NAME_LENGTH),
            code="name_too_long",
            field="name",
        )
    is_odd = any(unicodedata.category(letter).startswith("C") and letter != "\u200d" for letter in name)
    if name.casefold() == AUTO:
        raise Refusal(
            _l("“auto” stands for any session. Choose another name."), code="name_bad", field="name"
        )
    if is_odd or plain.is_blank(name):
        raise Refusal(_l("The name holds characters that cannot be shown."), code="name_bad", field="name")
    return name


def read_session_id(text: str) -> str:
    """The gateway's identifier as it is. Raises Refusal about `session_id`."""
    if not SESSION_ID.fullmatch(text) or text == AUTO:
        raise Refusal(
            _l("A session ID has 1 to 64 small letters, digits, “-” and “_”, and is not “auto”."),
            code="session_id_bad",
            field="session_id",
        )
    return text


def read_description(text: str) -> str:
    """Up to 500 plain characters. Raises Refusal about `description`."""
    text = text.strip()
    if len(text) > DESCRIPTION_LENGTH or not plain.is_storable(text):
        raise Refusal(
            _l("The description may have %(count)s plain characters at most.", count=DESCRIPTION_LENGTH),
            code="description_bad",
            field="description",
        )
    return text


def read_expected_number(text: str | None) -> str | None:
    """Digits with the country code; None for nothing. Raises BadNumber about `phone_number`."""
    if not text or not text.strip():
        return None
    try:
        return phone.digits(text, settings().default_region)
    except phone.BadNumber as error:
        error.field = "phone_number"
        raise


def free_session_id(gateway_id: int, name: str) -> str:
    """An identifier made from the name that no other session of this gateway has."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:50] or "session"
    taken = set(db.session.scalars(select(WhatsAppSession.session_id).filter_by(gateway_id=gateway_id)))
    number, candidate = 1, base
    while candidate in taken:
        number += 1
        candidate = f"{base}_{number}"
    return candidate
