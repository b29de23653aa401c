"""Add, change, try and remove gateways. They belong to the whole installation, and so to its owners."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from .. import clock, drivers, plain
from ..app import vault
from ..drivers import addresses
from ..drivers.contract import CAPABILITIES, Access, GatewayError
from ..drivers.deadline import deadline
from ..extensions import db, writing
from ..models import Gateway, WhatsAppSession
from ..refusal import Refusal
from . import audit, gateway_check, gateways, scope, timeline
from .gateway_check import Finding

KINDS = ("waha", "gowa", "evolution", "wa_gateway", "wwebjs", gateways.OF_URLS)
SHOWABLE_KEY = 12  # of a shorter one four letters are too much
LOOK_UP_SECONDS, TRY_SECONDS = 3.0, 25.0
LONGEST_NAME, LONGEST_KEY, LONGEST_CA = 80, 500, 64_000
HEADER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,63}):[ \t]*([\x21-\x7e][\x20-\x7e]{0,999})")
# headers that say what a request is, and so are not for a proxy in front
OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept"})
# where no web server listens, whatever a URL says: mail, directories, databases, Docker
NO_GATEWAY_PORTS = frozenset(
    {1433, 1521, 2049, 2375, 2376, 3306, 3389, 5432, 5672, 5900, 6379, 9042, 9200, 11211, 27017}
)


class GatewayFieldRefused(Refusal):
    code = "gateway_field"
    status = 422


class GatewayNameTaken(GatewayFieldRefused):
    code = "gateway_name_taken"
    status = 409

    def __init__(self) -> None:
        super().__init__(_l("Another gateway has this name already. Choose a different one."), field="name")


class PrivateAddress(GatewayFieldRefused):
    """A person has to confirm first that the gateway lives near the panel."""

    code = "gateway_private"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l(
                "This address is on this machine or in a private network. If your gateway lives there, "
                "confirm it here."
            ),
            field="allow_private",
        )


class GatewayNotFound(Refusal):
    code = "not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(_l("There is no such gateway."))


class GatewayHasSessions(Refusal):
    code = "gateway_has_sessions"
    status = 409

    def __init__(self, count: int) -> None:
        super().__init__(
            _l(
                "Sessions still live on it: %(count)s. Say which gateway they move to, or delete them first.",
                count=count,
            ),
            field="move_to",
        )


class GatewayOfSettings(Refusal):
    code = "gateway_of_settings"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            _l("This gateway comes from the settings of this machine (WA_GATEWAY_…): change it there.")
        )


def add(
    workspace_id: int,
    *,
    kind: str,
    name: str,
    base_url: str = "",
    key: str = "",
    header: str = "",
    ca_pem: str = "",
    urls: Mapping[str, str] | None = None,
    allow_private: bool = False,
    actor: str,
) -> Gateway:
    """Make a gateway known; nothing is asked of it yet. `header` is "Name: value"; `urls` are those of the
    kind `webhook`, by action, which needs no `base_url`.

    Raises GatewayNameTaken, PrivateAddress until `allow_private` confirms it, and GatewayFieldRefused.
    """
    if kind not in KINDS:
        raise GatewayFieldRefused(_l("Choose one of the list."), field="kind")
    columns = _columns(kind, name, base_url, header, ca_pem, urls or {}, allow_private)
    with _unique(), writing():
        gateway = gateways.new(
            kind=kind,
            sealed_key=vault().seal(_read_key(key)),
            capabilities=",".join(sorted(drivers.DRIVERS[kind].capabilities)),
            **columns,
        )
        db.session.add(gateway)
        db.session.flush()
        _tell(workspace_id, "gateway_added", gateway, actor)
    return gateway


def edit(
    workspace_id: int,
    id: int,
    *,
    name: str,
    base_url: str = "",
    header: str | None = None,
    ca_pem: str = "",
    urls: Mapping[str, str] | None = None,
    allow_private: bool = False,
    actor: str,
) -> Gateway:
    """Change all but the kind and the key; of one that the settings name only what they do not hold. A
    `header` of None stays as it is, and so does a URL that is empty.

    Raises as `add`, GatewayNotFound, and GatewayOfSettings for the bundled one.
    """
    gateway = find(id)
    if gateway.kind == gateways.BUNDLED:
        raise GatewayOfSettings
    if is_of_settings(gateway):
        name, base_url, allow_private = gateway.name, gateway.base_url, True
    known = gateways.access(gateway)
    kept = ": ".join(known.extra_header) if known.extra_header and header is None else header or ""
    given = {action: url for action, url in (urls or {}).items() if url.strip()}
    columns = _columns(gateway.kind, name, base_url, kept, ca_pem, {**known.urls, **given}, allow_private)
    with _unique(), writing():
        current = find(id)
        difference = audit.difference(current, columns)
        for column, value in columns.items():
            setattr(current, column, value)
        _tell(workspace_id, "gateway_edited", current, actor, **difference)
    return current


def change_key(workspace_id: int, id: int, key: str, *, actor: str) -> Gateway:
    """Raises GatewayNotFound, GatewayOfSettings, GatewayFieldRefused."""
    with writing():
        gateway = find(id)
        if is_of_settings(gateway):
            raise GatewayOfSettings
        gateway.sealed_key = vault().seal(_read_key(key))
        _tell(workspace_id, "gateway_key_changed", gateway, actor)
    return gateway


def remove(workspace_id: int, id: int, *, actor: str) -> None:
    """Forget a gateway that holds no session.

    Raises GatewayNotFound, GatewayOfSettings, GatewayHasSessions.
    """
    with writing():
        gateway = find(id)
        if is_of_settings(gateway):
            raise GatewayOfSettings
        if count := session_count(id):
            raise GatewayHasSessions(count)
        _tell(workspace_id, "gateway_removed", gateway, actor)
        db.session.delete(gateway)


def tried(gateway: Gateway) -> list[Finding]:
    """Whether it fits: reached, key, certificate, default secrets, what it can. Touches no session."""
    began = time.monotonic()
    driver = gateways.driver(gateway)
    with deadline(TRY_SECONDS):
        try:
            version = driver.version()
        except GatewayError as error:
            gateways.failed(gateway.id, error, clock.now())
        else:
            took_ms = round(1000 * (time.monotonic() - began))
            gateways.answered(gateway.id, took_ms, version, clock.now(), driver.offers())
        return list(gateway_check.look(driver, gateways.access(gateway)))


def find(id: int) -> Gateway:
    """Raises GatewayNotFound."""
    found = db.session.get(Gateway, id)
    if found is None:
        raise GatewayNotFound
    return found


@dataclass(frozen=True)
class Known:
    """What a page may tell of a gateway's secrets."""

    last_of_key: str
    header_name: str
    can: list[Any]
    cannot: list[Any]
    is_of_settings: bool


def known(gateway: Gateway) -> Known:
    access, offered = gateways.access(gateway), set(gateway.capabilities.split(","))
    return Known(
        last_of_key=access.key[-4:] if len(access.key) >= SHOWABLE_KEY else "",
        header_name=access.extra_header[0] if access.extra_header else "",
        can=[gateway_check.ABILITIES[one] for one in CAPABILITIES if one in offered],
        cannot=[gateway_check.WITHOUT[one] for one in CAPABILITIES if one not in offered],
        is_of_settings=is_of_settings(gateway),
    )


def offered() -> list[tuple[str, list[Any], list[Any]]]:
    """The kinds there are: what each can at its best, and what it never can."""
    rows = []
    for kind in KINDS:
        able = drivers.DRIVERS[kind].capabilities
        can = [gateway_check.ABILITIES[one] for one in CAPABILITIES if one in able]
        rows.append((kind, can, [gateway_check.ABILITIES[one] for one in CAPABILITIES if one not in able]))
    return rows


def is_of_settings(gateway: Gateway) -> bool:
    """Whether it is the one that the environment names: the first."""
    return gateway.id == db.session.scalar(select(func.min(Gateway.id)))


def session_count(id: int) -> int:
    """Of all workspaces."""
    query = select(func.count()).select_from(WhatsAppSession).filter_by(gateway_id=id)
    return db.session.scalar(query.execution_options(**scope.EVERYWHERE)) or 0


# --- what the fields may hold --------------------------------------------------------------------


def _columns(
    kind: str,
    name: str,
    base_url: str,
    header: str,
    ca_pem: str,
    urls: Mapping[str, str],
    allow_private: bool,
) -> dict[str, Any]:
    """Looks names up, so not inside a transaction."""
    urls = (
        {action: urls.get(action, "").strip() for action in gateways.URLS} if kind == gateways.OF_URLS else {}
    )
    if kind == gateways.OF_URLS:
        base_url = urls["create"]
    header, ca_pem = _read_header(header), _read_ca(ca_pem)
    _check_driver(kind, Access(base_url, urls=urls))
    for field, url in (urls or {"base_url": base_url}).items():
        if url:
            _check_address(url, allow_private, field)
    return {
        "name": plain.line(name, LONGEST_NAME, field="name"),
        "base_url": _without_query(base_url),
        "sealed_header": vault().seal(header) if header else None,
        "sealed_urls": vault().seal(json.dumps(urls)) if urls else None,
        "ca_pem": ca_pem or None,
        "allow_private": allow_private,
    }


def _without_query(url: str) -> str:
    """What may be shown: a query can hold a key."""
    from ..drivers.http import whole_url  # here and below: slow to load, and no page needs it

    return str(whole_url(url).copy_with(query=None)).rstrip("/")


def _check_driver(kind: str, access: Access) -> None:
    try:
        drivers.make(kind, access).close()
    except ValueError as error:
        if access.urls:
            missing = [action for action in gateways.URLS[:4] if not access.urls.get(action)]
            field = f"url_{missing[0]}" if missing else "url_create"
        else:
            field = "base_url"
        raise GatewayFieldRefused(
            _l("Give an address that begins with http:// or https://, without user or password in it."),
            field=field,
        ) from error


def _check_address(text: str, allow_private: bool, field: str) -> None:
    import httpcore

    from ..drivers.http import whole_url

    field = field if field == "base_url" else f"url_{field}"
    url = whole_url(text)
    port = url.port or (443 if url.scheme == "https" else 80)
    if port not in (80, 443) and (port < 1024 or port in NO_GATEWAY_PORTS):
        raise GatewayFieldRefused(_l("No gateway listens on port %(port)s.", port=port), field=field)
    try:
        found = addresses.look_up(url.host, port, LOOK_UP_SECONDS)
    except (httpcore.ConnectError, httpcore.ConnectTimeout):
        return  # its name may come later; each connection is checked again
    if any(addresses.is_forbidden(one, allow_private=True) for one in found):
        raise GatewayFieldRefused(_l("No gateway may live at this address."), field=field)
    if not allow_private and any(addresses.is_forbidden(one, allow_private=False) for one in found):
        raise PrivateAddress


def _read_key(key: str) -> str:
    key = key.strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise GatewayFieldRefused(_l("A key is one line of visible characters."), field="key")
    return key


def _read_header(text: str) -> str:
    text = text.strip()
    found = HEADER.fullmatch(text)
    if text and (found is None or found[1].lower() in OURS):
        raise GatewayFieldRefused(
            _l("Write a header as its name, a colon and its value, such as “X-Proxy-Key: …”."), field="header"
        )
    return text


def _read_ca(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    try:
        if len(text) > LONGEST_CA:
            raise ValueError("too long")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise GatewayFieldRefused(
            _l("This is no certificate: paste the whole PEM text, from BEGIN to END."), field="ca_pem"
        ) from error
    return text


def _tell(workspace_id: int, kind: str, gateway: Gateway, actor: str, **more: Any) -> None:
    timeline.record(None, kind, workspace_id=workspace_id, actor=actor, name=gateway.name, **more)


@contextmanager
def _unique() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise GatewayNameTaken from error
