from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base
from .types import Key, Moment


class AuditEntry(Base):
    """Who did what, chained by hash to the entry before it. Never changed, never removed; no secret in it."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_list", "workspace_id", "id"),)

    id: Mapped[Key]
    # no foreign keys: an entry outlives what it tells of
    workspace_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(80))
    role: Mapped[str | None] = mapped_column(String(32))
    address: Mapped[str | None] = mapped_column(String(45))
    action: Mapped[str] = mapped_column(String(60))
    object: Mapped[str] = mapped_column(String(120), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    request_id: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[Moment]
    hash: Mapped[str] = mapped_column(String(64))
