"""What comes in, as a gateway would tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from wa_admin import clock
from wa_admin.drivers.contract import MessageSeen
from wa_admin.extensions import db
from wa_admin.models import Chat, WhatsAppSession
from wa_admin.services import events, scope

BUDI = "628111000222"


def hear(wa_session: WhatsAppSession, provider_id: str = "3EB0AA", **more: Any) -> Chat:
    """A message comes in, Budi's unless something else is said; the chat that it is in."""
    tell(wa_session, provider_id, **more)
    newest = select(Chat).order_by(Chat.rev.desc(), Chat.id.desc())
    return db.session.scalars(newest, execution_options=scope.EVERYWHERE).first()


def tell(wa_session: WhatsAppSession, provider_id: str = "3EB0AA", **more: Any) -> None:
    values = {
        "instance": wa_session.instance,
        "provider_id": provider_id,
        "chat": f"{BUDI}@s.whatsapp.net",
        "sender_number": BUDI,
        "sender_lid": None,
        "push_name": "Budi",
        "text": "Halo, masih buka?",
        "at": clock.now(),
    }
    events.take_in(wa_session.gateway, [MessageSeen(**values | more)], clock.now())
