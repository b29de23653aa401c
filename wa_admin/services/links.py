"""What a person asks of a session's gateway: link a phone, go online or offline, unlink."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock, drivers, phone
from ..app import settings, vault
from ..drivers import picture
from ..drivers.contract import (
    BadAnswer,
    BadKey,
    Code,
    Driver,
    GatewayError,
    InstanceNotFound,
    State,
    Unreachable,
    Unsupported,
)
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import Reason, Status, WhatsAppSession
from ..refusal import Refusal
from . import audit, gateways, roster, session_fields, starts, status, timeline

PATIENCE_SECONDS = 10.0  # of somebody who pressed a button
LINK_SECONDS = 30.0  # a gateway that tells no codes by itself has to come up with the first one
PAIRING_SECONDS = 20.0  # WhatsApp gives out a pairing code only some seconds after the first QR code

TOLD_MORE = (Status.QR_PENDING, Status.CONNECTED)  # while a start was under way, by an event

_log = logging.getLogger(__name__)


class AlreadyConnected(Refusal):
    code = "already_connected"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This session is connected already. Unlink it first to link another phone."))


@dataclass(frozen=True)
class LinkCode:
    """What the phone can scan or be given. Secrets: only for the page or call that asked."""

    code: str | None
    image: bytes | None  # in place of `code`, where the gateway gives a picture
    pairing_code: str | None
    sequence: int
    codes: int | None  # in its set, 1 where no second one follows by itself; None when that is not known
    expires_at: datetime
    lifetime_seconds: int

    @property
    def image_type(self) -> str | None:
        """A media type that a page may show as a picture."""
        return picture.mimetype(self.image) if self.image else None


def qr_of(wa_session: WhatsAppSession) -> LinkCode | None:
    """The code that waits for the phone, if one does."""
    expires_at = wa_session.qr_expires_at
    if wa_session.status != Status.QR_PENDING or expires_at is None:
        return None
    sealed, pairing = wa_session.sealed_qr, wa_session.sealed_pairing_code
    opened = vault().open(sealed) if sealed else None
    image = status.image_of(opened) if opened else None
    return LinkCode(
        code=None if image else opened,
        image=image,
        pairing_code=vault().open(pairing) if pairing else None,
        sequence=wa_session.qr_sequence or 1,
        codes=drivers.DRIVERS[wa_session.gateway.kind].codes,
        expires_at=expires_at,
        lifetime_seconds=wa_session.qr_lifetime_seconds or status.DEFAULT_CODE_SECONDS,
    )


def note_shown(wa_session: WhatsAppSession, *, actor: str) -> None:
    """Put on record, once for each set of codes, that somebody saw what links a phone."""
    audit.record_once(
        "code_shown",
        wa_session.status_at,
        workspace_id=wa_session.workspace_id,
        actor=actor,
        object=wa_session.name,
    )


# --- linking -------------------------------------------------------------------------------------


def link(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Show codes for the phone, a new set when one ran out.

    Raises SessionNotFound, SessionInactive, AlreadyConnected, GatewayRefused.
    """
    wa_session = _begin(workspace_id, id, actor)
    with asking(wa_session, _patience(wa_session)) as driver:
        _make_known(wa_session, driver)
        try:
            answer = starts.connect(driver, wa_session)
        except InstanceNotFound:
            if wa_session.sealed_token is None:
                raise
            _create(wa_session, driver)  # it has forgotten what it had made
            answer = starts.connect(driver, wa_session)
    return _take(wa_session, answer)


def pairing_code(workspace_id: int, id: int, phone_number: str, *, actor: str) -> WhatsAppSession:
    """Link by number: a code to type on the phone, beside the QR code. Raises BadNumber, and as `link`."""
    number = phone.digits(phone_number, settings().default_region)
    wa_session = _begin(workspace_id, id, actor, keep_codes=True)
    with asking(wa_session) as driver:
        _make_known(wa_session, driver)
    with asking(wa_session, max(PAIRING_SECONDS, _patience(wa_session))) as driver:
        answer = starts.pair(driver, wa_session, number)
    return _take(wa_session, answer)


def cancel_link(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Stop showing codes. What is linked already stays linked. Raises SessionNotFound, GatewayRefused."""
    wa_session = roster.find(workspace_id, id)
    if wa_session.status == Status.CONNECTED or wa_session.linked_at:
        return wa_session
    # nothing to stop, or the code will run out by itself
    with asking(wa_session) as driver, suppress(InstanceNotFound, Unsupported):
        driver.stop(wa_session.instance)
    return _end(wa_session, Reason.NEVER_LINKED, "link_cancelled", actor)


def replace(workspace_id: int, id: int, *, phone_number: str | None = None, actor: str) -> WhatsAppSession:
    """Unlink this phone and show codes for another one; name, messages and API stay.

    Raises BadNumber, and as `link`.
    """
    number = session_fields.read_expected_number(phone_number)
    logout(workspace_id, id, actor=actor)
    with writing():
        wa_session = roster.find(workspace_id, id)
        wa_session.phone_number = number
        wa_session.linked_number = wa_session.profile_name = None
        timeline.record(wa_session, "number_replaced", workspace_id=workspace_id, actor=actor)
    return link(workspace_id, id, actor=actor)


def logout(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Unlink the phone. Linking again needs the phone in hand. Raises SessionNotFound, GatewayRefused."""
    wa_session = roster.find(workspace_id, id)
    with asking(wa_session) as driver, suppress(InstanceNotFound):
        driver.logout(wa_session.instance)
    return _end(wa_session, Reason.STOPPED, "unlinked_by_admin", actor, keeps_login=False)


# --- with the stored login -----------------------------------------------------------------------


def connect(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Go online with the stored login; where there is none, start linking. Raises as `link`."""
    wa_session = roster.find(workspace_id, id)
    if wa_session.status == Status.CONNECTED and not wa_session.gateway.is_failing:
        return wa_session
    if not wa_session.linked_at:
        return link(workspace_id, id, actor=actor)
    with writing():
        current = roster.find(workspace_id, id)
        current.reconnect_attempts, current.reconnect_at = 0, None
        timeline.record(current, "connect_asked", workspace_id=workspace_id, actor=actor)
        status.move(current, Status.CONNECTING, None, actor=actor, now=clock.now())
    with asking(wa_session, _patience(wa_session)) as driver:
        answer = starts.connect(driver, wa_session)
    return _take(wa_session, answer)


def disconnect(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Go offline and stay so until somebody connects; the login stays.

    Raises SessionNotFound, GatewayRefused.
    """
    wa_session = roster.find(workspace_id, id)
    with asking(wa_session) as driver, suppress(InstanceNotFound):
        driver.stop(wa_session.instance)
    return _end(wa_session, Reason.STOPPED, "disconnected_by_admin", actor)


def restart(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Drop the connection and build it anew; the login stays. Raises SessionNotFound, GatewayRefused."""
    wa_session = roster.find(workspace_id, id)
    with asking(wa_session) as driver:
        starts.restart(driver, wa_session)
    with writing():
        timeline.record(wa_session, "restarted", workspace_id=workspace_id, actor=actor)
    return wa_session


def follow(wa_session: WhatsAppSession, *, actor: str) -> None:
    """Go online or offline as the session was just switched; `watch` comes back to it if that fails now."""
    act = connect if wa_session.is_active else disconnect
    try:
        act(wa_session.workspace_id, wa_session.id, actor=actor)
    except gateways.GatewayRefused as refused:
        _log.warning("session %s: %s; its wish is followed later", wa_session.id, refused.code)


@contextmanager
def asking(wa_session: WhatsAppSession, seconds: float = PATIENCE_SECONDS) -> Iterator[Driver]:
    """The driver of a session, for `seconds` in all; what the gateway refuses is put on record.

    Raises GatewayRefused.
    """
    try:
        driver = gateways.driver(wa_session.gateway)
        end_reading()
        with deadline(seconds):
            yield driver
    except GatewayError as error:
        _record(wa_session, error)
        raise gateways.GatewayRefused(error) from error


# --- steps ---------------------------------------------------------------------------------------


def _begin(workspace_id: int, id: int, actor: str, keep_codes: bool = False) -> WhatsAppSession:
    wa_session = roster.find(workspace_id, id)
    if wa_session.asks_for_passkey:  # else the gateway goes on waiting for it, and shows no code
        with asking(wa_session) as driver, suppress(InstanceNotFound, Unsupported):
            driver.stop(wa_session.instance)
    with writing():
        wa_session = roster.find(workspace_id, id)
        if wa_session.is_connected:
            raise AlreadyConnected
        if not wa_session.is_active:
            raise roster.SessionInactive(wa_session, [])
        if not (keep_codes and wa_session.status == Status.QR_PENDING):
            wa_session.linked_at = None
            wa_session.is_scanned = False
            timeline.record(wa_session, "link_started", workspace_id=workspace_id, actor=actor)
            status.move(wa_session, Status.CONNECTING, None, actor=actor, now=clock.now())
    return wa_session


def _make_known(wa_session: WhatsAppSession, driver: Driver) -> None:
    """Create the session at the gateway where it is missing, and have its events sent to us."""
    if wa_session.sealed_token is None:
        _create(wa_session, driver)
    if "set_webhook" in driver.offers():
        driver.set_webhook(wa_session.instance, gateways.hook_url(wa_session.gateway))


def _create(wa_session: WhatsAppSession, driver: Driver) -> None:
    """A gateway with names of its own makes a new session each time: what it calls it is kept at once."""
    made = driver.create(wa_session.session_id if wa_session.sealed_token else wa_session.instance)
    if made is None:
        return
    taken = select(WhatsAppSession.id).filter_by(gateway_id=wa_session.gateway_id, instance=made.instance)
    with writing():
        if db.session.scalar(taken) is not None:
            raise BadAnswer("the gateway gave us a session that we have already")
        current = roster.find(wa_session.workspace_id, wa_session.id)
        current.instance, current.sealed_token = made.instance, vault().seal(made.token)


def _patience(wa_session: WhatsAppSession) -> float:
    return PATIENCE_SECONDS if gateways.driver(wa_session.gateway).tells_codes else LINK_SECONDS


def _take(wa_session: WhatsAppSession, answer: Code | State) -> WhatsAppSession:
    """Take over the answer of the gateway, unless events have told more in the meantime."""
    now = clock.now()
    with writing():
        current = roster.find(wa_session.workspace_id, wa_session.id)
        if isinstance(answer, Code):
            status.show_code(current, answer, now=now)
        elif current.status not in TOLD_MORE and (answer.reason or answer.status != current.status):
            status.heard(current, answer, actor="gateway", now=now)
    return current


def _end(
    wa_session: WhatsAppSession, reason: Reason, kind: str, actor: str, keeps_login: bool = True
) -> WhatsAppSession:
    with writing():
        current = roster.find(wa_session.workspace_id, wa_session.id)
        timeline.record(current, kind, workspace_id=current.workspace_id, actor=actor, number=current.number)
        status.move(current, Status.DISCONNECTED, reason, actor=actor, now=clock.now())
        if not keeps_login:
            current.linked_at = None
    return current


def _record(wa_session: WhatsAppSession, error: GatewayError) -> None:
    if isinstance(error, Unreachable | BadKey):
        gateways.failed(wa_session.gateway_id, error, clock.now())
    with writing():
        current = roster.find(wa_session.workspace_id, wa_session.id)
        timeline.record(
            current,
            "gateway_refused",
            workspace_id=current.workspace_id,
            actor="gateway",
            failure=error.code,
        )
        is_starting = current.status == Status.CONNECTING and current.linked_at is None
        if is_starting and not current.asks_for_passkey:
            reason = current.reason or Reason.NEVER_LINKED
            status.move(current, Status.DISCONNECTED, reason, actor="gateway", now=clock.now())
