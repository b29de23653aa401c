"""API keys: what an app shows instead of a password. Shown once; only the hash is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select, update

from .. import clock, plain
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import ApiKey
from ..refusal import Refusal
from . import timeline

PREFIX = "wak_"
LONGEST_NAME = 60
LONGEST_KEY = 200
NOTE_USE_AFTER = timedelta(minutes=1)


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
    table, now = ApiKey.__table__, clock.now()
    row = None
    if raw.startswith(PREFIX) and len(raw) <= LONGEST_KEY:
        query = select(table.c.id, table.c.workspace_id, table.c.name, table.c.last_used_at)
        row = db.session.execute(
            query.where(table.c.key_hash == digest(raw), table.c.revoked_at.is_(None))
        ).first()
    if row is None:
        raise BadKey
    if row.last_used_at is None or now - row.last_used_at >= NOTE_USE_AFTER:
        with writing():
            db.session.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=now))
    return KeyIdentity(row.workspace_id, row.name)


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
