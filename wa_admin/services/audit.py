"""The audit log: what people and apps did, each entry chained by hash to the one before it.

`timeline.record` decides what belongs here beside the timeline; what has no place on a timeline (a refusal, a
look at a code) calls `record` itself. Nothing in the program changes or removes an entry, the schema refuses
it, and `verify` finds what somebody changed with other tools.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import has_request_context, request
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, event, func, insert, or_, select, text
from sqlalchemy.orm import Session

from .. import clock, log
from ..extensions import db, writing
from ..models import AuditEntry
from . import keyset
from .keyset import Page

BEGINNING = "0" * 64  # what the first entry is chained to
CHAINED = ("workspace_id", "actor", "role", "address", "action", "object", "detail", "request_id", "at")
HEADINGS = ("id", *CHAINED, "hash")
NOT_BY_A_PERSON = frozenset({"login_failed", "linked"})  # and yet for this log
NAMES = ("email", "name", "message")  # of what an act was done to, in its detail
AT_A_TIME = 500
LONGEST_VALUE = 80  # of what was before, or is now
_PENDING = "audit"  # where a database session keeps entries until it commits
_LOCK = 7_283_465  # PostgreSQL's, held by whoever appends; any number that nobody else takes

_entry = AuditEntry.__table__


@dataclass(frozen=True)
class Verdict:
    """`broken_id` is the first entry that was changed, or that follows one that is gone; None for none.
    `head` is the hash of the last entry; whoever notes it can prove later that none was cut off."""

    count: int
    head: str
    broken_id: int | None
    knows_hash: bool


def is_act(kind: str, actor: str) -> bool:
    """Whether a line of the timeline belongs into this log: what a person, an app or the console did."""
    if kind == "status":  # what followed from an act that has its own line
        return False
    return "@" in actor or actor == "cli" or actor.startswith("key:") or kind in NOT_BY_A_PERSON


def record(
    action: str, *, workspace_id: int | None, actor: str, object: str | None = None, **detail: Any
) -> None:
    """Add one entry, stored when the transaction of the act commits, or with none of it.

    Of a change, `detail` holds what was before and what is now; no secret and no message text.
    """
    values = {
        "workspace_id": workspace_id,
        "actor": actor[:80],
        "role": _role(),
        "address": (request.remote_addr or "")[:45] if has_request_context() else None,
        "action": action,
        "object": (_object(detail) if object is None else object)[:120],
        "detail": json.loads(json.dumps(detail, default=str)),  # as it will be read
        "request_id": log.request_id.get() or None,
        "at": clock.now(),
    }
    with writing(alone=False):
        db.session.connection()  # so that a rollback has something to roll back, and we hear of it
        db.session.info.setdefault(_PENDING, []).append(values)


def record_once(action: str, since: datetime, *, workspace_id: int, actor: str, object: str) -> None:
    """Add the entry unless there is one since then: for what pages and programs repeat every second."""
    latest = select(func.max(AuditEntry.id)).scalar_subquery()
    query = _of(workspace_id, action=action, actor=actor).where(AuditEntry.object == object[:120])
    query = query.where(AuditEntry.at >= since, AuditEntry.id > latest - AT_A_TIME)  # never a long search
    if db.session.scalar(query.limit(1)) is None:
        record(action, workspace_id=workspace_id, actor=actor, object=object)


def difference(row: object, values: Mapping[str, object]) -> dict[str, Any]:
    """Of columns that are about to change, what `was` and what is `now`, for the detail of the act."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    return {
        "was": {name: _redacted(name, getattr(row, name)) for name in changed},
        "now": {name: _redacted(name, values[name]) for name in changed},
    }


def page(
    workspace_id: int,
    *,
    all_of_it: bool = False,
    action: str | None = None,
    actor: str | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> Page[AuditEntry]:
    """Entries older than `cursor`, newest first; `all_of_it` adds those that belong to no workspace.

    A negative cursor means newer than its absolute value.
    """
    return keyset.page(AuditEntry, _of(workspace_id, all_of_it, action, actor), cursor, limit)


def actions(workspace_id: int, *, all_of_it: bool = False) -> list[str]:
    """Which there are, by name."""
    found = _of(workspace_id, all_of_it).with_only_columns(AuditEntry.action).distinct()
    return sorted(db.session.scalars(found))


def actors(workspace_id: int, *, all_of_it: bool = False) -> list[str]:
    """Who there is, by name."""
    found = _of(workspace_id, all_of_it).with_only_columns(AuditEntry.actor).distinct()
    return sorted(db.session.scalars(found))


def export(
    workspace_id: int, *, all_of_it: bool = False, action: str | None = None, actor: str | None = None
) -> Iterator[str]:
    """The same as CSV, oldest first, some hundred lines at a time."""
    query = _of(workspace_id, all_of_it, action, actor).order_by(AuditEntry.id)
    last, lines = 0, [HEADINGS]
    while True:
        yield _as_csv(lines)
        entries = list(db.session.scalars(query.where(AuditEntry.id > last).limit(AT_A_TIME)))
        if not entries:
            return
        lines = [tuple(getattr(entry, name) for name in HEADINGS) for entry in entries]
        last = entries[-1].id
        db.session.expunge_all()


def verify(known_hash: str | None = None) -> Verdict:
    """Follow the whole chain. `known_hash`, noted earlier, must still be part of it."""
    head, last, count, knows = BEGINNING, 0, 0, known_hash in (None, BEGINNING)
    while True:
        query = select(_entry).where(_entry.c.id > last).order_by(_entry.c.id).limit(AT_A_TIME)
        rows = db.session.execute(query).mappings().all()
        for row in rows:
            if row["hash"] != _hash(head, row):
                return Verdict(count, head, row["id"], knows)
            head, last, count = row["hash"], row["id"], count + 1
            knows = knows or head == known_hash
        if not rows:
            return Verdict(count, head, None, knows)


def _of(
    workspace_id: int, all_of_it: bool = False, action: str | None = None, actor: str | None = None
) -> Select[AuditEntry]:
    is_ours: ColumnElement[bool] = AuditEntry.workspace_id == workspace_id
    query = select(AuditEntry).where(
        or_(is_ours, AuditEntry.workspace_id.is_(None)) if all_of_it else is_ours
    )
    if action:
        query = query.where(AuditEntry.action == action)
    if actor:
        query = query.where(AuditEntry.actor == actor)
    return query


def _role() -> str | None:
    if not has_request_context() or not current_user or not current_user.is_authenticated:
        return None
    return str(current_user.role)


def _object(detail: dict[str, Any]) -> str:
    return next((str(detail[name]) for name in NAMES if detail.get(name)), "")


def _redacted(name: str, value: object) -> str:
    if value is None:
        return ""
    return "[secret]" if name.startswith("sealed_") else log.redact(str(value))[:LONGEST_VALUE]


def _hash(before: str, row: Any) -> str:
    """SHA-256 over the hash before and the row as JSON that is always written the same way."""
    told = {name: row[name] for name in CHAINED}
    told["at"] = told["at"].astimezone(UTC).isoformat(timespec="microseconds")
    written = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{before}{written}".encode()).hexdigest()


def _as_csv(lines: list[Any]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerows([_cell(value) for value in line] for line in lines)
    return made.getvalue()


def _cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    shown = "" if value is None else str(value)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else shown


@event.listens_for(Session, "before_commit")
def _append(session: Session) -> None:
    """Chain what was recorded; last of all, so that who holds the lock waits for no row of others."""
    pending = session.info.pop(_PENDING, ())
    if not pending:
        return
    session.flush()
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    head = session.scalar(select(_entry.c.hash).order_by(_entry.c.id.desc()).limit(1)) or BEGINNING
    for values in pending:
        head = _hash(head, values)
        session.execute(insert(AuditEntry).values(**values, hash=head))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, _: Any) -> None:
    session.info.pop(_PENDING, None)
