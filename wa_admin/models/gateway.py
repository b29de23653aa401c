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
    # still taken while gateways that know only the old one are told the new one
    sealed_old_hook_secret: Mapped[str | None] = mapped_column(Text)
    # since when every session is told; what was under way to the old address comes for a while yet
    hooks_settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sealed_header: Mapped[str | None] = mapped_column(Text)  # "Name: value", for a proxy in front
    sealed_urls: Mapped[str | None] = mapped_column(Text)  # JSON, by action: the kind `webhook`
    ca_pem: Mapped[str | None] = mapped_column(Text)  # the CA of its private certificate
    allow_private: Mapped[bool] = mapped_column(default=False)  # a person confirmed such an address
    capabilities: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[Moment]
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # since when we hear from it without a long gap: what came to nobody before proves no silence
    listening_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hook_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when a webhook of it came last
    latency_ms: Mapped[int | None]
    version: Mapped[str | None] = mapped_column(String(60))
    # what is wrong with it since when; both empty while it answers
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(32))

    @property
    def is_failing(self) -> bool:
        return self.failing_since is not None
