"""Workspaces: one for each client company. Nobody sees the word before there is a second one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, bindparam, delete, func, select, update

from .. import clock, plain
from ..extensions import db, writing
from ..models import (
    Attachment,
    Chat,
    IncomingFile,
    Line,
    LoginSession,
    Membership,
    Message,
    Role,
    User,
    WhatsAppSession,
    Workspace,
)
from ..refusal import Refusal
from . import audit, logins, timeline

LONGEST_NAME = 80


class WorkspaceNotFound(Refusal):
    code = "workspace_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such workspace."))


class NameTaken(Refusal):
    code = "name_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("Another workspace has this name already."), field="name")


class LastWorkspace(Refusal):
    code = "last_workspace"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This is the only workspace, and one is needed."))


class NotEmpty(Refusal):
    code = "workspace_not_empty"
    status = 409


@dataclass(frozen=True)
class Summary:
    """A workspace and how much is in it."""

    workspace: Workspace
    sessions: int
    people: int


def listed() -> list[Summary]:
    """All of the installation, the oldest first."""
    sessions = select(func.count()).where(WhatsAppSession.workspace_id == Workspace.id).scalar_subquery()
    people = select(func.count()).where(Membership.workspace_id == Workspace.id).scalar_subquery()
    rows = db.session.execute(select(Workspace, sessions, people).order_by(Workspace.id))
    return [Summary(*row) for row in rows]


def of_person(user_id: int) -> list[Workspace]:
    """Those that somebody may look at, by name."""
    query = select(Workspace).join(Membership, Membership.workspace_id == Workspace.id)
    query = query.where(Membership.user_id == user_id, Membership.is_active)
    return list(db.session.scalars(query.order_by(func.lower(Workspace.name))))


def find(key: str | int) -> Workspace:
    """By number or name (case does not matter). Raises WorkspaceNotFound."""
    if isinstance(key, int):
        found = db.session.get(Workspace, key)
    else:
        found = _called(key)
    if found is None:
        raise WorkspaceNotFound
    return found


def name_of(workspace_id: int) -> str | None:
    """What to call it; None while there is no other to tell it from."""
    others = db.session.scalar(select(func.count()).select_from(Workspace)) or 0
    return db.session.get_one(Workspace, workspace_id).name if others > 1 else None


def add(name: str, *, owner: logins.Identity | None = None, actor: str) -> Workspace:
    """Make room for another company; the owner who does becomes its admin. Raises UnfitText or NameTaken."""
    name = plain.line(name, LONGEST_NAME, field="name")
    with writing():
        _refuse_taken(name)
        added = Workspace(name=name, created_at=clock.now())
        db.session.add(added)
        db.session.flush()
        timeline.record(None, "workspace_added", workspace_id=added.id, actor=actor)
        if owner is not None:
            _make_admin(owner, added.id)
    return added


def rename(key: str | int, name: str, *, actor: str) -> Workspace:
    """Raises WorkspaceNotFound, UnfitText or NameTaken."""
    name = plain.line(name, LONGEST_NAME, field="name")
    with writing():
        found = find(key)
        if found.name != name:
            _refuse_taken(name, but=found.id)
            was, found.name = found.name, name
            timeline.record(None, "workspace_renamed", workspace_id=found.id, actor=actor, was=was, name=name)
    return found


def remove(key: str | int, *, actor: str) -> str:
    """Forget an empty workspace, its keys, invitations and timeline; its name.

    Raises WorkspaceNotFound, LastWorkspace, or NotEmpty while it has sessions, messages, or somebody who
    belongs to no other.
    """
    with writing():
        found = find(key)
        if len(listed()) == 1:
            raise LastWorkspace
        _refuse_filled(found)
        _move_logins_away(found.id)
        files = _files_that_came(found.id)
        for table in reversed(db.metadata.sorted_tables):
            if _belongs_to_a_workspace(table):
                db.session.execute(delete(table).where(table.c.workspace_id == found.id))
        if files:
            db.session.connection().execute(delete(Attachment).where(Attachment.id == bindparam("of")), files)
        audit.record("workspace_removed", workspace_id=None, actor=actor, object=found.name)
        db.session.execute(delete(Workspace).where(Workspace.id == found.id))
    logins.forget_cached()
    return found.name


def enter(identity: logins.Identity, workspace_id: int) -> Workspace:
    """Look at another of one's workspaces, in this browser. Raises WorkspaceNotFound."""
    with writing():
        found = next((one for one in of_person(identity.user_id) if one.id == workspace_id), None)
        if found is None:
            raise WorkspaceNotFound
        if identity.workspace_id != found.id:
            login = update(LoginSession).where(LoginSession.id == identity.login_id)
            db.session.execute(login.values(workspace_id=found.id))
            timeline.record(None, "workspace_entered", workspace_id=found.id, actor=identity.email)
    logins.forget_cached()
    return found


def join_as_owner(owner: logins.Identity, workspace_id: int) -> Workspace:
    """Become an admin of a workspace, again if need be, and look at it. Raises WorkspaceNotFound."""
    with writing():
        _make_admin(owner, find(workspace_id).id)
    return enter(owner, workspace_id)


def _called(name: str) -> Workspace | None:
    """Folded in Python: SQLite knows no case beyond ASCII, and there are few."""
    wanted = name.strip().casefold()
    everything = db.session.scalars(select(Workspace).order_by(Workspace.id))
    return next((one for one in everything if one.name.casefold() == wanted), None)


def _refuse_taken(name: str, but: int | None = None) -> None:
    held = _called(name)
    if held is not None and held.id != but:
        raise NameTaken


def _make_admin(owner: logins.Identity, workspace_id: int) -> None:
    member = db.session.get(Membership, (owner.user_id, workspace_id))
    if member is None:
        user = db.session.get_one(User, owner.user_id)
        member = Membership(user=user, workspace_id=workspace_id, created_at=clock.now())
        db.session.add(member)
    member.role, member.sees_all, member.is_active = Role.ADMIN, True, True
    timeline.record(
        None,
        "user_added",
        workspace_id=workspace_id,
        actor=owner.email,
        email=owner.email,
        role=Role.ADMIN,
    )


def _refuse_filled(workspace: Workspace) -> None:
    sentence = None
    if WhatsAppSession.count(workspace.id):
        sentence = _l("There are sessions in %(name)s. Remove them first.", name=workspace.name)
    elif db.session.scalar(select(Message.id).filter_by(workspace_id=workspace.id).limit(1)):
        sentence = _l("There are messages in %(name)s, which stay on record.", name=workspace.name)
    elif stranded := db.session.scalars(_only_there(workspace.id)).first():
        sentence = _l(
            "%(who)s would have nowhere to log in to. Invite them to another workspace first.", who=stranded
        )
    if sentence is not None:
        raise NotEmpty(sentence)


def _only_there(workspace_id: int) -> Any:
    elsewhere = select(Membership.user_id).where(Membership.workspace_id != workspace_id)
    here = select(User.name).join(Membership).where(Membership.workspace_id == workspace_id)
    return here.where(User.id.not_in(elsewhere)).order_by(User.id)


def _files_that_came(workspace_id: int) -> list[dict[str, int]]:
    """Of chats whose session is gone: nothing else leads to them once the chats are gone."""
    kept = select(IncomingFile.attachment_id.label("of")).join(Line).join(Chat)
    rows = kept.where(Chat.workspace_id == workspace_id, IncomingFile.attachment_id.is_not(None))
    return [dict(row) for row in db.session.execute(rows).mappings()]


def _move_logins_away(workspace_id: int) -> None:
    """Who looks at it now looks at their oldest other one; who has none that is open logs in again."""
    home = (
        select(func.min(Membership.workspace_id))
        .where(Membership.user_id == LoginSession.user_id, Membership.is_active)
        .where(Membership.workspace_id != workspace_id)
        .scalar_subquery()
    )
    looking = LoginSession.workspace_id == workspace_id
    raw = {"synchronize_session": False}
    db.session.execute(delete(LoginSession).where(looking, home.is_(None)), execution_options=raw)
    db.session.execute(update(LoginSession).where(looking).values(workspace_id=home), execution_options=raw)


def _belongs_to_a_workspace(table: Table) -> bool:
    column = table.c.get("workspace_id")
    return column is not None and bool(column.foreign_keys)
