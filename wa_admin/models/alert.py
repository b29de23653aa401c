from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .types import Key, Moment, PartialIndex, UtcDateTime, Word, one_of


class AlertChannel(Base):
    """Where a workspace wants to be told: one address in apprise's form."""

    __tablename__ = "alert_channel"

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(32))  # apprise's word: mailto, tgram, slack …
    sealed_url: Mapped[str] = mapped_column(Text)
    allow_private: Mapped[bool] = mapped_column(default=False)  # a person confirmed such an address
    language: Mapped[str | None] = mapped_column(String(8))
    # minutes after midnight in `time_zone`; what comes up in between waits for the end of it
    quiet_from: Mapped[int | None]
    quiet_until: Mapped[int | None]
    time_zone: Mapped[str | None] = mapped_column(String(64))
    is_active: Mapped[bool] = mapped_column(default=True)
    last_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[Moment]


class Outage(Base):
    """A session or webhook that needs a person, or a gateway that is down; one of the three numbers is set.

    It is told once, and once when it is over.
    """

    __tablename__ = "outage"
    __table_args__ = (
        PartialIndex(
            "uq_outage_of_session",
            "session_id",
            where="ended_at IS NULL AND session_id IS NOT NULL",
            unique=True,
        ),
        PartialIndex(
            "uq_outage_of_gateway",
            "gateway_id",
            "workspace_id",
            where="ended_at IS NULL AND gateway_id IS NOT NULL",
            unique=True,
        ),
        PartialIndex(
            "uq_outage_of_subscription",
            "subscription_id",
            where="ended_at IS NULL AND subscription_id IS NOT NULL",
            unique=True,
        ),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="CASCADE"))
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id", ondelete="CASCADE"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscription.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(String(32))
    began_at: Mapped[Moment]
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class NoticeStatus(StrEnum):
    WAITING = "waiting"
    TOLD = "told"
    FAILED = "failed"
    NEEDLESS = "needless"  # over before anybody was told


class Notice(Base):
    """One thing to tell one channel: that an outage began, or that it is over."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("outage_id", "channel_id", "is_end", name="uq_notice"),
        CheckConstraint(one_of("status", NoticeStatus), name="ck_notice_status"),
        PartialIndex("ix_notice_due", "next_at", where="status = 'waiting'"),
    )

    id: Mapped[Key]
    outage_id: Mapped[int] = mapped_column(ForeignKey("outage.id", ondelete="CASCADE"))
    channel_id: Mapped[int] = mapped_column(ForeignKey("alert_channel.id", ondelete="CASCADE"), index=True)
    is_end: Mapped[bool] = mapped_column(default=False)
    status: Mapped[NoticeStatus] = mapped_column(Word(NoticeStatus), default=NoticeStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[Moment]
    # by the clock of then: see services.clock_back
    written_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now, onupdate=clock.now)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(300))
