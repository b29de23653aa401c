"""`python -m wa_admin.gateway`: read the environment, listen, and end in order on SIGTERM or Ctrl-C."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import IO, Any, NoReturn

from waitress.server import create_server  # type: ignore[import-untyped]

from wa_admin.config import BadSetting, bracketed, is_loopback, reachable
from wa_admin.crypto import Vault, WrongEncryptionKey
from wa_admin.gateway.callbacks import Callbacks
from wa_admin.gateway.ledger import Ledger
from wa_admin.gateway.sends import Sends
from wa_admin.gateway.server import LARGEST_BODY_BYTES, Gateway, create_app
from wa_admin.gateway.settings import Settings
from wa_admin.gateway.spool import Spool
from wa_admin.gateway.store import Store
from wa_admin.gateway.supervisor import Supervisor
from wa_admin.log import set_up

log = logging.getLogger("wa_admin.gateway")

THREADS = 16
OPEN_TO_OTHERS = (
    "the gateway listens on %s port %s: whoever reaches it over the network can try keys, and the key crosses"
    " it unencrypted. Set WA_GATEWAY_HOST=127.0.0.1, or let only the panel through, with a firewall"
)


def main() -> None:
    os.umask(0o077)
    try:
        settings = Settings.read(os.environ)
    except (BadSetting, OSError) as error:
        _give_up(str(error))
    set_up(settings.log_format)
    home = settings.data_dir / "gateway"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _lock(home):
            _run(settings, _assemble(settings, home))
    except (OSError, sqlite3.Error, WrongEncryptionKey) as error:
        _give_up(f"cannot work in {home}: {error}")


def _run(settings: Settings, gateway: Gateway) -> None:
    try:
        server = create_server(
            create_app(gateway),
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            max_request_body_size=LARGEST_BODY_BYTES + 65_536,
            ident=None,
        )
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        _give_up(f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno)}")
    except ValueError:  # waitress found no such host
        _give_up(f"WA_GATEWAY_HOST {settings.host!r} is no name or address of this machine")
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    # a host with several addresses gives several sockets, all on the port that was asked for
    port = getattr(server, "effective_port", settings.port)
    url = f"http://{bracketed(reachable(settings.host))}:{port}"
    gateway.callbacks.server_url = url
    try:
        gateway.supervisor.resume()
        gateway.callbacks.resume()
        log.info("gateway ready on %s", url)
        if not is_loopback(settings.host):
            log.warning(OPEN_TO_OTHERS, settings.host, port)
        server.run()
    except SystemExit:
        log.debug("asked to end before the start was over")
    finally:
        server.close()
        gateway.supervisor.stop()
        gateway.callbacks.stop()
        log.info("gateway stopped")


def _assemble(settings: Settings, home: Path) -> Gateway:
    store = Store(home / "gateway.db", Vault(settings.encryption_keys))
    callbacks = Callbacks(store, Spool(store))
    supervisor = Supervisor(store, settings.engine, home / "sessions", callbacks.announce)
    sends = Sends(Ledger(store), callbacks.announce)
    return Gateway(settings, store, supervisor, callbacks, sends)


def _lock(home: Path) -> IO[str]:
    """Two gateways on one store would kick each other out at WhatsApp."""
    lock = (home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _give_up(f"another gateway runs on {home.parent}")
    return lock


def _end(*_: Any) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _give_up(reason: str) -> NoReturn:
    print(f"gateway: {reason}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
