from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .. import clock
from ..crypto import new_token
from ..extensions import Base
from .session import WhatsAppSession
from .types import Key, Moment, PartialIndex, UtcDateTime, Word, one_of


class MessageStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"


WAITING = frozenset({MessageStatus.QUEUED, MessageStatus.SENDING})
ARRIVED = frozenset({MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED})
# how far WhatsApp says it came; only forwards
PROGRESS = [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED]


class Message(Base):
    """What to say, and to whom. `recipient` is what is used, `typed` what was typed."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("workspace_id", "idempotency_key", name="uq_message_key"),
        CheckConstraint(one_of("status", MessageStatus), name="ck_message_status"),
        Index("ix_message_list", "workspace_id", "id"),
        Index("ix_message_by_status", "workspace_id", "status", "id"),
        Index("ix_message_provider", "session_id", "provider_id"),
        Index("ix_message_to", "workspace_id", "recipient", "id"),
        # of all rows, by a condition that one query has: SQLite would take it where others serve better
        PartialIndex("ix_message_of_session", "session_id", "id", where="id > 0"),
        PartialIndex("ix_message_due", "session_id", "next_at", "id", where="status = 'queued'"),
        PartialIndex(
            "ix_message_expiry", "valid_until", where="status = 'queued' AND valid_until IS NOT NULL"
        ),
        PartialIndex(
            "ix_message_doubt", "next_at", "id", where="status = 'uncertain' AND next_at IS NOT NULL"
        ),
        PartialIndex("ix_message_attachment", "attachment_id", where="attachment_id IS NOT NULL"),
        PartialIndex("ix_message_oldest", "session_id", "id", where="status IN ('queued', 'sending')"),
        PartialIndex(
            "ix_message_open", "session_id", "recipient", "id", where="status IN ('queued', 'sending')"
        ),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="SET NULL"))
    session_name: Mapped[str] = mapped_column(String(80))  # kept when the session is gone
    typed: Mapped[str] = mapped_column(String(128))
    recipient: Mapped[str] = mapped_column(String(128))
    body: Mapped[str] = mapped_column(Text)
    attachment_id: Mapped[int | None] = mapped_column(ForeignKey("attachment.id"))
    source: Mapped[str] = mapped_column(String(80))  # who asked for it: a key, a person, the command line
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    fingerprint: Mapped[str | None] = mapped_column(String(64))  # of the request that came with the key
    status: Mapped[MessageStatus] = mapped_column(Word(MessageStatus), default=MessageStatus.QUEUED)
    provider_id: Mapped[str | None] = mapped_column(String(128))
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_detail: Mapped[str | None] = mapped_column(String(300))
    reference: Mapped[str] = mapped_column(String(64), default=new_token)  # the same never leaves twice
    attempts: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    # while queued not before; while uncertain the next look
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # while sending
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[Moment]
    status_at: Mapped[Moment]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rev: Mapped[int] = mapped_column(default=1)

    session: Mapped[WhatsAppSession | None] = relationship()
    attachment: Mapped[Attachment | None] = relationship()
    deliveries: Mapped[list[Delivery]] = relationship(order_by="Delivery.id")
    receipts: Mapped[list[Receipt]] = relationship(order_by="Receipt.at")

    __mapper_args__ = {"version_id_col": rev}

    @property
    def can_cancel(self) -> bool:
        return self.status == MessageStatus.QUEUED

    @property
    def is_blank(self) -> bool:
        """What it said is gone: its time was over, or it was erased."""
        return not (self.body or self.attachment_id)

    @property
    def can_retry(self) -> bool:
        ended = (MessageStatus.FAILED, MessageStatus.EXPIRED, MessageStatus.UNCERTAIN)
        return not self.is_blank and self.status in ended

    @property
    def is_settled(self) -> bool:
        """Nothing more will be tried by itself."""
        return self.status not in WAITING


class Attachment(Base):
    """A file to send. Its bytes are dropped some days after the message has settled."""

    __tablename__ = "attachment"

    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(16))  # image, document
    filename: Mapped[str] = mapped_column(String(120))
    mimetype: Mapped[str] = mapped_column(String(120))
    size_bytes: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[Moment]


class Outcome(StrEnum):
    SENT = "sent"
    RETRY = "retry"  # it certainly did not leave
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class Delivery(Base):
    """One attempt to hand a message over; on disk before the first byte leaves."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("message_id", "attempt", name="uq_delivery_attempt"),
        CheckConstraint(one_of("outcome", Outcome, or_null=True), name="ck_delivery_outcome"),
    )

    id: Mapped[Key]
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    started_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[Outcome | None] = mapped_column(Word(Outcome))
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_detail: Mapped[str | None] = mapped_column(String(300))


class Receipt(Base):
    """What WhatsApp said afterwards; `message_id` is empty while our own send is not answered yet."""

    __tablename__ = "receipt"
    __table_args__ = (UniqueConstraint("session_id", "provider_id", "kind", name="uq_receipt"),)

    id: Mapped[Key]
    session_id: Mapped[int] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), index=True)
    provider_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))  # sent, delivered, read, played, failed
    at: Mapped[Moment]


class DailyCount(Base):
    """Per session, day (UTC) and outcome: what charts read instead of counting messages."""

    __tablename__ = "daily_count"

    session_id: Mapped[int] = mapped_column(
        ForeignKey("whatsapp_session.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    sent: Mapped[int] = mapped_column(default=0)
    delivered: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
