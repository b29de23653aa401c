"""The helper inside wa-admin: the services themselves, for the first workspace unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from .. import clock, words
from ..api import schemas
from ..drivers.contract import GatewayError
from ..extensions import db
from ..models import Status, WhatsAppSession, Workspace
from ..refusal import Refusal
from ..services import links, outbox, roster, watch
from .errors import refused
from .values import LinkCode, SentMessage, Session

LINKING = (Status.QR_PENDING, Status.CONNECTING)
# events come by themselves while a panel runs; without one the gateway is asked
ASK_AT_EVERY_LOOK = 3
LAST_CODE = 6
NEXT_CODE_IS_LATE = timedelta(seconds=3)


class InProcess:
    """Reads calls and answers through the API's own schemas: they cannot differ from those over HTTP."""

    def __init__(self, actor: str = "python", workspace_id: int | None = None) -> None:
        self.workspace_id = workspace_id or Workspace.first_id()
        self.actor = actor
        self.looks = 0

    def send(
        self,
        to: str,
        message: str,
        session_name: str | None,
        *,
        key: str | None,
        wait_seconds: float,
        valid_for_seconds: float | None,
    ) -> SentMessage:
        call = {"recipient": to, "message": message, "valid_for_seconds": valid_for_seconds}
        with _one_family():
            body = schemas.load("NewMessage", {**call, "session_id": session_name})
            sent = outbox.send(
                self.workspace_id,
                body["recipient"],
                body["message"],
                session_name=body["session_id"],
                key=key,
                valid_for_seconds=body["valid_for_seconds"],
                source=self.actor,
            )
            if wait_seconds and not sent.is_settled:
                sent = outbox.wait(sent.id, wait_seconds)
            return SentMessage.read(schemas.dump("Message", sent))

    def sessions(self) -> list[Session]:
        return [_told(one) for one in roster.listed(self.workspace_id)]

    def session(self, name: str | int) -> Session:
        with _one_family():
            return _told(roster.find(self.workspace_id, name))

    def look_again(self, name: str | int) -> Session:
        with _one_family():
            db.session.rollback()  # what is true now, not when we began to read
            db.session.expire_all()
            self.looks += 1
            wa_session = roster.find(self.workspace_id, name)
            if self.looks % ASK_AT_EVERY_LOOK == 0:
                wa_session = self._ask_gateway(wa_session)
            return _told(wa_session)

    def connect(self, name: str | int) -> Session:
        with _one_family():
            found = roster.find(self.workspace_id, name)
            return _told(links.connect(self.workspace_id, found.id, actor=self.actor))

    def link_code(self, name: str | int) -> LinkCode | None:
        with _one_family():
            waiting = links.qr_of(roster.find(self.workspace_id, name))
        if waiting is None:
            return None
        return LinkCode(
            waiting.code, waiting.pairing_code, waiting.sequence, waiting.expires_at, waiting.codes
        )

    def _ask_gateway(self, wa_session: WhatsAppSession) -> WhatsAppSession:
        if wa_session.status == Status.QR_PENDING and wa_session.qr_expires_at:
            is_late = clock.now() > wa_session.qr_expires_at + NEXT_CODE_IS_LATE
            if is_late and (wa_session.qr_sequence or 0) < LAST_CODE:
                return links.link(self.workspace_id, wa_session.id, actor=self.actor)
        is_linking = wa_session.linked_at is None and wa_session.status in LINKING
        if is_linking and watch.poll_link(wa_session):
            return roster.find(self.workspace_id, wa_session.id)
        return watch.refresh(wa_session)


def _told(wa_session: WhatsAppSession) -> Session:
    return Session.read(schemas.dump("Session", wa_session))


@contextmanager
def _one_family() -> Iterator[None]:
    """Refusals as the errors that app code knows."""
    try:
        yield
    except Refusal as error:
        raise refused(error.status, error.code, str(error), error.field) from error
    except GatewayError as error:
        raise refused(502, error.code, " ".join(words.error_words(error.code))) from error
