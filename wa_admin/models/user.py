from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Base, db
from .types import Key, Moment, UtcDateTime, Word, one_of


class Role(StrEnum):
    SUPERVISOR = "supervisor"  # looks
    OPERATOR = "operator"  # sends and links
    ADMIN = "admin"  # keeps users, keys and gateways

    def includes(self, other: Role) -> bool:
        """Whether this role may do what the other one may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class User(Base):
    __tablename__ = "user"
    __table_args__ = (CheckConstraint(one_of("role", Role), name="ck_user_role"),)

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(Word(Role))
    language: Mapped[str | None] = mapped_column(String(8))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    theme: Mapped[str] = mapped_column(String(8), default="system")  # system, light, dark
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Moment]
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @classmethod
    def exists(cls) -> bool:
        """Whether anybody has been set up yet."""
        return db.session.scalar(select(cls.id).limit(1)) is not None


class LoginSession(Base):
    """One signed-in browser: the cookie holds the token, we hold its hash."""

    __tablename__ = "login_session"

    id: Mapped[Key]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[Moment]
    seen_at: Mapped[Moment]
    proved_at: Mapped[Moment]  # when the password was last typed
    address: Mapped[str] = mapped_column(String(45))
    agent: Mapped[str] = mapped_column(String(200))


class LoginAttempt(Base):
    """Failed log-ins, by account and by address: what the throttle counts."""

    __tablename__ = "login_attempt"
    __table_args__ = (Index("ix_login_attempt", "subject", "at"),)

    id: Mapped[Key]
    subject: Mapped[str] = mapped_column(String(64))  # a hash of the e-mail, or of the address
    at: Mapped[Moment]


class SetupToken(Base):
    """Opens the first-run page once."""

    __tablename__ = "setup_token"

    id: Mapped[Key]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiKey(Base):
    """Lets an app call the API. Shown once; only its hash is kept."""

    __tablename__ = "api_key"
    __table_args__ = (Index("uq_api_key_name", "workspace_id", "name", unique=True),)

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(String(60))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    last_four: Mapped[str] = mapped_column(String(4))
    created_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[Moment]
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
