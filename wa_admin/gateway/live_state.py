"""What is known of one session right now, kept on disk as far as it has to last, and told to its webhook."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from wa_admin.gateway import dialect
from wa_admin.gateway.dialect import Code, user_of
from wa_admin.gateway.store import Instance, Store

log = logging.getLogger("wa_admin.gateway.session")

Announce = Callable[[str, str, Any], None]

# After these a person has to act, so neither we nor a restart of the gateway connects again by itself.
NEEDS_A_PERSON = {
    "qr_expired",
    "passkey_required",
    "auth_failure",
    "logged_out",
    "replaced",
    "banned",
    "stopped",
}


class LiveState:
    """Guarded by the lock of its session; `linked` says that a login is stored."""

    def __init__(self, instance: Instance, store: Store, announce: Announce) -> None:
        self.id = instance.id
        self.name = instance.name
        self._store = store
        self._announce = announce
        self.state = "close"
        self.reason = instance.reason
        self.since = instance.since
        self.linked = instance.linked
        self.owner_jid = instance.owner_jid
        self.profile_name = instance.profile_name
        self.pairing_code: str | None = None
        self.ban_expires_at: float | None = None
        self._code: Code | None = None

    def status(self) -> dict[str, Any]:
        """The answer of connectionState, with our reason beside Evolution's word."""
        return {
            "instanceName": self.name,
            "state": self.state,
            "reason": self.reason,
            "number": self._number(),
            "profileName": self.profile_name if self.linked else None,
            "since": self.since,
            "qrcode": self.code.timing() if self.code else None,
            **self._ban(),
        }

    def codes(self) -> dict[str, Any]:
        """The answer of connect: the code a phone can scan now, or that there is none, or that it is open."""
        if self.state == "open":
            return {"instance": self.status()}
        return dialect.code_body(self.code, self.pairing_code)

    @property
    def code(self) -> Code | None:
        return self._code if self._code and self._code.expires_at > time.time() else None

    def show_code(self, text: str, sequence: int, lifetime_seconds: float) -> None:
        self._code = Code(text, sequence, lifetime_seconds, time.time() + lifetime_seconds)
        self.tell_code()

    def show_pairing_code(self, pairing_code: str) -> None:
        self.pairing_code = pairing_code
        self.tell_code()

    def forget_codes(self) -> None:
        self._code = self.pairing_code = None

    def open(self, number: str | None, profile_name: str | None) -> None:
        self.linked = True
        self.owner_jid = f"{number}@s.whatsapp.net" if number else self.owner_jid
        self.profile_name = profile_name or self.profile_name
        self.become("open", None)

    def close(self, reason: str, *, by_us: bool = False) -> None:
        self.become("close", reason, by_us=by_us)

    def become(self, state: str, reason: str | None, *, by_us: bool = False) -> None:
        """Take a new state, keep what lasts, and tell; nothing when it is the old one."""
        if state != "connecting" or reason == "network":
            self.forget_codes()
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason, self.since = state, reason, dialect.now_iso()
        unlinked = _unlinked(self.since, by_us) if reason == "logged_out" else None
        self.linked = self.linked and not unlinked
        self._keep(unlinked)
        log.info("session %r is %s%s", self.name, state, f" ({reason})" if reason else "")
        if unlinked:
            self.tell("status.instance", {"instance": self.name, "status": "closed", **unlinked})
            self.tell("logout.instance", None)
        self.tell_state()
        if reason == "qr_expired":
            self.tell("qrcode.updated", dialect.QR_LIMIT)

    def rename_profile(self, profile_name: str) -> None:
        self.profile_name = profile_name
        self._store.update(self.id, profile_name=profile_name)

    def unlinked_reason(self) -> str:
        return "never_linked" if self.owner_jid is None else "logged_out"

    def tell(self, event: str, data: Any) -> None:
        self._announce(self.id, event, data)

    def tell_code(self) -> None:
        if code := self.code:
            qrcode = {"instance": self.name, **dialect.code_body(code, self.pairing_code)}
            self.tell("qrcode.updated", {"qrcode": qrcode})

    def tell_state(self) -> None:
        data: dict[str, Any] = {"instance": self.name}
        if self.state == "open":
            data |= {"wuid": self.owner_jid, "profileName": self.profile_name, "profilePictureUrl": None}
        data["state"] = "refused" if self.reason == "qr_expired" else self.state
        data["statusReason"] = dialect.STATUS_REASONS.get(self.reason, 428)
        data["reason"] = self.reason
        data["number"] = self._number()
        self.tell("connection.update", data | self._ban())

    def _number(self) -> str | None:
        return user_of(self.owner_jid) if self.linked else None

    def _ban(self) -> dict[str, str]:
        if self.reason != "banned" or self.ban_expires_at is None:
            return {}
        return {"banExpiresAt": dialect.iso(self.ban_expires_at)}

    def _keep(self, unlinked: dict[str, Any] | None) -> None:
        columns: dict[str, Any] = {
            "reason": self.reason if self.state == "close" else None,
            "since": self.since,
            "linked": self.linked,
            "owner_jid": self.owner_jid,
            "profile_name": self.profile_name,
        }
        if self.state == "connecting":
            columns["wanted"] = True
        elif self.state == "close" and (self.reason in NEEDS_A_PERSON or not self.linked):
            columns["wanted"] = False
        if unlinked or self.state == "open":
            columns["disconnection"] = unlinked
        self._store.update(self.id, **columns)


def _unlinked(since: str, by_us: bool) -> dict[str, Any]:
    message = "Log out instance" if by_us else "Stream Errored (device_removed)"
    payload = {"statusCode": 401, "error": "Unauthorized", "message": message}
    return {
        "disconnectionAt": since,
        "disconnectionReasonCode": 401,
        "disconnectionObject": json.dumps({"error": {"output": {"statusCode": 401, "payload": payload}}}),
    }
