"""The gateways we know, a driver for each, and how they were at the last look."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Engine, bindparam, select, update

from .. import clock, drivers, plain, words
from ..app import settings, vault
from ..crypto import Vault, new_token, same
from ..drivers.contract import Access, Driver, GatewayError, InstanceNotFound, OutcomeUnknown, TimedOut
from ..extensions import db, writing
from ..models import Gateway, Reason, Status, WhatsAppSession
from ..prepared import Prepared
from ..refusal import Refusal
from . import status, timeline

BUNDLED, OF_URLS = "bundled", "webhook"
URLS = ("create", "connect", "status", "disconnect", "send")  # of a gateway that is nothing else
HOOK_AGE_STEP = timedelta(seconds=5)
LONG_GAP = timedelta(minutes=10)  # nobody looked for so long: a stop of ours, or one of the gateway

_TOKEN = Prepared(
    select(WhatsAppSession.sealed_token).where(
        WhatsAppSession.gateway_id == bindparam("gateway_id"),
        WhatsAppSession.instance == bindparam("instance"),
    )
)
# what a driver is made from: with any of it changed, another one is made
_OF_ACCESS = (
    "base_url", "sealed_key", "sealed_header", "sealed_urls", "ca_pem", "allow_private", "sealed_hook_secret",
    "sealed_old_hook_secret",
)  # fmt: skip

# anybody can knock with a wrong secret, and those who may do so in bursts, as messages leave: one small query
_OF_HOOK = ("id", "kind", "capabilities", "hook_seen_at", *_OF_ACCESS)
_BY_ID = Prepared(
    select(*(getattr(Gateway, column) for column in _OF_HOOK)).where(Gateway.id == bindparam("id"))
)

_drivers: dict[tuple[Any, ...], Driver] = {}
_drivers_lock = threading.Lock()


class GatewayRefused(Refusal):
    """The gateway did not do what a person or program asked for."""

    status = 502

    def __init__(self, error: GatewayError) -> None:
        cause, step = words.error_words(error.code)
        if isinstance(error, TimedOut):  # of a message we would say that we keep trying
            step = _l("Try again in a minute. If it stays silent, restart the gateway.")
        if isinstance(error, OutcomeUnknown):  # and ask the recipient
            cause = _l("The gateway did not say in time whether it did it.")
            step = _l("Look there first: trying again may do it twice.")
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
        super().__init__(_l("No gateway is set up yet. Start wa-admin with `wa-admin up`, which does it."))


class UnknownGateway(Refusal):
    code = "unknown_gateway"

    def __init__(self, name: str, names: list[str]) -> None:
        known = ", ".join(names)
        super().__init__(
            _l("There is no gateway %(name)s; there are: %(known)s.", name=name, known=known), field="gateway"
        )


def ensure() -> Gateway:
    """The row of the bundled gateway, or of the one that the settings name; its key kept up to date."""
    wanted = settings()
    kind = wanted.gateway_kind if wanted.gateway_url else BUNDLED
    url = wanted.gateway_url or wanted.bundled_gateway_url
    with writing():
        gateway, *others = listed() or [new(sealed_key="")]
        if not gateway.sealed_key or not same(vault().open(gateway.sealed_key), wanted.gateway_key):
            gateway.sealed_key = vault().seal(wanted.gateway_key)
        if gateway.kind != kind:
            gateway.kind, gateway.name = kind, _free_name(kind, others)
            gateway.capabilities = ",".join(sorted(drivers.DRIVERS[kind].capabilities))
        gateway.base_url = url
        gateway.allow_private = True  # whoever sets the environment decides that
        if kind == OF_URLS and gateway.sealed_urls is None:
            gateway.sealed_urls = vault().seal(json.dumps({action: f"{url}/{action}" for action in URLS}))
        db.session.add(gateway)
    return gateway


def new(**columns: Any) -> Gateway:
    """A row to be added, with a secret of its own for webhooks."""
    return Gateway(sealed_hook_secret=vault().seal(new_hook_secret()), created_at=clock.now(), **columns)


def of_workspace() -> Gateway:
    """The gateway that new sessions use. Raises NoGateway before the first start."""
    gateway = db.session.scalar(select(Gateway).order_by(Gateway.id).limit(1))
    if gateway is None:
        raise NoGateway
    return gateway


def listed() -> list[Gateway]:
    """The one that the settings name comes first."""
    return list(db.session.scalars(select(Gateway).order_by(Gateway.id)))


def chosen(name: str | None) -> Gateway:
    """The one named, else the one that new sessions use. Raises UnknownGateway, NoGateway."""
    return named(name) if name else of_workspace()


def named(name: str) -> Gateway:
    """Raises UnknownGateway, which lists the names there are."""
    found = db.session.scalar(select(Gateway).filter_by(name=plain.storable(name)))
    if found is None:
        raise UnknownGateway(name, [gateway.name for gateway in listed()])
    return found


def driver(gateway: Gateway) -> Driver:
    """One driver, and so one pool of connections, per gateway, its settings and process."""
    key = (gateway.id, gateway.kind, *(getattr(gateway, column) for column in _OF_ACCESS))
    with _drivers_lock:
        if key not in _drivers:
            _drivers[key] = drivers.make(gateway.kind, access(gateway))
        return _drivers[key]


def load_drivers() -> None:
    """Those of all gateways, before anybody has to wait for one."""
    for gateway in db.session.scalars(select(Gateway)).all():
        driver(gateway)


def driver_of(gateway_id: int) -> Driver:
    """The driver of the gateway as it is at this moment; leaves no transaction open. Raises LookupError for
    one that is gone."""
    found = _BY_ID.first(db.engine, id=gateway_id)
    if found is None:
        raise LookupError(f"there is no gateway {gateway_id}")
    return driver(Gateway(**dict(zip(_OF_HOOK, found, strict=True))))


def access(gateway: Gateway) -> Access:
    """How its driver reaches it. Holds its key: never in a log or a page."""
    opened = vault().open
    secrets = [gateway.sealed_hook_secret, gateway.sealed_old_hook_secret]
    return Access(
        gateway.base_url,
        opened(gateway.sealed_key),
        extra_header=_header(opened(gateway.sealed_header)) if gateway.sealed_header else None,
        ca_pem=gateway.ca_pem,
        allow_private=gateway.allow_private,
        sign_keys=tuple(_sign_key(opened(sealed)) for sealed in secrets if sealed),
        urls=json.loads(opened(gateway.sealed_urls)) if gateway.sealed_urls else {},
        token_of=partial(_token, db.engine, vault(), gateway.id),
    )


def can(gateway: Gateway, ability: str) -> bool:
    """Whether this very gateway can, by what it told last."""
    return ability in gateway.capabilities.split(",")


def close_all() -> None:
    with _drivers_lock:
        while _drivers:
            _drivers.popitem()[1].close()


def _free_name(kind: str, others: list[Gateway]) -> str:
    taken = {other.name for other in others}
    return next(name for name in (kind, *(f"{kind} {n}" for n in range(2, 99))) if name not in taken)


def _header(text: str) -> tuple[str, str]:
    name, _colon, value = text.partition(":")
    return name.strip(), value.strip()


def _token(engine: Engine, opener: Vault, gateway_id: int, instance: str) -> str:
    found = _TOKEN.first(engine, gateway_id=gateway_id, instance=instance)
    if found is None or found[0] is None:
        raise InstanceNotFound("the gateway was never asked for this session")
    return opener.open(found[0])


# --- webhooks ------------------------------------------------------------------------------------
# The secret of a gateway is what stands in its URL and, after a dot, what proofs are made from, so that who
# reads the URL can prove nothing. Until 0.2.0 it was one part, and the URL proved the webhooks of some kinds.


def new_hook_secret() -> str:
    return f"{new_token()}.{new_token()}"


def hook_url(gateway: Gateway) -> str:
    """Where this gateway reports to. Holds a secret: never in a log or a page."""
    wanted, secret = settings(), vault().open(gateway.sealed_hook_secret)
    base = wanted.hook_base_url if gateway.kind == BUNDLED else wanted.panel_url
    return f"{base}/hooks/{gateway.id}/{_in_url(secret)}"


def _in_url(secret: str) -> str:
    return secret.partition(".")[0]


def _sign_key(secret: str) -> str:
    """What it signs with, or its tokens are made from."""
    part = secret.rpartition(".")[2].encode()
    return hmac.new(part, b"what webhooks are signed with", "sha256").hexdigest()


def by_hook(engine: Engine, opener: Vault, gateway_id: int, secret: str) -> Gateway | None:
    """The gateway whose secret this is, or was until it is told the new one everywhere; found out in the same
    time either way. A copy, with what its driver and a webhook need. Needs no application."""
    found = dict(zip(_OF_HOOK, _BY_ID.first(engine, id=gateway_id) or (), strict=False))
    sealed_ones = (found.get("sealed_hook_secret"), found.get("sealed_old_hook_secret"))
    known = [_in_url(_opened(opener, sealed)) if sealed else new_token() for sealed in sealed_ones]
    return Gateway(**found) if sum(same(one, secret) for one in known) > 0 else None


def is_genuine(gateway: Gateway, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the gateway itself sent what came to the URL with this secret. One whose URL is of before
    tokens bears none: it is taken until its sessions are told the next URL, and with it their tokens."""
    found = driver(gateway)
    if found.is_genuine(headers, body):
        return True
    sealed_ones = (gateway.sealed_hook_secret, gateway.sealed_old_hook_secret)
    is_whole = any(same(_opened(vault(), sealed), secret) for sealed in sealed_ones if sealed)
    return is_whole and found.hook_proof == "token"


def is_of_before_tokens(gateway: Gateway) -> bool:
    """Whether its URL is all that its webhooks prove themselves by, and a new secret would change that."""
    return driver(gateway).hook_proof == "token" and "." not in vault().open(gateway.sealed_hook_secret)


def reported(gateway: Gateway, secret: str, now: datetime) -> None:
    """A webhook of it came. Where only its owner can change the address, one with the new secret means that
    they did."""
    is_settled = (
        gateway.sealed_old_hook_secret is not None
        and not can(gateway, "set_webhook")
        and same(_in_url(vault().open(gateway.sealed_hook_secret)), secret)
    )
    if not is_settled and gateway.hook_seen_at and now - gateway.hook_seen_at < HOOK_AGE_STEP:
        return
    with writing():
        current = db.session.get(Gateway, gateway.id)
        if current is not None:  # else it was removed this moment
            current.hook_seen_at = now
            if is_settled:
                current.sealed_old_hook_secret = None


@lru_cache(maxsize=64)
def _opened(opener: Vault, sealed: str) -> str:
    return opener.open(sealed)


# --- how they were at the last look --------------------------------------------------------------


def answered(
    gateway_id: int,
    latency_ms: int,
    version: str | None,
    now: datetime,
    offers: Iterable[str] | None = None,
) -> None:
    """It is there. Its sessions come out of `gateway_unreachable` by their own check. `offers` are the
    capabilities that it has at this version."""
    values: dict[str, object] = {"checked_at": now, "latency_ms": latency_ms}
    if version is not None:
        values["version"] = version[:60]
    if offers is not None:
        values["capabilities"] = ",".join(sorted(offers))
    with writing():
        gateway = db.session.get_one(Gateway, gateway_id)
        if gateway.checked_at is not None and now - gateway.checked_at > LONG_GAP:
            values["listening_since"] = now
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
