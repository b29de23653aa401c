from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, or_, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from ..extensions import Base, db
from .types import Key, Moment, UtcDateTime, Word, one_of


class Role(StrEnum):
    """What somebody is in a workspace; `permissions` says what each may do."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"


class Passkey(Base):
    """A WebAuthn credential: its public half."""

    __tablename__ = "passkey"

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(default=0)
    transports: Mapped[str] = mapped_column(String(100), default="")
    created_at: Mapped[Moment]
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class User(Base):
    """A person. What they are where, tell their memberships; an owner keeps gateways and workspaces too."""

    __tablename__ = "user"

    id: Mapped[Key] = mapped_column()
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(200))
    is_owner: Mapped[bool] = mapped_column(default=False)
    sealed_totp_secret: Mapped[str | None] = mapped_column(Text)
    totp_counter: Mapped[int | None]  # of the code that was used last: no code is taken twice
    language: Mapped[str | None] = mapped_column(String(8))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    theme: Mapped[str] = mapped_column(String(8), default="system")  # system, light, dark
    created_at: Mapped[Moment]
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    has_second_factor: Mapped[bool] = column_property(
        or_(sealed_totp_secret.is_not(None), select(Passkey.id).where(Passkey.user_id == id).exists()),
        deferred=True,
    )

    @classmethod
    def exists(cls) -> bool:
        """Whether anybody has been set up yet."""
        return db.session.scalar(select(cls.id).limit(1)) is not None


class Membership(Base):
    """A person in one workspace: what they are there, and whether they see all of its sessions, or those
    of their assignments only."""

    __tablename__ = "membership"
    __table_args__ = (CheckConstraint(one_of("role", Role), name="ck_membership_role"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(Word(Role))
    sees_all: Mapped[bool] = mapped_column(default=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Moment]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @property
    def id(self) -> int:
        return self.user_id

    @property
    def email(self) -> str:
        return self.user.email

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def last_login_at(self) -> datetime | None:
        return self.user.last_login_at


class Assignment(Base):
    """A session that somebody who does not see all of them works with."""

    __tablename__ = "assignment"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    session_id: Mapped[int] = mapped_column(
        ForeignKey("whatsapp_session.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Invitation(Base):
    """A link that lets one person join a workspace, once, for three days."""

    __tablename__ = "invitation"
    __table_args__ = (CheckConstraint(one_of("role", Role), name="ck_invitation_role"),)

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[Role] = mapped_column(Word(Role))
    sees_all: Mapped[bool] = mapped_column(default=True)
    session_ids: Mapped[list[int]] = mapped_column(JSON, default=list)  # to assign, unless it sees all
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """Lets somebody in once who has lost the second factor. Shown once; only its hash is kept."""

    __tablename__ = "recovery_code"

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(200))
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """One signed-in browser: the cookie holds the token, we hold its hash."""

    __tablename__ = "login_session"

    id: Mapped[Key]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))  # the one they look at
    awaits_second_factor: Mapped[bool] = mapped_column(default=False)  # nothing is allowed until it came
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
    scopes: Mapped[str] = mapped_column(String(80))  # permissions, separated by commas
    sees_all: Mapped[bool] = mapped_column(default=True)  # or only the sessions of its KeySessions
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[Moment]
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KeySession(Base):
    """A session that a key which does not see all of them works with."""

    __tablename__ = "key_session"

    key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True)
    session_id: Mapped[int] = mapped_column(
        ForeignKey("whatsapp_session.id", ondelete="CASCADE"), primary_key=True, index=True
    )
