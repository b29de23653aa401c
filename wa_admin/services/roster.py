"""Which sessions a workspace has, and which one is meant by a name."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from ..extensions import db
from ..models import WhatsAppSession
from ..refusal import Refusal

AUTO = "auto"  # in the place of a session's name


class SessionNotFound(Refusal):
    code = "session_not_found"
    status = 404

    def __init__(self, names: list[str]) -> None:
        there = ", ".join(names)
        if names:
            super().__init__(
                _l("There is no such session. There are: %(names)s.", names=there), field="session_id"
            )
        else:
            super().__init__(_l("There is no session yet. Add one first."), field="session_id")


class SessionInactive(Refusal):
    code = "session_inactive"
    status = 409

    def __init__(self, wa_session: WhatsAppSession, active: list[str]) -> None:
        super().__init__(
            _l(
                "“%(name)s” is switched off. Switch it on, or use one of: %(names)s.",
                name=wa_session.name,
                names=", ".join(active) or "–",
            ),
            field="session_id",
        )


def listed(workspace_id: int) -> list[WhatsAppSession]:
    """The default one first, then the oldest."""
    return WhatsAppSession.of_workspace(workspace_id)


def default(workspace_id: int) -> WhatsAppSession | None:
    """The one used when none is named; None only while there is no session."""
    return WhatsAppSession.default(workspace_id)


def find(workspace_id: int, key: str | int) -> WhatsAppSession:
    """By number, session_id or name. Raises SessionNotFound, which lists the names there are."""
    text = str(key)
    found = None
    if text.isdecimal() and len(text) < 10:
        found = db.session.scalar(select(WhatsAppSession).filter_by(workspace_id=workspace_id, id=int(text)))
    found = found or WhatsAppSession.named(workspace_id, text)
    if found is None:
        raise SessionNotFound([other.name for other in listed(workspace_id)])
    return found


def to_send_from(workspace_id: int, name: str | None) -> WhatsAppSession:
    """The session named, the least busy one for “auto”, else the default one.

    Raises SessionNotFound, SessionInactive.
    """
    if name == AUTO:
        found = _least_busy(workspace_id) or default(workspace_id)
    else:
        found = find(workspace_id, name) if name else default(workspace_id)
    if found is None:
        raise SessionNotFound([])
    if not found.is_active:
        raise SessionInactive(found, [other.name for other in listed(workspace_id) if other.is_active])
    return found


def _least_busy(workspace_id: int) -> WhatsAppSession | None:
    able = [one for one in listed(workspace_id) if one.can_send]
    return min(able, key=lambda one: one.waiting_count, default=None)
