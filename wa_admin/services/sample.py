"""Sample data: a shop's number with two weeks behind it and a day of messages, one in every ending."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock
from ..drivers.contract import FileSeen, MessageSeen
from ..extensions import db, writing
from ..models import (
    Chat,
    DailyCount,
    Delivery,
    Event,
    Message,
    MessageStatus,
    Outcome,
    Reason,
    Status,
    WhatsAppSession,
)
from ..refusal import Refusal
from . import chats, last_lines, progress, roster, sessions, timeline

NAME, SESSION_ID, NUMBER = "Toko Sari", "toko_sari", "6281234567890"
LINKED_FOR = timedelta(days=9)
DAYS_BEFORE = 13
MESSAGES = 36
TEXTS = (
    "Halo Bu Rina, pesanan #{order} sudah kami kirim. Nomor resi: JP{order}77.",
    "Your order #{order} is packed and leaves today.",
    "Terima kasih, pembayaran untuk #{order} sudah kami terima.",
    "Kode masuk Anda {order}. Jangan berikan kepada siapa pun.",
    "Pengingat: tagihan #{order} jatuh tempo besok.",
    "Pesanan #{order} siap diambil di toko sampai pukul 20.00.",
)
SOURCES = ("key:orders-api", "key:orders-api", "key:billing", "cli")
ANSWERED_BY = "key:orders-api"
GROUP = {"chat": "120363041234567890@g.us", "group_name": "Tim Toko Sari"}
# what people wrote: who, from which number, how many minutes ago, what, and what else there was
SAID: tuple[tuple[str, str, int, str, dict[str, Any]], ...] = (
    ("Rina Wulandari", "6281211112222", 1440, "Halo, apakah kue lapis masih ada?", {}),
    (
        "Rina Wulandari",
        "6281211112222",
        1438,
        "Kalau ada, saya mau dua kotak ya",
        {"answer": "Masih ada, Bu. Kami siapkan dua kotak."},
    ),
    (
        "João Pedro",
        "5511987654321",
        320,
        "Bom dia! Meu pedido chegou, muito obrigado",
        {"answer": "Que bom! Obrigada pela preferência."},
    ),
    ("Dewi", "6281388889999", 200, "Besok saya izin datang siang", GROUP),
    ("Agus", "6281377776666", 190, "Siap, saya buka toko", GROUP),
    ("Budi Santoso", "6285711223344", 45, "Saya sudah transfer untuk #1021", {}),
    ("Budi Santoso", "6285711223344", 44, "Ini buktinya", {"picture": "bukti-transfer.png"}),
    (
        "Rina Wulandari",
        "6281211112222",
        6,
        "Bisa diantar ke Jalan Melati 12?",
        {"quoted": "Masih ada, Bu. Kami siapkan dua kotak."},
    ),
)
# the newest messages, oldest first: each ending once, whatever chance did before
ENDINGS: tuple[tuple[MessageStatus, str | None], ...] = (
    (MessageStatus.FAILED, "not_on_whatsapp"),
    (MessageStatus.EXPIRED, "expired"),
    (MessageStatus.CANCELLED, None),
    (MessageStatus.UNCERTAIN, "gateway_timeout"),
    (MessageStatus.PLAYED, None),
    (MessageStatus.SENT, None),
    (MessageStatus.QUEUED, None),
)


class NotEmpty(Refusal):
    code = "not_empty"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("There are sessions already. Sample data would mix with yours."))


def session(workspace_id: int, *, force: bool = False, actor: str) -> WhatsAppSession:
    """The session that the sample is about. Raises NotEmpty unless the database is empty, or `force`."""
    existing = roster.default(workspace_id)
    if existing is None:
        return sessions.create(
            workspace_id,
            NAME,
            session_id=SESSION_ID,
            phone_number=NUMBER,
            description="Sample data",
            actor=actor,
        )
    if not force:
        raise NotEmpty
    return existing


def fill(wa_session: WhatsAppSession) -> int:
    """Give the session its past; how many messages it got."""
    now, chance = clock.now(), random.Random(7)  # noqa: S311 - the same sample each time
    with writing():
        wa_session = db.session.get_one(WhatsAppSession, wa_session.id)
        _age(wa_session, now)
        _days(wa_session, now, chance)
        _outage(wa_session, now)
        step = timedelta(hours=22) / MESSAGES
        past = [
            (MESSAGES * step - number * step, partial(_message, wa_session, number=number, chance=chance))
            for number in range(MESSAGES)
        ]
        past += [
            (timedelta(minutes=minutes_ago), partial(_said, wa_session, number=number))
            for number, (_, _, minutes_ago, _, _) in enumerate(SAID)
        ]
        for ago, happen in sorted(past, key=itemgetter(0), reverse=True):
            happen(at=now - ago)
        if wa_session.status == Status.CONNECTED:
            wa_session.last_proof_at, wa_session.last_proof = now, "delivery"
    return MESSAGES


def _said(wa_session: WhatsAppSession, at: datetime, number: int) -> None:
    """One of what people wrote back; some of it nobody has read yet."""
    name, phone, _, said, more = SAID[number]
    values = {
        "instance": wa_session.instance,
        "provider_id": f"3EB0SAMPLECHAT{number:04d}",
        "chat": f"{phone}@s.whatsapp.net",
        "sender_number": phone,
        "sender_lid": None,
        "push_name": name,
        "text": said,
        "at": at,
    }
    line = chats.take_in(wa_session, MessageSeen(**values | _told(more)), clock.now())
    if line is not None and (answer := more.get("answer")):
        _answer(wa_session, phone, answer, line.at + timedelta(minutes=3))
        db.session.get_one(Chat, line.chat_id).unread_count = 0


def _told(more: dict[str, Any]) -> dict[str, Any]:
    """What a gateway tells beside the text."""
    told = {name: value for name, value in more.items() if name != "answer"}
    if picture := told.pop("picture", None):
        content = Path(current_app.static_folder or "", "img", "icon-192.png").read_bytes()
        told |= {"kind": "image", "file": FileSeen("image/png", picture, len(content), content=content)}
    return told


def _answer(wa_session: WhatsAppSession, phone: str, text: str, at: datetime) -> None:
    message = _queued(wa_session, phone, phone, text, ANSWERED_BY, at)
    _end(message, wa_session, MessageStatus.READ, None, at)
    last_lines.sent(message, at)


def _age(wa_session: WhatsAppSession, now: datetime) -> None:
    """It was not added a moment ago, but some days."""
    query = select(Event).filter_by(session_id=wa_session.id)
    for event in db.session.scalars(query):
        event.at -= LINKED_FOR
    wa_session.created_at -= LINKED_FOR
    if wa_session.linked_at:
        wa_session.linked_at -= LINKED_FOR
    if wa_session.status == Status.CONNECTED:
        wa_session.connected_at = wa_session.status_at = now - timedelta(hours=8, minutes=20)


def _days(wa_session: WhatsAppSession, now: datetime, chance: random.Random) -> None:
    db.session.flush()
    for back in range(DAYS_BEFORE, 0, -1):
        day = (now - timedelta(days=back)).date()
        sent = chance.randint(60, 240) // (3 if day.weekday() == 6 else 1)
        db.session.merge(
            DailyCount(
                session_id=wa_session.id,
                day=day,
                sent=sent,
                delivered=round(sent * 0.97),
                failed=chance.randint(0, 4),
            )
        )


def _outage(wa_session: WhatsAppSession, now: datetime) -> None:
    """The network was away for forty minutes this morning."""
    if wa_session.status != Status.CONNECTED:
        return
    changes: tuple[tuple[float, Status, Reason | None], ...] = (
        (26, Status.CONNECTED, None),
        (9, Status.DISCONNECTED, Reason.NETWORK),
        (8.4, Status.CONNECTING, None),
        (8.33, Status.CONNECTED, None),
    )
    for hours, status, reason in changes:
        event = timeline.record(
            wa_session,
            "status",
            workspace_id=wa_session.workspace_id,
            actor="gateway",
            status=status,
            reason=reason,
        )
        event.at = now - timedelta(hours=hours)
        db.session.flush()


def _queued(
    wa_session: WhatsAppSession, typed: str, recipient: str, text: str, source: str, at: datetime
) -> Message:
    message = Message(
        workspace_id=wa_session.workspace_id,
        session_id=wa_session.id,
        session_name=wa_session.name,
        typed=typed,
        recipient=recipient,
        body=text,
        source=source,
        status=MessageStatus.QUEUED,
        next_at=at,
        created_at=at,
        status_at=at,
    )
    db.session.add(message)
    db.session.flush()
    progress.count_waiting(wa_session.id, +1)
    return message


def _message(wa_session: WhatsAppSession, at: datetime, number: int, chance: random.Random) -> None:
    subscriber = f"{chance.randrange(10**8):08d}"
    typed = f"0812-{subscriber[:4]}-{subscriber[4:]}"
    text = chance.choice(TEXTS).format(order=1000 + number)
    message = _queued(wa_session, typed, f"62812{subscriber}", text, chance.choice(SOURCES), at)
    from_end = number - MESSAGES
    ending, error_code = (
        chance.choice((MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.READ)),
        None,
    )
    if from_end >= -len(ENDINGS):
        ending, error_code = ENDINGS[from_end]
    if ending == MessageStatus.QUEUED and wa_session.status == Status.CONNECTED:
        ending = MessageStatus.READ  # nothing waits for long where messages can leave
    _end(message, wa_session, ending, error_code, at)


def _end(
    message: Message, wa_session: WhatsAppSession, ending: MessageStatus, error_code: str | None, at: datetime
) -> None:
    """Let it live through what leads to this ending."""
    soon = at + timedelta(seconds=2)
    if ending == MessageStatus.QUEUED:
        message.next_at = at + timedelta(hours=12)  # it stays to be looked at
        return
    if ending in (MessageStatus.CANCELLED, MessageStatus.EXPIRED):
        message.error_code = error_code
        progress.move(message, ending, at + timedelta(minutes=5))
        return
    outcome = {MessageStatus.FAILED: Outcome.FAILED, MessageStatus.UNCERTAIN: Outcome.UNCERTAIN}
    message.attempts = 1
    message.error_code = error_code
    db.session.add(
        Delivery(
            message_id=message.id,
            attempt=1,
            started_at=at,
            finished_at=soon,
            outcome=outcome.get(ending, Outcome.SENT),
            error_code=error_code,
        )
    )
    if ending in outcome:
        progress.move(message, ending, soon)
        return
    message.provider_id = f"3EB0SAMPLE{message.id:010d}"
    progress.move(message, MessageStatus.SENT, soon)
    db.session.flush()
    reached = [MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED]
    for seconds, kind in zip((4, 70, 90), reached, strict=True):
        if ending in reached and reached.index(kind) <= reached.index(ending):
            progress.take_receipt(wa_session, message.provider_id, kind, at + timedelta(seconds=seconds))
