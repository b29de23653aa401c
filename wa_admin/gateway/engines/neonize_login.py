"""How linking and logging in goes, from the little that neonize lets us see of it."""

from __future__ import annotations

from wa_admin.gateway.engines.contract import Event

# A server that never answers a dial costs 20 s, uploading the first keys a few more.
ANSWER_SECONDS = 120.0
# whatsmeow waits 2 s more after each failed reconnect, without a limit; a new process begins at once again.
RECONNECT_SECONDS = 600.0
GRACE_SECONDS = 5.0


class FreshProcess(Exception):
    """Only a new process can go on: this one holds a Go call that never returns. The text says why."""


class Login:
    """One attempt. `now` is a steady clock in seconds; what did not come in time is overdue."""

    def __init__(self) -> None:
        self._codes = 0
        self._code_ends_at = 0.0
        self._due_at: float | None = None

    def dialled(self, now: float) -> None:
        self._due_at = now + ANSWER_SECONDS

    def code(self, text: str, now: float) -> Event:
        """A new QR code. The first lives 60 s, the next five 20 s: whatsmeow qrchan.go."""
        self._codes += 1
        lifetime = 60.0 if self._codes == 1 else 20.0
        self._code_ends_at = now + lifetime
        self._due_at = self._code_ends_at + GRACE_SECONDS
        return {"event": "qr", "code": text, "sequence": self._codes, "lifetime_seconds": lifetime}

    def word(self, word: str, now: float) -> Event:
        """The word that ends the linking, or demands a passkey. Raises FreshProcess on a lost connection."""
        if word == "success":
            self._codes = 0
            self.dialled(now)
            return {"event": "scanned"}
        if word == "timeout":  # said when the codes ran out, but also when the connection dropped
            if not self._codes or now < self._code_ends_at - 1:
                raise FreshProcess("the connection was lost while a code was shown")
            return _closed("qr_expired")
        if word.startswith("passkey"):
            return _closed("passkey_required")
        return _closed("outdated" if word == "err-client-outdated" else "auth_failure")

    def lost(self, now: float) -> None:
        self._due_at = now + RECONNECT_SECONDS

    def connected(self) -> None:
        self._due_at = None

    def seconds_left(self, now: float) -> float | None:
        """Until something is overdue; None when nothing is awaited."""
        return None if self._due_at is None else max(0.0, self._due_at - now)

    def overdue(self) -> Event:
        """What it means that nothing came. Raises FreshProcess unless it was a scan we waited for."""
        if self._codes:
            return _closed("qr_expired")
        raise FreshProcess("WhatsApp gave no answer in time")


def _closed(reason: str) -> Event:
    return {"event": "state", "state": "close", "reason": reason}
