"""Real gateway processes on the simulator, twenty times as fast as life."""

from __future__ import annotations

import uuid
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


@pytest.fixture
def alone(gateway: RunningGateway) -> RunningGateway:
    """A gateway of one's own with one open session."""
    gateway.create()
    gateway.link()
    return gateway


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests that leave its process alone; each has sessions of its own."""
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def fresh(shared_gateway: RunningGateway) -> Iterator[RunningGateway]:
    """The shared gateway with a new session in mind, never linked."""
    view = shared_gateway.named(f"session {uuid.uuid4()}")
    view.create()
    yield view
    view.delete("instance/delete")


@pytest.fixture
def linked(fresh: RunningGateway) -> RunningGateway:
    """The shared gateway with an open session in mind."""
    fresh.link()
    return fresh


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    listening = WebhookReceiver()
    yield listening
    listening.stop()
