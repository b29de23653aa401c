from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .types import Key, Moment, UtcDateTime


class Gateway(Base):
    """A process outside the panel that holds WhatsApp connections, and how it was at the last look."""

    __tablename__ = "gateway"

    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(80), unique=True)
    base_url: Mapped[str] = mapped_column(String(500))
    sealed_key: Mapped[str] = mapped_column(Text)
    sealed_hook_secret: Mapped[str] = mapped_column(Text)
    capabilities: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[Moment]
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    latency_ms: Mapped[int | None]
    version: Mapped[str | None] = mapped_column(String(60))
    # what is wrong with it since when; both empty while it answers
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(32))

    @property
    def is_failing(self) -> bool:
        return self.failing_since is not None
