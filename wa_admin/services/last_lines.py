"""What the list of chats shows of each: its last line, and how many nobody has read. Kept as they come.

All of it runs inside the caller's transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Integer, Table, bindparam, case, update
from sqlalchemy.orm.util import identity_key

from .. import plain
from ..drivers.contract import MessageSeen
from ..extensions import db
from ..models import Chat, Message
from ..models.types import UtcDateTime

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

_IS_NEWEST = _CHAT.c.last_at <= bindparam("at", type_=UtcDateTime)
_CAME = (
    update(_CHAT)
    .where(_CHAT.c.id == bindparam("of"))
    .values(
        rev=_CHAT.c.rev + 1,
        unread_count=_CHAT.c.unread_count * bindparam("kept", type_=Integer)
        + bindparam("more", type_=Integer),
        **{
            column.key: case((_IS_NEWEST, bindparam(name, type_=column.type)), else_=column)
            for column, name in (
                (_CHAT.c.last_at, "at"),
                (_CHAT.c.last_from_me, "from_me"),
                (_CHAT.c.last_text, "text"),
                (_CHAT.c.last_kind, "kind"),
            )
        },
    )
)


def came(chat_id: int, seen: MessageSeen, at: datetime) -> None:
    """Somebody wrote, or the owner did on the phone."""
    is_to_be_read = not seen.from_me and seen.kind not in QUIET
    values = {
        "of": chat_id,
        "kept": int(not seen.from_me),  # whoever answers on the phone has read it there
        "more": int(is_to_be_read),
        "at": at,
        "from_me": seen.from_me,
        "text": _excerpt(seen.text),
        "kind": seen.kind[:20],
    }
    db.session.connection().execute(_CAME, values)
    if (loaded := db.session.identity_map.get(identity_key(Chat, chat_id))) is not None:
        db.session.expire(loaded)


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
