"""What groups are called: asked of their gateways, since few tell it with a message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, text

from .. import clock
from ..drivers.contract import GatewayError
from ..extensions import db, writing
from ..models import Chat, Gateway, WhatsAppSession
from . import contacts, due, gateways

ASK_AGAIN = timedelta(hours=12)
AT_ONCE = 5
# written out: SQLite takes a partial index only for the very words of its condition
IS_NAMELESS = text("chat.contact_id IS NULL AND chat.name = ''")


@dataclass(frozen=True)
class Asked:
    chat_id: int
    jid: str
    gateway_id: int
    instance: str


def ask(now: datetime | None = None) -> int:
    """Ask for the names of some groups that have none yet; how many have one now."""
    named = 0
    for one in _claim(now or clock.now()):
        try:
            name = _name_of(one)
        except GatewayError:
            continue  # it has no such call, or is away: in some hours again
        if name := contacts.shown(name):
            _keep(one, name)
            named += 1
    return named


def _claim(now: datetime) -> list[Asked]:
    """That it is asked for is on disk before the gateway is."""
    waited = or_(Chat.name_asked_at.is_(None), Chat.name_asked_at < now - ASK_AGAIN)
    query = (
        select(Chat, WhatsAppSession.gateway_id, WhatsAppSession.instance)
        .join(WhatsAppSession, WhatsAppSession.id == Chat.session_id)
        .where(IS_NAMELESS, waited, due.is_able())
        .order_by(Chat.id)
        .limit(AT_ONCE)
    )
    if db.session.execute(query.with_only_columns(Chat.id)).first() is None:
        return []
    with writing():
        rows = db.session.execute(query).all()
        for chat, *_ in rows:
            chat.name_asked_at = now
        return [Asked(chat.id, chat.address, gateway_id, instance) for chat, gateway_id, instance in rows]


def _name_of(one: Asked) -> str:
    driver = gateways.driver(db.session.get_one(Gateway, one.gateway_id))
    db.session.rollback()  # no transaction stays open while HTTP is under way
    return driver.group_name(one.instance, one.jid)


def _keep(one: Asked, name: str) -> None:
    with writing():
        chat = db.session.get(Chat, one.chat_id)
        if chat is not None:
            chat.name, chat.rev = name, chat.rev + 1
