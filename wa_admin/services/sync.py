"""Sessions that were made elsewhere: take over what a gateway has, and have all of it report to us."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock
from ..app import settings
from ..drivers.contract import Driver, GatewayError, Remote, State, Unsupported
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from ..refusal import Refusal
from . import gateway_check, gateway_hooks, gateways, scope, session_fields, status, timeline

PATIENCE_SECONDS = 60.0
LIMIT, NO_WEBHOOK = "limit", "no_webhook"
LONGEST_INSTANCE = 255


class SeesOnlySome(Refusal):
    code = "forbidden"
    status = 403

    def __init__(self) -> None:
        super().__init__(_l("Only who sees all sessions can adopt more."))


@dataclass(frozen=True)
class Skipped:
    """`reason` is limit, no_webhook (it is here, but does not report to us), or the code of what the gateway
    said. `name` is the gateway's own."""

    name: str
    reason: str


@dataclass
class Synced:
    """Of the workspace that asked: what was adopted, what was here before, and what was left out or amiss."""

    synced: list[WhatsAppSession] = field(default_factory=list)
    existing: list[WhatsAppSession] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def sync(workspace_id: int, gateway_name: str | None = None, *, actor: str) -> Synced:
    """Adopt what the gateway lists and nobody here knows, of all that can list when none is named; again
    changes nothing.

    A session of another workspace stays there, and is not told of. Raises UnknownGateway, SeesOnlySome, and
    GatewayRefused when no gateway could be asked.
    """
    if scope.is_limited():
        raise SeesOnlySome
    asked = [gateways.named(gateway_name)] if gateway_name else gateways.listed()
    result, failures = Synced(), []
    for gateway in asked:
        try:
            with deadline(PATIENCE_SECONDS):
                _sync_one(workspace_id, gateway, result, actor)
        except GatewayError as error:
            failures.append(error)
            if not isinstance(error, Unsupported):
                result.skipped.append(Skipped(gateway.name, error.code))
    if len(failures) == len(asked) and failures:
        raise gateways.GatewayRefused(failures[0])
    return result


def _sync_one(workspace_id: int, gateway: Gateway, result: Synced, actor: str) -> None:
    driver = gateways.driver(gateway)
    end_reading()
    for remote in driver.list():
        if remote.instance.startswith(f"{gateway_check.NAME}-"):
            continue  # a trial that was cut short
        known = _known(gateway.id, remote.instance)
        if known is not None and known.workspace_id != workspace_id:
            continue
        if known is None:
            known = _adopted(workspace_id, gateway, driver, remote, result, actor)
        else:
            result.existing.append(known)
        if known is not None:
            _have_reported(driver, known, result, actor)


def _adopted(
    workspace_id: int, gateway: Gateway, driver: Driver, remote: Remote, result: Synced, actor: str
) -> WhatsAppSession | None:
    """As a session of ours; None, and a reason in `result`, when it cannot be."""
    if len(remote.instance) > LONGEST_INSTANCE or not remote.instance.isprintable():
        result.skipped.append(Skipped(remote.instance[:80], "name_bad"))
        return None
    end_reading()
    try:
        state = driver.state(remote.instance)
    except GatewayError as error:
        result.skipped.append(Skipped(remote.instance, error.code))
        return None
    with writing():
        if WhatsAppSession.count(workspace_id) >= settings().max_sessions:
            result.skipped.append(Skipped(remote.instance, LIMIT))
            return None
        adopted = _new(workspace_id, gateway, remote)
        db.session.add(adopted)
        db.session.flush()
        timeline.record(adopted, "session_adopted", workspace_id=workspace_id, actor=actor)
        status.heard(adopted, _settled(state, remote), actor="gateway", now=clock.now())
    result.synced.append(adopted)
    return adopted


def _new(workspace_id: int, gateway: Gateway, remote: Remote) -> WhatsAppSession:
    now, name = clock.now(), _free_name(workspace_id, remote.instance)
    fits = session_fields.SESSION_ID.fullmatch(remote.instance) is not None
    is_free = fits and not _is_session_id(gateway.id, remote.instance)
    return WhatsAppSession(
        workspace_id=workspace_id,
        gateway_id=gateway.id,
        gateway=gateway,
        name=name,
        name_key=name.casefold(),
        session_id=remote.instance if is_free else session_fields.free_session_id(gateway.id, name),
        instance=remote.instance,
        is_default=WhatsAppSession.default(workspace_id) is None,
        # not never_linked, of which gateways are not asked: this one may be
        status=Status.DISCONNECTED,
        reason=Reason.STOPPED,
        status_at=now,
        created_at=now,
        updated_at=now,
    )


def _settled(state: State, remote: Remote) -> State:
    """What is down is at rest here until somebody connects it."""
    if state.status != Status.CONNECTED:
        return State(None, word=state.word)
    return State(state.status, state.reason, state.word, state.number or remote.number, remote.profile_name)


def _have_reported(driver: Driver, wa_session: WhatsAppSession, result: Synced, actor: str) -> None:
    if "set_webhook" not in driver.offers():
        return
    try:
        gateway_hooks.mend(driver, wa_session, actor=actor)
    except GatewayError:
        result.skipped.append(Skipped(wa_session.name, NO_WEBHOOK))


def _known(gateway_id: int, instance: str) -> WhatsAppSession | None:
    query = select(WhatsAppSession).filter_by(gateway_id=gateway_id, instance=instance)
    return db.session.scalar(query)


def _is_session_id(gateway_id: int, session_id: str) -> bool:
    query = select(WhatsAppSession.id).filter_by(gateway_id=gateway_id, session_id=session_id)
    return db.session.scalar(query) is not None


def _free_name(workspace_id: int, instance: str) -> str:
    """The gateway's own name, or as much of it as we would take, and a number where it is taken."""
    taken = set(db.session.scalars(select(WhatsAppSession.name_key).filter_by(workspace_id=workspace_id)))
    base = _readable(instance)
    return next(name for name in _numbered(base, len(taken) + 1) if name.casefold() not in taken)


def _readable(instance: str) -> str:
    text = unicodedata.normalize("NFC", re.sub(r"\s+", " ", instance)).strip()
    return text[: session_fields.NAME_LENGTH - 6].rstrip() or "Session"


def _numbered(base: str, most: int) -> Iterable[str]:
    yield base
    for number in range(2, most + 2):
        yield f"{base} {number}"
