"""People: the first one, adding more, what they may do, their passwords and preferences."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from babel.dates import get_timezone
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select, update

from .. import clock, passwords, plain, vocabulary, words
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import LoginSession, Role, SetupToken, User, Workspace
from ..refusal import Refusal
from . import logins, throttle, timeline

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
        super().__init__(_l("Somebody with this address is here already."), field="email")


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
) -> User:
    """Let somebody in.

    Raises EmailTaken, UnfitText, UnfitPassword or UnfitPreference, which name their field, or TooBusy.
    """
    user = _draft(workspace_id, email, name, password, role, language, time_zone)
    with writing():
        _insert(user)
        timeline.record(
            None, "user_added", workspace_id=workspace_id, actor=actor, email=user.email, role=user.role
        )
    return user


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
    """Make the first person, an admin, and return the token of their login.

    Of two at once one wins. Raises SetupOver, NoSetup, or what add() raises about the input.
    """
    check_setup_token(token)
    user = _draft(_first_workspace(), email, name, password, Role.ADMIN, language, time_zone)
    login, now = new_token(), clock.now()
    with writing():
        db.session.scalar(select(Workspace.id).filter_by(id=user.workspace_id).with_for_update())
        check_setup_token(token)
        db.session.execute(update(SetupToken).filter_by(token_hash=digest(token)).values(used_at=now))
        user.last_login_at = now
        _insert(user)
        logins.start(login, user.id, address=address, agent=agent, now=now)
        timeline.record(None, "set_up", workspace_id=user.workspace_id, actor=user.email, address=address)
    return login


def listed(workspace_id: int) -> list[User]:
    """Everybody of the workspace, who may sign in first, then by name."""
    query = select(User).filter_by(workspace_id=workspace_id)
    return list(db.session.scalars(query.order_by(User.is_active.desc(), func.lower(User.name), User.id)))


def find(workspace_id: int, key: str | int) -> User:
    """By number or e-mail address. Raises UserNotFound."""
    query = select(User).filter_by(workspace_id=workspace_id)
    query = query.filter_by(id=key) if isinstance(key, int) else query.filter_by(email=key.strip().lower())
    user = db.session.scalar(query)
    if user is None:
        raise UserNotFound(key)
    return user


def last_seen(workspace_id: int) -> dict[int, datetime]:
    """When each person who is signed in used the panel last, by number."""
    seen = func.max(LoginSession.seen_at)
    query = select(LoginSession.user_id, seen).join(User, User.id == LoginSession.user_id)
    query = query.where(User.workspace_id == workspace_id).group_by(LoginSession.user_id)
    return {row[0]: row[1] for row in db.session.execute(query)}


def set_role(workspace_id: int, key: str | int, role: Role, *, actor: str) -> User:
    """Change what somebody may do and end their logins. Raises UserNotFound or LastAdmin."""
    with writing():
        user = find(workspace_id, key)
        if user.role != role:
            _keep_an_admin(user, stays=role == Role.ADMIN)
            was, user.role = user.role, role
            logins.end_all(user.id)
            timeline.record(
                None,
                "role_changed",
                workspace_id=workspace_id,
                actor=actor,
                email=user.email,
                was=was,
                role=role,
            )
    logins.forget_cached()
    return user


def set_active(workspace_id: int, key: str | int, is_active: bool, *, actor: str) -> User:
    """Let somebody in again, or keep them out and end their logins. Raises UserNotFound or LastAdmin."""
    with writing():
        user = find(workspace_id, key)
        if user.is_active != is_active:
            _keep_an_admin(user, stays=is_active)
            user.is_active = is_active
            logins.end_all(user.id)
            timeline.record(
                None,
                "user_edited",
                workspace_id=workspace_id,
                actor=actor,
                email=user.email,
                is_active=is_active,
            )
    logins.forget_cached()
    return user


def set_password(
    workspace_id: int, key: str | int, password: str, *, keep_login_id: int | None = None, actor: str
) -> User:
    """Change a password and end the other logins; the wait after failed tries is over.

    Raises UserNotFound, UnfitPassword or TooBusy.
    """
    user = find(workspace_id, key)
    password_hash = passwords.hashed(passwords.checked(password, (user.email, user.name)))
    with writing():
        user = find(workspace_id, key)
        user.password_hash = password_hash
        logins.end_all(user.id, but_login_id=keep_login_id)
        throttle.forgive(user.email, None, clock.now())
        timeline.record(None, "password_changed", workspace_id=workspace_id, actor=actor, email=user.email)
    logins.forget_cached()
    return user


def edit_profile(
    workspace_id: int,
    key: str | int,
    *,
    name: str,
    language: str | None,
    time_zone: str | None,
    theme: str,
    actor: str,
) -> User:
    """Change how somebody is called and shown things. Raises UserNotFound, UnfitText or UnfitPreference."""
    if theme not in vocabulary.THEMES:
        raise UnfitPreference("theme")
    with writing():
        user = find(workspace_id, key)
        user.name = plain.line(name, LONGEST_NAME, field="name")
        user.language, user.time_zone = checked_language(language), checked_time_zone(time_zone)
        user.theme = theme
        timeline.record(None, "user_edited", workspace_id=workspace_id, actor=actor, email=user.email)
    logins.forget_cached()
    return user


def new_password() -> str:
    """A password to hand over, easy to read out: four groups of letters and digits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


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


def _draft(
    workspace_id: int,
    email: str,
    name: str,
    password: str,
    role: Role,
    language: str | None,
    time_zone: str | None,
) -> User:
    """A person not yet stored. The slow hash is computed here, outside of any transaction."""
    email = checked_email(email)
    name = plain.line(name, LONGEST_NAME, field="name")
    language, time_zone = checked_language(language), checked_time_zone(time_zone)
    password_hash = passwords.hashed(passwords.checked(password, (email, name)))
    return User(
        workspace_id=workspace_id,
        email=email,
        name=name,
        password_hash=password_hash,
        role=Role(role),
        language=language,
        time_zone=time_zone,
        created_at=clock.now(),
    )


def _insert(user: User) -> None:
    if db.session.scalar(select(User.id).filter_by(email=user.email)) is not None:
        raise EmailTaken
    db.session.add(user)
    db.session.flush()


def _keep_an_admin(user: User, *, stays: bool) -> None:
    if stays or user.role != Role.ADMIN or not user.is_active:
        return
    admins = select(User.id).filter_by(workspace_id=user.workspace_id, role=Role.ADMIN, is_active=True)
    if list(db.session.scalars(admins.with_for_update())) == [user.id]:
        raise LastAdmin(user.name)


def _first_workspace() -> int:
    return db.session.scalars(select(Workspace.id).order_by(Workspace.id).limit(1)).one()
