"""What a poll of the chats needs, in one query: who asks, and whether anything is new since the last look.

It goes past the ORM, so it looks itself to it that nobody hears of what they do not see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, Integer, and_, bindparam, exists, func, literal_column, or_, select
from sqlalchemy.orm import aliased

from .. import clock
from ..models import Assignment, Chat, LoginSession, Membership, User
from ..prepared import Prepared
from . import chats, conversation, logins
from .glance import cut


def _sees(chat: Any) -> Any:
    """A chat of the workspace that whoever asks looks at, and of a session that they work with."""
    is_assigned = exists().where(
        Assignment.session_id == chat.session_id, Assignment.user_id == LoginSession.user_id
    )
    return and_(chat.workspace_id == LoginSession.workspace_id, or_(Membership.sees_all, is_assigned))


def _of_whoever_asks(*columns: Any, of: Any = None) -> Prepared:
    query = select(*logins.IDENTITY, *columns).select_from(LoginSession)
    query = query.join(User, User.id == LoginSession.user_id).join(Membership, logins.IS_THEIRS)
    if of is not None:
        query = query.outerjoin(Chat, of)
    return Prepared(query.where(LoginSession.token_hash == bindparam("token_hash")))


def _scalar(value: Any, rows: Any) -> Any:
    return select(value).select_from(rows).correlate(LoginSession, Membership).scalar_subquery()


_chat = aliased(Chat)
_newest = (
    select(_chat.id, _chat.rev, _chat.last_at)
    .where(_sees(_chat))
    .order_by(_chat.last_at.desc(), _chat.id.desc())
    .limit(chats.PAGE)
    .correlate(LoginSession, Membership)
    .subquery()
)
_unread = (
    select(_chat.id)
    .where(_sees(_chat), _chat.unread_count > literal_column("0"))
    .limit(chats.COUNTED_UP_TO + 1)
    .correlate(LoginSession, Membership)
    .subquery()
)
_ASK = {
    "unread": _of_whoever_asks(_scalar(func.count(), _unread)),
    "list": _of_whoever_asks(
        _scalar(func.sum(_newest.c.id), _newest),
        _scalar(func.sum(_newest.c.rev), _newest),
        _scalar(func.max(_newest.c.last_at), _newest),
    ),
    "thread": _of_whoever_asks(
        *conversation.VERSION, of=and_(Chat.id == bindparam("id", type_=Integer), _sees(Chat))
    ),
}
_VERSION_OF: dict[str, Callable[..., str]] = {
    "unread": str,
    "list": chats.version_of,
    "thread": conversation.version_of,
}


def ask(engine: Engine, token_hash: str, part: str, id: int) -> tuple[logins.Identity, str] | None:
    """Who asks, and the version of this part as they see it; None when that is not theirs to see, or the
    login is over. `part` is unread, list or thread; `id` is of the chat whose thread it is."""
    named = {"id": id} if part == "thread" else {}
    values = _ASK[part].first(engine, token_hash=token_hash, **named)
    if values is None:
        return None
    identity = logins.Identity(*cut(values, len(logins.IDENTITY)))
    logins.remember(token_hash, identity)
    if not identity.opens_pages(clock.now()) or (part == "thread" and values[0] is None):
        return None
    return identity, _VERSION_OF[part](*values)
