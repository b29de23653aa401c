"""A link page for the owner of a phone who has no account: one session, its code, and what came of it.

The link is shown once and kept as a hash. It ends with success, after a quarter of an hour, or when somebody
takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select, update

from .. import clock
from ..crypto import digest, new_token
from ..extensions import db, writing
from ..models import LinkPass, WhatsAppSession
from ..refusal import Refusal
from . import audit, link_passkeys, links, roster, throttle, timeline

LIFETIME = timedelta(minutes=15)
ACTOR = "link_page"


class PassUnknown(Refusal):
    code = "link_pass_unknown"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("This link does not exist. Ask whoever sent it for a new one."))


class PassOver(Refusal):
    """The link worked once; `str()` says why it does not any more."""

    code = "link_pass_over"
    status = 410


class PassExpired(PassOver):
    def __init__(self) -> None:
        super().__init__(_l("This link was good for 15 minutes. Ask whoever sent it for a new one."))


class PassRevoked(PassOver):
    def __init__(self) -> None:
        super().__init__(_l("This link was taken back. Ask whoever sent it for a new one."))


class PassUsed(PassOver):
    code = "link_pass_used"

    def __init__(self) -> None:
        super().__init__(_l("The phone is linked. You can close this page."))


@dataclass(frozen=True)
class Visit:
    """What a link opens; `is_linked` when the phone was linked since it was made."""

    link_pass: LinkPass
    wa_session: WhatsAppSession
    is_linked: bool


def make(workspace_id: int, session_id: int, *, actor: str) -> tuple[LinkPass, str]:
    """A new link for the session, and its token, which cannot be read again; an older link ends.

    Raises SessionNotFound, SessionInactive, AlreadyConnected.
    """
    token, now = new_token(), clock.now()
    with writing():
        wa_session = roster.find(workspace_id, session_id)
        if not wa_session.is_active:
            raise roster.SessionInactive(wa_session, [])
        if wa_session.is_connected:
            raise links.AlreadyConnected
        _end_all(wa_session.id, now)
        made = LinkPass(
            session_id=wa_session.id,
            token_hash=digest(token),
            created_by=actor[:80],
            created_at=now,
            expires_at=now + LIFETIME,
        )
        db.session.add(made)
        timeline.record(wa_session, "link_pass_made", workspace_id=workspace_id, actor=actor)
    return made, token


def revoke(workspace_id: int, session_id: int, *, actor: str) -> None:
    """Take the session's link back; nothing happens when there is none. Raises SessionNotFound."""
    with writing():
        wa_session = roster.find(workspace_id, session_id)
        if _end_all(wa_session.id, clock.now()):
            timeline.record(wa_session, "link_pass_revoked", workspace_id=workspace_id, actor=actor)


def current(workspace_id: int, session_id: int) -> LinkPass | None:
    """The link that works right now, if one does. Raises SessionNotFound."""
    wa_session = roster.find(workspace_id, session_id)
    return db.session.scalar(_open_ones(wa_session.id, clock.now()))


def visit(token: str, *, address: str) -> Visit:
    """What the link opens. The first visit, and success, are put on record.

    Raises PassUnknown, PassExpired, PassRevoked, PassUsed, and TooManyAttempts for somebody who guesses.
    """
    now = clock.now()
    found = db.session.scalar(select(LinkPass).filter_by(token_hash=digest(token)))
    wa_session = db.session.get(WhatsAppSession, found.session_id) if found else None
    if found is None or wa_session is None:
        throttle.enter(f"link page from {address}", address, now)
        raise PassUnknown
    _refuse_what_is_over(found, now)
    is_linked = wa_session.is_connected
    if found.opened_at is None or is_linked:
        _note(found.id, now, is_linked)
    return Visit(found, wa_session, is_linked)


def start(token: str, *, address: str) -> None:
    """Have a code shown. Raises as `visit`, `links.link`, and TooManyAttempts."""
    seen = _asked(token, address, "code")
    if not seen.is_linked and links.qr_of(seen.wa_session) is None:
        links.link(seen.wa_session.workspace_id, seen.wa_session.id, actor=ACTOR)


def start_by_number(token: str, phone_number: str, *, address: str) -> None:
    """Have a code made to type on the phone with this number. Raises as `start`, and BadNumber."""
    seen = _asked(token, address, "code")
    if not seen.is_linked:
        links.pairing_code(seen.wa_session.workspace_id, seen.wa_session.id, phone_number, actor=ACTOR)


def passkey_challenge(token: str, *, address: str) -> dict[str, Any]:
    """What the passkey must sign. Raises as `start`, and as `link_passkeys.challenge`."""
    wa_session = _asked(token, address, "challenge").wa_session
    return link_passkeys.challenge(wa_session.workspace_id, wa_session.id)


def answer_passkey(token: str, assertion: object, *, address: str) -> None:
    """Hand over what was signed. Raises as `start`, and as `link_passkeys.answer`."""
    wa_session = _asked(token, address, "answer").wa_session
    link_passkeys.answer(wa_session.workspace_id, wa_session.id, assertion, actor=ACTOR)


def compare_passkey_code(token: str, *, is_same: bool, address: str) -> None:
    """The owner of the phone sees the same code there, or does not, which ends the linking.

    Raises as `start`, and as `link_passkeys.confirm`.
    """
    wa_session = _asked(token, address, "compare").wa_session
    act = link_passkeys.confirm if is_same else link_passkeys.deny
    act(wa_session.workspace_id, wa_session.id, actor=ACTOR)


def _asked(token: str, address: str, what: str) -> Visit:
    """Everything asked costs the gateway and WhatsApp something, so there is not much of it."""
    seen = visit(token, address=address)
    throttle.enter(f"link page {seen.link_pass.id} {what}", address, clock.now())
    return seen


def _refuse_what_is_over(found: LinkPass, now: datetime) -> None:
    if found.linked_at is not None:
        raise PassUsed
    if found.revoked_at is not None:
        raise PassRevoked
    if found.expires_at <= now:
        raise PassExpired


def _note(pass_id: int, now: datetime, is_linked: bool) -> None:
    with writing():
        found = db.session.get_one(LinkPass, pass_id)
        wa_session = db.session.get_one(WhatsAppSession, found.session_id)
        kinds = []
        if found.opened_at is None:
            found.opened_at = now
            kinds.append("link_pass_opened")
        if is_linked and found.linked_at is None:
            found.linked_at = now
            kinds.append("link_pass_used")
        for kind in kinds:
            timeline.record(wa_session, kind, workspace_id=wa_session.workspace_id, actor=ACTOR)
            audit.record(
                kind, workspace_id=wa_session.workspace_id, actor=ACTOR, object=wa_session.name, link=found.id
            )


def _end_all(session_id: int, now: datetime) -> bool:
    """Whether there was one to end. Inside writing()."""
    open_ids = [one.id for one in db.session.scalars(_open_ones(session_id, now))]
    db.session.execute(update(LinkPass).where(LinkPass.id.in_(open_ids)).values(revoked_at=now))
    return bool(open_ids)


def _open_ones(session_id: int, now: datetime) -> Select[LinkPass]:
    return select(LinkPass).where(
        LinkPass.session_id == session_id,
        LinkPass.revoked_at.is_(None),
        LinkPass.linked_at.is_(None),
        LinkPass.expires_at > now,
    )
