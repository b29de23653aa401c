"""A session moves to another gateway: its name, history and API stay, its phone has to be linked anew."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from .. import clock
from ..drivers.contract import GatewayError, InstanceNotFound
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from ..refusal import Refusal
from . import deliveries, gateways, roster, scope, status, timeline

PATIENCE_SECONDS = 10.0  # for taking leave of the old gateway


class TakenThere(Refusal):
    code = "session_id_taken"
    status = 409

    def __init__(self, wa_session: WhatsAppSession, gateway: Gateway) -> None:
        super().__init__(
            _l(
                "%(gateway)s has a session with the ID %(id)s already, so this one cannot move there.",
                gateway=gateway.name,
                id=wa_session.session_id,
            ),
            field="gateway",
        )


@dataclass(frozen=True)
class Moved:
    """`left_behind` is the code of why the old gateway may hold the session still, "" when it does not."""

    wa_session: WhatsAppSession
    left_behind: str


@dataclass(frozen=True)
class Choice:
    wa_session: WhatsAppSession
    others: list[Gateway]


def choice(workspace_id: int, id: int) -> Choice:
    """Where a session could move. Raises SessionNotFound."""
    wa_session = roster.find(workspace_id, id)
    return Choice(wa_session, [one for one in gateways.listed() if one.id != wa_session.gateway_id])


def move(workspace_id: int, id: int, gateway_name: str, *, actor: str) -> Moved:
    """Take leave of the old gateway as far as it can be reached; at the new one the phone is linked anew.

    What waits goes out from there. Raises SessionNotFound, UnknownGateway, TakenThere.
    """
    wa_session, target = roster.find(workspace_id, id), gateways.named(gateway_name)
    if wa_session.gateway_id == target.id:
        return Moved(wa_session, "")
    _refuse_taken(wa_session, target)
    trouble = _leave(wa_session)
    with writing():
        current, there = roster.find(workspace_id, id), gateways.named(gateway_name)
        _refuse_taken(current, there)
        before, now = current.gateway.name, clock.now()
        status.move(current, Status.DISCONNECTED, Reason.NEVER_LINKED, actor=actor, now=now)
        deliveries.give_up_references(current.id, now)
        _settle(current, there)
        timeline.record(
            current,
            "session_moved",
            workspace_id=workspace_id,
            actor=actor,
            old=before,
            new=there.name,
            failure=trouble or None,
        )
    return Moved(current, trouble)


def move_all(from_id: int, gateway_name: str, *, actor: str) -> list[Moved]:
    """Of every workspace; before a gateway is removed. Raises as `move`."""
    query = select(WhatsAppSession.workspace_id, WhatsAppSession.id).filter_by(gateway_id=from_id)
    rows = db.session.execute(query.execution_options(**scope.EVERYWHERE)).all()
    return [move(workspace_id, id, gateway_name, actor=actor) for workspace_id, id in rows]


def _leave(wa_session: WhatsAppSession) -> str:
    """Unlink and remove it there; the code of what stood in the way."""
    driver, instance = gateways.driver(wa_session.gateway), wa_session.instance
    end_reading()
    try:
        with deadline(PATIENCE_SECONDS):
            driver.delete(instance)
    except InstanceNotFound:
        return ""
    except GatewayError as error:
        return error.code
    return ""


def _settle(wa_session: WhatsAppSession, gateway: Gateway) -> None:
    """As if it had just been added there; the number that was linked is the one to expect."""
    wa_session.gateway = gateway
    wa_session.instance, wa_session.sealed_token = wa_session.session_id, None
    wa_session.phone_number = wa_session.phone_number or wa_session.linked_number
    wa_session.linked_number = wa_session.profile_name = None
    wa_session.gateway_word = ""
    wa_session.checked_at = wa_session.last_event_at = wa_session.state_event_at = None
    wa_session.updated_at = clock.now()
    db.session.flush()


def _refuse_taken(wa_session: WhatsAppSession, gateway: Gateway) -> None:
    own = wa_session.session_id
    there = select(WhatsAppSession.id).where(
        WhatsAppSession.gateway_id == gateway.id,
        or_(WhatsAppSession.session_id == own, WhatsAppSession.instance == own),
    )
    if db.session.scalar(there.execution_options(**scope.EVERYWHERE)) is not None:
        raise TakenThere(wa_session, gateway)
