"""wa-admin: links one WhatsApp number to your software.

    browser ─> blueprints ─> services ─> drivers ══ HTTP ══> gateway ─> child ─> WhatsApp
                   │            │                               │
               templates      models <─ services <── hooks <════╯  events come back

App code needs one import, which loads neither Flask nor SQLAlchemy:

    from wa_admin import send_whatsapp_message
    send_whatsapp_message("+62 812-3456-7890", "Halo")
"""

from typing import Any

__all__ = ["create_app", "send_whatsapp_message"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from .app import create_app

        return create_app
    if name == "send_whatsapp_message":
        from .whatsapp import send_whatsapp_message

        return send_whatsapp_message
    raise AttributeError(name)
