"""Our side of each gateway's HTTP. `DRIVERS` lists them by kind and is loaded when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from .contract import Access, Driver

DRIVERS: dict[str, type[Driver]]


def make(kind: str, access: Access, *, transport: httpx.BaseTransport | None = None) -> Driver:
    """The driver for a gateway of this kind. Raises KeyError for a kind nobody wrote, ValueError for a bad
    URL."""
    driver: type[Driver] = __getattr__("DRIVERS")[kind]
    return driver(access, transport=transport)


def __getattr__(name: str) -> Any:
    # `flask --help` and the helper of app code come by here: they must not pay for httpx
    if name != "DRIVERS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .bundled import Bundled
    from .evolution import Evolution
    from .gowa import Gowa
    from .wa_gateway import WaGateway
    from .waha import Waha
    from .webhook import FourUrls
    from .wwebjs import Wwebjs

    drivers: tuple[type[Driver], ...] = (Bundled, Evolution, FourUrls, Gowa, WaGateway, Waha, Wwebjs)
    found = globals()["DRIVERS"] = {driver.kind: driver for driver in drivers}
    return found
