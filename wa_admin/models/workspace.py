from __future__ import annotations

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base, db
from .types import Key, Moment


class Workspace(Base):
    """The tenant: a team, or one client company of an agency. The first one is made by the migration."""

    __tablename__ = "workspace"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    # a message without a named session may leave on any connected one
    spreads: Mapped[bool] = mapped_column(default=False)
    requires_second_factor: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Moment]

    @classmethod
    def first_id(cls) -> int:
        """The one that is meant while nobody names a workspace."""
        return db.session.scalars(select(cls.id).order_by(cls.id).limit(1)).one()
