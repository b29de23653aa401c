"""API keys: what an app shows instead of a password. Shown once; only the hash is kept."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from .. import clock, plain
from ..crypto import digest, new_token
from ..extensions import db, will_pass, writing
from ..models import ApiKey, KeySession, WhatsAppSession
from ..permissions import KEY_SCOPES, Permission
from ..prepared import Prepared
from ..refusal import Refusal
from . import roster, timeline

PREFIX = "wak_"
LONGEST_NAME = 60
LONGEST_KEY = 200
NOTE_USE_AFTER = timedelta(minutes=1)

_log = logging.getLogger(__name__)

_IN_USE = Prepared(  # asked at every call of every app
    select(
        ApiKey.id,
        ApiKey.workspace_id,
        ApiKey.name,
        ApiKey.scopes,
        ApiKey.sees_all,
        ApiKey.expires_at,
        ApiKey.last_used_at,
    ).where(ApiKey.key_hash == bindparam("key_hash"), ApiKey.revoked_at.is_(None))
)


class BadKey(Refusal):
    code = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("This API key is unknown, was revoked or has expired."))


class UnfitScopes(Refusal):
    code = "unfit_scopes"
    status = 422


class KeyNotFound(Refusal):
    code = "key_not_found"
    status = 404

    def __init__(self, key: str | int) -> None:
        super().__init__(_l("There is no API key called %(key)s.", key=str(key)))


class NameTaken(Refusal):
    code = "name_taken"
    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(_l("A key called %(name)s is in use already.", name=name), field="name")


@dataclass(frozen=True)
class KeyIdentity:
    """Which app calls, for which workspace, and what it may do there."""

    id: int
    workspace_id: int
    name: str
    scopes: frozenset[str] = frozenset(KEY_SCOPES)
    sees_all: bool = True

    @property
    def actor(self) -> str:
        return f"key:{self.name}"


def issue(
    workspace_id: int,
    name: str,
    *,
    scopes: Collection[Permission] = KEY_SCOPES,
    session_ids: Collection[int] | None = None,
    expires_at: datetime | None = None,
    actor: str,
) -> tuple[ApiKey, str]:
    """A new key and its text `wak_…`, which cannot be read again.

    `session_ids` None means all sessions, those to come too. Raises UnfitText, NameTaken, UnfitScopes or
    SessionNotFound.
    """
    name = plain.line(name, LONGEST_NAME, field="name")
    raw, now = PREFIX + new_token(), clock.now()
    _check(scopes, session_ids, expires_at, now)
    with writing():
        held = db.session.scalar(select(ApiKey).filter_by(workspace_id=workspace_id, name=name))
        if held is not None and held.revoked_at is None and not has_expired(held.expires_at, now):
            raise NameTaken(name)
        if held is not None:  # one that works no more makes room for its successor
            db.session.execute(delete(ApiKey).filter_by(id=held.id))
        key = ApiKey(
            workspace_id=workspace_id,
            name=name,
            key_hash=digest(raw),
            last_four=raw[-4:],
            scopes=",".join(one for one in KEY_SCOPES if one in scopes),
            sees_all=session_ids is None,
            expires_at=expires_at,
            created_by=actor,
            created_at=now,
        )
        db.session.add(key)
        db.session.flush()
        for id in sorted(set(session_ids or ())):
            found = roster.find(workspace_id, id)
            db.session.add(KeySession(key_id=key.id, session_id=found.id))
        timeline.record(None, "key_added", workspace_id=workspace_id, actor=actor, name=name)
    return key, raw


def check(raw: str) -> KeyIdentity:
    """Who holds this key; one query, and at most once a minute a note that it was used. Raises BadKey."""
    now = clock.now()
    is_like_ours = raw.startswith(PREFIX) and len(raw) <= LONGEST_KEY
    row = _IN_USE.first(db.engine, key_hash=digest(raw)) if is_like_ours else None
    if row is None:
        raise BadKey
    id, workspace_id, name, scopes, sees_all, expires_at, last_used_at = row
    if has_expired(expires_at, now):
        raise BadKey
    if last_used_at is None or now - last_used_at >= NOTE_USE_AFTER:
        _note_use(id, now)
    return KeyIdentity(id, workspace_id, name, frozenset(scopes.split(",")), sees_all)


def _note_use(id: int, now: datetime) -> None:
    """Or leave it to the next call: nobody who only reads is refused because somebody writes for long."""
    try:
        with writing(alone=False):
            db.session.execute(update(ApiKey).where(ApiKey.id == id).values(last_used_at=now))
    except SQLAlchemyError as error:
        if not will_pass(error):
            raise
        _log.warning("the use of key %s could not be noted: %s", id, type(error).__name__)


def has_expired(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def sessions_of(keys: Iterable[ApiKey]) -> dict[int, list[str]]:
    """The names of the sessions that keys are limited to, by the key's number."""
    query = select(KeySession.key_id, WhatsAppSession.name).join(WhatsAppSession)
    query = query.where(KeySession.key_id.in_([key.id for key in keys if not key.sees_all]))
    names: dict[int, list[str]] = {}
    for key_id, name in db.session.execute(query.order_by(WhatsAppSession.id)):
        names.setdefault(key_id, []).append(name)
    return names


def listed(workspace_id: int) -> list[ApiKey]:
    """The keys in use, the newest first."""
    query = select(ApiKey).filter_by(workspace_id=workspace_id, revoked_at=None)
    return list(db.session.scalars(query.order_by(ApiKey.id.desc())))


def find(workspace_id: int, key: str | int) -> ApiKey:
    """A key in use, by number or name. Raises KeyNotFound."""
    query = select(ApiKey).filter_by(workspace_id=workspace_id, revoked_at=None)
    query = query.filter_by(id=key) if isinstance(key, int) else query.filter_by(name=key.strip())
    found = db.session.scalar(query)
    if found is None:
        raise KeyNotFound(key)
    return found


def revoke(workspace_id: int, key: str | int, *, actor: str) -> ApiKey:
    """Stop a key from working, at once and in every process. Raises KeyNotFound."""
    with writing():
        found = find(workspace_id, key)
        found.revoked_at = clock.now()
        timeline.record(None, "key_revoked", workspace_id=workspace_id, actor=actor, name=found.name)
    return found


def _check(
    scopes: Collection[Permission],
    session_ids: Collection[int] | None,
    expires_at: datetime | None,
    now: datetime,
) -> None:
    if not scopes or not set(scopes) <= set(KEY_SCOPES):
        raise UnfitScopes(_l("Choose at least one thing that the app may do."), field="scopes")
    if session_ids is not None and not session_ids:
        raise UnfitScopes(_l("Choose at least one session, or all of them."), field="sessions")
    if session_ids is not None and Permission.MANAGE in scopes:
        raise UnfitScopes(
            _l("A key that manages sessions is for all of them: take one of the two away."), field="scopes"
        )
    if has_expired(expires_at, now):
        raise UnfitScopes(_l("This moment has passed already."), field="expires")
