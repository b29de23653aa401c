"""The gateways we know, a driver for each, and how they were at the last look."""

from __future__ import annotations

import threading
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Engine, bindparam, select, update

from .. import clock, drivers, words
from ..app import settings, vault
from ..crypto import Vault, new_token, same
from ..drivers.contract import Access, Driver, GatewayError, TimedOut
from ..extensions import db, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from ..prepared import Prepared
from ..refusal import Refusal
from . import status, timeline

BUNDLED = "bundled"

# anybody can knock with a wrong secret: that costs one small query
_HOOK_SECRET = Prepared(select(Gateway.sealed_hook_secret).where(Gateway.id == bindparam("id")))

_drivers: dict[tuple[str, str, str], Driver] = {}
_drivers_lock = threading.Lock()


class GatewayRefused(Refusal):
    """The gateway did not do what a person or program asked for."""

    status = 502

    def __init__(self, error: GatewayError) -> None:
        cause, step = words.error_words(error.code)
        if isinstance(error, TimedOut):  # of a message we would say that we keep trying
            step = _l("Try again in a minute. If it stays silent, restart the gateway.")
        super().__init__(f"{cause} {step}", code=error.code)
        self.error = error
        if error.permanent:
            self.status = 409
        if error.retry_after_seconds:
            self.retry_after_seconds = max(1, round(error.retry_after_seconds))


class NoGateway(Refusal):
    code = "no_gateway"
    status = 503

    def __init__(self) -> None:
        super().__init__(_l("No gateway is set up yet. Start wa-admin with `flask up`, which does it."))


class UnknownGateway(Refusal):
    code = "unknown_gateway"
    status = 404

    def __init__(self, name: str, names: list[str]) -> None:
        known = ", ".join(names)
        super().__init__(_l("There is no gateway %(name)s; there are: %(known)s.", name=name, known=known))


def ensure() -> Gateway:
    """The row of the bundled gateway, or of the one that the settings name; its key kept up to date."""
    wanted = settings()
    kind = wanted.gateway_kind if wanted.gateway_url else BUNDLED
    url = wanted.gateway_url or wanted.bundled_gateway_url
    with writing():
        gateway = db.session.scalar(select(Gateway).order_by(Gateway.id).limit(1))
        if gateway is None:
            gateway = Gateway(name=kind, sealed_hook_secret=vault().seal(new_token()), created_at=clock.now())
            db.session.add(gateway)
            gateway.sealed_key = vault().seal(wanted.gateway_key)
        elif not same(vault().open(gateway.sealed_key), wanted.gateway_key):
            gateway.sealed_key = vault().seal(wanted.gateway_key)
        gateway.kind = gateway.name = kind
        gateway.base_url = url
        gateway.capabilities = ",".join(sorted(drivers.DRIVERS[kind].capabilities))
    return gateway


def of_workspace() -> Gateway:
    """The gateway that new sessions use. Raises NoGateway before the first start."""
    gateway = db.session.scalar(select(Gateway).order_by(Gateway.id).limit(1))
    if gateway is None:
        raise NoGateway
    return gateway


def named(name: str) -> Gateway:
    """Raises UnknownGateway, which lists the names there are."""
    found = db.session.scalar(select(Gateway).filter_by(name=name))
    if found is None:
        raise UnknownGateway(name, list(db.session.scalars(select(Gateway.name).order_by(Gateway.name))))
    return found


def driver(gateway: Gateway) -> Driver:
    """One driver, and so one pool of connections, per gateway and process."""
    key = (gateway.kind, gateway.base_url, gateway.sealed_key)
    with _drivers_lock:
        if key not in _drivers:
            _drivers[key] = drivers.make(gateway.kind, access(gateway))
        return _drivers[key]


def access(gateway: Gateway) -> Access:
    """How its driver reaches it. Holds its key: never in a log or a page."""
    return Access(gateway.base_url, vault().open(gateway.sealed_key))


def close_all() -> None:
    with _drivers_lock:
        while _drivers:
            _drivers.popitem()[1].close()


def hook_url(gateway: Gateway) -> str:
    """Where this gateway reports to. Holds a secret: never in a log or a page."""
    secret = vault().open(gateway.sealed_hook_secret)
    return f"{settings().hook_base_url}/hooks/{gateway.id}/{secret}"


def by_hook(gateway_id: int, secret: str) -> Gateway | None:
    """The gateway that this secret belongs to."""
    is_its_own = is_hook(db.engine, vault(), gateway_id, secret)
    return db.session.get(Gateway, gateway_id) if is_its_own else None


def is_hook(engine: Engine, opener: Vault, gateway_id: int, secret: str) -> bool:
    """Whether the secret is this gateway's, found out in the same time either way; needs no application."""
    found = _HOOK_SECRET.first(engine, id=gateway_id)
    return same(_opened(opener, found[0]) if found else new_token(), secret)


@lru_cache(maxsize=64)
def _opened(opener: Vault, sealed: str) -> str:
    return opener.open(sealed)


def answered(gateway_id: int, latency_ms: int, version: str | None, now: datetime) -> None:
    """It is there. Its sessions come out of `gateway_unreachable` by their own check."""
    values: dict[str, object] = {"checked_at": now, "latency_ms": latency_ms}
    if version is not None:
        values["version"] = version
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        if gateway.is_failing:
            _tell(
                gateway,
                "gateway_back",
                down_since=gateway.failing_since.isoformat() if gateway.failing_since else None,
            )
            gateway.failing_since = gateway.failure = None
        db.session.execute(update(Gateway).where(Gateway.id == gateway_id).values(**values))


def failed(gateway_id: int, error: GatewayError, now: datetime) -> None:
    """It does not answer, or refuses our key. Reported once per outage, however many sessions it holds."""
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        if gateway.failure != error.code:
            _tell(gateway, "gateway_down", failure=error.code)
        gateway.failing_since = gateway.failing_since or now
        gateway.failure = error.code
        for wa_session in _sessions_that_rely_on(gateway):
            status.move(wa_session, wa_session.status, Reason.GATEWAY_UNREACHABLE, actor="gateway", now=now)


def _sessions_that_rely_on(gateway: Gateway) -> list[WhatsAppSession]:
    """A session that waits for a person keeps its reason: the gateway changes nothing for it."""
    query = select(WhatsAppSession).where(
        WhatsAppSession.gateway_id == gateway.id,
        WhatsAppSession.is_active,
        WhatsAppSession.status.in_([Status.CONNECTED, Status.CONNECTING, Status.QR_PENDING]),
    )
    return list(db.session.scalars(query))


def _tell(gateway: Gateway, kind: str, **detail: Any) -> None:
    workspaces = select(WhatsAppSession.workspace_id).filter_by(gateway_id=gateway.id).distinct()
    for workspace_id in list(db.session.scalars(workspaces)):
        timeline.record(
            None, kind, workspace_id=workspace_id, actor="gateway", gateway=gateway.name, **detail
        )
