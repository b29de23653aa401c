"""Whether gateways report to us about each session, and telling them where to, anew with a new secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock
from ..app import vault
from ..drivers.contract import Driver, GatewayError, InstanceNotFound, Webhook
from ..drivers.deadline import deadline
from ..extensions import db, end_reading, writing
from ..models import Gateway, Reason, WhatsAppSession
from . import gateways, timeline

IN_ORDER, INSTALLED, MISSING, UNKNOWN = "in_order", "installed", "missing", "unknown"
PATIENCE_SECONDS = 30.0  # of somebody who pressed a button
PROOFS = {
    "signature": _l("Each event is signed with a key that only this gateway was given."),
    "token": _l("Each event bears a token that was given to its session only."),
    "key": _l("Each event bears the gateway's own key."),
    "": "",
}
ADDRESS_ONLY = _l("Until the scheduler has given every session a token, the address alone proves events.")


@dataclass(frozen=True)
class Report:
    """`state` is in_order, installed (just now), missing (it has no such session) or unknown, with the code
    of what went wrong as `trouble`."""

    wa_session: WhatsAppSession
    state: str
    trouble: str = ""


def proof(gateway: Gateway) -> str:
    """What events prove themselves by, in a sentence; empty where none come."""
    is_old = gateways.is_of_before_tokens(gateway)
    return str(ADDRESS_ONLY if is_old else PROOFS[gateways.driver(gateway).hook_proof])


def is_in_order(installed: Webhook | None, url: str, driver: Driver) -> bool:
    """Whether this webhook brings us every event that the driver reads."""
    if installed is None or not installed.is_enabled or installed.url != url:
        return False
    return not installed.events or installed.events >= driver.hook_events  # none named means all


def mend(driver: Driver, wa_session: WhatsAppSession, *, actor: str) -> str:
    """Have the events of this session sent to us, unless they are: IN_ORDER, INSTALLED or MISSING.

    Raises GatewayError.
    """
    instance, url = wa_session.instance, gateways.hook_url(wa_session.gateway)
    end_reading()
    state = put_in_order(driver, instance, url)
    if state == INSTALLED:
        with writing():
            note_installed(wa_session, actor=actor)
    return state


def put_in_order(driver: Driver, instance: str, url: str) -> str:
    """The part of `mend` that needs no database."""
    try:
        if is_in_order(driver.webhook(instance), url, driver):
            return IN_ORDER
        driver.set_webhook(instance, url)
    except InstanceNotFound:
        return MISSING
    return INSTALLED


def note_installed(wa_session: WhatsAppSession, *, actor: str) -> None:
    """The other part, in the caller's transaction."""
    timeline.record(wa_session, "webhook_installed", workspace_id=wa_session.workspace_id, actor=actor)


def mend_all(gateway: Gateway, *, actor: str) -> list[Report]:
    """Look at the webhook of every session that was ever linked, and install what is not in order."""
    driver = gateways.driver(gateway)
    with deadline(PATIENCE_SECONDS):
        reports = [_mended(driver, wa_session, actor) for wa_session in linked_ever(gateway.id)]
    if not any(report.trouble for report in reports):
        settle(gateway.id, driver, clock.now())
    return reports


def linked_ever(gateway_id: int) -> list[WhatsAppSession]:
    """Those that the gateway may report about; linking tells it where to."""
    query = select(WhatsAppSession).where(
        WhatsAppSession.gateway_id == gateway_id,
        (WhatsAppSession.reason.is_(None)) | (WhatsAppSession.reason != Reason.NEVER_LINKED),
    )
    return list(db.session.scalars(query.order_by(WhatsAppSession.id)))


def change_secret(workspace_id: int, gateway_id: int, *, actor: str) -> None:
    """A new secret in the URL, and a new key for proofs. The old ones are taken until every session reports
    to the new URL, and as long after that as the gateway may try again what it could not deliver."""
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        _renew_secret(gateway)
        timeline.record(
            None, "gateway_hook_changed", workspace_id=workspace_id, actor=actor, name=gateway.name
        )


def give_tokens(gateway: Gateway) -> None:
    """Where the URL alone proves webhooks, as it did before tokens: change the secret, unless one is being
    changed, so that sessions are told theirs as for any other change."""
    if _lacks_tokens(gateway):
        with writing():
            if _lacks_tokens(current := db.session.get_one(Gateway, gateway.id)):
                _renew_secret(current)


def settle(gateway_id: int, driver: Driver, now: datetime) -> None:
    """Every session reports to where it should: the old secret ends when nothing is under way with it."""
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        if gateway.sealed_old_hook_secret is None:
            return
        gateway.hooks_settled_at = gateway.hooks_settled_at or now
        if now - gateway.hooks_settled_at >= timedelta(seconds=driver.hook_retries_seconds):
            _forget_old_secret(gateway)


def forget_old_secret(gateway_id: int) -> None:
    """Nothing that bears the old secret is taken any more."""
    with writing():
        _forget_old_secret(db.session.get_one(Gateway, gateway_id))


def _lacks_tokens(gateway: Gateway) -> bool:
    return gateway.sealed_old_hook_secret is None and gateways.is_of_before_tokens(gateway)


def _renew_secret(gateway: Gateway) -> None:
    gateway.sealed_old_hook_secret = gateway.sealed_hook_secret
    gateway.sealed_hook_secret = vault().seal(gateways.new_hook_secret())
    gateway.hooks_settled_at = None


def _forget_old_secret(gateway: Gateway) -> None:
    gateway.sealed_old_hook_secret = gateway.hooks_settled_at = None


def _mended(driver: Driver, wa_session: WhatsAppSession, actor: str) -> Report:
    try:
        return Report(wa_session, mend(driver, wa_session, actor=actor))
    except GatewayError as error:
        return Report(wa_session, UNKNOWN, error.code)
