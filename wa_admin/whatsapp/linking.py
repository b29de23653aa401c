"""Linking a phone from a terminal: draws each code, says what happens, and waits for the scan."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from .errors import LinkFailed, WhatsAppError
from .values import LinkCode, Session

if TYPE_CHECKING:
    from .panel import Panel

LOOK_EVERY_SECONDS = 1.0
# six codes live 160 s, and a phone that scanned the last one needs a moment more
PATIENCE_SECONDS = 240.0

STEPS = """On the phone: WhatsApp > Settings (or the menu) > Linked devices > Link a device."""
PASSKEY = (
    "WhatsApp asks for the passkey of this account. Open this session in the panel, on a computer with "
    "Chrome, Edge, Brave or Firefox, and choose “Finish linking”. Waiting …"
)
ENDINGS = {
    "never_linked": "Linking was cancelled.",
    "qr_expired": "Nobody scanned the code in time. Run this again for a new set of codes.",
    "passkey_required": "WhatsApp links this account only with its passkey. The page of this session in the "
    "panel says what that takes: choose “Finish linking” there.",
    "auth_failure": "WhatsApp refused the login. Run this again to link anew.",
    "logged_out": "The phone removed this device. Run this again to link anew.",
    "replaced": "Another program took this login over. Stop it there, then run this again.",
    "banned": "WhatsApp has blocked this number for now. The WhatsApp app on the phone says for how long.",
    "outdated": "WhatsApp no longer accepts this version: update wa-admin.",
    "stopped": "Somebody disconnected this session meanwhile.",
}

# connecting these would start linking, or undo what a person did: models.session, which is not loaded here
NEEDS_A_PERSON = frozenset(
    {
        "never_linked",
        "qr_expired",
        "passkey_required",
        "auth_failure",
        "logged_out",
        "replaced",
        "banned",
        "outdated",
        "stopped",
    }
)


def follow(
    look: Callable[[], Session],
    code_of: Callable[[], LinkCode | None],
    *,
    by_phone: bool = False,
    out: TextIO | None = None,
    sleep: Callable[[float], None] = time.sleep,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Session:
    """Wait until the session is connected, drawing the codes that the phone needs on the way.

    `by_phone`: show the code to type instead of the one to scan. Raises LinkFailed with the reason.
    """
    page = _Page(out or sys.stdout, by_phone)
    looks_left = int(patience_seconds / LOOK_EVERY_SECONDS)
    while True:
        session = look()
        status, reason = session.status.status, session.status.reason
        if session.is_connected:
            page.say(f"Connected: {_account(session)}.")
            return session
        if status == "disconnected" and reason in ENDINGS:
            raise LinkFailed(ENDINGS[reason], code=reason)
        if reason == "gateway_unreachable":
            page.say_once("The gateway does not answer. Waiting for it …")
        elif status == "qr_pending":
            page.show(code_of())
        elif reason == "passkey_required":
            page.say_once(PASSKEY)
        elif page.has_shown:
            page.say_once("The phone has the code. Finishing …")
        else:
            page.say_once("Connecting …")
        looks_left -= 1
        if looks_left <= 0:
            raise LinkFailed(
                "It is not connected yet, and may still become so: look again.", code="link_timeout"
            )
        sleep(LOOK_EVERY_SECONDS)


def _account(session: Session) -> str:
    number = f"+{session.phone_number}" if session.phone_number else "a number WhatsApp has not told yet"
    return f"{session.name} is {number}"


def bring_online(panel: Panel) -> None:
    """Connect every active session that has a login. All are tried; then the first error is raised."""
    errors = []
    for session in panel.sessions():
        if not session.is_active or session.is_connected or session.status.reason in NEEDS_A_PERSON:
            continue
        try:
            panel.connect(session.session_id)
        except WhatsAppError as error:
            errors.append(error)
    if errors:
        raise errors[0]


class _Page:
    """The terminal: a code is drawn over the one before it, where the terminal can do that."""

    def __init__(self, out: TextIO, by_phone: bool) -> None:
        self.out = out
        self.by_phone = by_phone
        self.can_redraw = out.isatty()
        self.drawn_lines = 0
        self.shown = ""
        self.said = ""

    @property
    def has_shown(self) -> bool:
        return bool(self.shown)

    def say(self, sentence: str) -> None:
        self._wipe()
        self.said = sentence
        print(sentence, file=self.out, flush=True)

    def say_once(self, sentence: str) -> None:
        if sentence != self.said:
            self.say(sentence)

    def show(self, code: LinkCode | None) -> None:
        text = (code.pairing_code if self.by_phone else code.qr) if code else None
        if code is not None and not (code.qr or code.pairing_code):
            self.say_once("This gateway draws its code: scan it on the session's page in the panel.")
        if code is None or not text or text == self.shown:
            return
        picture = _typed(text) if self.by_phone else _drawn(text, code)
        self._wipe()
        if not self.shown and not self.by_phone:
            print(STEPS, file=self.out)
        self.shown, self.said = text, ""
        print(picture, file=self.out, flush=True)
        self.drawn_lines = picture.count("\n") + 1

    def _wipe(self) -> None:
        if self.can_redraw and self.drawn_lines:
            print(f"\x1b[{self.drawn_lines}A\x1b[J", end="", file=self.out)
        self.drawn_lines = 0


def _drawn(text: str, code: LinkCode) -> str:
    from ..qr import text as draw

    which = f"Code {code.sequence} of {code.codes}" if (code.codes or 1) > 1 else "Code"
    return f"{draw(text)}\n{which}{_lifetime(code.expires_at)}. Scan it with the phone."


def _lifetime(expires_at: datetime | None) -> str:
    if expires_at is None:
        return ""
    return f", valid for {max(0, round((expires_at - datetime.now(UTC)).total_seconds()))} s"


def _typed(code: str) -> str:
    shown = f"{code[:4]}-{code[4:]}" if len(code) == 8 else code
    return (
        f"\n    {shown}\n\nOn the phone: WhatsApp > Settings (or the menu) > Linked devices > Link a device "
        "> Link with phone number instead, and type this code."
    )
