"""Create, link, keep and remove sessions; per workspace exactly one of them is the default."""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from .. import clock, phone
from ..app import settings, vault
from ..drivers.contract import BadKey, Code, GatewayError, InstanceNotFound, State, Unreachable, Unsupported
from ..extensions import db, writing
from ..models import Reason, Status, WhatsAppSession
from ..refusal import Refusal
from . import gateways, outbox, status, timeline

_log = logging.getLogger(__name__)

SESSION_ID = re.compile(r"[a-z0-9_-]{1,64}")
NAME_LENGTH, DESCRIPTION_LENGTH = 80, 500
AUTO = "auto"  # in the place of a session's name


class SessionNotFound(Refusal):
    code = "session_not_found"
    status = 404

    def __init__(self, names: list[str]) -> None:
        there = ", ".join(names)
        if names:
            super().__init__(
                _l("There is no such session. There are: %(names)s.", names=there), field="session_id"
            )
        else:
            super().__init__(_l("There is no session yet. Add one first."), field="session_id")


class SessionInactive(Refusal):
    code = "session_inactive"
    status = 409

    def __init__(self, wa_session: WhatsAppSession, active: list[str]) -> None:
        super().__init__(
            _l(
                "“%(name)s” is switched off. Switch it on, or use one of: %(names)s.",
                name=wa_session.name,
                names=", ".join(active) or "–",
            ),
            field="session_id",
        )


class LimitReached(Refusal):
    code = "session_limit"
    status = 409

    def __init__(self, limit: int) -> None:
        super().__init__(
            _l(
                "This panel keeps %(limit)s session at most. Remove one, or raise WA_MAX_SESSIONS.",
                limit=limit,
            )
        )


class NameTaken(Refusal):
    code = "name_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("Another session has this name already. Choose a different one."), field="name")


class SessionIdTaken(Refusal):
    code = "session_id_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This session ID is in use already. Choose a different one."), field="session_id")


class NotConnectedYet(Refusal):
    code = "not_connected"
    status = 409

    def __init__(self, wa_session: WhatsAppSession) -> None:
        super().__init__(
            _l(
                "“%(name)s” is not connected. Only a connected session can be the default.",
                name=wa_session.name,
            )
        )


class DefaultStays(Refusal):
    code = "default_session"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l(
                "This is the default session. Make another one the default first, or delete it by force, "
                "which unlinks the phone."
            )
        )


class AlreadyConnected(Refusal):
    code = "already_connected"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This session is connected already. Unlink it first to link another phone."))


@dataclass(frozen=True)
class LinkCode:
    """What the phone can scan or be given. Secrets: only for the page or call that asked."""

    code: str | None
    pairing_code: str | None
    sequence: int
    expires_at: datetime
    lifetime_seconds: int


@dataclass(frozen=True)
class Cleanup:
    kept: WhatsAppSession | None
    removed: list[WhatsAppSession]


# --- looking -------------------------------------------------------------------------------------


def listed(workspace_id: int) -> list[WhatsAppSession]:
    """The default one first, then the oldest."""
    return WhatsAppSession.of_workspace(workspace_id)


def default(workspace_id: int) -> WhatsAppSession | None:
    return WhatsAppSession.default(workspace_id)


def find(workspace_id: int, key: str | int) -> WhatsAppSession:
    """By number, session_id or name. Raises SessionNotFound, which lists the names there are."""
    text = str(key)
    found = None
    if text.isdecimal() and len(text) < 10:
        found = db.session.scalar(select(WhatsAppSession).filter_by(workspace_id=workspace_id, id=int(text)))
    found = found or WhatsAppSession.named(workspace_id, text)
    if found is None:
        raise SessionNotFound([other.name for other in listed(workspace_id)])
    return found


def to_send_from(workspace_id: int, name: str | None) -> WhatsAppSession:
    """The session named, the least busy one for “auto”, else the default one.

    Raises SessionNotFound, SessionInactive.
    """
    if name == AUTO:
        found = _least_busy(workspace_id) or default(workspace_id)
    else:
        found = find(workspace_id, name) if name else default(workspace_id)
    if found is None:
        raise SessionNotFound([])
    if not found.is_active:
        raise SessionInactive(found, [other.name for other in listed(workspace_id) if other.is_active])
    return found


def _least_busy(workspace_id: int) -> WhatsAppSession | None:
    able = [one for one in listed(workspace_id) if one.can_send]
    return min(able, key=lambda one: one.waiting_count, default=None)


def qr_of(wa_session: WhatsAppSession) -> LinkCode | None:
    """The code that waits for the phone, if one does."""
    expires_at = wa_session.qr_expires_at
    if wa_session.status != Status.QR_PENDING or expires_at is None:
        return None
    sealed, pairing = wa_session.sealed_qr, wa_session.sealed_pairing_code
    return LinkCode(
        code=vault().open(sealed) if sealed else None,
        pairing_code=vault().open(pairing) if pairing else None,
        sequence=wa_session.qr_sequence or 1,
        expires_at=expires_at,
        lifetime_seconds=wa_session.qr_lifetime_seconds or status.DEFAULT_CODE_SECONDS,
    )


# --- our own rows --------------------------------------------------------------------------------


def create(
    workspace_id: int,
    name: str,
    *,
    session_id: str | None = None,
    phone_number: str | None = None,
    description: str = "",
    is_active: bool = True,
    is_default: bool | None = None,
    actor: str,
) -> WhatsAppSession:
    """Add a session; the first one of a workspace becomes its default.

    Raises LimitReached, NameTaken, SessionIdTaken, NotConnectedYet (`is_default` beside a default one), or a
    Refusal about a field.
    """
    name = _name(name)
    number = _expected_number(phone_number)
    description = _description(description)
    given_id = _session_id(session_id) if session_id else None
    try:
        with writing():
            gateway = gateways.of_workspace()
            if WhatsAppSession.count(workspace_id) >= settings().max_sessions:
                raise LimitReached(settings().max_sessions)
            now = clock.now()
            wa_session = WhatsAppSession(
                workspace_id=workspace_id,
                gateway_id=gateway.id,
                name=name,
                name_key=name.casefold(),
                session_id=given_id or _free_session_id(gateway.id, name),
                phone_number=number,
                description=description,
                is_active=is_active,
                is_default=WhatsAppSession.default(workspace_id) is None,
                reason=Reason.NEVER_LINKED,
                status_at=now,
                created_at=now,
                updated_at=now,
            )
            if is_default and not wa_session.is_default:
                raise NotConnectedYet(wa_session)
            db.session.add(wa_session)
            db.session.flush()
            timeline.record(wa_session, "session_created", workspace_id=workspace_id, actor=actor)
    except IntegrityError as error:
        raise _taken(error) from error
    return wa_session


def edit(
    workspace_id: int,
    id: int,
    *,
    name: str | None = None,
    session_id: str | None = None,
    phone_number: str | None = None,
    description: str | None = None,
    is_active: bool | None = None,
    actor: str,
) -> WhatsAppSession:
    """Change what is given; None leaves a field as it is, an empty phone number clears it.

    The session_id can change only while the gateway does not know it, that is before the first link.
    Switching off disconnects and keeps the login; switching on connects again. While the gateway cannot
    be reached the wish is kept, and followed when it is back.
    """
    before = find(workspace_id, id)
    was_active, instance = before.is_active, before.session_id
    if session_id is not None and session_id != instance and before.reason != Reason.NEVER_LINKED:
        raise Refusal(
            _l("The session ID is fixed once a phone was linked. Add a new session instead."),
            code="session_id_fixed",
            field="session_id",
        )
    values: dict[str, object] = {}
    if name is not None:
        values |= {"name": _name(name), "name_key": _name(name).casefold()}
    if session_id is not None:
        values["session_id"] = instance if session_id == instance else _session_id(session_id)
    if phone_number is not None:
        values["phone_number"] = _expected_number(phone_number)
    if description is not None:
        values["description"] = _description(description)
    if is_active is not None:
        values["is_active"] = is_active
    try:
        with writing():
            wa_session = find(workspace_id, id)
            changed = [field for field, value in values.items() if getattr(wa_session, field) != value]
            for field in changed:
                setattr(wa_session, field, values[field])
            if changed:
                wa_session.updated_at = clock.now()
                what = [field for field in changed if field != "name_key"]
                timeline.record(
                    wa_session, "session_edited", workspace_id=workspace_id, actor=actor, changed=what
                )
            db.session.flush()
    except IntegrityError as error:
        raise _taken(error) from error
    if wa_session.is_active != was_active and wa_session.linked_at:
        _follow(wa_session, actor)
    return wa_session


def make_default(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Send on this session from now on. Raises NotConnectedYet unless it is connected."""
    try:
        with writing():
            wa_session = find(workspace_id, id)
            if wa_session.is_default:
                return wa_session
            if not wa_session.is_connected:
                raise NotConnectedYet(wa_session)
            _set_default(wa_session)
            timeline.record(wa_session, "default_changed", workspace_id=workspace_id, actor=actor)
    except IntegrityError as error:
        raise Refusal(
            _l("Somebody changed the default session at the same moment. Look again."), code="conflict"
        ) from error
    return wa_session


def pause(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Hold the sending of this session; what is accepted waits."""
    return _hold(workspace_id, id, clock.now(), "paused", actor)


def resume(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    return _hold(workspace_id, id, None, "resumed", actor)


# --- with the gateway ----------------------------------------------------------------------------


def link(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Show codes for the phone, a new set when one ran out. Raises AlreadyConnected, GatewayRefused."""
    wa_session = _begin_link(workspace_id, id, actor)
    driver = gateways.driver(wa_session.gateway)
    try:
        _make_known(wa_session)
        answer: Code | State = driver.connect(wa_session.session_id)
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    return _take(wa_session, answer)


def pairing_code(workspace_id: int, id: int, phone_number: str, *, actor: str) -> WhatsAppSession:
    """Link by number: a code to type on the phone, beside the QR code. Raises as `link`."""
    number = phone.digits(phone_number, settings().default_region)
    wa_session = _begin_link(workspace_id, id, actor, keep_codes=True)
    driver = gateways.driver(wa_session.gateway)
    try:
        _make_known(wa_session)
        answer = driver.pair(wa_session.session_id, number)
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    return _take(wa_session, answer)


def cancel_link(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Stop showing codes. What is linked already stays linked."""
    wa_session = find(workspace_id, id)
    if wa_session.status == Status.CONNECTED or wa_session.linked_at:
        return wa_session
    _ask_to_stop(wa_session)
    return _end(wa_session, Reason.NEVER_LINKED, "link_cancelled", actor)


def connect(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Go online with the stored login; where there is none, start linking."""
    wa_session = find(workspace_id, id)
    if wa_session.status == Status.CONNECTED and not wa_session.gateway.is_failing:
        return wa_session
    if not wa_session.linked_at:
        return link(workspace_id, id, actor=actor)
    with writing():
        current = find(workspace_id, id)
        current.reconnect_attempts, current.reconnect_at = 0, None
        timeline.record(current, "connect_asked", workspace_id=workspace_id, actor=actor)
        status.move(current, Status.CONNECTING, None, actor=actor, now=clock.now())
    try:
        answer = gateways.driver(wa_session.gateway).connect(wa_session.session_id)
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    return _take(wa_session, answer)


def restart(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Drop the connection and build it anew; the login stays."""
    wa_session = find(workspace_id, id)
    try:
        gateways.driver(wa_session.gateway).restart(wa_session.session_id)
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    with writing():
        timeline.record(wa_session, "restarted", workspace_id=workspace_id, actor=actor)
    return wa_session


def disconnect(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Go offline and stay so until somebody connects; the login stays."""
    wa_session = find(workspace_id, id)
    try:
        gateways.driver(wa_session.gateway).stop(wa_session.session_id)
    except InstanceNotFound:
        pass  # offline it is
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    return _end(wa_session, Reason.STOPPED, "disconnected_by_admin", actor)


def logout(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Unlink the phone. Linking again needs the phone in hand."""
    wa_session = find(workspace_id, id)
    _log_out(wa_session)
    return _end(wa_session, Reason.STOPPED, "unlinked_by_admin", actor, keeps_login=False)


def replace(workspace_id: int, id: int, *, phone_number: str | None = None, actor: str) -> WhatsAppSession:
    """Unlink this phone and show codes for another one; name, messages and API stay."""
    number = _expected_number(phone_number)
    logout(workspace_id, id, actor=actor)
    with writing():
        wa_session = find(workspace_id, id)
        wa_session.phone_number = number
        wa_session.linked_number = wa_session.profile_name = None
        timeline.record(wa_session, "number_replaced", workspace_id=workspace_id, actor=actor)
    return link(workspace_id, id, actor=actor)


def delete(workspace_id: int, id: int, *, force: bool = False, actor: str) -> None:
    """Remove the session here and at the gateway; its messages stay on record, waiting ones are cancelled.

    Raises DefaultStays for the default session unless `force`.
    """
    wa_session = find(workspace_id, id)
    if wa_session.is_default and not force:
        raise DefaultStays
    try:
        gateways.driver(wa_session.gateway).delete(wa_session.session_id)
    except InstanceNotFound:
        pass  # gone there already
    except GatewayError as error:
        raise _failed(wa_session, error) from error
    with writing():
        _remove(find(workspace_id, id), actor)


def cleanup(workspace_id: int, *, dry_run: bool = False, actor: str) -> Cleanup:
    """Keep the oldest session, make it default and active, and remove the rest."""
    everything = sorted(listed(workspace_id), key=lambda one: one.id)
    if not everything:
        return Cleanup(None, [])
    kept, removed = everything[0], everything[1:]
    if dry_run:
        return Cleanup(kept, removed)
    for wa_session in removed:
        delete(workspace_id, wa_session.id, force=True, actor=actor)
    with writing():
        kept = find(workspace_id, kept.id)
        if not (kept.is_default and kept.is_active):
            _set_default(kept)
            kept.is_active = True
            timeline.record(kept, "cleaned_up", workspace_id=workspace_id, actor=actor)
    return Cleanup(kept, removed)


# --- steps ---------------------------------------------------------------------------------------


def _follow(wa_session: WhatsAppSession, actor: str) -> None:
    act = connect if wa_session.is_active else disconnect
    try:
        act(wa_session.workspace_id, wa_session.id, actor=actor)
    except gateways.GatewayRefused as refused:
        _log.warning("session %s: %s; its wish is followed later", wa_session.id, refused.code)


def _begin_link(workspace_id: int, id: int, actor: str, keep_codes: bool = False) -> WhatsAppSession:
    with writing():
        wa_session = find(workspace_id, id)
        if wa_session.status == Status.CONNECTED and wa_session.is_connected:
            raise AlreadyConnected
        if not wa_session.is_active:
            raise SessionInactive(wa_session, [])
        if not (keep_codes and wa_session.status == Status.QR_PENDING):
            wa_session.linked_at = None
            wa_session.is_scanned = False
            timeline.record(wa_session, "link_started", workspace_id=workspace_id, actor=actor)
            status.move(wa_session, Status.CONNECTING, None, actor=actor, now=clock.now())
    return wa_session


def _make_known(wa_session: WhatsAppSession) -> None:
    """Create the session at the gateway where it is missing, and have its events sent to us."""
    driver = gateways.driver(wa_session.gateway)
    driver.create(wa_session.session_id)
    if "set_webhook" in driver.capabilities:
        driver.set_webhook(wa_session.session_id, gateways.hook_url(wa_session.gateway))


def _take(wa_session: WhatsAppSession, answer: Code | State) -> WhatsAppSession:
    """Take over the answer of the gateway, unless events have told more in the meantime."""
    now = clock.now()
    with writing():
        current = find(wa_session.workspace_id, wa_session.id)
        if isinstance(answer, Code):
            status.show_code(current, answer, now=now)
        elif current.status != Status.QR_PENDING:
            status.heard(current, answer, actor="gateway", now=now)
    return current


def _end(
    wa_session: WhatsAppSession, reason: Reason, kind: str, actor: str, keeps_login: bool = True
) -> WhatsAppSession:
    with writing():
        current = find(wa_session.workspace_id, wa_session.id)
        timeline.record(current, kind, workspace_id=current.workspace_id, actor=actor, number=current.number)
        status.move(current, Status.DISCONNECTED, reason, actor=actor, now=clock.now())
        if not keeps_login:
            current.linked_at = None
    return current


def _failed(wa_session: WhatsAppSession, error: GatewayError) -> gateways.GatewayRefused:
    """Remember what the gateway did, and tell the person who asked."""
    if isinstance(error, Unreachable | BadKey):
        gateways.failed(wa_session.gateway_id, error, clock.now())
    with writing():
        current = find(wa_session.workspace_id, wa_session.id)
        timeline.record(
            current,
            "gateway_refused",
            workspace_id=current.workspace_id,
            actor="gateway",
            failure=error.code,
        )
        if current.status == Status.CONNECTING and current.linked_at is None:
            reason = current.reason or Reason.NEVER_LINKED
            status.move(current, Status.DISCONNECTED, reason, actor="gateway", now=clock.now())
    return gateways.GatewayRefused(error)


def _ask_to_stop(wa_session: WhatsAppSession) -> None:
    driver = gateways.driver(wa_session.gateway)
    try:
        driver.stop(wa_session.session_id)
    except (InstanceNotFound, Unsupported):
        return  # nothing to stop, or the code will run out by itself
    except GatewayError as error:
        raise _failed(wa_session, error) from error


def _log_out(wa_session: WhatsAppSession) -> None:
    try:
        gateways.driver(wa_session.gateway).logout(wa_session.session_id)
    except InstanceNotFound:
        return  # not linked there
    except GatewayError as error:
        raise _failed(wa_session, error) from error


def _remove(wa_session: WhatsAppSession, actor: str) -> None:
    workspace_id, was_default = wa_session.workspace_id, wa_session.is_default
    outbox.cancel_all(wa_session, actor=actor)
    timeline.record(
        None,
        "session_deleted",
        workspace_id=workspace_id,
        actor=actor,
        name=wa_session.name,
        number=wa_session.number,
    )
    db.session.delete(wa_session)
    db.session.flush()
    oldest = (
        select(WhatsAppSession).filter_by(workspace_id=workspace_id).order_by(WhatsAppSession.id).limit(1)
    )
    heir = db.session.scalar(oldest) if was_default else None
    if heir is not None:
        heir.is_default = True
        timeline.record(heir, "default_changed", workspace_id=workspace_id, actor=actor)


def _set_default(wa_session: WhatsAppSession) -> None:
    # the old one first: the unique index is checked row by row
    db.session.execute(
        update(WhatsAppSession)
        .where(WhatsAppSession.workspace_id == wa_session.workspace_id, WhatsAppSession.is_default)
        .values(is_default=False, rev=WhatsAppSession.rev + 1)
        .execution_options(synchronize_session="fetch")
    )
    db.session.refresh(wa_session)
    wa_session.is_default = True
    db.session.flush()


def _hold(workspace_id: int, id: int, paused_at: datetime | None, kind: str, actor: str) -> WhatsAppSession:
    with writing():
        wa_session = find(workspace_id, id)
        if (wa_session.paused_at is None) != (paused_at is None):
            wa_session.paused_at = paused_at
            wa_session.updated_at = clock.now()
            timeline.record(wa_session, kind, workspace_id=workspace_id, actor=actor)
    return wa_session


# --- fields --------------------------------------------------------------------------------------


def _name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise Refusal(
            _l("Give the session a name, such as “Support line”."), code="name_missing", field="name"
        )
    if len(name) > NAME_LENGTH:
        raise Refusal(
            _l("The name may have %(count)s characters at most.", count=NAME_LENGTH),
            code="name_too_long",
            field="name",
        )
    if any(unicodedata.category(letter).startswith("C") and letter != "\u200d" for letter in name):
        raise Refusal(_l("The name holds characters that cannot be shown."), code="name_bad", field="name")
    return name


def _session_id(text: str) -> str:
    if not SESSION_ID.fullmatch(text):
        raise Refusal(
            _l("A session ID has 1 to 64 small letters, digits, “-” and “_”."),
            code="session_id_bad",
            field="session_id",
        )
    return text


def _description(text: str) -> str:
    text = text.strip()
    if len(text) > DESCRIPTION_LENGTH or any(
        unicodedata.category(letter) == "Cc" and letter not in "\r\n\t" for letter in text
    ):
        raise Refusal(
            _l("The description may have %(count)s plain characters at most.", count=DESCRIPTION_LENGTH),
            code="description_bad",
            field="description",
        )
    return text


def _expected_number(text: str | None) -> str | None:
    if not text or not text.strip():
        return None
    try:
        return phone.digits(text, settings().default_region)
    except phone.BadNumber as error:
        error.field = "phone_number"
        raise


def _free_session_id(gateway_id: int, name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:50] or "session"
    taken = set(db.session.scalars(select(WhatsAppSession.session_id).filter_by(gateway_id=gateway_id)))
    number, candidate = 1, base
    while candidate in taken:
        number += 1
        candidate = f"{base}_{number}"
    return candidate


def _taken(error: IntegrityError) -> Refusal:
    text = str(error.orig)
    if "name" in text and "session_id" not in text:
        return NameTaken()
    if "session_id" in text or "uq_session_id" in text:
        return SessionIdTaken()
    return Refusal(_l("Somebody else changed this at the same moment. Look again."), code="conflict")
