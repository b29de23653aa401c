"""A session that a gateway of URLs has already, as when it made one and its answer was lost.

Such a gateway lists nothing, so its id and token are entered by hand.
"""

from __future__ import annotations

from dataclasses import replace

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock, drivers, plain
from ..app import vault
from ..drivers.contract import GatewayError, InstanceNotFound, State
from ..drivers.deadline import deadline
from ..extensions import db, writing
from ..models import WhatsAppSession
from ..refusal import Refusal
from . import gateways, links, roster, scope, status, timeline

PATIENCE_SECONDS = 15.0
LONGEST = 255  # of an id, as the column has it; of a token, what is sane


class NamesItself(Refusal):
    code = "not_by_hand"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("This gateway goes by our ids. Sync adopts the sessions that it has."))


class Unfit(Refusal):
    code = "existing_bad"

    def __init__(self, field: str) -> None:
        super().__init__(_l("Enter it as the gateway shows it: 1 to 255 characters."), field=field)


class UnknownThere(Refusal):
    code = "existing_unknown"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("The gateway does not know this id with this token."), field="instance")


class KnownHere(Refusal):
    code = "existing_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("A session of this panel has this id already."), field="instance")


def enter(workspace_id: int, id: int, instance: str, token: str, *, actor: str) -> WhatsAppSession:
    """Let our session be the one that the gateway calls `instance`, once it has said that it knows it.

    Raises SessionNotFound, NamesItself, AlreadyConnected, Unfit, UnknownThere, KnownHere, GatewayRefused.
    """
    wa_session = roster.find(workspace_id, id)
    if wa_session.gateway.kind != gateways.OF_URLS:
        raise NamesItself
    if wa_session.is_connected:
        raise links.AlreadyConnected
    instance, token = _read(instance, "instance"), _read(token, "token")
    _refuse_taken(wa_session, instance)
    state = _asked(wa_session, instance, token)
    with writing():
        current = roster.find(workspace_id, id)
        _refuse_taken(current, instance)
        current.instance, current.sealed_token = instance, vault().seal(token)
        timeline.record(current, "session_identified", workspace_id=workspace_id, actor=actor)
        status.heard(current, state, actor="gateway", now=clock.now())
    return current


def _read(text: str, field: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= LONGEST or not text.isprintable() or not plain.is_storable(text):
        raise Unfit(field)
    return text


def _refuse_taken(wa_session: WhatsAppSession, instance: str) -> None:
    others = select(WhatsAppSession.id).where(
        WhatsAppSession.gateway_id == wa_session.gateway_id,
        WhatsAppSession.instance == instance,
        WhatsAppSession.id != wa_session.id,
    )
    if db.session.scalar(others.execution_options(**scope.EVERYWHERE)) is not None:
        raise KnownHere


def _asked(wa_session: WhatsAppSession, instance: str, token: str) -> State:
    """With a driver of its own, as this token is not stored before it is known to be good."""
    gateway = wa_session.gateway
    access = replace(gateways.access(gateway), token_of=lambda _instance: token)
    driver = drivers.make(gateway.kind, access)
    try:
        with deadline(PATIENCE_SECONDS):
            return driver.state(instance)
    except InstanceNotFound as error:
        raise UnknownThere from error
    except GatewayError as error:
        raise gateways.GatewayRefused(error) from error
    finally:
        driver.close()
