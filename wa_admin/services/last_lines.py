"""What the list of chats shows of each: its last line, and how many nobody has read. Kept as they come.

All of it runs inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, update

from .. import plain
from ..drivers.contract import MessageSeen
from ..extensions import db
from ..models import Chat, Message

EXCERPT = 160
# they say something of another line, and ask nobody to look
QUIET = frozenset({"reaction", "protocol", "edited"})

_CHAT = cast(Table, Chat.__table__)
# for every message there is: most of them have no chat
_SENT = (
    update(_CHAT)
    .where(_CHAT.c.session_id == bindparam("of"), _CHAT.c.address == bindparam("to"))
    .values(
        last_text=bindparam("text"),
        last_kind=bindparam("kind"),
        last_at=bindparam("now"),
        last_from_me=True,
        rev=_CHAT.c.rev + 1,
    )
)


def came(chat: Chat, seen: MessageSeen, at: datetime) -> None:
    """Somebody wrote, or the owner did on the phone."""
    values: dict[str, Any] = {"rev": _CHAT.c.rev + 1}
    if seen.from_me:
        values["unread_count"] = 0  # whoever answers on the phone has read it there
    elif seen.kind not in QUIET:
        values["unread_count"] = _CHAT.c.unread_count + 1
    if at >= chat.last_at:
        values |= {"last_at": at, "last_from_me": seen.from_me}
        values |= {"last_text": _excerpt(seen.text), "last_kind": seen.kind[:20]}
    db.session.connection().execute(update(_CHAT).where(_CHAT.c.id == chat.id).values(values))
    db.session.expire(chat)


def changed(chat_id: int) -> None:
    """Something else of the chat is no longer as it was shown."""
    db.session.connection().execute(update(_CHAT).where(_CHAT.c.id == chat_id).values(rev=_CHAT.c.rev + 1))


def sent(message: Message, now: datetime) -> None:
    """We wrote, by whatever door; nothing happens where there is no chat."""
    kind = message.attachment.kind if message.attachment else "text"
    values = {"of": message.session_id, "to": message.recipient, "now": now, "kind": kind}
    db.session.connection().execute(_SENT, values | {"text": _excerpt(message.body)})


def _excerpt(text: str) -> str:
    return " ".join(plain.storable(text[: 4 * EXCERPT]).split())[:EXCERPT]
