"""Real gateway processes on the simulator, twenty times as fast as life."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_gateway import RunningGateway
from webhook_receiver import WebhookReceiver


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway of one's own, to be stopped and killed."""
    with RunningGateway(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests of a file: each makes instances of its own."""
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def linked(gateway: RunningGateway) -> RunningGateway:
    """With one open session, called main."""
    gateway.create()
    gateway.link()
    return gateway


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    listening = WebhookReceiver()
    yield listening
    listening.stop()
