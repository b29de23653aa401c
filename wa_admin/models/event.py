from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .types import Key, Moment, UtcDateTime


class Event(Base):
    """One line of a timeline: what happened, by whom. Holds no message text and no secret."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_list", "workspace_id", "id"),
        Index("ix_event_of_session", "session_id", "at"),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("whatsapp_session.id", ondelete="SET NULL"))
    session_name: Mapped[str | None] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(80))  # a person's e-mail, "key:orders-api", "cli", "phone" …
    status: Mapped[str | None] = mapped_column(String(32))  # after a change of status
    reason: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    at: Mapped[Moment]


class Lease(Base):
    """Who runs the scheduled jobs, and when it last said so."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(120))
    renewed_at: Mapped[datetime] = mapped_column(UtcDateTime)
