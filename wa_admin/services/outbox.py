"""Accept messages and answer for them: once `send` has returned, a message is never lost.

queued ─> sending ─> sent ─> delivered ─> read ─> played
  └─> cancelled, expired      (`deliveries` hands over, `progress` moves)
      or uncertain, when an attempt before may have left
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from .. import clock, phone, plain, words
from ..app import settings
from ..crypto import new_token
from ..extensions import db, writing
from ..models import Attachment, Delivery, Message, MessageStatus, Outcome, Receipt, WhatsAppSession
from ..models.message import WAITING
from ..refusal import Refusal
from . import keyset, last_lines, progress, roster, scope, timeline
from .attachments import NewAttachment
from .keyset import Page

Decision = Callable[..., Message]

TEXT_LENGTH = 4096
KEY_LENGTH = 255
LONGEST_VALIDITY_SECONDS = 30 * 86400

_MESSAGE = cast(Table, Message.__table__)
_INSERT = insert(_MESSAGE)
# what a message has not met yet
_NOT_YET = {column.key: None for column in _MESSAGE.c if column.nullable} | {"attempts": 0, "rev": 1}


class MessageNotFound(Refusal):
    code = "message_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such message."))


class KeyReused(Refusal):
    code = "idempotency_key_reused"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l("This key was used for a different message already. Use a new key for a new message."),
            field="key",
        )


class WrongState(Refusal):
    code = "wrong_state"
    status = 409

    def __init__(self, message: Message) -> None:
        word = words.message_words(message.status).word
        super().__init__(_l("This cannot be done any more: the message is “%(status)s”.", status=word))


# --- accepting -----------------------------------------------------------------------------------


def send(
    workspace_id: int,
    to: str,
    text: str,
    *,
    session_name: str | int | None = None,
    attached: NewAttachment | None = None,
    key: str | None = None,
    valid_for_seconds: float | None = None,
    source: str,
) -> Message:
    """Accept a message: it is on disk when this returns, and goes out when the session is connected.

    The same `key` with the same content gives the same message back, for 30 days. Raises BadNumber,
    NoSession, SessionNotFound, AmbiguousSession, SessionInactive, SpreadOff, KeyReused, or a Refusal about
    a field.
    """
    recipient = phone.recipient(to, settings().default_region)
    _check_text(text, attached)
    _check_key(key)
    now = clock.now()
    valid_until = _valid_until(valid_for_seconds, now)
    accept = partial(
        _accept,
        workspace_id,
        session_name,
        attached,
        typed=to.strip(),
        recipient=recipient.address,
        body=text,
        source=source[:80],
        idempotency_key=key,
        fingerprint=_fingerprint(session_name, recipient.address, text, attached) if key else None,
        next_at=now,
        valid_until=valid_until,
        queued_at=now,
        created_at=now,
        status_at=now,
    )
    try:
        return accept()
    except IntegrityError:
        if not key:
            raise
        return accept()  # somebody stored the same key a moment ago: theirs is found now


def _accept(
    workspace_id: int, session_name: str | int | None, attached: NewAttachment | None, **values: Any
) -> Message:
    """The message, or the one that came with the same key before; what decides is a unique index."""
    with writing(alone=False):
        key: str | None = values["idempotency_key"]
        if key and (earlier := _by_key(workspace_id, key)) is not None:
            if earlier.fingerprint != values["fingerprint"] or not scope.holds(earlier.session_id):
                raise KeyReused
            return earlier
        wa_session = roster.to_send_from(workspace_id, session_name, values["recipient"])
        message = _stored(
            wa_session,
            Attachment(**attached.columns(), created_at=values["created_at"]) if attached else None,
            workspace_id=workspace_id,
            session_name=wa_session.name,
            status=MessageStatus.QUEUED,
            reference=new_token(),
            **values,
        )
        progress.count_waiting(wa_session.id, +1)
        last_lines.sent(message, values["created_at"])
    return message


def _stored(wa_session: WhatsAppSession, attachment: Attachment | None, **values: Any) -> Message:
    """A new row, and its entity as if it had been read: the unit of work takes twice as long for that."""
    if attachment:
        db.session.add(attachment)
        db.session.flush()
    attachment_id = attachment.id if attachment else None
    values = _NOT_YET | values | {"session_id": wa_session.id, "attachment_id": attachment_id}
    inserted: Any = db.session.connection().execute(_INSERT, values)
    message = Message(id=inserted.inserted_primary_key.id, **values)
    make_transient_to_detached(message)
    db.session.add(message)
    set_committed_value(message, "session", wa_session)
    set_committed_value(message, "attachment", attachment)
    return message


def wait(message_id: int, seconds: float) -> Message:
    """Look at a message until it has settled or the time is over."""
    ends = time.monotonic() + seconds
    pause = 0.05
    while True:
        db.session.rollback()  # a new look at what is true now
        message = db.session.get_one(Message, message_id, populate_existing=True)
        if message.is_settled or time.monotonic() + pause > ends:
            return message
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


# --- looking -------------------------------------------------------------------------------------


def find(workspace_id: int, id: int) -> Message:
    """Raises MessageNotFound."""
    message = db.session.scalar(select(Message).filter_by(workspace_id=workspace_id, id=id))
    if message is None:
        raise MessageNotFound
    return message


def page(
    workspace_id: int,
    *,
    status: MessageStatus | None = None,
    cursor: int | None = None,
    session_id: int | None = None,
    limit: int = 50,
) -> Page[Message]:
    """Messages older than `cursor`; a negative cursor means newer than its absolute value."""
    query = select(Message).filter_by(workspace_id=workspace_id)
    if status is not None:
        query = query.filter_by(status=status)
    if session_id is not None:
        query = query.filter_by(session_id=session_id)
    return keyset.page(Message, query, cursor, limit)


# --- what a person decides -----------------------------------------------------------------------


def cancel(workspace_id: int, id: int, *, actor: str) -> Message:
    """Take back a message that waits; one that may have left before becomes uncertain. Raises WrongState."""
    with writing():
        message = find(workspace_id, id)
        if not message.can_cancel:
            raise WrongState(message)
        act = "cancelled" if _take_back(message, clock.now()) else "cancelled_in_doubt"
        timeline.record(message.session, act, workspace_id=workspace_id, actor=actor, message=message.id)
    return message


def cancel_all(wa_session: WhatsAppSession, *, actor: str) -> int:
    """Take back all of a session that waits, as `cancel` does; belongs into the caller's transaction.

    How many there were that certainly did not leave.
    """
    now = clock.now()
    in_doubt = select(Delivery.message_id).where(Delivery.outcome == Outcome.UNCERTAIN)
    waiting = select(Message).filter_by(session_id=wa_session.id, status=MessageStatus.QUEUED)
    for message in db.session.scalars(waiting.where(Message.id.in_(in_doubt))).all():
        _take_back(message, now)
    count = progress.cancel_queued(wa_session, now)
    if count:
        timeline.record(
            wa_session, "cancelled", workspace_id=wa_session.workspace_id, actor=actor, count=count
        )
    return count


def _take_back(message: Message, now: datetime) -> bool:
    """Whether it certainly did not leave."""
    is_in_doubt = progress.may_have_left(message)
    progress.move(message, MessageStatus.UNCERTAIN if is_in_doubt else MessageStatus.CANCELLED, now)
    return not is_in_doubt


def retry(workspace_id: int, id: int, *, actor: str) -> Message:
    """Queue a message again that failed, expired or is uncertain; an uncertain one may then arrive twice.

    Raises WrongState, and Refusal when its file was dropped already.
    """
    with writing():
        message = find(workspace_id, id)
        if not message.can_retry or message.session is None:
            raise WrongState(message)
        if message.attachment:
            NewAttachment.copy_of(message.attachment)
        now = clock.now()
        message.attempts, message.next_at, message.valid_until = 0, now, None
        message.error_code = message.error_detail = message.provider_id = None
        message.queued_at, message.reference = now, new_token()
        progress.move(message, MessageStatus.QUEUED, now)
        timeline.record(
            message.session, "retried", workspace_id=workspace_id, actor=actor, message=message.id
        )
    return message


def decide_about(workspace_id: int, ids: Collection[int], decide: Decision, *, actor: str) -> int:
    """Have `retry` or `it_arrived` done to several; how many of them were uncertain still."""
    count = 0
    for id in ids:
        if find(workspace_id, id).status == MessageStatus.UNCERTAIN:
            with suppress(WrongState):  # settled this very moment
                decide(workspace_id, id, actor=actor)
                count += 1
    return count


def resend_as_new(workspace_id: int, id: int, *, source: str) -> Message:
    """The same words to the same recipient as a message of its own."""
    message = find(workspace_id, id)
    attached = NewAttachment.copy_of(message.attachment) if message.attachment else None
    return send(
        workspace_id,
        message.recipient,
        message.body,
        session_name=message.session_id,
        attached=attached,
        source=source,
    )


def it_arrived(workspace_id: int, id: int, *, actor: str) -> Message:
    """A person has seen that an uncertain message arrived."""
    with writing():
        message = find(workspace_id, id)
        if message.status != MessageStatus.UNCERTAIN:
            raise WrongState(message)
        progress.move(message, MessageStatus.SENT, clock.now())
        timeline.record(
            message.session, "confirmed_by_person", workspace_id=workspace_id, actor=actor, message=message.id
        )
    return message


def forget_old(now: datetime) -> int:
    """Drop receipts nobody waits for, and the bytes of files that were sent a week ago."""
    with writing():
        orphans = delete(Receipt).where(Receipt.message_id.is_(None), Receipt.at < now - timedelta(days=2))
        dropped = db.session.execute(orphans).rowcount  # type: ignore[attr-defined]
        settled = select(Message.attachment_id).where(
            Message.attachment_id.is_not(None),
            Message.status.not_in(WAITING | {MessageStatus.UNCERTAIN}),
            Message.status_at < now - timedelta(days=7),
        )
        db.session.execute(
            update(Attachment)
            .where(Attachment.id.in_(settled), Attachment.content != b"")
            .values(content=b"")
        )
    return dropped


# --- fields --------------------------------------------------------------------------------------


def _check_text(text: str, attached: NewAttachment | None) -> None:
    if attached is None and plain.is_blank(text):
        raise Refusal(_l("Write a message."), code="message_missing", field="message")
    if len(text) > TEXT_LENGTH:
        raise Refusal(
            _l("A message may have %(count)s characters at most.", count=TEXT_LENGTH),
            code="message_too_long",
            field="message",
        )
    if not plain.is_storable(text):
        raise Refusal(
            _l("The message holds control characters that WhatsApp cannot show."),
            code="message_bad",
            field="message",
        )


def _check_key(key: str | None) -> None:
    if key is None:
        return
    # ASCII: a header carries nothing else that every client and server reads alike
    if not (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable() and key == key.strip()):
        raise Refusal(
            _l(
                "An idempotency key has 1 to %(count)s printable ASCII characters and no space around it.",
                count=KEY_LENGTH,
            ),
            code="key_bad",
            field="key",
        )


def _valid_until(seconds: float | None, now: datetime) -> datetime | None:
    if seconds is None:
        return None
    if not 1 <= seconds <= LONGEST_VALIDITY_SECONDS:
        raise Refusal(
            _l("A message may wait from 1 second to 30 days."),
            code="valid_for_bad",
            field="valid_for_seconds",
        )
    return now + timedelta(seconds=seconds)


def _fingerprint(
    session_name: str | int | None, address: str, text: str, attached: NewAttachment | None
) -> str:
    """Of what was asked for, so that a changed default session does not make a repeat look new."""
    content = hashlib.sha256(attached.content).hexdigest() if attached else None
    parts = json.dumps([session_name, address, text, content])
    return hashlib.sha256(parts.encode()).hexdigest()


def _by_key(workspace_id: int, key: str) -> Message | None:
    query = select(Message).filter_by(workspace_id=workspace_id, idempotency_key=key)
    return db.session.scalar(query, execution_options=scope.EVERYWHERE)  # a key is used once, whoever did
