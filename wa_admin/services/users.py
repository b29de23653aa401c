"""People: the first one, adding more, what they may do, their passwords and preferences."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from babel.dates import get_timezone
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, and_, delete, func, select, update
from sqlalchemy.orm import contains_eager

from .. import clock, passwords, plain, vocabulary, words
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import (
    Assignment,
    LoginSession,
    Membership,
    Role,
    SetupToken,
    User,
    WhatsAppSession,
    Workspace,
)
from ..refusal import Refusal
from . import logins, roster, throttle, timeline

SETUP_LASTS = timedelta(minutes=30)
LONGEST_EMAIL = 80  # so that it fits where the timeline keeps who acted
LONGEST_NAME = 80


class UserNotFound(Refusal):
    code = "user_not_found"
    status = 404

    def __init__(self, key: str | int) -> None:
        super().__init__(_l("There is nobody called %(key)s here.", key=str(key)))


class EmailTaken(Refusal):
    code = "email_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l("Somebody with this address is here already, or has an account: then invite them."),
            field="email",
        )


class BelongsElsewhere(Refusal):
    """An account is its person's: who could reset it here would be let in elsewhere with it."""

    code = "belongs_elsewhere"
    status = 403

    def __init__(self, name: str) -> None:
        super().__init__(
            _l(
                "The account of %(name)s opens more than what you manage, so only an owner of this panel may "
                "do this.",
                name=name,
            )
        )


class SeesAll(Refusal):
    code = "sees_all"
    status = 422

    def __init__(self) -> None:
        super().__init__(
            _l("Admins and supervisors see all sessions. Make them an operator first."), field="sessions"
        )


class NothingAssigned(Refusal):
    code = "nothing_assigned"
    status = 422

    def __init__(self) -> None:
        super().__init__(_l("Choose at least one session, or all of them."), field="sessions")


class LastAdmin(Refusal):
    code = "last_admin"
    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(_l("%(name)s is the only admin. Make somebody else an admin first.", name=name))


class UnfitPreference(Refusal):
    code = "unfit_preference"
    status = 422

    def __init__(self, field: str) -> None:
        super().__init__(_l("Choose one of the list."), field=field)


class NoSetup(Refusal):
    """There is nothing to set up, or not with this token."""

    code = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is nothing to set up here."))


class SetupOver(Refusal):
    code = "setup_token_used"
    status = 410

    def __init__(self) -> None:
        super().__init__(_l("This link was used already, or is older than 30 minutes."))


def add(
    workspace_id: int,
    email: str,
    name: str,
    password: str,
    role: Role,
    *,
    language: str | None = None,
    time_zone: str | None = None,
    actor: str,
) -> Membership:
    """Let somebody in. An admin who is the first person here owns the panel.

    Raises EmailTaken, UnfitText, UnfitPassword or UnfitPreference, which name their field, or TooBusy.
    """
    user = draft(email, name, password, language, time_zone)
    with writing():
        user.is_owner = role == Role.ADMIN and not User.exists()
        return create(user, workspace_id, role, actor=actor)


def add_known(workspace_id: int, email: str, role: Role, *, actor: str) -> Membership:
    """Let somebody who has an account into one more workspace. Raises UserNotFound or EmailTaken."""
    with writing():
        user = by_email(email)
        if user is None:
            raise UserNotFound(email)
        return admit(user, workspace_id, role, actor=actor)


def issue_setup_token() -> str:
    """A token that opens the first-run page once, within 30 minutes; an older one stops working.

    Raises NoSetup when somebody exists already.
    """
    token, now = new_token(), clock.now()
    with writing():
        if User.exists():
            raise NoSetup
        db.session.execute(update(SetupToken).where(SetupToken.expires_at > now).values(expires_at=now))
        db.session.add(SetupToken(token_hash=digest(token), expires_at=now + SETUP_LASTS))
    return token


def check_setup_token(token: str) -> None:
    """Raises SetupOver for a token that was used or ran out, NoSetup for any other that does not open."""
    row = db.session.scalar(select(SetupToken).filter_by(token_hash=digest(token)))
    if row is not None and (row.used_at is not None or row.expires_at <= clock.now()):
        raise SetupOver
    if row is None or User.exists():
        raise NoSetup


def set_up(
    token: str,
    email: str,
    name: str,
    password: str,
    *,
    language: str | None = None,
    time_zone: str | None = None,
    address: str,
    agent: str,
) -> str:
    """Make the first person, an admin and owner, and return the token of their login.

    Of two at once one wins. Raises SetupOver, NoSetup, or what add() raises about the input.
    """
    check_setup_token(token)
    user = draft(email, name, password, language, time_zone)
    login, now, workspace_id = new_token(), clock.now(), Workspace.first_id()
    with writing():
        db.session.scalar(select(Workspace.id).filter_by(id=workspace_id).with_for_update())
        check_setup_token(token)
        db.session.execute(update(SetupToken).filter_by(token_hash=digest(token)).values(used_at=now))
        user.last_login_at, user.is_owner = now, True
        _insert(user)
        member = Membership(user=user, workspace_id=workspace_id, role=Role.ADMIN, created_at=now)
        db.session.add(member)
        db.session.flush()
        logins.start(login, user.id, workspace_id, address=address, agent=agent, now=now)
        timeline.record(None, "set_up", workspace_id=workspace_id, actor=user.email, address=address)
    return login


def listed(workspace_id: int) -> list[Membership]:
    """Everybody of the workspace, who may sign in first, then by name."""
    query = _members(workspace_id).order_by(Membership.is_active.desc(), func.lower(User.name), User.id)
    return list(db.session.scalars(query))


def find(workspace_id: int, key: str | int) -> Membership:
    """By number or e-mail address. Raises UserNotFound."""
    query = _members(workspace_id)
    query = query.where(User.id == key if isinstance(key, int) else User.email == key.strip().lower())
    member = db.session.scalar(query)
    if member is None:
        raise UserNotFound(key)
    return member


def last_seen(workspace_id: int) -> dict[int, datetime]:
    """When each person who is signed in used the panel last, by number."""
    seen = func.max(LoginSession.seen_at)
    whole = LoginSession.awaits_second_factor.is_(False)  # else somebody knows the password, no more
    query = select(LoginSession.user_id, seen).where(LoginSession.workspace_id == workspace_id, whole)
    query = query.group_by(LoginSession.user_id)
    return {row[0]: row[1] for row in db.session.execute(query)}


def set_role(workspace_id: int, key: str | int, role: Role, *, actor: str) -> Membership:
    """Change what somebody may do and end their logins. Raises UserNotFound or LastAdmin."""
    with writing():
        member = find(workspace_id, key)
        if member.role != role:
            _keep_an_admin(member, stays=role == Role.ADMIN)
            was, member.role = member.role, role
            if role != Role.OPERATOR:
                _see_all(member)
            logins.end_all(member.user_id, workspace_id=workspace_id)
            timeline.record(
                None,
                "role_changed",
                workspace_id=workspace_id,
                actor=actor,
                email=member.email,
                was=was,
                role=role,
            )
    logins.forget_cached()
    return member


def set_active(workspace_id: int, key: str | int, is_active: bool, *, actor: str) -> Membership:
    """Let somebody in again, or keep them out and end their logins. Raises UserNotFound or LastAdmin."""
    with writing():
        member = find(workspace_id, key)
        if member.is_active != is_active:
            _keep_an_admin(member, stays=is_active)
            member.is_active = is_active
            logins.end_all(member.user_id, workspace_id=workspace_id)
            timeline.record(
                None,
                "user_edited",
                workspace_id=workspace_id,
                actor=actor,
                email=member.email,
                is_active=is_active,
            )
    logins.forget_cached()
    return member


def set_password(
    workspace_id: int, key: str | int, password: str, *, keep_login_id: int | None = None, actor: str
) -> Membership:
    """Change a password and end the other logins; the wait after failed tries is over.

    Raises UserNotFound, UnfitPassword or TooBusy.
    """
    member = find(workspace_id, key)
    password_hash = passwords.hashed(passwords.checked(password, (member.email, member.name)))
    with writing():
        member = find(workspace_id, key)
        member.user.password_hash = password_hash
        logins.end_all(member.user_id, but_login_id=keep_login_id)
        throttle.forgive(member.email, None, clock.now())
        timeline.record(None, "password_changed", workspace_id=workspace_id, actor=actor, email=member.email)
    logins.forget_cached()
    return member


def reset_password(
    workspace_id: int, key: str | int, password: str, *, by_owner: bool, actor: str
) -> Membership:
    """The same for somebody else. Raises what set_password does, and BelongsElsewhere."""
    refuse_take_over(find(workspace_id, key), by_owner=by_owner)
    return set_password(workspace_id, key, password, actor=actor)


def refuse_take_over(member: Membership, *, by_owner: bool) -> None:
    """An admin of one workspace may not get hold of an account that opens another one, or of an owner's.

    Raises BelongsElsewhere.
    """
    if not by_owner and opens_more(member):
        raise BelongsElsewhere(member.name)


def opens_more(member: Membership) -> bool:
    """Whether somebody's account opens more than this workspace."""
    elsewhere = select(Membership.workspace_id).where(
        Membership.user_id == member.user_id, Membership.workspace_id != member.workspace_id
    )
    return member.user.is_owner or db.session.scalar(elsewhere.limit(1)) is not None


def assign(
    workspace_id: int, key: str | int, session_ids: Collection[int] | None, *, actor: str
) -> Membership:
    """Let an operator work with these sessions only; None means all of them, those to come too.

    Raises UserNotFound, SeesAll, NothingAssigned or SessionNotFound.
    """
    with writing():
        member = find(workspace_id, key)
        limit(member, session_ids)
        timeline.record(None, "sessions_assigned", workspace_id=workspace_id, actor=actor, email=member.email)
    logins.forget_cached()
    return member


def limit(member: Membership, session_ids: Collection[int] | None) -> None:
    """The same within the transaction of the act behind it."""
    _see_all(member)
    if session_ids is None:
        return
    if member.role != Role.OPERATOR:
        raise SeesAll
    if not session_ids:
        raise NothingAssigned
    member.sees_all = False
    for id in sorted(set(session_ids)):
        found = roster.find(member.workspace_id, id)
        db.session.add(Assignment(user_id=member.user_id, session_id=found.id))


def assigned(workspace_id: int) -> dict[int, dict[int, str]]:
    """By number of each person who does not see all: the sessions they work with, by number."""
    here = WhatsAppSession.workspace_id == workspace_id
    query = (
        select(Membership.user_id, WhatsAppSession.id, WhatsAppSession.name)
        .outerjoin(Assignment, Assignment.user_id == Membership.user_id)
        .outerjoin(WhatsAppSession, and_(WhatsAppSession.id == Assignment.session_id, here))
        .where(Membership.workspace_id == workspace_id, ~Membership.sees_all)
        .order_by(WhatsAppSession.id)
    )
    sessions: dict[int, dict[int, str]] = {}
    for user_id, id, name in db.session.execute(query):
        sessions.setdefault(user_id, {}).update({id: name} if id else {})
    return sessions


def check_password(email: str, password: str, *, address: str) -> None:
    """For somebody who cannot log in, since no workspace lets them. Raises WrongPassword, TooManyAttempts."""
    email, now = email.strip().lower(), clock.now()
    throttle.enter(email, address, now)
    user = by_email(email)
    if not passwords.fits(user.password_hash if user else passwords.nobodys(), password):
        raise logins.WrongPassword(_l("This is not your password."), field="password")
    with writing():
        throttle.forgive(email, address, now)


def edit_profile(
    workspace_id: int,
    key: str | int,
    *,
    name: str,
    language: str | None,
    time_zone: str | None,
    theme: str,
    actor: str,
) -> Membership:
    """Change how somebody is called and shown things. Raises UserNotFound, UnfitText or UnfitPreference."""
    if theme not in vocabulary.THEMES:
        raise UnfitPreference("theme")
    with writing():
        member = find(workspace_id, key)
        user = member.user
        user.name = plain.line(name, LONGEST_NAME, field="name")
        user.language, user.time_zone = checked_language(language), checked_time_zone(time_zone)
        user.theme = theme
        timeline.record(None, "user_edited", workspace_id=workspace_id, actor=actor, email=user.email)
    logins.forget_cached()
    return member


def by_email(email: str) -> User | None:
    """Whoever has an account with this address, in whichever workspace."""
    return db.session.scalar(select(User).filter_by(email=email.strip().lower()))


def admit(user: User, workspace_id: int, role: Role, *, actor: str) -> Membership:
    """Make somebody a member; belongs into the transaction of the act behind it. Raises EmailTaken."""
    if user.id is not None and db.session.get(Membership, (user.id, workspace_id)) is not None:
        raise EmailTaken
    member = Membership(user=user, workspace_id=workspace_id, role=Role(role), created_at=clock.now())
    db.session.add(member)
    db.session.flush()
    timeline.record(None, "user_added", workspace_id=workspace_id, actor=actor, email=user.email, role=role)
    return member


def new_password() -> str:
    """A password to hand over, easy to read out: four groups of letters and digits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def draft(email: str, name: str, password: str, language: str | None, time_zone: str | None) -> User:
    """A person not yet stored. The slow hash is computed here, outside of any transaction."""
    email = checked_email(email)
    name = plain.line(name, LONGEST_NAME, field="name")
    language, time_zone = checked_language(language), checked_time_zone(time_zone)
    password_hash = passwords.hashed(passwords.checked(password, (email, name)))
    return User(
        email=email,
        name=name,
        password_hash=password_hash,
        language=language,
        time_zone=time_zone,
        created_at=clock.now(),
    )


def create(user: User, workspace_id: int, role: Role, *, actor: str) -> Membership:
    """Store a drafted person as a member; belongs into a transaction. Raises EmailTaken."""
    _insert(user)
    return admit(user, workspace_id, role, actor=actor)


def checked_email(email: str) -> str:
    """The address as it is kept, in lower case. Raises UnfitText."""
    import email_validator  # here, since it takes a tenth of the panel's start to load

    text = plain.line(email, LONGEST_EMAIL, field="email").lower()
    if "local" in email_validator.SPECIAL_USE_DOMAIN_NAMES:  # offices have such; we send them nothing
        email_validator.SPECIAL_USE_DOMAIN_NAMES.remove("local")
    try:
        return email_validator.validate_email(text, check_deliverability=False).normalized.lower()
    except email_validator.EmailNotValidError:
        raise plain.UnfitText(_l("Write an address like name@example.com."), field="email") from None


def checked_language(language: str | None) -> str | None:
    """The language, None for none. Raises UnfitPreference for one that the panel does not speak."""
    if language and language not in words.languages():
        raise UnfitPreference("language")
    return language or None


def checked_time_zone(time_zone: str | None) -> str | None:
    """The zone, None for none. Raises UnfitPreference for one that nobody knows."""
    if not time_zone:
        return None
    try:
        get_timezone(time_zone)
    except LookupError:
        raise UnfitPreference("time_zone") from None
    return time_zone


def _members(workspace_id: int) -> Select[Membership]:
    return (
        select(Membership)
        .join(Membership.user)
        .options(contains_eager(Membership.user).undefer(User.has_second_factor))
        .where(Membership.workspace_id == workspace_id)
    )


def _insert(user: User) -> None:
    if by_email(user.email) is not None:
        raise EmailTaken
    db.session.add(user)
    db.session.flush()


def _see_all(member: Membership) -> None:
    """No limit, and none left over in this workspace."""
    ours = select(WhatsAppSession.id).filter_by(workspace_id=member.workspace_id)
    db.session.execute(
        delete(Assignment).where(Assignment.user_id == member.user_id, Assignment.session_id.in_(ours)),
        execution_options={"synchronize_session": False},
    )
    member.sees_all = True


def _keep_an_admin(member: Membership, *, stays: bool) -> None:
    if stays or member.role != Role.ADMIN or not member.is_active:
        return
    admins = select(Membership.user_id).filter_by(
        workspace_id=member.workspace_id, role=Role.ADMIN, is_active=True
    )
    if list(db.session.scalars(admins.with_for_update())) == [member.user_id]:
        raise LastAdmin(member.name)
