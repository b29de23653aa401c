"""API keys: what an app shows instead of a password. Shown once; only the hash is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, delete, select, update

from .. import clock, plain
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import ApiKey
from ..prepared import Prepared
from ..refusal import Refusal
from . import timeline

PREFIX = "wak_"
LONGEST_NAME = 60
LONGEST_KEY = 200
NOTE_USE_AFTER = timedelta(minutes=1)

_IN_USE = Prepared(  # asked at every call of every app
    select(ApiKey.id, ApiKey.workspace_id, ApiKey.name, ApiKey.last_used_at).where(
        ApiKey.key_hash == bindparam("key_hash"), ApiKey.revoked_at.is_(None)
    )
)


class BadKey(Refusal):
    code = "unauthorized"
    status = 401

    def __init__(self) -> None:
        super().__init__(_l("This API key is unknown or was revoked."))


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
    """Which app calls, for which workspace."""

    workspace_id: int
    name: str

    @property
    def actor(self) -> str:
        return f"key:{self.name}"


def issue(workspace_id: int, name: str, *, actor: str) -> tuple[ApiKey, str]:
    """A new key and its text `wak_…`, which cannot be read again. Raises UnfitText or NameTaken."""
    name = plain.line(name, LONGEST_NAME, field="name")
    raw, now = PREFIX + new_token(), clock.now()
    with writing():
        held = db.session.scalar(select(ApiKey).filter_by(workspace_id=workspace_id, name=name))
        if held is not None and held.revoked_at is None:
            raise NameTaken(name)
        if held is not None:  # a revoked one makes room for its successor
            db.session.execute(delete(ApiKey).filter_by(id=held.id))
        key = ApiKey(
            workspace_id=workspace_id,
            name=name,
            key_hash=digest(raw),
            last_four=raw[-4:],
            created_by=actor,
            created_at=now,
        )
        db.session.add(key)
        timeline.record(None, "key_added", workspace_id=workspace_id, actor=actor, name=name)
    return key, raw


def check(raw: str) -> KeyIdentity:
    """Who holds this key; one query, and at most once a minute a note that it was used. Raises BadKey."""
    now = clock.now()
    is_like_ours = raw.startswith(PREFIX) and len(raw) <= LONGEST_KEY
    row = _IN_USE.first(db.engine, key_hash=digest(raw)) if is_like_ours else None
    if row is None:
        raise BadKey
    id, workspace_id, name, last_used_at = row
    if last_used_at is None or now - last_used_at >= NOTE_USE_AFTER:
        with writing():
            db.session.execute(update(ApiKey).where(ApiKey.id == id).values(last_used_at=now))
    return KeyIdentity(workspace_id, name)


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
