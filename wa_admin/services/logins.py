"""Signing in: a password, or a passkey, for a token; a token for who it is. Whoever has a second factor
besides a password is nobody until that came, too: `identify` does not know them, `waiting` does.

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
from sqlalchemy import and_, delete, exists, insert, not_, or_, select, update

from .. import clock, passwords, plain
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import LoginSession, Membership, Passkey, Role, User, Workspace
from ..permissions import GRANTS, Permission
from ..refusal import Refusal
from . import audit, throttle, timeline

COOKIE_KEY = "login"  # where the token lies in Flask's signed session
IDLE = timedelta(hours=12)
ABSOLUTE = timedelta(days=14)
TOUCH_AFTER = timedelta(minutes=5)
PROOF_LASTS = timedelta(minutes=15)
STEP_LASTS = timedelta(minutes=10)  # from the password to the second factor
CACHE_SECONDS = 5.0
CACHE_SIZE = 2000
NO_MATCH = _l("This e-mail and password do not belong together.")


class WrongPassword(Refusal):
    code = "wrong_password"
    status = 401


class LoginOver(Refusal):
    """No login waits for its second step (any more)."""

    code = "login_over"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("This took too long. Log in again."))


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
    lacks_second_factor: bool
    is_elsewhere_too: bool  # in other workspaces
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
        age = now - self.created_at
        return now - self.seen_at > IDLE or age > (STEP_LASTS if self.awaits_second_factor else ABSOLUTE)

    def counts(self, now: datetime) -> bool:
        """Whether this login is worth anything: begun in full, and not over."""
        return not self.awaits_second_factor and not self.is_over(now)

    def opens_pages(self, now: datetime) -> bool:
        """Whether it opens what is behind the login, beside the pages that set up a second factor."""
        return self.counts(now) and not self.lacks_second_factor

    def proved_lately(self, now: datetime) -> bool:
        """Whether the password was typed, or a passkey used, a short while ago."""
        return now - self.proved_at <= PROOF_LASTS


# tables instead of entities: a fifth of the cost
_login, _user, _member = LoginSession.__table__.c, User.__table__.c, Membership.__table__.c
_has_passkey = exists().where(Passkey.user_id == _user.id)
_is_required = (
    select(Workspace.requires_second_factor).where(Workspace.id == _login.workspace_id).scalar_subquery()
)
_has_factor = or_(_user.sealed_totp_secret.is_not(None), _has_passkey)
_lacks_factor = and_(_is_required, not_(_has_factor))
_other = Membership.__table__.alias()
_is_elsewhere_too = exists().where(
    _other.c.user_id == _login.user_id, _other.c.workspace_id != _login.workspace_id, _other.c.is_active
)
IDENTITY = (
    _login.id, _login.user_id, _user.email, _user.name, _member.role, _member.workspace_id, _member.sees_all,
    _user.is_owner, _login.awaits_second_factor, _lacks_factor, _is_elsewhere_too, _user.language,
    _user.time_zone, _user.theme, _login.created_at, _login.seen_at, _login.proved_at,
)  # fmt: skip
# who a login belongs to, and what they are in the workspace they look at
IS_THEIRS = and_(
    _user.id == _login.user_id,
    _member.user_id == _login.user_id,
    _member.workspace_id == _login.workspace_id,
    _member.is_active,
)


def log_in(
    email: str, password: str, *, address: str, agent: str, browser: str = "", now: datetime | None = None
) -> str:
    """Sign in and return the token of the new login, which waits for the second factor of who has one.

    An unknown address costs the same time and gets the same sentence as a wrong password. A `browser` that
    was let in before is counted apart. Raises WrongPassword, TooManyAttempts or TooBusy.
    """
    now = now or clock.now()
    email = plain.storable(email.strip().lower())
    user = db.session.scalar(select(User).filter_by(email=email))
    # another password is another count: whoever is given a new one need not wait
    counted = f"{email} in {browser} by {digest(user.password_hash)}" if user and browser else email
    throttle.enter(counted, address, now)
    workspace_id = _home(user) if user else None
    stored = user.password_hash if user and workspace_id else passwords.nobodys()
    fits = passwords.fits(stored, password)
    if user is None or workspace_id is None or not fits:
        _note_failure(user, workspace_id, address)
        raise WrongPassword(NO_MATCH)
    current = passwords.hashed(password) if passwords.is_outdated(stored) else stored
    with writing():
        # the password may have been changed while we were computing
        account = update(User).where(User.id == user.id, User.password_hash == stored)
        changed = db.session.execute(account.values(password_hash=current))
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise WrongPassword(NO_MATCH)
        throttle.forgive(counted, address, now)
        if not db.session.scalar(select(_has_factor).where(_user.id == user.id)):
            return enter(user.id, "password", address=address, agent=agent, now=now)
        token, workspace_id = new_token(), _home(user)
        if workspace_id is None:
            raise WrongPassword(NO_MATCH)
        start(token, user.id, workspace_id, address=address, agent=agent, now=now, awaits_second_factor=True)
    return token


def enter(user_id: int, how: str, *, address: str, agent: str, now: datetime) -> str:
    """The token of a new login of somebody who has shown everything that was asked of them: `how`.

    Belongs into the transaction of that. Raises WrongPassword for somebody who may no longer come in.
    """
    user = db.session.get_one(User, user_id)
    workspace_id = _home(user)
    if workspace_id is None:
        raise WrongPassword(NO_MATCH)
    token = new_token()
    user.last_login_at = now
    _sweep(now)
    start(token, user_id, workspace_id, address=address, agent=agent, now=now)
    timeline.record(None, "login", workspace_id=workspace_id, actor=user.email, address=address, how=how)
    return token


def start(
    token: str,
    user_id: int,
    workspace_id: int,
    *,
    address: str,
    agent: str,
    now: datetime,
    awaits_second_factor: bool = False,
) -> None:
    """Store a new login; belongs into the transaction of the act that deserves it."""
    db.session.execute(
        insert(LoginSession).values(
            token_hash=digest(token),
            user_id=user_id,
            workspace_id=workspace_id,
            awaits_second_factor=awaits_second_factor,
            created_at=now,
            seen_at=now,
            proved_at=now,
            address=address[:45],
            agent=agent[:200],
        )
    )


def identify(token: str, now: datetime | None = None) -> Identity | None:
    """Who the token belongs to; None when it is unknown, revoked, timed out, of somebody inactive, or still
    waits for the second factor.

    Remembered for 5 seconds in this process, so that polls cost no query.
    """
    known = _known(token)
    return known if known is not None and known.counts(now or clock.now()) else None


def waiting(token: str, now: datetime | None = None) -> Identity:
    """Whose login waits for the second factor behind this token. Raises LoginOver."""
    known = _known(token)
    if known is None or not known.awaits_second_factor or known.is_over(now or clock.now()):
        raise LoginOver
    return known


def waits(token: str, now: datetime | None = None) -> bool:
    """Whether there is such a login."""
    try:
        return bool(waiting(token, now))
    except LoginOver:
        return False


def pass_second_step(identity: Identity, how: str, *, address: str, agent: str, now: datetime) -> str:
    """Put a whole login, with a new token, in the place of one that waited; belongs into the transaction of
    the factor's use. Raises LoginOver when somebody was faster."""
    ending = delete(LoginSession).where(
        LoginSession.id == identity.login_id, LoginSession.awaits_second_factor
    )
    if db.session.execute(ending).rowcount != 1:  # type: ignore[attr-defined]
        raise LoginOver
    _cache.forget(identity.login_id)
    return enter(identity.user_id, how, address=address, agent=agent, now=now)


def note_failed_step(identity: Identity, *, address: str) -> None:
    """Put on record that somebody knew the password and not the rest."""
    user = db.session.get_one(User, identity.user_id)
    _note_failure(user, identity.workspace_id, address, step="second_factor")


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
        proved(identity, now)


def proved(identity: Identity, now: datetime) -> None:
    """Note that this is still the same person; belongs into the transaction of the proof."""
    at_login = update(LoginSession).where(LoginSession.id == identity.login_id)
    db.session.execute(at_login.values(proved_at=now))
    _cache.forget(identity.login_id)


def renewed(identity: Identity) -> str:
    """Another token for the same login: what somebody may have seen of it until now is worth nothing."""
    token = new_token()
    with writing():
        at_login = update(LoginSession).where(LoginSession.id == identity.login_id)
        db.session.execute(at_login.values(token_hash=digest(token)))
    _cache.forget(identity.login_id)
    return token


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
        LoginSession.awaits_second_factor.is_(False),
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


def _known(token: str) -> Identity | None:
    if not token:
        return None  # a stranger, who need not be looked for
    token_hash = digest(token)
    identity = _cache.get(token_hash)
    if identity is None:
        identity = _look_up(token_hash)
        if identity is not None:
            _cache.put(token_hash, identity)
    return identity


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
