"""What has been kept for long enough goes: texts, files, the timeline, each after its own time.

Tables grow at their newer end: each duty begins with the oldest rows and stops at the first that is young
enough. Where rows stay, a bookmark says how far it has come. Each stretch is a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, update

from .. import clock
from ..app import settings
from ..extensions import db, writing
from ..models import Attachment, Bookmark, Chat, Contact, Event, FileState, IncomingFile, Line, Message
from ..models.message import WAITING
from . import privacy

STAY = (Message, IncomingFile)  # of which a part goes
AT_A_TIME = 500
IN_ONE_RUN = 200  # stretches; the rest an hour later
KEYS_LAST = timedelta(days=30)

Drop = Callable[[list[int]], None]


def tidy(now: datetime | None = None) -> int:
    """Drop what is too old by the settings; how many rows were looked at."""
    now, kept = now or clock.now(), settings()
    text_edge = now - timedelta(days=kept.keep_message_text_days)
    return sum(
        (
            _go(Line, Line.at, text_edge, _drop_lines),
            _go(Message, Message.created_at, text_edge, _blank_messages),
            _go(IncomingFile, IncomingFile.created_at, now - _days(kept.keep_media_days), _drop_files),
            _go(Event, Event.at, now - _days(kept.keep_timeline_days), _drop_events),
            _drop_empty_chats(text_edge),
        )
    )


def forget_keys(now: datetime | None = None) -> int:
    """Let the idempotency keys of old messages be used for others; how many messages were looked at."""
    return _go(Message, Message.created_at, (now or clock.now()) - KEYS_LAST, _drop_keys, "message_key")


def _days(count: int) -> timedelta:
    return timedelta(days=count)


def _go(model: Any, moment: Any, edge: datetime, drop: Drop, bookmark: str = "") -> int:
    """From the bookmark on, while rows are older than the edge."""
    looked_at = 0
    for _ in range(IN_ONE_RUN):
        with writing():
            mark = _mark(model, bookmark or model.__tablename__)
            query = select(model.id, moment).where(model.id > mark.position).order_by(model.id)
            rows = db.session.execute(query.limit(AT_A_TIME)).all()
            young = next((place for place, (_id, at) in enumerate(rows) if at >= edge), len(rows))
            old = [id for id, _at in rows[:young]]
            if not old:
                break
            drop(old)
            mark.position = old[-1] if model in STAY else 0
            db.session.add(mark)
        looked_at += len(old)
    return looked_at


def _mark(model: Any, name: str) -> Bookmark:
    """SQLite gives numbers again once the newest rows are gone: a place past the end is none."""
    mark = db.session.get(Bookmark, name) or Bookmark(name=name, position=0)
    if mark.position > (db.session.scalar(select(func.max(model.id))) or 0):
        mark.position = 0
    return mark


def _drop_lines(ids: list[int]) -> None:
    privacy.drop_files(ids)
    db.session.execute(delete(Line).where(Line.id.in_(ids)))


def _blank_messages(ids: list[int]) -> None:
    """What became of them stays; what still waits keeps its text, and is so old for a while only."""
    settled = update(Message).where(Message.id.in_(ids), Message.status.not_in(WAITING))
    db.session.execute(settled.values(body="", error_detail=None, rev=Message.rev + 1))


def _drop_keys(ids: list[int]) -> None:
    held = update(Message).where(Message.id.in_(ids), Message.idempotency_key.is_not(None))
    db.session.execute(held.values(idempotency_key=None))


def _drop_files(ids: list[int]) -> None:
    mine = select(IncomingFile.attachment_id).where(IncomingFile.id.in_(ids))
    kept = list(db.session.scalars(mine.where(IncomingFile.attachment_id.is_not(None))))
    of_kept = update(IncomingFile).where(IncomingFile.id.in_(ids), IncomingFile.attachment_id.is_not(None))
    db.session.execute(of_kept.values(attachment_id=None, state=FileState.DROPPED))
    db.session.execute(delete(Attachment).where(Attachment.id.in_(kept)))


def _drop_events(ids: list[int]) -> None:
    db.session.execute(delete(Event).where(Event.id.in_(ids)))


def _drop_empty_chats(edge: datetime) -> int:
    """Of which the last line is gone; a stretch at a time, as there are few."""
    is_empty = ~exists().where(Line.chat_id == Chat.id)
    with writing():
        empty = select(Chat.id, Chat.contact_id).where(Chat.last_at < edge, is_empty)
        rows = db.session.execute(empty.limit(AT_A_TIME)).all()
        db.session.execute(delete(Chat).where(Chat.id.in_([row.id for row in rows])))
        _drop_strangers([row.contact_id for row in rows if row.contact_id is not None])
    return len(rows)


def _drop_strangers(ids: list[int]) -> None:
    """People of whom nothing else is kept."""
    is_known = exists().where(Chat.contact_id == Contact.id) | exists().where(Line.contact_id == Contact.id)
    db.session.execute(delete(Contact).where(Contact.id.in_(ids), ~is_known))
