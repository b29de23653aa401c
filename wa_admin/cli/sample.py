"""`wa-admin sample`: something to look at before the first real number is linked."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from .terminal import ACTOR, in_workspace, workspace_id

if TYPE_CHECKING:
    from ..models import WhatsAppSession

START_SECONDS = 60
LINK_SECONDS = 60
SPEED = "50"


@click.command()
@click.option(
    "--force", is_flag=True, help="Even when there are sessions: the default one gets the messages."
)
@in_workspace
def sample(force: bool) -> None:
    """Fill an empty database: a session with two weeks behind it and messages in every state.

    With WA_ENGINE=simulator its pretend phone is linked too.
    """
    fill(force)


def fill_if_empty() -> None:
    from ..services import roster

    if not roster.listed(workspace_id()):
        fill(force=False)


def fill(force: bool) -> None:
    from ..services import gateways
    from ..services import sample as service

    gateways.ensure()
    wa_session = service.session(workspace_id(), force=force, actor=ACTOR)
    _link_pretend_phone(wa_session)
    count = service.fill(wa_session)
    click.echo(f"{wa_session.name} has {count} messages and two weeks of history.")


def _link_pretend_phone(wa_session: WhatsAppSession) -> None:
    """The simulator needs nobody's phone; on a real engine the session stays unlinked."""
    from ..app import settings
    from ..services import links

    wanted = settings()
    if wanted.gateway_url or wanted.engine != "simulator" or wa_session.is_connected:
        return
    with _gateway():
        links.connect(wa_session.workspace_id, wa_session.id, actor=ACTOR)
        _scan(wa_session)


@contextmanager
def _gateway() -> Iterator[None]:
    """The gateway that runs already, or one for as long as this takes; it remembers what was linked."""
    from .. import processes
    from ..app import settings

    if _answers():
        yield
        return
    environment = processes.gateway_environment(settings()) | {"WA_SIMULATOR_SPEED": SPEED}
    process = subprocess.Popen(
        [sys.executable, "-m", "wa_admin.gateway"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"The gateway did not start on {settings().bundled_gateway_url}.")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers() -> bool:
    from ..drivers.contract import GatewayError
    from ..services import gateways

    try:
        gateways.driver(gateways.of_workspace()).version()
    except GatewayError:
        return False
    return True


def _scan(wa_session: WhatsAppSession) -> None:
    """Be the phone: read the code, and wait until it is linked."""
    import httpx

    from ..app import settings
    from ..services import sample as service
    from ..services import watch

    url = f"{settings().bundled_gateway_url}/simulator/{wa_session.instance}/scan"
    key = {"apikey": settings().gateway_key}
    deadline = time.monotonic() + LINK_SECONDS
    has_scanned = False
    while not watch.refresh(wa_session).is_connected:
        if time.monotonic() > deadline:
            raise click.ClickException("The simulator's phone could not be linked.")
        if not has_scanned:
            answer = httpx.post(url, json={"phone": service.NUMBER}, headers=key, trust_env=False)
            has_scanned = answer.is_success
        time.sleep(0.2)
