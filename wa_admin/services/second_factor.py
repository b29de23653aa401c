"""What somebody has beside the password: codes of an authenticator app, passkeys, recovery codes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select, update

from .. import clock
from ..app import vault
from ..crypto import WrongEncryptionKey, digest, same
from ..extensions import db, writing
from ..models import Membership, Passkey, RecoveryCode, User, Workspace
from ..refusal import Refusal
from . import logins, throttle, timeline, users

ISSUER = "wa-admin"
STEP_SECONDS = 30  # of a code, RFC 6238
RECOVERY_CODES = 10
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike


class WrongCode(Refusal):
    code = "wrong_code"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("This code is wrong, or was used already. Wait for the next one."), field="code")


class Outdated(Refusal):
    """The page with the secret is too old, or not this person's."""

    code = "setup_outdated"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This page is out of date. Start again."))


class NeedsAnotherAdmin(Refusal):
    code = "needs_another_admin"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("Another admin has to do this: nobody removes their own lost second factor."))


class NotYours(Refusal):
    code = "not_yours"
    status = 403

    def __init__(self) -> None:
        super().__init__(
            _l("They work in other workspaces as well, or own this panel: an owner has to do this.")
        )


class NoneYet(Refusal):
    code = "no_second_factor"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("Set up your own second factor first, or you would lock yourself out."))


@dataclass(frozen=True)
class Factors:
    """What somebody has; `codes_left` counts recovery codes that were not used."""

    has_app: bool
    passkeys: list[Passkey]
    codes_left: int

    @property
    def are_there(self) -> bool:
        return self.has_app or bool(self.passkeys)


@dataclass(frozen=True)
class Offer:
    """A secret for an authenticator app that is not in use yet. `sealed` comes back with the first code."""

    secret: str
    uri: str
    sealed: str


# --- what there is -------------------------------------------------------------------------------


def of(user_id: int) -> Factors:
    """What somebody has beside the password."""
    left = select(func.count()).select_from(RecoveryCode).filter_by(user_id=user_id, used_at=None)
    has_app = db.session.scalar(select(User.sealed_totp_secret).filter_by(id=user_id)) is not None
    keys = select(Passkey).filter_by(user_id=user_id).order_by(Passkey.id)
    return Factors(has_app, list(db.session.scalars(keys)), db.session.scalar(left) or 0)


# --- authenticator app ---------------------------------------------------------------------------


def offer(identity: logins.Identity) -> Offer:
    """A new secret to show, once, as text and as what a QR code holds."""
    import pyotp  # here, since few requests need it

    return _offer(identity, pyotp.random_base32())


def offered(identity: logins.Identity, sealed: str) -> Offer:
    """The same again, after a wrong code. Raises Outdated."""
    return _offer(identity, _secret_in(identity, sealed))


def add_app(
    identity: logins.Identity, sealed: str, code: str, *, address: str, now: datetime | None = None
) -> list[str]:
    """Ask for codes of the app that holds this secret from now on, since it has just made one.

    The first recovery codes where there are none, to be shown once. Ends the other logins.
    Raises WrongCode, TooManyAttempts or Outdated.
    """
    now = now or clock.now()
    secret = _secret_in(identity, sealed)
    throttle.enter(subject(identity.user_id), address, now)
    counter = _counter_of(secret, code, now)
    if counter is None:
        raise WrongCode
    with writing():
        throttle.forgive(subject(identity.user_id), address, now)
        changes = {"sealed_totp_secret": vault().seal(secret), "totp_counter": counter}
        db.session.execute(update(User).where(User.id == identity.user_id).values(**changes))
        return added(identity, "app")


def remove_app(identity: logins.Identity) -> None:
    """Ask for no codes of an app any more."""
    with writing():
        gone = {"sealed_totp_secret": None, "totp_counter": None}
        db.session.execute(update(User).where(User.id == identity.user_id).values(**gone))
        removed(identity, "app")


def added(identity: logins.Identity, what: str, **detail: str) -> list[str]:
    """What follows once somebody has another factor; recovery codes to show, if there were none."""
    logins.end_all(identity.user_id, but_login_id=identity.login_id)
    _note(identity, "second_factor_added", what=what, **detail)
    return [] if of(identity.user_id).codes_left else _new_codes(identity.user_id)


def removed(identity: logins.Identity, what: str, **detail: str) -> None:
    """What follows once somebody has given up a factor; without any, recovery codes mean nothing."""
    if not of(identity.user_id).are_there:
        db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == identity.user_id))
    logins.end_all(identity.user_id, but_login_id=identity.login_id)
    _note(identity, "second_factor_removed", what=what, **detail)


# --- recovery codes ------------------------------------------------------------------------------


def renew_codes(identity: logins.Identity) -> list[str]:
    """Ten new recovery codes, shown once; the old ones stop working. Raises NoneYet."""
    with writing():
        if not of(identity.user_id).are_there:
            raise NoneYet
        _note(identity, "recovery_codes_renewed")
        return _new_codes(identity.user_id)


# --- the second step of a login ------------------------------------------------------------------


def pass_with_code(token: str, code: str, *, address: str, agent: str, now: datetime | None = None) -> str:
    """Finish the login that waits behind `token` with a code; the new token.

    Raises WrongCode, TooManyAttempts, or LoginOver when nothing waits (any more).
    """
    now = now or clock.now()
    waiting = logins.waiting(token, now)
    throttle.enter(subject(waiting.user_id), address, now)
    with writing():
        how = _use(waiting.user_id, code, now)
        if how is not None:
            throttle.forgive(subject(waiting.user_id), address, now)
            return logins.pass_second_step(waiting, how, address=address, agent=agent, now=now)
    logins.note_failed_step(waiting, address=address)
    raise WrongCode


def subject(user_id: int) -> str:
    """Counted apart from the password, which an attacker at this step knows and could be forgiven for."""
    return f"second factor of {user_id}"


# --- the workspace -------------------------------------------------------------------------------


def is_required(workspace_id: int) -> bool:
    """Whether the workspace asks everybody for a second factor."""
    return db.session.get_one(Workspace, workspace_id).requires_second_factor


def require(identity: logins.Identity, wanted: bool) -> None:
    """Whether everybody in the workspace needs a second factor. Raises NoneYet for somebody without."""
    with writing():
        if wanted and not of(identity.user_id).are_there:
            raise NoneYet
        workspace = db.session.get_one(Workspace, identity.workspace_id)
        if workspace.requires_second_factor != wanted:
            was, workspace.requires_second_factor = workspace.requires_second_factor, wanted
            _note(identity, "second_factor_required", was=was, now=wanted)
    logins.forget_cached()


def reset(workspace_id: int, key: str | int, *, by: logins.Identity | None, actor: str) -> Membership:
    """Take a lost second factor away, and end the logins; `by` None is the command line.

    Raises UserNotFound, NeedsAnotherAdmin for one's own, NotYours for somebody beyond this admin's reach.
    """
    with writing():
        member = users.find(workspace_id, key)
        if by is not None and member.user_id == by.user_id:
            raise NeedsAnotherAdmin
        if by is not None and not by.is_owner and users.opens_more(member):
            raise NotYours
        gone = {"sealed_totp_secret": None, "totp_counter": None}
        db.session.execute(update(User).where(User.id == member.user_id).values(**gone))
        for table in (Passkey, RecoveryCode):
            db.session.execute(delete(table).where(table.user_id == member.user_id))
        logins.end_all(member.user_id)
        timeline.record(
            None, "second_factor_reset", workspace_id=workspace_id, actor=actor, email=member.email
        )
    return member


# --- steps ---------------------------------------------------------------------------------------


def _offer(identity: logins.Identity, secret: str) -> Offer:
    import pyotp

    uri = pyotp.TOTP(secret).provisioning_uri(name=identity.email, issuer_name=ISSUER)
    return Offer(secret, uri, vault().seal(f"{identity.user_id}:{secret}"))


def _secret_in(identity: logins.Identity, sealed: str) -> str:
    try:
        whose, _, secret = vault().open(sealed).partition(":")
    except WrongEncryptionKey:
        raise Outdated from None
    if whose != str(identity.user_id):
        raise Outdated
    return secret


def _use(user_id: int, code: str, now: datetime) -> str | None:
    """How this code lets somebody in, if it does; it will not do so again. Inside writing()."""
    typed = "".join(char for char in code.lower() if char.isalnum())
    if typed.isdecimal() and len(typed) == 6:
        return "app" if _use_app(user_id, typed, now) else None
    spent = update(RecoveryCode).where(
        RecoveryCode.user_id == user_id,
        RecoveryCode.code_hash == _hashed(user_id, typed),
        RecoveryCode.used_at.is_(None),
    )
    if db.session.execute(spent.values(used_at=now)).rowcount:  # type: ignore[attr-defined]
        return "recovery_code"
    return None


def _use_app(user_id: int, code: str, now: datetime) -> bool:
    sealed = db.session.scalar(select(User.sealed_totp_secret).filter_by(id=user_id))
    counter = _counter_of(vault().open(sealed), code, now) if sealed else None
    if counter is None:
        return False
    is_new = (User.totp_counter.is_(None)) | (User.totp_counter < counter)
    used = update(User).where(User.id == user_id, is_new).values(totp_counter=counter)
    return bool(db.session.execute(used).rowcount)  # type: ignore[attr-defined]


def _counter_of(secret: str, code: str, now: datetime) -> int | None:
    """Which of the codes around `now` this is: the current one, the one before, the one after."""
    import pyotp

    typed, app = "".join(code.split()), pyotp.TOTP(secret)
    current = int(now.timestamp()) // STEP_SECONDS
    around = (current - 1, current, current + 1)
    return next((counter for counter in around if same(app.generate_otp(counter), typed)), None)


def _new_codes(user_id: int) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = ["-".join(_letters(5) for _ in range(5)) for _ in range(RECOVERY_CODES)]
    for code in codes:
        db.session.add(RecoveryCode(user_id=user_id, code_hash=_hashed(user_id, code.replace("-", ""))))
    return codes


def _letters(count: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(count))


def _hashed(user_id: int, code: str) -> str:
    """123 random bits need no slow hash (ASVS 6.5.2 asks for 112)."""
    return digest(f"recovery:{user_id}:{code}")


def _note(identity: logins.Identity, kind: str, **detail: Any) -> None:
    timeline.record(
        None,
        kind,
        workspace_id=identity.workspace_id,
        actor=identity.email,
        email=identity.email,
        **detail,
    )
