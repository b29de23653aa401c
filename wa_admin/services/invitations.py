"""Invitations: a link to hand over that lets one person join a workspace, once, within three days."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, select, update

from .. import clock
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import Invitation, Membership, Role, User, WhatsAppSession
from ..refusal import Refusal
from . import logins, roster, timeline, users, workspaces

LASTS = timedelta(hours=72)


class NoInvitation(Refusal):
    code = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("This invitation is not known here. Ask for the link once more."))


class InvitationOver(Refusal):
    """Used, revoked or too old; the sentence says which."""

    code = "invitation_over"
    status = 410


class MemberAlready(Refusal):
    code = "member_already"
    status = 409


class SomebodyElse(Refusal):
    code = "somebody_else"
    status = 403

    def __init__(self, email: str) -> None:
        super().__init__(
            _l("This invitation is for %(email)s. Log out, and open the link again.", email=email)
        )


def issue(
    workspace_id: int,
    email: str,
    role: Role,
    *,
    session_ids: Collection[int] | None = None,
    actor: str,
) -> tuple[Invitation, str]:
    """An invitation and its token, which cannot be read again; an older one for the same address ends.

    `session_ids` None means all sessions. Raises UnfitText, MemberAlready, SeesAll, NothingAssigned or
    SessionNotFound.
    """
    email, token, now = users.checked_email(email), new_token(), clock.now()
    if session_ids is not None and role != Role.OPERATOR:
        raise users.SeesAll
    if session_ids is not None and not session_ids:
        raise users.NothingAssigned
    with writing():
        _refuse_members(workspace_id, email)
        db.session.execute(
            update(Invitation).where(*_is_open(workspace_id)).filter_by(email=email).values(revoked_at=now)
        )
        invitation = Invitation(
            workspace_id=workspace_id,
            email=email,
            role=Role(role),
            sees_all=session_ids is None,
            session_ids=[roster.find(workspace_id, id).id for id in sorted(set(session_ids or ()))],
            token_hash=digest(token),
            invited_by=actor,
            created_at=now,
            expires_at=now + LASTS,
        )
        db.session.add(invitation)
        timeline.record(None, "invited", workspace_id=workspace_id, actor=actor, email=email, role=role)
    return invitation, token


def listed(workspace_id: int) -> list[Invitation]:
    """Those that still open, the newest first."""
    query = select(Invitation).where(*_is_open(workspace_id), Invitation.expires_at > clock.now())
    return list(db.session.scalars(query.order_by(Invitation.id.desc())))


def revoke(workspace_id: int, id: int, *, actor: str) -> Invitation:
    """Stop a link from working. Raises NoInvitation unless it is open."""
    with writing():
        found = db.session.scalar(select(Invitation).where(*_is_open(workspace_id)).filter_by(id=id))
        if found is None:
            raise NoInvitation
        found.revoked_at = clock.now()
        timeline.record(None, "invitation_revoked", workspace_id=workspace_id, actor=actor, email=found.email)
    return found


def look_up(token: str) -> Invitation:
    """The invitation that this token opens. Raises NoInvitation or InvitationOver."""
    return _opened(select(Invitation).filter_by(token_hash=digest(token)))


def guest(invitation: Invitation) -> User | None:
    """Whoever has an account with the invited address already."""
    return users.by_email(invitation.email)


def has_a_way_in(user: User) -> bool:
    """Whether somebody can log in: kept out of all their workspaces, they cannot."""
    query = select(Membership.workspace_id).filter_by(user_id=user.id, is_active=True)
    return db.session.scalar(query.limit(1)) is not None


def accept_as_new(
    token: str,
    name: str,
    password: str,
    *,
    language: str | None = None,
    time_zone: str | None = None,
    address: str,
    agent: str,
) -> str:
    """Make the account of somebody new and return the token of their login. Of two at once one wins.

    Raises NoInvitation, InvitationOver, or what users.add() raises about the input.
    """
    invitation = look_up(token)
    user = users.draft(invitation.email, name, password, language, time_zone)
    login, now = new_token(), clock.now()
    with writing():
        invitation = _take(token)
        user.last_login_at = now
        member = users.create(user, invitation.workspace_id, invitation.role, actor=user.email)
        _limit(member, invitation)
        logins.start(login, user.id, invitation.workspace_id, address=address, agent=agent, now=now)
    return login


def accept(token: str, identity: logins.Identity) -> Membership:
    """Let somebody who is signed in join, and look at the workspace. Raises NoInvitation, InvitationOver,
    SomebodyElse or MemberAlready."""
    with writing():
        invitation = look_up(token)
        if identity.email != invitation.email:
            raise SomebodyElse(invitation.email)
        member = _join(token)
        workspaces.enter(identity, member.workspace_id)
    logins.forget_cached()
    return member


def accept_with_password(token: str, password: str, *, address: str) -> Membership:
    """Let somebody join whose account opens nothing else, so that they cannot log in before. It does not
    log them in. Raises NoInvitation, InvitationOver, WrongPassword, TooManyAttempts or MemberAlready."""
    users.check_password(look_up(token).email, password, address=address)
    with writing():
        return _join(token)


def _join(token: str) -> Membership:
    invitation = _take(token)
    user = guest(invitation)
    if user is None:
        raise NoInvitation
    _refuse_members(invitation.workspace_id, user.email)
    member = users.admit(user, invitation.workspace_id, invitation.role, actor=user.email)
    _limit(member, invitation)
    return member


def _take(token: str) -> Invitation:
    """Use it up; inside of a transaction, where the row is locked."""
    invitation = _opened(select(Invitation).filter_by(token_hash=digest(token)).with_for_update())
    invitation.used_at = clock.now()
    return invitation


def _opened(query: Select[Invitation]) -> Invitation:
    found = db.session.scalar(query)
    if found is None:
        raise NoInvitation
    if found.used_at is not None:
        raise InvitationOver(_l("This invitation was used already. Log in instead."))
    if found.revoked_at is not None:
        raise InvitationOver(_l("This invitation was taken back. Ask for a new one."))
    if found.expires_at <= clock.now():
        raise InvitationOver(_l("This invitation is older than 72 hours. Ask for a new one."))
    return found


def _limit(member: Membership, invitation: Invitation) -> None:
    """To those of the sessions that are still there."""
    if invitation.sees_all:
        return
    query = select(WhatsAppSession.id).filter_by(workspace_id=invitation.workspace_id)
    there = list(db.session.scalars(query.where(WhatsAppSession.id.in_(invitation.session_ids))))
    if there:
        users.limit(member, there)
    else:
        member.sees_all = False


def _refuse_members(workspace_id: int, email: str) -> None:
    try:
        member = users.find(workspace_id, email)
    except users.UserNotFound:
        return
    if member.is_active:
        raise MemberAlready(_l("%(name)s is here already.", name=member.name), field="email")
    raise MemberAlready(
        _l("%(name)s is kept out. Let them in again on their page.", name=member.name), field="email"
    )


def _is_open(workspace_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Invitation.workspace_id == workspace_id,
        Invitation.used_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
