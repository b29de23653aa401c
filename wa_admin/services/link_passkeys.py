"""The passkey that WhatsApp wants of some accounts before it links them.

Only a page of web.whatsapp.com can use it, so a browser extension does that there: it takes the gateway's
challenge and gives back what was signed. Sometimes the phone then shows a code, for a person to compare.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask_babel import lazy_gettext as _l

from ..app import vault
from ..drivers.contract import Driver, Rejected
from ..extensions import writing
from ..models import WhatsAppSession
from ..refusal import Refusal
from . import gateways, links, roster, timeline, watch

LOOKS = 6  # a second apart: so long it takes a gateway to say what came of an answer
# that of WAHA works for any gateway and needs no setting: waha-docs, blog/waha-passkey
EXTENSION_ID = "ghpdcgnjffaaekflfpcgkgpbafmjldcp"
EXTENSION_AT = {
    "Chrome, Edge, Brave": f"https://chromewebstore.google.com/detail/{EXTENSION_ID}",
    "Firefox": "https://addons.mozilla.org/firefox/addon/whatsapp-browser-extension/",
}


class NoPasskeyAsked(Refusal):
    code = "no_passkey_asked"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("WhatsApp asks for no passkey now. Start linking again if it is not connected."))


class AnswerRefused(Refusal):
    code = "passkey_refused"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("WhatsApp did not take the passkey. Try it once more, or start over."))


class BadAssertion(Refusal):
    code = "bad_assertion"

    def __init__(self) -> None:
        super().__init__(_l("This is not what a passkey answers. Use the browser extension once more."))


def code_of(wa_session: WhatsAppSession) -> str | None:
    """The code that the phone shows as well, while a person has to say so."""
    sealed = wa_session.sealed_passkey_code
    return vault().open(sealed) if sealed and wa_session.asks_for_passkey else None


def able_gateways(wa_session: WhatsAppSession) -> list[str]:
    """The names of those that could finish what this session's own gateway cannot."""
    if gateways.can(wa_session.gateway, "passkey"):
        return []
    return [one.name for one in gateways.listed() if gateways.can(one, "passkey")]


def challenge(workspace_id: int, id: int) -> dict[str, Any]:
    """What the passkey must sign on web.whatsapp.com, as WebAuthn request options in JSON.

    Raises SessionNotFound, NoPasskeyAsked, GatewayRefused.
    """
    wa_session = _asked_for(workspace_id, id)
    with _asking(wa_session, NoPasskeyAsked) as driver:
        return driver.passkey_challenge(wa_session.instance)


def answer(
    workspace_id: int,
    id: int,
    assertion: object,
    *,
    actor: str,
    pause: Callable[[float], object] = time.sleep,
) -> WhatsAppSession:
    """Hand over what was signed, WebAuthn's `credential.toJSON()`, and see what comes of it.

    Raises SessionNotFound, NoPasskeyAsked, BadAssertion, AnswerRefused, GatewayRefused.
    """
    wa_session = _asked_for(workspace_id, id)
    signed = _read(assertion)
    with _asking(wa_session, AnswerRefused) as driver:
        driver.answer_passkey(wa_session.instance, signed)
    _note(wa_session, "passkey_answered", actor)
    return _awaited(wa_session, lambda now: not now.asks_for_passkey or code_of(now), pause)


def confirm(
    workspace_id: int, id: int, *, actor: str, pause: Callable[[float], object] = time.sleep
) -> WhatsAppSession:
    """A person says that the phone shows the same code. Raises as `answer`."""
    wa_session = _asked_for(workspace_id, id)
    if code_of(wa_session) is None:
        raise NoPasskeyAsked
    with _asking(wa_session, AnswerRefused) as driver:
        driver.confirm_passkey(wa_session.instance)
    _note(wa_session, "passkey_confirmed", actor)
    return _awaited(wa_session, lambda now: not now.asks_for_passkey, pause)


def deny(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """A person says that the phone shows another code, or none: then this link is not theirs, and ends.

    Raises SessionNotFound, NoPasskeyAsked, GatewayRefused.
    """
    _note(_asked_for(workspace_id, id), "passkey_denied", actor)
    return links.cancel_link(workspace_id, id, actor=actor)


def _asked_for(workspace_id: int, id: int) -> WhatsAppSession:
    wa_session = roster.find(workspace_id, id)
    if not wa_session.asks_for_passkey:
        raise NoPasskeyAsked
    return wa_session


def _read(assertion: object) -> Mapping[str, Any]:
    """Only its shape: WhatsApp checks what it proves."""
    if not isinstance(assertion, dict) or assertion.get("type") != "public-key":
        raise BadAssertion
    if not isinstance(assertion.get("id"), str) or not isinstance(assertion.get("response"), dict):
        raise BadAssertion
    return assertion


@contextmanager
def _asking(wa_session: WhatsAppSession, refused: type[Refusal]) -> Iterator[Driver]:
    try:
        with links.asking(wa_session) as driver:
            yield driver
    except gateways.GatewayRefused as error:
        if not isinstance(error.error, Rejected):
            raise
        watch.poll_link(wa_session)  # it knows better than we do what is asked for now
        raise refused from error


def _note(wa_session: WhatsAppSession, kind: str, actor: str) -> None:
    with writing():
        timeline.record(wa_session, kind, workspace_id=wa_session.workspace_id, actor=actor)


def _awaited(
    wa_session: WhatsAppSession,
    is_over: Callable[[WhatsAppSession], object],
    pause: Callable[[float], object],
) -> WhatsAppSession:
    """The session once the gateway has said more of it, or after a while."""
    workspace_id, id = wa_session.workspace_id, wa_session.id
    for turn in range(LOOKS):
        if turn:
            pause(1.0)
        watch.poll_link(wa_session)
        wa_session = roster.find(workspace_id, id)
        if is_over(wa_session):
            break
    return wa_session
