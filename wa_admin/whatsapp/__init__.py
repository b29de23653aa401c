"""What app code calls: send a message, look at a session, link one.

    from wa_admin import send_whatsapp_message
    send_whatsapp_message("+62 812-3456-7890", "Halo")

Inside wa-admin's own application context the services are called; anywhere else the panel is asked over
HTTP at WA_PANEL_URL with WA_API_KEY. Results and errors are the same: `help(WhatsAppError)` draws the
family. Importing this loads neither Flask nor SQLAlchemy.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .errors import (
    BadAnswer,
    BadMessage,
    BadRecipient,
    KeyReused,
    LinkFailed,
    NoSession,
    NotAllowed,
    NotConfigured,
    PanelBusy,
    PanelError,
    PanelUnreachable,
    Refused,
    SessionInactive,
    UnknownSession,
    WhatsAppError,
    finite,
    is_text,
)
from .values import Fault, SentMessage, Session, SessionStatus

if TYPE_CHECKING:
    from .panel import Panel

__all__ = [
    "BadAnswer",
    "BadMessage",
    "BadRecipient",
    "Fault",
    "KeyReused",
    "LinkFailed",
    "NoSession",
    "NotAllowed",
    "NotConfigured",
    "PanelBusy",
    "PanelError",
    "PanelUnreachable",
    "Refused",
    "SentMessage",
    "Session",
    "SessionInactive",
    "SessionStatus",
    "UnknownSession",
    "WhatsAppError",
    "get_active_session_ids",
    "get_active_whatsapp_sessions",
    "get_default_whatsapp_session",
    "get_session_status",
    "initialize_all_sessions",
    "is_session_connected",
    "send_whatsapp_message",
    "send_whatsapp_message_with_session",
    "start_whatsapp_session",
]


def send_whatsapp_message(
    to: str,
    message: str,
    session_name: str | None = None,
    *,
    key: str | None = None,
    wait_seconds: float = 10.0,
    valid_for_seconds: float | None = None,
) -> SentMessage:
    """Send `message` to `to`: a number in any human form, or a group id.

    Comes back as soon as WhatsApp has it, at the latest after `wait_seconds`; what has not left by then
    (the phone is offline, say) stays `queued` and is sent when that is possible, unless
    `valid_for_seconds` have passed. `session_name="auto"` spreads new recipients over the connected sessions
    and keeps the others on the one that wrote to them last, if the workspace allows it (`Refused` with the
    code `spread_off` otherwise). The same `key` (1 to 255 printable ASCII characters) sends once, however
    often it is called in 30 days. Raises WhatsAppError.
    """
    if key is not None:
        is_text(key, "key", code="key_bad")
    finite(wait_seconds, "wait_seconds")
    if valid_for_seconds is not None:
        finite(valid_for_seconds, "valid_for_seconds")
    return _panel().send(
        to,
        message,
        session_name,
        key=key,
        wait_seconds=max(0.0, wait_seconds),
        valid_for_seconds=valid_for_seconds,
    )


def send_whatsapp_message_with_session(
    session_name: str,
    to: str,
    message: str,
    *,
    key: str | None = None,
    wait_seconds: float = 10.0,
    valid_for_seconds: float | None = None,
) -> SentMessage:
    """`send_whatsapp_message` from the session of that name (or session_id)."""
    return send_whatsapp_message(
        to, message, session_name, key=key, wait_seconds=wait_seconds, valid_for_seconds=valid_for_seconds
    )


def start_whatsapp_session(session_id: str) -> SessionStatus:
    """Bring a session online; when it must be linked first, print the QR codes here and wait for the scan.

    Raises LinkFailed when nobody scanned in time, WhatsAppError when it cannot be started.
    """
    from .linking import follow

    is_text(session_id, "session_id")
    panel = _panel()
    panel.connect(session_id)
    return follow(lambda: panel.look_again(session_id), lambda: panel.link_code(session_id)).status


def initialize_all_sessions() -> None:
    """Bring every active session online that has a login; one that must be linked is left alone.

    All are tried; then the first error is raised, if there was one.
    """
    from .linking import bring_online

    bring_online(_panel())


def get_active_session_ids() -> list[str]:
    """The session_ids of the active sessions, the default one first."""
    return [session.session_id for session in get_active_whatsapp_sessions()]


def is_session_connected(session_id: str) -> bool:
    """Whether a message would leave now. Raises UnknownSession when there is none."""
    is_text(session_id, "session_id")
    return _panel().session(session_id).is_connected


def get_session_status(name: str) -> SessionStatus:
    """How the session of that name (or session_id) is. Raises UnknownSession when there is none."""
    is_text(name, "name")
    return _panel().session(name).status


def get_active_whatsapp_sessions() -> list[Session]:
    """The sessions that are switched on, connected or not, the default one first."""
    return [session for session in _panel().sessions() if session.is_active]


def get_default_whatsapp_session() -> Session | None:
    """The session that is used when none is named."""
    return next((session for session in _panel().sessions() if session.is_default), None)


def _panel() -> Panel:
    """The services when we are inside wa-admin, else its HTTP API. Another Flask app is "anywhere else"."""
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_app_context() and flask.current_app.import_name == "wa_admin":
        from .in_process import InProcess

        return InProcess()
    from .over_http import shared

    return shared()
