"""The one place where a session's status moves, and what a gateway's word means for it.

All of it runs inside the caller's transaction.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, or_, update

from .. import drivers
from ..app import vault
from ..drivers.contract import Code, State
from ..extensions import db
from ..models import NEEDS_A_LINK, NEEDS_A_PERSON, Reason, Status, WhatsAppSession
from . import progress, tidings, timeline

IMAGE = "image:"  # how a code begins that is kept as a picture
DEFAULT_CODE_SECONDS = 45  # Evolution says nothing of a code's life; it replaces one after 45 s

_SESSION = cast(Table, WhatsAppSession.__table__)
_PROVEN = (
    update(_SESSION)
    .where(
        _SESSION.c.id == bindparam("of"),
        or_(_SESSION.c.last_proof_at.is_(None), _SESSION.c.last_proof_at < bindparam("at")),
    )
    .values(last_proof_at=bindparam("at"), last_proof=bindparam("proof"))
)


def move(
    wa_session: WhatsAppSession, status: Status, reason: Reason | None, *, actor: str, now: datetime
) -> bool:
    """Bring the session to this status and write the line in its timeline; False when it was there."""
    if status not in (Status.QR_PENDING, Status.CONNECTING):
        _forget_code(wa_session)
    if reason != Reason.PASSKEY_REQUIRED:
        wa_session.sealed_passkey_code = None
    if (wa_session.status, wa_session.reason) == (status, reason):
        return False
    if status == Status.CONNECTED and reason is None:
        wa_session.reconnect_attempts = 0
        wa_session.reconnect_at = None
        wa_session.ban_ends_at = None
        if wa_session.status != Status.CONNECTED:
            wa_session.connected_at = now
    if reason in NEEDS_A_PERSON:
        wa_session.reconnect_at = None
    if reason in NEEDS_A_LINK:
        wa_session.linked_at = None
    if status != wa_session.status:
        wa_session.status_at = now
    was_away = not wa_session.is_connected
    wa_session.status, wa_session.reason, wa_session.updated_at = status, reason, now
    if was_away and wa_session.is_connected:
        wa_session.away_since = None
        progress.release(wa_session.id, now)
    elif not was_away and not wa_session.is_connected:
        wa_session.away_since = wa_session.away_since or now
    timeline.record(
        wa_session,
        "status",
        workspace_id=wa_session.workspace_id,
        actor=actor,
        status=status,
        reason=reason,
    )
    tidings.session_moved(wa_session, now)
    return True


def heard(wa_session: WhatsAppSession, state: State, *, actor: str, now: datetime) -> None:
    """Take over what the gateway says of the session. A word nobody knows changes nothing but its record."""
    before, wa_session.gateway_word = wa_session.gateway_word, state.word[:60]
    if state.status is None:
        return
    status = Status(state.status)
    reason = Reason(state.reason) if state.reason else None
    if status == Status.CONNECTED:
        if wa_session.is_connected:
            wa_session.away_since = None
        _linked(wa_session, state, actor=actor, now=now)
    elif status == Status.CONNECTING and wa_session.status == Status.QR_PENDING and reason is None:
        if _has_live_code(wa_session, now) and not wa_session.is_scanned:
            return  # gateways call a session that shows its code "connecting" as well
    elif status == Status.CONNECTING and reason is None and _reopens(wa_session, now):
        wa_session.away_since = wa_session.away_since or now
        return
    elif status == Status.QR_PENDING and wa_session.linked_at is not None:
        status, reason = Status.DISCONNECTED, Reason.LOGGED_OUT  # a login that is there shows no codes
    elif status == Status.QR_PENDING and wa_session.status == Status.DISCONNECTED:
        return  # nobody here asked for codes
    elif status == Status.CONNECTING and reason == Reason.PASSKEY_REQUIRED:
        if wa_session.status == Status.DISCONNECTED and wa_session.linked_at is None:
            return  # nobody here waits for it any more
        _keep_passkey_code(wa_session, state, before)
    elif status == Status.QR_PENDING and wa_session.asks_for_passkey:
        return  # a new code comes as one; GOWA's device knows nothing of the passkey
    elif status == Status.DISCONNECTED and _is_at_rest(wa_session):
        return  # we did it ourselves; the gateway only confirms it, or repeats what was before
    elif status == Status.DISCONNECTED and reason is None:
        if wa_session.status == Status.QR_PENDING and _has_live_code(wa_session, now):
            return  # late news of the stop before this link; a code that nobody scans ends by itself
        reason = _why_down(wa_session)
    elif status == Status.QR_PENDING and not _has_live_code(wa_session, now):
        status = Status.CONNECTING  # its code is on the way
    if state.ban_ends_at:
        wa_session.ban_ends_at = state.ban_ends_at
    if not (status == Status.CONNECTED and wa_session.reason == Reason.SILENT):
        move(wa_session, status, reason, actor=actor, now=now)


def scanned(wa_session: WhatsAppSession, *, now: datetime) -> None:
    """The phone has read the code; the login follows."""
    wa_session.is_scanned = True
    timeline.record(wa_session, "scanned", workspace_id=wa_session.workspace_id, actor="phone")
    move(wa_session, Status.CONNECTING, None, actor="phone", now=now)


def show_code(wa_session: WhatsAppSession, code: Code, *, now: datetime) -> None:
    """Keep the code that waits for the phone, encrypted. One that has died already is not shown."""
    lifetime = code.lifetime_seconds or DEFAULT_CODE_SECONDS
    expires_at = code.expires_at or datetime.fromtimestamp(now.timestamp() + lifetime, now.tzinfo)
    if wa_session.status == Status.CONNECTED or expires_at <= now or _is_shown(wa_session, code, now):
        return
    if code.pairing_code:
        wa_session.sealed_pairing_code = vault().seal(code.pairing_code)
    if qr := _kept(code):
        wa_session.sealed_qr = vault().seal(qr)
        wa_session.qr_sequence = code.sequence or (wa_session.qr_sequence or 0) + 1
        wa_session.qr_expires_at = expires_at
        wa_session.qr_lifetime_seconds = lifetime
    wa_session.is_scanned = False
    wa_session.updated_at = now
    move(wa_session, Status.QR_PENDING, None, actor="gateway", now=now)


def image_of(qr: str) -> bytes | None:
    """The picture, where the gateway gave one in place of the code's text."""
    return b64decode(qr.removeprefix(IMAGE)) if qr.startswith(IMAGE) else None


def proven(session_id: int, proof: str, at: datetime) -> None:
    """Something came through: `proof` is delivery or message. An age, so `rev` stays."""
    db.session.connection().execute(_PROVEN, {"of": session_id, "proof": proof, "at": at})


def _kept(code: Code) -> str | None:
    return IMAGE + b64encode(code.image).decode() if code.image else code.qr


def _is_shown(wa_session: WhatsAppSession, code: Code, now: datetime) -> bool:
    """Whether a gateway that is asked again and again just repeats itself."""
    if wa_session.status != Status.QR_PENDING or not _has_live_code(wa_session, now):
        return False
    pairs = ((wa_session.sealed_qr, _kept(code)), (wa_session.sealed_pairing_code, code.pairing_code))
    return all(new is None or (sealed and vault().open(sealed) == new) for sealed, new in pairs)


def _linked(wa_session: WhatsAppSession, state: State, *, actor: str, now: datetime) -> None:
    if state.number and state.number != wa_session.linked_number:
        if wa_session.linked_number is not None:
            wa_session.linked_at = None  # another phone; some gateways tell the number only later
        wa_session.linked_number = state.number
    if state.profile_name:
        wa_session.profile_name = state.profile_name[:120]
    if wa_session.linked_at is None:
        wa_session.linked_at = now
        timeline.record(
            wa_session,
            "linked",
            workspace_id=wa_session.workspace_id,
            actor=actor,
            number=wa_session.linked_number,
            wrong_number=wa_session.has_wrong_number,
        )


def _why_down(wa_session: WhatsAppSession) -> Reason:
    """A gateway that says "closed" and no more: what we know already is better than nothing."""
    if wa_session.reason in NEEDS_A_PERSON:
        return wa_session.reason  # type: ignore[return-value]
    if wa_session.linked_at is None:
        return Reason.QR_EXPIRED if wa_session.qr_sequence else Reason.NEVER_LINKED
    return Reason.NETWORK


def _is_at_rest(wa_session: WhatsAppSession) -> bool:
    return wa_session.status == Status.DISCONNECTED and wa_session.reason in (
        Reason.STOPPED,
        Reason.NEVER_LINKED,
    )


def _keep_passkey_code(wa_session: WhatsAppSession, state: State, before: str) -> None:
    """The same code is sealed once; a list or an event that leaves it out does not take it back."""
    sealed = wa_session.sealed_passkey_code
    if state.passkey_code is None:
        wa_session.sealed_passkey_code = sealed if state.word == before else None
    elif sealed is None or vault().open(sealed) != state.passkey_code:
        wa_session.sealed_passkey_code = vault().seal(state.passkey_code)


def _reopens(wa_session: WhatsAppSession, now: datetime) -> bool:
    """Whether it still may come back by itself, as this kind of gateway does again and again."""
    lasts = timedelta(seconds=drivers.DRIVERS[wa_session.gateway.kind].reopens_within_seconds)
    return wa_session.is_connected and now - (wa_session.away_since or now) < lasts


def _has_live_code(wa_session: WhatsAppSession, now: datetime) -> bool:
    return wa_session.qr_expires_at is not None and wa_session.qr_expires_at > now


def _forget_code(wa_session: WhatsAppSession) -> None:
    wa_session.sealed_qr = wa_session.sealed_pairing_code = wa_session.sealed_passkey_code = None
    wa_session.qr_expires_at = wa_session.qr_sequence = wa_session.qr_lifetime_seconds = None
    wa_session.is_scanned = False
