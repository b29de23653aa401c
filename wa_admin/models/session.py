from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Base, db
from .gateway import Gateway
from .types import Key, Moment, PartialIndex, UtcDateTime, Word, one_of


class Status(StrEnum):
    DISCONNECTED = "disconnected"
    QR_PENDING = "qr_pending"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class Reason(StrEnum):
    NEVER_LINKED = "never_linked"
    QR_EXPIRED = "qr_expired"
    PASSKEY_REQUIRED = "passkey_required"
    AUTH_FAILURE = "auth_failure"
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    NETWORK = "network"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    SILENT = "silent"
    STOPPED = "stopped"


class Look(StrEnum):
    """What a person is shown: status, reason and wish boiled down to one picture."""

    NEVER_LINKED = "never_linked"
    STARTING = "starting"
    WAITING_FOR_SCAN = "waiting_for_scan"
    FINISHING = "finishing"  # scanned
    CONNECTED = "connected"
    PAUSED = "paused"  # connected, sending held by a person
    SILENT = "silent"
    RECONNECTING = "reconnecting"
    NO_NETWORK = "no_network"  # the gateway is fine, WhatsApp cannot be reached
    ENGINE_CRASHED = "engine_crashed"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    UNLINKED = "unlinked"
    QR_EXPIRED = "qr_expired"
    PASSKEY_REQUIRED = "passkey_required"
    AUTH_FAILURE = "auth_failure"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    STOPPED = "stopped"
    INACTIVE = "inactive"


ENGINE_CRASHED = "crashed"  # the bundled gateway's word
BRIEF_ATTEMPTS = 3  # a break of the network that takes longer is called one

# nothing reconnects by itself after these: a person must act
NEEDS_A_PERSON = frozenset(
    {
        Reason.NEVER_LINKED,
        Reason.QR_EXPIRED,
        Reason.PASSKEY_REQUIRED,
        Reason.AUTH_FAILURE,
        Reason.LOGGED_OUT,
        Reason.REPLACED,
        Reason.BANNED,
        Reason.OUTDATED,
        Reason.STOPPED,
    }
)
# the login is gone: connecting again means linking again
NEEDS_A_LINK = frozenset(
    {Reason.NEVER_LINKED, Reason.QR_EXPIRED, Reason.PASSKEY_REQUIRED, Reason.AUTH_FAILURE, Reason.LOGGED_OUT}
)

# what a session that is not connected looks like
LOOK_OF_REASON = {
    Reason.NEVER_LINKED: Look.NEVER_LINKED,
    Reason.QR_EXPIRED: Look.QR_EXPIRED,
    Reason.PASSKEY_REQUIRED: Look.PASSKEY_REQUIRED,
    Reason.AUTH_FAILURE: Look.AUTH_FAILURE,
    Reason.LOGGED_OUT: Look.UNLINKED,
    Reason.REPLACED: Look.REPLACED,
    Reason.BANNED: Look.BANNED,
    Reason.OUTDATED: Look.OUTDATED,
    Reason.STOPPED: Look.STOPPED,
}


def _session_id(context: DefaultExecutionContext) -> Any:
    return context.get_current_parameters()["session_id"]


class WhatsAppSession(Base):
    """One WhatsApp account linked through one gateway.

    What is wanted (`is_active`, `paused_at`) and what is (`status`, `reason`) are apart. `rev` rises
    with every change that a reader can see; mere ages (`checked_at`, `last_proof_at` …) are set in bulk
    and leave it alone.
    """

    __tablename__ = "whatsapp_session"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name_key", name="uq_session_name"),
        UniqueConstraint("gateway_id", "session_id", name="uq_session_id"),
        UniqueConstraint("gateway_id", "instance", name="uq_session_instance"),
        PartialIndex("uq_default_session", "workspace_id", where="is_default", unique=True),
        Index("ix_session_list", "workspace_id", "id"),
        CheckConstraint(one_of("status", Status), name="ck_session_status"),
        CheckConstraint(one_of("reason", Reason, or_null=True), name="ck_session_reason"),
    )

    id: Mapped[Key]
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id"))
    name: Mapped[str] = mapped_column(String(80))
    name_key: Mapped[str] = mapped_column(String(160))  # case-folded
    session_id: Mapped[str] = mapped_column(String(255))
    # the gateway's own name for it; ours, unless the session was adopted or the gateway names its sessions
    instance: Mapped[str] = mapped_column(String(255), default=_session_id)
    sealed_token: Mapped[str | None] = mapped_column(Text)  # where the gateway gives one per session
    phone_number: Mapped[str | None] = mapped_column(String(20))  # the one we expect
    description: Mapped[str] = mapped_column(String(500), default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # sending is paused since

    status: Mapped[Status] = mapped_column(Word(Status), default=Status.DISCONNECTED)
    reason: Mapped[Reason | None] = mapped_column(Word(Reason))
    gateway_word: Mapped[str] = mapped_column(String(60), default="")
    linked_number: Mapped[str | None] = mapped_column(String(20))  # the one that scanned
    profile_name: Mapped[str | None] = mapped_column(String(120))
    status_at: Mapped[Moment]
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # when, by the gateway's clock, the newest event about the state happened: older ones come too late
    state_event_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ban_ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_proof_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_proof: Mapped[str | None] = mapped_column(String(16))  # delivery, message
    linked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    connected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    away_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # not connected since then
    silent_restart_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    starting_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # a lease: see services.starts

    # the code that waits for the phone: secrets, encrypted, gone after success or expiry
    sealed_qr: Mapped[str | None] = mapped_column(Text)
    sealed_pairing_code: Mapped[str | None] = mapped_column(Text)
    sealed_passkey_code: Mapped[str | None] = mapped_column(Text)  # to be compared with the phone's
    qr_sequence: Mapped[int | None]
    qr_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    qr_lifetime_seconds: Mapped[int | None]
    is_scanned: Mapped[bool] = mapped_column(default=False)

    reconnect_attempts: Mapped[int] = mapped_column(default=0)
    reconnect_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    send_interval_seconds: Mapped[float | None]  # its own pace, where it differs from the setting
    waiting_count: Mapped[int] = mapped_column(default=0)  # messages queued or sending
    uncertain_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    rev: Mapped[int] = mapped_column(default=1)

    gateway: Mapped[Gateway] = relationship(lazy="joined")

    __mapper_args__ = {"version_id_col": rev}

    @property
    def look(self) -> Look:
        if not self.is_active:
            return Look.INACTIVE
        if self.reason == Reason.GATEWAY_UNREACHABLE:
            return Look.GATEWAY_UNREACHABLE
        if self.status == Status.CONNECTED:
            if self.reason == Reason.SILENT:
                return Look.SILENT
            return Look.PAUSED if self.paused_at else Look.CONNECTED
        if self.status == Status.QR_PENDING:
            return Look.FINISHING if self.is_scanned else Look.WAITING_FOR_SCAN
        if self.reason == Reason.NETWORK:
            if self.gateway_word == ENGINE_CRASHED:
                return Look.ENGINE_CRASHED
            is_brief = self.linked_at is not None and self.reconnect_attempts < BRIEF_ATTEMPTS
            return Look.RECONNECTING if is_brief else Look.NO_NETWORK
        if self.reason == Reason.STOPPED and self.linked_at is None:
            return Look.NEVER_LINKED  # unlinked by a person here: the next step is to link
        if self.status == Status.CONNECTING and self.linked_at is None and not self.asks_for_passkey:
            return Look.FINISHING if self.is_scanned else Look.STARTING
        return LOOK_OF_REASON.get(self.reason, Look.RECONNECTING) if self.reason else Look.RECONNECTING

    @property
    def number(self) -> str | None:
        return self.linked_number or self.phone_number

    @property
    def is_connected(self) -> bool:
        return self.status == Status.CONNECTED and self.reason != Reason.GATEWAY_UNREACHABLE

    @property
    def can_send(self) -> bool:
        return self.is_active and self.is_connected and self.paused_at is None

    @property
    def asks_for_passkey(self) -> bool:
        """WhatsApp waits for it right now; afterwards only the reason stays."""
        return self.status == Status.CONNECTING and self.reason == Reason.PASSKEY_REQUIRED

    @property
    def needs_a_link(self) -> bool:
        return self.status != Status.CONNECTED and self.reason in NEEDS_A_LINK

    @property
    def has_wrong_number(self) -> bool:
        return bool(self.linked_number and self.phone_number and self.linked_number != self.phone_number)

    @classmethod
    def default(cls, workspace_id: int) -> WhatsAppSession | None:
        return db.session.scalar(select(cls).filter_by(workspace_id=workspace_id, is_default=True))

    @classmethod
    def of_workspace(cls, workspace_id: int) -> list[WhatsAppSession]:
        """The default one first, then the oldest."""
        query = select(cls).filter_by(workspace_id=workspace_id).order_by(cls.is_default.desc(), cls.id)
        return list(db.session.scalars(query))

    @classmethod
    def count(cls, workspace_id: int) -> int:
        query = select(func.count()).select_from(cls).filter_by(workspace_id=workspace_id)
        return db.session.scalar(query) or 0
