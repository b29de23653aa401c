"""Receipts that were told while nobody listened: asked for, where the gateway keeps them.

Most gateways try a webhook for some minutes and then forget it; the bundled one keeps it for a day.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import func, select

from ..drivers.contract import GatewayError, ReceiptSeen
from ..drivers.deadline import deadline
from ..extensions import db, writing
from ..models import Message, MessageStatus, Status, WhatsAppSession
from . import gateways, progress

OVERDUE, GIVEN_UP = timedelta(minutes=5), timedelta(days=1)
NEWEST = 5000  # messages, among which it is looked: what is older has been asked for before
AT_ONCE = 20  # of one session
PATIENCE_SECONDS = 15.0

_log = logging.getLogger(__name__)


def ask(now: datetime) -> int:
    """Ask what became of the messages that were sent and of which nothing was heard; how many moved on."""
    query = select(WhatsAppSession).filter_by(is_active=True, status=Status.CONNECTED)
    return sum(_ask(one, now) for one in db.session.scalars(query.order_by(WhatsAppSession.id)).all())


def _ask(wa_session: WhatsAppSession, now: datetime) -> int:
    driver = gateways.driver(wa_session.gateway)
    if not driver.keeps_receipts:
        return 0
    found: list[ReceiptSeen] = []
    id, instance, unheard_of = wa_session.id, wa_session.instance, _unheard_of(wa_session, now)
    db.session.rollback()  # no transaction stays open while HTTP is under way
    try:
        with deadline(PATIENCE_SECONDS):
            for provider_id in unheard_of:
                found += driver.receipts_of(instance, provider_id)
    except GatewayError as error:
        _log.info("session %s: receipts could not be asked for: %s", id, error.code)
    if found:
        with writing():
            current = db.session.get_one(WhatsAppSession, id)
            for receipt in found:
                progress.take_receipt(current, receipt.provider_id, receipt.kind, now)
    return len({receipt.provider_id for receipt in found})


def _unheard_of(wa_session: WhatsAppSession, now: datetime) -> list[str]:
    newest = db.session.scalar(select(func.max(Message.id))) or 0
    query = select(Message.provider_id).where(
        Message.workspace_id == wa_session.workspace_id,
        Message.session_id == wa_session.id,
        Message.status == MessageStatus.SENT,
        Message.id > newest - NEWEST,
        Message.sent_at.between(now - GIVEN_UP, now - OVERDUE),
    )
    found = db.session.scalars(query.order_by(Message.id.desc()).limit(AT_ONCE))
    return [provider_id for provider_id in found if provider_id]
