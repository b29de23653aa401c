"""One start of a session at a time, whichever process asks for it.

Some gateways open a second browser or socket on the same login when they are told to start twice, and may
take a minute and a half for one. So a start is claimed in the session's row, by a lease that outlives it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, update

from .. import clock
from ..drivers.contract import Code, Driver, NotConnected, State, TimedOut
from ..extensions import db, end_reading, writing
from ..models import WhatsAppSession

STARTING = "starting"  # the word of a driver whose start goes on at the gateway


def connect(driver: Driver, wa_session: WhatsAppSession) -> Code | State:
    """As Driver.connect; while another start is under way, that it is. Raises GatewayError."""
    id, instance = wa_session.id, wa_session.instance
    lease = _claim(driver, id)
    if lease is None:
        return State("connecting", word=STARTING)
    try:
        answer = driver.connect(instance)
    except TimedOut:
        raise  # it may go on at the gateway, until the lease is over
    except BaseException:
        _release(id, lease)
        raise
    if not (isinstance(answer, State) and answer.word == STARTING):
        _release(id, lease)
    return answer


def pair(driver: Driver, wa_session: WhatsAppSession, number: str) -> Code:
    """As Driver.pair. Raises GatewayError, NotConnected while another start is under way."""
    id, instance = wa_session.id, wa_session.instance
    lease = _claim(driver, id)
    if lease is None:
        raise NotConnected("it is still starting")
    try:
        return driver.pair(instance, number)
    finally:
        _release(id, lease)


def restart(driver: Driver, wa_session: WhatsAppSession) -> None:
    """As Driver.restart; nothing while another start is under way. Raises GatewayError."""
    id, instance = wa_session.id, wa_session.instance
    lease = _claim(driver, id)
    if lease is None:
        return
    try:
        driver.restart(instance)
    finally:
        _release(id, lease)


def _claim(driver: Driver, id: int) -> datetime | None:
    """Until when the start is ours alone; None when it is somebody else's. Leaves no transaction open."""
    end_reading()
    now = clock.now()
    lease = now + timedelta(seconds=driver.starts_for_seconds)
    if not driver.starts_for_seconds:
        return lease
    is_free = or_(WhatsAppSession.starting_until.is_(None), WhatsAppSession.starting_until <= now)
    claim = update(WhatsAppSession).where(WhatsAppSession.id == id, is_free).values(starting_until=lease)
    with writing():
        claimed = db.session.execute(claim).rowcount == 1  # type: ignore[attr-defined]
    return lease if claimed else None


def _release(id: int, lease: datetime) -> None:
    ours = update(WhatsAppSession).where(WhatsAppSession.id == id, WhatsAppSession.starting_until == lease)
    with writing():
        db.session.execute(ours.values(starting_until=None))
