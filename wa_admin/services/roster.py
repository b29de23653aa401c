"""Which sessions a workspace has, and which one is meant by a name."""

from __future__ import annotations

import re

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.util import identity_key

from .. import plain
from ..extensions import db
from ..models import WhatsAppSession
from ..prepared import Prepared
from ..refusal import Refusal
from . import scope, spread

NUMBER = re.compile(r"[1-9][0-9]{0,8}")

# for every message: what the message and its answer need; the rest is read when somebody asks for it
_COLUMNS = (WhatsAppSession.id, WhatsAppSession.name, WhatsAppSession.session_id, WhatsAppSession.is_active)
_DEFAULT = Prepared(
    select(*_COLUMNS).where(
        WhatsAppSession.workspace_id == bindparam("workspace_id"), WhatsAppSession.is_default
    )
)


class SessionNotFound(Refusal):
    code = "session_not_found"
    status = 404

    def __init__(self, names: list[str]) -> None:
        self.names = names
        there = ", ".join(names)
        if names:
            super().__init__(
                _l("There is no such session. There are: %(names)s.", names=there), field="session_id"
            )
        else:
            super().__init__(_l("There is no session yet. Add one first."), field="session_id")


class AmbiguousSession(Refusal):
    code = "session_ambiguous"
    status = 409

    def __init__(self, key: str, fitting: list[WhatsAppSession]) -> None:
        told = "; ".join(f"{one.name} ({one.id}, {one.session_id})" for one in fitting)
        super().__init__(
            _l(
                "“%(key)s” fits more than one session by number, session ID or name: %(sessions)s. "
                "Use what only one of them has.",
                key=key,
                sessions=told,
            ),
            field="session_id",
        )


class NoSession(Refusal):
    code = "no_session"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("There is no session to send from yet. Add one first."), field="session_id")


class SessionInactive(Refusal):
    code = "session_inactive"
    status = 409

    def __init__(self, wa_session: WhatsAppSession, active: list[str]) -> None:
        super().__init__(
            _l(
                "“%(name)s” is switched off. Switch it on, or use one of: %(names)s.",
                name=wa_session.name,
                names=", ".join(active) or "–",
            ),
            field="session_id",
        )


def listed(workspace_id: int) -> list[WhatsAppSession]:
    """The default one first, then the oldest."""
    return WhatsAppSession.of_workspace(workspace_id)


def first(workspace_id: int, count: int) -> list[WhatsAppSession]:
    """The first few of `listed`."""
    query = select(WhatsAppSession).filter_by(workspace_id=workspace_id)
    order = (WhatsAppSession.is_default.desc(), WhatsAppSession.id)
    return list(db.session.scalars(query.order_by(*order).limit(count)))


def default(workspace_id: int) -> WhatsAppSession | None:
    """The one used when none is named; None only while there is no session.

    For who sees only some sessions, the default one may be another's: then it is the oldest of theirs.
    """
    found = WhatsAppSession.default(workspace_id)
    return next(iter(listed(workspace_id)), None) if found is None and scope.is_limited() else found


def find(workspace_id: int, key: str | int) -> WhatsAppSession:
    """The one with this number; a text may be a number, a session_id or a name (case does not matter).

    No reading goes before another: what would act on a different session once somebody adds or renames one
    is refused. Raises SessionNotFound, which lists the names there are, or AmbiguousSession.
    """
    fitting = _fitting(workspace_id, key)
    if len(fitting) > 1:
        raise AmbiguousSession(str(key).strip(), fitting)
    if not fitting:
        raise SessionNotFound([other.name for other in listed(workspace_id)])
    return fitting[0]


def to_send_from(workspace_id: int, name: str | int | None, recipient: str = "") -> WhatsAppSession:
    """The session named, one that `auto` spreads to, else the default one; inside of the transaction that
    stores the message to `recipient`.

    Raises NoSession, SessionNotFound, AmbiguousSession, SessionInactive, SpreadOff.
    """
    if name == spread.AUTO:
        found = spread.choose(workspace_id, recipient) or default(workspace_id)
    else:
        found = _default_to_send_from(workspace_id) if name is None else _named(workspace_id, name)
    if found is None:
        raise NoSession
    if not found.is_active:
        raise SessionInactive(found, [other.name for other in listed(workspace_id) if other.is_active])
    return found


def _default_to_send_from(workspace_id: int) -> WhatsAppSession | None:
    if scope.is_limited():
        return default(workspace_id)
    row = _DEFAULT.first(db.session.connection(), workspace_id=workspace_id)
    if row is None:
        return None
    known = db.session.identity_map.get(identity_key(WhatsAppSession, row[0]))
    if known is not None:
        return known
    found = WhatsAppSession(**{column.key: value for column, value in zip(_COLUMNS, row, strict=True)})
    make_transient_to_detached(found)
    db.session.add(found)
    return found


def _named(workspace_id: int, name: str | int) -> WhatsAppSession | None:
    try:
        return find(workspace_id, name)
    except SessionNotFound as unknown:
        if unknown.names:
            raise
        return None


def _fitting(workspace_id: int, key: str | int) -> list[WhatsAppSession]:
    query = select(WhatsAppSession).filter_by(workspace_id=workspace_id).order_by(WhatsAppSession.id)
    if isinstance(key, int):
        return list(db.session.scalars(query.filter_by(id=key)))
    text = key.strip()
    if not plain.is_storable(text):
        return []
    readings = [WhatsAppSession.session_id == text, WhatsAppSession.name_key == text.casefold()]
    if NUMBER.fullmatch(text):
        readings.append(WhatsAppSession.id == int(text))
    return list(db.session.scalars(query.where(or_(*readings))))
