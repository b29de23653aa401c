"""Add, change and remove sessions; per workspace exactly one of them is the default.

`roster` finds them, `links` brings them online and unlinks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import lazy_ngettext
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from .. import clock
from ..app import settings
from ..drivers.contract import InstanceNotFound
from ..extensions import db, writing
from ..models import Reason, WhatsAppSession
from ..refusal import Refusal
from . import audit, gateways, links, outbox, roster, scope, session_fields, timeline


class LimitReached(Refusal):
    code = "session_limit"
    status = 409

    def __init__(self, limit: int) -> None:
        super().__init__(
            lazy_ngettext(
                "This panel keeps %(num)s session at most. Remove one, or raise WA_MAX_SESSIONS.",
                "This panel keeps %(num)s sessions at most. Remove one, or raise WA_MAX_SESSIONS.",
                limit,
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


class SessionIdFixed(Refusal):
    code = "session_id_fixed"

    def __init__(self) -> None:
        super().__init__(
            _l("The session ID is fixed once a phone was linked. Add a new session instead."),
            field="session_id",
        )


class ChangedMeanwhile(Refusal):
    code = "changed_meanwhile"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("Somebody else changed this at the same moment. Look again."))


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


@dataclass(frozen=True)
class Cleanup:
    kept: list[WhatsAppSession]
    removed: list[WhatsAppSession]


def create(
    workspace_id: int,
    name: str,
    *,
    session_id: str | None = None,
    phone_number: str | None = None,
    description: str = "",
    gateway: str | None = None,
    is_active: bool = True,
    is_default: bool | None = None,
    actor: str,
) -> WhatsAppSession:
    """Add a session, at the gateway of that name; the first one of a workspace becomes its default.

    Raises LimitReached, UnknownGateway, NameTaken, SessionIdTaken, NotConnectedYet (`is_default` beside a
    default one), or a Refusal about a field.
    """
    fields = session_fields.read(
        name=name, session_id=session_id or None, phone_number=phone_number, description=description
    )
    with _unique(), writing():
        gateway_id = gateways.chosen(gateway).id
        _refuse_one_too_many(workspace_id)
        fields.setdefault("session_id", session_fields.free_session_id(gateway_id, name))
        wa_session = _new(workspace_id, gateway_id, is_active=is_active, **fields)
        if is_default and not wa_session.is_default:
            raise NotConnectedYet(wa_session)
        db.session.add(wa_session)
        db.session.flush()
        timeline.record(wa_session, "session_created", workspace_id=workspace_id, actor=actor)
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

    Raises SessionNotFound, NameTaken, SessionIdTaken, or a Refusal about a field.
    """
    with _unique(), writing():
        wa_session = roster.find(workspace_id, id)
        was_active = wa_session.is_active
        values: dict[str, object] = {} if is_active is None else {"is_active": is_active}
        values |= session_fields.read(
            name=name,
            session_id=_changed_id(wa_session, session_id),
            phone_number=phone_number,
            description=description,
        )
        _change(wa_session, values, actor)
    if wa_session.is_active != was_active and wa_session.linked_at:
        links.follow(wa_session, actor=actor)
    return wa_session


def make_default(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Send on this session from now on. Raises NotConnectedYet unless it is connected."""
    with _unique(), writing():
        wa_session = roster.find(workspace_id, id)
        if wa_session.is_default:
            return wa_session
        if not wa_session.is_connected:
            raise NotConnectedYet(wa_session)
        _set_default(wa_session)
        timeline.record(wa_session, "default_changed", workspace_id=workspace_id, actor=actor)
    return wa_session


def pause(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Hold the sending of this session; what is accepted waits. Raises SessionNotFound."""
    return _hold(workspace_id, id, clock.now(), "paused", actor)


def resume(workspace_id: int, id: int, *, actor: str) -> WhatsAppSession:
    """Send again, what waits first. Raises SessionNotFound."""
    return _hold(workspace_id, id, None, "resumed", actor)


def delete(workspace_id: int, id: int, *, force: bool = False, only_here: bool = False, actor: str) -> None:
    """Remove the session here and at the gateway; its messages stay on record, waiting ones are cancelled.

    `only_here`: remove it here even if the gateway does not, where its login may then live on. Raises
    SessionNotFound, GatewayRefused, and DefaultStays for the default session unless `force`.
    """
    wa_session = roster.find(workspace_id, id)
    if wa_session.is_default and not force:
        raise DefaultStays
    failure = None
    try:
        with links.asking(wa_session) as driver, suppress(InstanceNotFound):
            driver.delete(wa_session.instance)
    except gateways.GatewayRefused as refused:
        if not only_here:
            raise
        failure = refused.code
    with writing():
        _remove(roster.find(workspace_id, id), actor, failure)


def cleanup(workspace_id: int, *, keep: int = 1, dry_run: bool = False, actor: str) -> Cleanup:
    """Keep the oldest sessions and remove the rest; one that is kept alone is the default and switched on.
    Lowering WA_MAX_SESSIONS removes nothing: this does.

    Raises GatewayRefused at the first session that cannot be removed; those before it are gone.
    """
    everything = sorted(roster.listed(workspace_id), key=lambda one: one.id)
    plan = Cleanup(everything[:keep], everything[keep:])
    if dry_run or not everything:
        return plan
    for wa_session in plan.removed:
        delete(workspace_id, wa_session.id, force=True, actor=actor)
    with writing():
        oldest = roster.find(workspace_id, plan.kept[0].id)
        if keep == 1 and not (oldest.is_default and oldest.is_active):
            _set_default(oldest)
            oldest.is_active = True
        timeline.record(oldest, "cleaned_up", workspace_id=workspace_id, actor=actor, kept=len(plan.kept))
    return Cleanup(roster.listed(workspace_id), plan.removed)


def _new(workspace_id: int, gateway_id: int, **columns: Any) -> WhatsAppSession:
    now = clock.now()
    return WhatsAppSession(
        workspace_id=workspace_id,
        gateway_id=gateway_id,
        is_default=WhatsAppSession.default(workspace_id) is None,
        reason=Reason.NEVER_LINKED,
        status_at=now,
        created_at=now,
        updated_at=now,
        **columns,
    )


def _refuse_one_too_many(workspace_id: int) -> None:
    # also when somebody adds it who sees only some of them
    query = select(func.count()).select_from(WhatsAppSession).filter_by(workspace_id=workspace_id)
    count = db.session.scalar(query, execution_options=scope.EVERYWHERE) or 0
    if count >= (limit := settings().max_sessions):
        raise LimitReached(limit)


def _changed_id(wa_session: WhatsAppSession, session_id: str | None) -> str | None:
    """None for the one it has, which a gateway may have given in a form that we would not take."""
    if session_id in (None, wa_session.session_id):
        return None
    if wa_session.reason != Reason.NEVER_LINKED:
        raise SessionIdFixed
    return session_id


def _change(wa_session: WhatsAppSession, values: Mapping[str, object], actor: str) -> None:
    changed = [field for field, value in values.items() if getattr(wa_session, field) != value]
    if not changed:
        return
    told = [field for field in changed if field not in ("name_key", "instance")]
    difference = audit.difference(wa_session, {field: values[field] for field in told})
    for field in changed:
        setattr(wa_session, field, values[field])
    wa_session.updated_at = clock.now()
    timeline.record(
        wa_session,
        "session_edited",
        workspace_id=wa_session.workspace_id,
        actor=actor,
        changed=told,
        **difference,
    )
    db.session.flush()


def _remove(wa_session: WhatsAppSession, actor: str, failure: str | None) -> None:
    workspace_id, was_default = wa_session.workspace_id, wa_session.is_default
    outbox.cancel_all(wa_session, actor=actor)
    timeline.record(
        None,
        "session_left_behind" if failure else "session_deleted",
        workspace_id=workspace_id,
        actor=actor,
        name=wa_session.name,
        number=wa_session.number,
        failure=failure,
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
        wa_session = roster.find(workspace_id, id)
        if (wa_session.paused_at is None) != (paused_at is None):
            wa_session.paused_at = paused_at
            wa_session.updated_at = clock.now()
            timeline.record(wa_session, kind, workspace_id=workspace_id, actor=actor)
    return wa_session


@contextmanager
def _unique() -> Iterator[None]:
    """What the schema refuses, in words."""
    try:
        yield
    except IntegrityError as error:
        text = str(error.orig)
        if "session_id" in text or "instance" in text:
            raise SessionIdTaken from error
        raise (NameTaken() if "name" in text else ChangedMeanwhile()) from error
