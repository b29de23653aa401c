"""Whether gateways report to us about each session, and telling them where to, anew with a new secret."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from ..app import vault
from ..crypto import new_token
from ..drivers.contract import Driver, GatewayError, InstanceNotFound, Webhook
from ..drivers.deadline import deadline
from ..extensions import db, writing
from ..models import Gateway, Reason, WhatsAppSession
from . import gateways, timeline

IN_ORDER, INSTALLED, MISSING, UNKNOWN = "in_order", "installed", "missing", "unknown"
PATIENCE_SECONDS = 30.0  # of somebody who pressed a button


@dataclass(frozen=True)
class Report:
    """`state` is in_order, installed (just now), missing (it has no such session) or unknown, with the code
    of what went wrong as `trouble`."""

    wa_session: WhatsAppSession
    state: str
    trouble: str = ""


def is_in_order(installed: Webhook | None, url: str, driver: Driver) -> bool:
    """Whether this webhook brings us every event that the driver reads."""
    if installed is None or not installed.is_enabled or installed.url != url:
        return False
    return not installed.events or installed.events >= driver.hook_events  # none named means all


def mend(driver: Driver, wa_session: WhatsAppSession, *, actor: str) -> str:
    """Have the events of this session sent to us, unless they are: IN_ORDER, INSTALLED or MISSING.

    Raises GatewayError.
    """
    state = put_in_order(driver, wa_session.instance, gateways.hook_url(wa_session.gateway))
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
        forget_old_secret(gateway.id)
    return reports


def linked_ever(gateway_id: int) -> list[WhatsAppSession]:
    """Those that the gateway may report about; linking tells it where to."""
    query = select(WhatsAppSession).where(
        WhatsAppSession.gateway_id == gateway_id,
        (WhatsAppSession.reason.is_(None)) | (WhatsAppSession.reason != Reason.NEVER_LINKED),
    )
    return list(db.session.scalars(query.order_by(WhatsAppSession.id)))


def change_secret(workspace_id: int, gateway_id: int, *, actor: str) -> None:
    """A new secret in the URL, and a new key to sign with. The old ones are taken until every session reports
    to the new URL."""
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        gateway.sealed_old_hook_secret = gateway.sealed_hook_secret
        gateway.sealed_hook_secret = vault().seal(new_token())
        timeline.record(
            None, "gateway_hook_changed", workspace_id=workspace_id, actor=actor, name=gateway.name
        )


def forget_old_secret(gateway_id: int) -> None:
    """Nothing that bears the old secret is taken any more."""
    with writing():
        db.session.get_one(Gateway, gateway_id).sealed_old_hook_secret = None


def _mended(driver: Driver, wa_session: WhatsAppSession, actor: str) -> Report:
    try:
        return Report(wa_session, mend(driver, wa_session, actor=actor))
    except GatewayError as error:
        return Report(wa_session, UNKNOWN, error.code)
