"""What the helper gives back: the same values whether the panel was asked in process or over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

WAITING = frozenset({"queued", "sending"})


@dataclass(frozen=True)
class Fault:
    """Why a message did not go: a stable code, and a sentence."""

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class SentMessage:
    """A message that wa-admin has accepted and will not lose.

    `status`: queued, sending, sent, delivered, read, played, failed, expired, cancelled or uncertain.
    `to` is the number that is used (E.164 digits, or a group id).
    """

    id: int
    status: str
    to: str
    session_name: str
    provider_id: str | None
    created_at: datetime
    error: Fault | None

    @property
    def is_settled(self) -> bool:
        """Nothing more will be tried by itself."""
        return self.status not in WAITING

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> SentMessage:
        error = data["error"]
        return cls(
            id=data["id"],
            status=data["status"],
            to=data["recipient"],
            session_name=data["session_name"],
            provider_id=data["provider_id"],
            created_at=datetime.fromisoformat(data["created_at"]),
            error=Fault(error["code"], error["message"]) if error else None,
        )


@dataclass(frozen=True)
class SessionStatus:
    """`status`: disconnected, qr_pending, connecting or connected; `reason` says why it is not.

    `since` is when it became so, `checked_at` when that was last confirmed.
    """

    name: str
    session_id: str
    status: str
    reason: str | None
    since: datetime
    checked_at: datetime | None

    @property
    def is_connected(self) -> bool:
        return self.status == "connected" and self.reason != "gateway_unreachable"


@dataclass(frozen=True)
class Session:
    """One WhatsApp account. `phone_number` is E.164 digits."""

    id: int
    name: str
    session_id: str
    phone_number: str | None
    is_active: bool
    is_default: bool
    status: SessionStatus

    @property
    def is_connected(self) -> bool:
        return self.status.is_connected

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Session:
        name, session_id = data["instance_name"], data["session_id"]
        return cls(
            id=data["id"],
            name=name,
            session_id=session_id,
            phone_number=data["phone_number"],
            is_active=data["is_active"],
            is_default=data["is_primary"],
            status=SessionStatus(
                name=name,
                session_id=session_id,
                status=data["status"],
                reason=data["reason"],
                since=datetime.fromisoformat(data["status_at"]),
                checked_at=_moment(data["checked_at"]),
            ),
        )


@dataclass(frozen=True)
class LinkCode:
    """A code that waits for the phone: a secret, so it stays out of logs."""

    qr: str | None = field(repr=False)
    pairing_code: str | None = field(repr=False)
    sequence: int | None
    expires_at: datetime | None
    codes: int | None = None  # in its set, where that is known

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> LinkCode:
        return cls(
            qr=data["code"],
            pairing_code=data["pairing_code"],
            sequence=data["sequence"],
            expires_at=_moment(data["expires_at"]),
            codes=data["codes"],
        )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
