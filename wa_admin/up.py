"""`flask up`: makes ready what the three processes need, then becomes their supervisor."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from flask import current_app, url_for

from . import log, panel, schema
from .app import settings
from .config import EVERYWHERE, Settings
from .extensions import db
from .models import User
from .services import gateways, users


def run() -> NoReturn:
    """Prepare the data directory and start gateway, scheduler and panel; ends only by exiting."""
    os.umask(0o077)  # for this process and all that come of it
    wanted = settings()
    log.set_up(wanted.log_format)
    lock = _lock(wanted.data_dir)
    _check_ports(wanted)
    prepare()
    _become_supervisor(lock, _words(wanted))


def prepare() -> None:
    """Bring the database up to date, and have a gateway in it."""
    if not schema.is_current():
        from . import upgrades

        upgrades.upgrade()
    gateways.ensure()


def _lock(data_dir: Path) -> int:
    """Held as long as the supervisor lives. The descriptor survives its exec and reaches no other process."""
    descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        log.give_up(f"already running on {data_dir} (process {holder})")
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _check_ports(wanted: Settings) -> None:
    ports = [("WA_PORT", wanted.host, wanted.port)]
    if not wanted.gateway_url:
        ports.append(("WA_GATEWAY_PORT", wanted.gateway_host, wanted.gateway_port))
    for name, host, port in ports:
        try:
            panel.listen(host, port, name).close()
        except OSError as error:
            log.give_up(error)


def _words(wanted: Settings) -> dict[str, str]:
    """What to say once everything answers."""
    words = {"panel": wanted.panel_url}
    if wanted.host in EVERYWHERE:
        words["listens"] = (
            f"It listens on all addresses of this machine, port {wanted.port}: other machines can reach it."
        )
    if not User.exists():
        with current_app.test_request_context(base_url=wanted.panel_url):
            words["first_run_link"] = url_for("auth.setup", token=users.issue_setup_token(), _external=True)
    return words


def _become_supervisor(lock: int, words: dict[str, str]) -> NoReturn:
    db.session.remove()
    db.engine.dispose()
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        json.dump(words, pipe)
    for descriptor in (lock, reader):
        os.set_inheritable(descriptor, True)
    os.execv(sys.executable, [sys.executable, "-m", "wa_admin.processes", str(lock), str(reader)])  # noqa: S606
