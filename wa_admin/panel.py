"""`python -m wa_admin.panel`: the panel under waitress, which stands slow clients without a proxy.

On SIGTERM it stops listening, finishes what it began, and exits 0.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import config, log

if TYPE_CHECKING:
    from flask import Flask

THREADS = 8
FINISH_WITHIN_SECONDS = 10.0
MAX_HEADER_BYTES = 32 * 1024
MAX_CONNECTIONS = 500
IDLE_CONNECTION_SECONDS = 60

_log = logging.getLogger("wa_admin.panel")


def main() -> None:
    os.umask(0o077)
    try:
        settings = config.load()
        listener = listen(settings.host, settings.port)
        lock = _share(settings.data_dir / config.PANEL_LOCK)
    except (config.BadSetting, OSError) as error:
        log.give_up(error)
    log.set_up(settings.log_format)

    gc.disable()  # what is loaded now stays: looking through it again and again is a tenth of the start
    app = _loaded()
    gc.freeze()
    gc.enable()
    _log.info("panel ready on %s", settings.panel_url)
    app.extensions["reader"].start()
    serve(app, listener)
    app.extensions["reader"].stop()
    _let_go(app)
    os.close(lock)
    _log.info("panel stopped")


def _loaded() -> Flask:
    from sqlalchemy.exc import DBAPIError

    from . import schema
    from .app import create_app

    app = create_app()
    with app.app_context():
        try:
            if not schema.is_current():
                _log.error("the database is of another version: run `wa-admin db upgrade`")
        except DBAPIError as error:
            _log.error("the database cannot be used: %s", " ".join(str(error.orig).split()))
    return app


def listen(host: str, port: int, setting: str = "WA_PORT") -> socket.socket:
    """A socket that listens already, so that who comes while the panel loads only waits.

    Raises OSError with a sentence that says what to do.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        named = setting.removesuffix("PORT") + "HOST"
        raise OSError(f"{named} {host!r} is no name or address of this machine") from error
    except OSError as error:
        problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        advice = f"stop what uses it, or set {setting}"
        raise OSError(f"port {port} on {host} {problem}: {advice}") from error


def _share(lock: Path) -> int:
    """Held as long as we live, so that no restore takes the data away from under us. Raises OSError."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError("a backup is being restored: wait for it") from error
    return descriptor


def serve(app: Flask, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    from waitress.server import create_server  # type: ignore[import-untyped]

    server: Any = create_server(
        app,
        sockets=[listener],
        threads=THREADS,
        ident=None,
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"],
        connection_limit=MAX_CONNECTIONS,
        channel_timeout=IDLE_CONNECTION_SECONDS,
        clear_untrusted_proxy_headers=False,  # ProxyFix reads them when WA_TRUSTED_PROXIES says so
        asyncore_use_poll=True,
    )

    def stop(*_: Any) -> None:
        app.config["IS_STOPPING"] = True
        server.pull_trigger()  # wakes the loop

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not app.config.get("IS_STOPPING"):
        _turn(server)
    _finish(server)


def _turn(server: Any, seconds: float = 1.0) -> None:
    server.asyncore.loop(timeout=seconds, map=server._map, use_poll=True, count=1)


def _finish(server: Any) -> None:
    server.del_channel()  # not server.close(), which would also cut the wire that wakes the loop
    server.socket.close()
    deadline = time.monotonic() + FINISH_WITHIN_SECONDS
    while (busy := _in_flight(server)) and time.monotonic() < deadline:
        _turn(server, 0.05)
    if busy:
        _log.warning("%d requests were cut off after %d s", busy, FINISH_WITHIN_SECONDS)
    server.task_dispatcher.shutdown(timeout=0.5)


def _in_flight(server: Any) -> int:
    """Requests that are being read, answered or written."""
    channels = list(server.active_channels.values())
    return sum(bool(one.requests or one.request or one.total_outbufs_len) for one in channels)


def _let_go(app: Flask) -> None:
    from .extensions import db
    from .services import gateways

    with app.app_context():
        gateways.close_all()
        db.engine.dispose()


if __name__ == "__main__":
    main()
