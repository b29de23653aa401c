from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .types import Key, Moment, PartialIndex, UtcDateTime, Word, one_of

DISABLE_AFTER = timedelta(days=5)


class SwitchedOff(StrEnum):
    """Why a webhook was switched off, by nobody but us."""

    GONE = "webhook_gone"  # its app said so
    WORN_OUT = "webhook_worn_out"  # no call went through for DISABLE_AFTER


class Subscription(Base):
    """A URL of an app that wants to hear what happens: an outgoing webhook."""

    __tablename__ = "subscription"

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    sealed_url: Mapped[str] = mapped_column(Text)  # it may hold a secret of the app
    host: Mapped[str] = mapped_column(String(255))  # what is shown of it
    events: Mapped[str] = mapped_column(String(200))  # kinds, separated by commas
    sealed_secret: Mapped[str] = mapped_column(Text)
    sealed_old_secret: Mapped[str | None] = mapped_column(Text)  # signs too until `old_secret_until`
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_active: Mapped[bool] = mapped_column(default=True)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # gone, or after days of failure
    created_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[Moment]

    def is_worn_out(self, now: datetime) -> bool:
        """Whether no call has gone through for so long that it is to be switched off."""
        return self.failing_since is not None and now - self.failing_since >= DISABLE_AFTER

    @property
    def switched_off(self) -> SwitchedOff | None:
        if self.disabled_at is None:
            return None
        return SwitchedOff.WORN_OUT if self.is_worn_out(self.disabled_at) else SwitchedOff.GONE


class CallStatus(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Call(Base):
    """One event for one subscription, and how far it came. `uid` is its webhook-id: the same on each try."""

    __tablename__ = "call"
    __table_args__ = (
        CheckConstraint(one_of("status", CallStatus), name="ck_call_status"),
        Index("ix_call_list", "subscription_id", "id"),
        PartialIndex("ix_call_due", "subscription_id", "next_at", "id", where="status = 'waiting'"),
    )

    id: Mapped[Key]
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.id", ondelete="CASCADE"))
    uid: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)  # the JSON that is signed, to the letter
    status: Mapped[CallStatus] = mapped_column(Word(CallStatus), default=CallStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # by the clock of then: see services.clock_back
    written_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=clock.now, onupdate=clock.now)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer_status: Mapped[int | None]  # of the last try
    error: Mapped[str | None] = mapped_column(String(200))  # a code: see services.calls
    created_at: Mapped[Moment]
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
