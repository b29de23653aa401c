"""Signing in: a password for a token, a token for who it is.

The browser holds the token in the signed cookie; `login_session` holds its hash, so a login can be seen,
revoked and timed out, and neither a stolen database nor a forged cookie is enough.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import lazy_gettext as _l
from flask_login import UserMixin
from sqlalchemy import and_, delete, insert, select, update

from .. import clock, passwords
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import LoginSession, Membership, Role, User
from ..permissions import GRANTS, Permission
from ..refusal import Refusal
from . import audit, throttle, timeline

COOKIE_KEY = "login"  # where the token lies in Flask's signed session
IDLE = timedelta(hours=12)
ABSOLUTE = timedelta(days=14)
TOUCH_AFTER = timedelta(minutes=5)
PROOF_LASTS = timedelta(minutes=15)
CACHE_SECONDS = 5.0
CACHE_SIZE = 2000
NO_MATCH = _l("This e-mail and password do not belong together.")


class WrongPassword(Refusal):
    code = "wrong_password"
    status = 401


@dataclass(frozen=True)
class Identity(UserMixin):
    """Who a login belongs to; what flask-login's current_user is."""

    login_id: int
    user_id: int
    email: str
    name: str
    role: Role
    workspace_id: int
    sees_all: bool
    is_owner: bool
    awaits_second_factor: bool
    language: str | None
    time_zone: str | None
    theme: str
    created_at: datetime
    seen_at: datetime
    proved_at: datetime

    def get_id(self) -> str:
        return str(self.login_id)

    def may(self, permission: Permission) -> bool:
        """Whether this person has this permission in the workspace they look at."""
        if permission == Permission.OWN:
            return self.is_owner
        return permission in GRANTS[self.role]

    def is_over(self, now: datetime) -> bool:
        return now - self.seen_at > IDLE or now - self.created_at > ABSOLUTE

    def proved_lately(self, now: datetime) -> bool:
        """Whether the password was typed a short while ago."""
        return now - self.proved_at <= PROOF_LASTS


# tables instead of entities: a fifth of the cost
_login, _user, _member = LoginSession.__table__.c, User.__table__.c, Membership.__table__.c
IDENTITY = (
    _login.id, _login.user_id, _user.email, _user.name, _member.role, _member.workspace_id, _member.sees_all,
    _user.is_owner, _login.awaits_second_factor, _user.language, _user.time_zone, _user.theme,
    _login.created_at, _login.seen_at, _login.proved_at,
)  # fmt: skip
# who a login belongs to, and what they are in the workspace they look at
IS_THEIRS = and_(
    _user.id == _login.user_id,
    _member.user_id == _login.user_id,
    _member.workspace_id == _login.workspace_id,
    _member.is_active,
)


def log_in(email: str, password: str, *, address: str, agent: str, now: datetime | None = None) -> str:
    """Sign in and return the token of the new login.

    An unknown address costs the same time and gets the same sentence as a wrong password.
    Raises WrongPassword, TooManyAttempts or TooBusy.
    """
    now = now or clock.now()
    email = email.strip().lower()
    throttle.enter(email, address, now)
    user = db.session.scalar(select(User).filter_by(email=email))
    workspace_id = _home(user) if user else None
    stored = user.password_hash if user and workspace_id else passwords.nobodys()
    fits = passwords.fits(stored, password)
    if user is None or workspace_id is None or not fits:
        _note_failure(user, workspace_id, address)
        raise WrongPassword(NO_MATCH)
    current = passwords.hashed(password) if passwords.is_outdated(stored) else stored
    token = new_token()
    with writing():
        # the password may have been changed while we were computing
        account = update(User).where(User.id == user.id, User.password_hash == stored)
        changed = db.session.execute(account.values(last_login_at=now, password_hash=current))
        workspace_id = _home(user)
        if changed.rowcount != 1 or workspace_id is None:  # type: ignore[attr-defined]
            raise WrongPassword(NO_MATCH)
        throttle.forgive(email, address, now)
        _sweep(now)
        start(token, user.id, workspace_id, address=address, agent=agent, now=now)
        timeline.record(None, "login", workspace_id=workspace_id, actor=email, address=address)
    return token


def start(token: str, user_id: int, workspace_id: int, *, address: str, agent: str, now: datetime) -> None:
    """Store a new login; belongs into the transaction of the act that deserves it."""
    db.session.execute(
        insert(LoginSession).values(
            token_hash=digest(token),
            user_id=user_id,
            workspace_id=workspace_id,
            created_at=now,
            seen_at=now,
            proved_at=now,
            address=address[:45],
            agent=agent[:200],
        )
    )


def identify(token: str, now: datetime | None = None) -> Identity | None:
    """Who the token belongs to, None when it is unknown, revoked, timed out or of somebody inactive.

    Remembered for 5 seconds in this process, so that polls cost no query.
    """
    now = now or clock.now()
    token_hash = digest(token)
    identity = _cache.get(token_hash)
    if identity is None:
        identity = _look_up(token_hash)
        if identity is not None:
            _cache.put(token_hash, identity)
    return None if identity is None or identity.is_over(now) else identity


def touch(identity: Identity, now: datetime) -> None:
    """Keep a login in use from idling out; written at most every 5 minutes."""
    if now - identity.seen_at < TOUCH_AFTER:
        return
    with writing():
        db.session.execute(
            update(LoginSession).where(LoginSession.id == identity.login_id).values(seen_at=now)
        )
    _cache.forget(identity.login_id)


def prove(identity: Identity, password: str, *, address: str, now: datetime | None = None) -> None:
    """Let somebody who is signed in type the password once more. Raises WrongPassword, TooManyAttempts."""
    now = now or clock.now()
    throttle.enter(identity.email, address, now)
    stored = db.session.scalar(select(User.password_hash).filter_by(id=identity.user_id))
    if stored is None or not passwords.fits(stored, password):
        raise WrongPassword(_l("This is not your password."), field="password")
    with writing():
        throttle.forgive(identity.email, address, now)
        db.session.execute(
            update(LoginSession).where(LoginSession.id == identity.login_id).values(proved_at=now)
        )
    _cache.forget(identity.login_id)


def log_out(token: str) -> None:
    """End the login of this token."""
    identity = identify(token)
    with writing():
        db.session.execute(delete(LoginSession).where(LoginSession.token_hash == digest(token)))
        if identity is not None:
            timeline.record(None, "logout", workspace_id=identity.workspace_id, actor=identity.email)
    _cache.clear()


def sessions_of(user_id: int, now: datetime | None = None) -> list[LoginSession]:
    """The living logins of somebody, the latest used first."""
    now = now or clock.now()
    query = select(LoginSession).filter(
        LoginSession.user_id == user_id,
        LoginSession.seen_at >= now - IDLE,
        LoginSession.created_at >= now - ABSOLUTE,
    )
    return list(db.session.scalars(query.order_by(LoginSession.seen_at.desc())))


def revoke(identity: Identity, login_id: int) -> None:
    """End one of this person's logins, wherever it is; one that has ended already stays so."""
    with writing():
        ending = delete(LoginSession).where(
            LoginSession.id == login_id, LoginSession.user_id == identity.user_id
        )
        if db.session.execute(ending).rowcount:  # type: ignore[attr-defined]
            timeline.record(None, "login_revoked", workspace_id=identity.workspace_id, actor=identity.email)
    _cache.clear()


def revoke_others(identity: Identity) -> None:
    """End all of this person's logins but the one they use."""
    with writing():
        end_all(identity.user_id, but_login_id=identity.login_id)
        timeline.record(None, "login_revoked", workspace_id=identity.workspace_id, actor=identity.email)
    _cache.clear()


def end_all(user_id: int, but_login_id: int | None = None, workspace_id: int | None = None) -> None:
    """End the logins of somebody, all or all but one, everywhere or in one workspace; belongs into the
    transaction of the act behind it.

    Other processes notice within 5 seconds.
    """
    ending = delete(LoginSession).where(LoginSession.user_id == user_id)
    if but_login_id is not None:
        ending = ending.where(LoginSession.id != but_login_id)
    if workspace_id is not None:
        ending = ending.where(LoginSession.workspace_id == workspace_id)
    db.session.execute(ending)
    _cache.clear()


def forget_cached() -> None:
    """Read identities anew: somebody's name, role or state has changed."""
    _cache.clear()


def remember(token_hash: str, identity: Identity) -> None:
    """Keep an identity that a poll has read along the way."""
    _cache.put(token_hash, identity)


def _look_up(token_hash: str) -> Identity | None:
    query = select(*IDENTITY).where(IS_THEIRS, _login.token_hash == token_hash)
    row = db.session.execute(query).first()
    return Identity(*row) if row else None


def _home(user: User) -> int | None:
    """The workspace that somebody comes in to: where they are longest."""
    query = select(Membership.workspace_id).filter_by(user_id=user.id, is_active=True)
    return db.session.scalar(query.order_by(Membership.created_at, Membership.workspace_id).limit(1))


def _note_failure(user: User | None, workspace_id: int | None, address: str, **how: str) -> None:
    with writing():
        if user is None or workspace_id is None:  # what was typed may be a password: not kept
            audit.record("login_failed", workspace_id=None, actor="panel")
        else:
            timeline.record(
                None,
                "login_failed",
                workspace_id=workspace_id,
                actor="panel",
                email=user.email,
                address=address,
                **how,
            )


def _sweep(now: datetime) -> None:
    """Logins that are over leave the table."""
    over = (LoginSession.seen_at < now - IDLE) | (LoginSession.created_at < now - ABSOLUTE)
    db.session.execute(delete(LoginSession).where(over))


class _Cache:
    """Identities by token hash, each for a few seconds of this process."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Identity]] = {}
        self._lock = threading.Lock()

    def get(self, token_hash: str) -> Identity | None:
        until, identity = self._known.get(token_hash, (0.0, None))
        return identity if time.monotonic() < until else None

    def put(self, token_hash: str, identity: Identity) -> None:
        with self._lock:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[token_hash] = (time.monotonic() + CACHE_SECONDS, identity)

    def forget(self, login_id: int) -> None:
        with self._lock:
            stale = [key for key, (_, identity) in self._known.items() if identity.login_id == login_id]
            for key in stale:
                del self._known[key]

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


_cache = _Cache()
