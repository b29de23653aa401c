"""Passkeys (WebAuthn): a key in a phone, laptop or stick that proves both possession and its holder.

A passkey belongs to a host name, never to an address of digits: on http://127.0.0.1 browsers refuse it, on
http://localhost they take it. The challenge lies in the signed cookie between the two requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select, update

from .. import clock, plain
from ..crypto import digest
from ..extensions import db, writing
from ..models import Passkey
from ..refusal import Refusal
from . import audit, logins, second_factor, throttle

CHALLENGE_LASTS = timedelta(minutes=5)
LONGEST_NAME = 60
LONGEST_ANSWER = 20_000  # of a browser, in characters
MOST = 20  # of one person


class BadPasskey(Refusal):
    code = "bad_passkey"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("This passkey was not accepted. Try again, or log in with your password."))


class TooManyPasskeys(Refusal):
    code = "too_many_passkeys"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("You have as many passkeys as one person can have. Remove one first."))


class PasskeyNotFound(Refusal):
    code = "passkey_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("This passkey is not here any more."))


@dataclass(frozen=True)
class Site:
    """Who asks: the host name that passkeys belong to, and the origins its pages have."""

    host: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """`options` is JSON for the browser; `challenge`, in hex, must come back in the answer by `until`."""

    options: str
    challenge: str
    until: float


# --- asking --------------------------------------------------------------------------------------


def ask_new(identity: logins.Identity, site: Site, now: datetime | None = None) -> Question:
    """Ask the browser to make a passkey, none that it has already. Raises TooManyPasskeys."""
    from webauthn import generate_registration_options  # here, since it loads slowly
    from webauthn.helpers import structs

    held = second_factor.of(identity.user_id).passkeys
    if len(held) >= MOST:
        raise TooManyPasskeys
    options = generate_registration_options(
        rp_id=site.host,
        rp_name=second_factor.ISSUER,
        user_id=_handle(identity.user_id),
        user_name=identity.email,
        user_display_name=identity.name,
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one.credential_id) for one in held],
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
    )
    return _question(options, now or clock.now())


def ask_for(site: Site, now: datetime | None = None) -> Question:
    """Ask the browser for any passkey that it has for this site."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import structs

    required = structs.UserVerificationRequirement.REQUIRED
    options = generate_authentication_options(rp_id=site.host, user_verification=required)
    return _question(options, now or clock.now())


# --- answers -------------------------------------------------------------------------------------


def add(
    identity: logins.Identity,
    site: Site,
    question: Question | None,
    answer: str,
    name: str,
    now: datetime | None = None,
) -> list[str]:
    """Keep a passkey that was just made; the first recovery codes where there are none, to be shown once.

    Raises BadPasskey, TooManyPasskeys or UnfitText.
    """
    from webauthn import verify_registration_response

    now = now or clock.now()
    name = plain.line(name, LONGEST_NAME, field="name")
    with _refusing():
        made = verify_registration_response(
            credential=_read(answer),
            expected_challenge=_challenge(question, now),
            expected_rp_id=site.host,
            expected_origin=list(site.origins),
            require_user_verification=True,
        )
    with writing():
        taken = db.session.scalar(select(Passkey.id).filter_by(credential_id=made.credential_id))
        if taken is not None:
            raise BadPasskey
        if len(second_factor.of(identity.user_id).passkeys) >= MOST:
            raise TooManyPasskeys
        db.session.add(
            Passkey(
                user_id=identity.user_id,
                name=name,
                credential_id=made.credential_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                created_at=now,
            )
        )
        db.session.flush()
        return second_factor.added(identity, "passkey", name=name)


def log_in(
    site: Site,
    question: Question | None,
    answer: str,
    *,
    address: str,
    agent: str,
    now: datetime | None = None,
) -> str:
    """Sign in with nothing but a passkey; the token of the new login.

    Raises BadPasskey, TooManyAttempts, or WrongPassword for somebody who may no longer come in.
    """
    now = now or clock.now()
    throttle.enter(f"passkeys from {address}", address, now)
    try:
        with writing():
            user_id = _use(site, question, answer, now)
            throttle.forgive(f"passkeys from {address}", address, now)
            return logins.enter(user_id, "passkey", address=address, agent=agent, now=now)
    except BadPasskey:
        audit.record("login_failed", workspace_id=None, actor="panel", step="passkey")
        raise


def pass_second_step(
    token: str,
    site: Site,
    question: Question | None,
    answer: str,
    *,
    address: str,
    agent: str,
    now: datetime | None = None,
) -> str:
    """Finish the login that waits behind `token`; the new token.

    Raises BadPasskey, TooManyAttempts or LoginOver.
    """
    now = now or clock.now()
    waiting = logins.waiting(token, now)
    throttle.enter(second_factor.subject(waiting.user_id), address, now)
    try:
        with writing():
            _use(site, question, answer, now, waiting.user_id)
            throttle.forgive(second_factor.subject(waiting.user_id), address, now)
            return logins.pass_second_step(waiting, "passkey", address=address, agent=agent, now=now)
    except BadPasskey:
        logins.note_failed_step(waiting, address=address)
        raise


def prove(
    identity: logins.Identity, site: Site, question: Question | None, answer: str, now: datetime | None = None
) -> None:
    """Let somebody who is signed in show that it is still them. Raises BadPasskey."""
    now = now or clock.now()
    with writing():
        _use(site, question, answer, now, identity.user_id)
        logins.proved(identity, now)


def remove(identity: logins.Identity, id: int) -> None:
    """Accept one of this person's passkeys no more. Raises PasskeyNotFound."""
    with writing():
        found = db.session.scalar(select(Passkey).filter_by(id=id, user_id=identity.user_id))
        if found is None:
            raise PasskeyNotFound
        db.session.execute(delete(Passkey).where(Passkey.id == id))
        second_factor.removed(identity, "passkey", name=found.name)


# --- steps ---------------------------------------------------------------------------------------


def _use(site: Site, question: Question | None, answer: str, now: datetime, whose: int | None = None) -> int:
    """Whose passkey this is, when it is real and, if asked for, that of `whose`. Inside writing()."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes

    with _refusing():
        told = _read(answer)
        id = base64url_to_bytes(str(told["rawId"]))
        passkey = db.session.scalar(select(Passkey).filter_by(credential_id=id))
        if passkey is None or whose not in (None, passkey.user_id):
            raise BadPasskey
        seen = verify_authentication_response(
            credential=told,
            expected_challenge=_challenge(question, now),
            expected_rp_id=site.host,
            expected_origin=list(site.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    used = update(Passkey).where(Passkey.id == passkey.id)
    db.session.execute(used.values(sign_count=seen.new_sign_count, last_used_at=now))
    return passkey.user_id


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever is wrong with what a browser sent, the person is told one thing."""
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        yield
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:  # garbage raises Python's own
        raise BadPasskey from error


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LONGEST_ANSWER:
        raise BadPasskey
    told = json.loads(answer)
    if not isinstance(told, dict):
        raise BadPasskey
    return told


def _challenge(question: Question | None, now: datetime) -> bytes:
    if question is None or now.timestamp() > question.until:
        raise BadPasskey
    return bytes.fromhex(question.challenge)


def _question(options: Any, now: datetime) -> Question:
    from webauthn import options_to_json

    until = (now + CHALLENGE_LASTS).timestamp()
    return Question(options_to_json(options), options.challenge.hex(), until)


def _handle(user_id: int) -> bytes:
    """What a device knows somebody by: not their address, and the same for all of their passkeys."""
    return bytes.fromhex(digest(f"passkey:{user_id}"))
