from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .types import Key, Moment, PartialIndex, UtcDateTime


class HookCall(Base):
    """A webhook of a gateway as it came: stored before it is answered, read after.

    Once read it is no more than its digest, which makes the same one come again in vain.
    """

    __tablename__ = "hook_call"
    __table_args__ = (
        UniqueConstraint("gateway_id", "digest", name="uq_hook_call"),
        PartialIndex(
            "ix_hook_call_unread", "gateway_id", "id", where="sealed_body IS NOT NULL AND parked_at IS NULL"
        ),
        Index("ix_hook_call_received", "received_at"),
    )

    id: Mapped[Key]
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id", ondelete="CASCADE"))
    digest: Mapped[str | None] = mapped_column(String(64))  # None where nothing tells a repetition
    sealed_body: Mapped[str | None] = mapped_column(Text)  # it holds tokens, codes and what people write
    received_at: Mapped[Moment]
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[Moment]  # not before; while somebody is at it, the end of their lease
    error_code: Mapped[str | None] = mapped_column(String(60))  # of the last try; None while one is under way
    parked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # nobody tries it again by itself
