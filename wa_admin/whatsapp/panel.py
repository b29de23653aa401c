"""What the helper needs of wa-admin, however it is reached."""

from __future__ import annotations

from typing import Protocol

from .values import LinkCode, SentMessage, Session


class Panel(Protocol):
    """Every method may raise WhatsAppError. A session is named by its name, session_id or number."""

    def send(
        self,
        to: str,
        message: str,
        session_name: str | None,
        *,
        key: str | None,
        wait_seconds: float,
        valid_for_seconds: float | None,
    ) -> SentMessage: ...

    def sessions(self) -> list[Session]: ...

    def session(self, name: str) -> Session: ...

    def look_again(self, name: str) -> Session:
        """The session as it is by now, for a caller that waits and looks every second."""

    def connect(self, name: str) -> Session:
        """Go online with the stored login, or start linking when there is none."""

    def link_code(self, name: str) -> LinkCode | None:
        """The code that waits for the phone now."""
