"""Who works with some of a workspace's sessions only: said once at the door, obeyed by every query behind it.

A door calls `to_assigned` or `to_key`. From then on, until the request ends, each SELECT finds only those
sessions and what belongs to them: messages, events, receipts, counts. What belongs to no session is not
found either. Queries that go past the ORM (`Prepared`) look to it themselves.
"""

from __future__ import annotations

from typing import Any

from flask import g, has_app_context
from sqlalchemy import Select, event, select
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.orm.interfaces import ORMOption

from ..extensions import Base, db
from ..models import Assignment, KeySession, WhatsAppSession

EVERYWHERE = {"is_in_any_scope": True}  # execution options of a query that must see the whole workspace
_SAY_WHO_SEES_WHAT = (Assignment, KeySession)


def to_assigned(user_id: int) -> None:
    """This request belongs to a person who sees the sessions assigned to them."""
    g.scope = _criteria(select(Assignment.session_id).where(Assignment.user_id == user_id))


def to_key(key_id: int) -> None:
    """This request belongs to an app whose key is for some sessions."""
    g.scope = _criteria(select(KeySession.session_id).where(KeySession.key_id == key_id))


def is_limited() -> bool:
    """Whether whoever asks sees only some of the sessions."""
    return has_app_context() and "scope" in g


def holds(session_id: int | None) -> bool:
    """Whether whoever asks sees this session; None stands for one that is gone."""
    return not is_limited() or _has(session_id)


@event.listens_for(Session, "do_orm_execute")
def _keep_to_scope(state: ORMExecuteState) -> None:
    if not state.is_select or not is_limited() or state.execution_options.get("is_in_any_scope"):
        return
    if not state.is_column_load and not state.is_relationship_load:  # these follow from what was found
        state.statement = state.statement.options(*g.scope)


def _has(session_id: int | None) -> bool:
    return db.session.scalar(select(WhatsAppSession.id).filter_by(id=session_id)) is not None


def _criteria(allowed: Select[Any]) -> list[ORMOption]:
    """One for the sessions, and one for each table whose rows belong to a session."""
    own = with_loader_criteria(WhatsAppSession, WhatsAppSession.id.in_(allowed))
    return [own, *(with_loader_criteria(one, one.session_id.in_(allowed)) for one in _of_a_session())]


def _of_a_session() -> list[Any]:
    sessions = WhatsAppSession.__table__
    mappers: list[Mapper[Any]] = [one for one in Base.registry.mappers if "session_id" in one.columns]
    return [
        one.class_
        for one in mappers
        if any(key.column is sessions.c.id for key in one.columns["session_id"].foreign_keys)
        and one.class_ not in _SAY_WHO_SEES_WHAT
    ]
