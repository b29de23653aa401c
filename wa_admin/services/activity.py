"""The timeline as people read it: sentences with names, durations, and no line that says the same again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, not_, select

from ..extensions import db
from ..models import AuditEntry, Event, Membership, Message, Reason, Status, User
from ..sentences import TOPICS, Line, Names, is_up, lasted, line
from . import timeline

# each of these moves the status in the same transaction: one line tells both
ACTS_THAT_MOVE = frozenset(
    {
        "link_started", "link_cancelled", "scanned", "linked", "connect_asked",
        "disconnected_by_admin", "unlinked_by_admin",
    }
)  # fmt: skip
ACTS_ON_MESSAGES = (
    "cancelled", "cancelled_in_doubt", "retried", "confirmed_by_person",
    "found_at_gateway", "told_by_gateway", "resent_in_doubt",
)  # fmt: skip
SAME_ACT = timedelta(seconds=2)
# `is_up` for the database
WAS_UP = and_(Event.status == Status.CONNECTED, Event.reason.is_distinct_from(Reason.GATEWAY_UNREACHABLE))


@dataclass(frozen=True)
class Page:
    lines: list[Line]
    older: int | None
    newer: int | None


def page(workspace_id: int, topic: str | None = None, cursor: int | None = None) -> Page:
    """Lines older than `cursor`, newest first. A negative cursor means newer than its absolute value."""
    found = timeline.page(workspace_id, cursor=cursor, kinds=TOPICS[topic] if topic else None)
    names = _names(workspace_id, found.items)
    notes = _durations(found.items)
    lines = [line(event, names, notes.get(moved, "")) for event, moved in _told_once(found.items)]
    return Page(lines, found.next_cursor, found.previous_cursor)


@dataclass(frozen=True)
class AuditLine:
    """An entry of the audit log as a sentence; `facts` are its raw parts, for who wants to know exactly."""

    at: datetime
    sentence: str
    tone: str
    facts: list[tuple[str, str]]


def of_audit(workspace_id: int, entries: list[AuditEntry]) -> list[AuditLine]:
    """The entries in the words of the timeline, in the same order."""
    names = Names(people(workspace_id), {})
    return [_audit_line(entry, names) for entry in entries]


def acts_on(message: Message) -> list[Event]:
    """What was done with a message after it was accepted, oldest first."""
    acts = select(Event).filter_by(session_id=message.session_id).where(Event.at >= message.created_at)
    found = db.session.scalars(acts.where(Event.kind.in_(ACTS_ON_MESSAGES)).order_by(Event.at, Event.id))
    return [event for event in found if event.detail.get("message") == message.id]


def people(workspace_id: int) -> dict[str, str]:
    """Names by e-mail address."""
    query = select(User.email, User.name).join(Membership).where(Membership.workspace_id == workspace_id)
    return dict(db.session.execute(query).all())


def _audit_line(entry: AuditEntry, names: Names) -> AuditLine:
    told = Event(
        kind=entry.action,
        actor=entry.actor,
        session_name=entry.object or None,
        detail=entry.detail,
        at=entry.at,
    )
    shown = line(told, names)
    detail = ", ".join(f"{name}: {value}" for name, value in entry.detail.items())
    named = ("action", "object", "actor", "role", "address", "request_id", "hash")
    facts = [(name, str(getattr(entry, name) or "")) for name in named]
    return AuditLine(entry.at, shown.sentence, shown.tone, [*facts[:2], ("detail", detail), *facts[2:]])


def _told_once(events: list[Event]) -> Iterator[tuple[Event, int]]:
    """Each line with the id of the change of status that it tells."""
    told = 0
    for n, event in enumerate(events):
        earlier = events[n + 1] if n + 1 < len(events) else None
        if event.kind == "status" and earlier is not None and _is_one_act(earlier, event):
            told = event.id
        else:
            yield event, told or event.id
            told = 0


def _is_one_act(act: Event, change: Event) -> bool:
    return (
        act.kind in ACTS_THAT_MOVE and act.session_id == change.session_id and change.at - act.at < SAME_ACT
    )


def _durations(events: list[Event]) -> dict[int, str]:
    """By id of the change with which a session came up or went away: how long it had been otherwise."""
    notes: dict[int, str] = {}
    began: dict[int, Event | None] = {}  # with which change each session became what it is
    for event in reversed(events):
        if event.kind != "status" or event.session_id is None:
            continue
        if event.session_id not in began:
            began[event.session_id] = _began_before(event)
        before = began[event.session_id]
        if before is not None and is_up(before) == is_up(event):
            continue
        if before is not None:
            notes[event.id] = lasted(before, event)
        began[event.session_id] = event
    return notes


def _began_before(event: Event) -> Event | None:
    """With which change the session became what it was just before this one."""
    earlier = select(Event).filter_by(session_id=event.session_id, kind="status").where(Event.at < event.at)
    last = db.session.scalar(earlier.order_by(Event.at.desc(), Event.id.desc()).limit(1))
    if last is None:
        return None
    was_otherwise = not_(WAS_UP) if is_up(last) else WAS_UP
    otherwise = db.session.scalar(earlier.where(was_otherwise).order_by(Event.at.desc()).limit(1))
    since = earlier.where(Event.at > otherwise.at) if otherwise else earlier
    return db.session.scalar(since.order_by(Event.at, Event.id).limit(1))


def _names(workspace_id: int, events: list[Event]) -> Names:
    ids = {event.detail["message"] for event in events if "message" in event.detail}
    recipients = select(Message.id, Message.recipient).where(Message.id.in_(ids))
    return Names(
        people(workspace_id),
        dict(db.session.execute(recipients).all()) if ids else {},
    )
