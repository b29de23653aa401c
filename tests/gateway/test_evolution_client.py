"""The client of Evolution API from PyPI, untouched, against our gateway."""

from __future__ import annotations

import pytest
from evolutionapi.client import EvolutionClient
from evolutionapi.exceptions import EvolutionAuthenticationError, EvolutionNotFoundError
from evolutionapi.models.instance import InstanceConfig
from evolutionapi.models.message import MediaMessage, TextMessage
from running_gateway import RunningGateway


@pytest.fixture
def client(shared_gateway: RunningGateway) -> EvolutionClient:
    return EvolutionClient(base_url=shared_gateway.url, api_token=shared_gateway.key)


def test_it_creates_connects_reads_the_state_and_sends(
    shared_gateway: RunningGateway, client: EvolutionClient
) -> None:
    config = InstanceConfig(instanceName="from-pypi", integration="WHATSAPP-BAILEYS", qrcode=True)
    token = client.instances.create_instance(config)["hash"]
    assert client.instance_operations.connect("from-pypi", token)["count"] == 1
    shared_gateway.simulate("scan", "from-pypi", phone="6281234567890")
    shared_gateway.wait_for_state("open", "from-pypi")
    state = client.instance_operations.get_connection_state("from-pypi", token)
    assert state["instance"]["state"] == "open"
    sent = client.messages.send_text("from-pypi", TextMessage(number="628111222333", text="Halo"), token)
    assert [one["id"] for one in shared_gateway.received("from-pypi")] == [sent["key"]["id"]]


def test_it_sends_a_file_as_a_form(shared_gateway: RunningGateway, client: EvolutionClient, tmp_path) -> None:  # type: ignore[no-untyped-def]
    view = shared_gateway.named("from-pypi-files")
    token = view.create()["hash"]
    view.link()
    media = MediaMessage(
        number="628111222333",
        mediatype="document",
        mimetype="application/pdf",
        caption="offer",
        fileName="offer.pdf",
    )
    with (tmp_path / "offer.pdf").open("wb+") as file:
        file.write(b"%PDF-1.4")
        file.seek(0)
        client.messages.send_media(view.name, media, token, file)
    assert (view.received()[0]["filename"], view.received()[0]["size_bytes"]) == ("offer.pdf", 8)


def test_it_restarts_logs_out_lists_and_deletes(
    shared_gateway: RunningGateway, client: EvolutionClient
) -> None:
    view = shared_gateway.named("from-pypi-life")
    token = view.create()["hash"]
    view.link()
    assert client.instance_operations.restart(view.name, token)["instance"]["state"] == "open"
    view.wait_for_state("open")
    assert client.instance_operations.logout(view.name, token)["status"] == "SUCCESS"
    assert view.name in [one["name"] for one in client.instances.fetch_instances()]
    assert client.instance_operations.delete(view.name, token)["status"] == "SUCCESS"
    with pytest.raises(EvolutionNotFoundError):
        client.instance_operations.get_connection_state(view.name, token)


def test_it_is_told_of_a_wrong_key(shared_gateway: RunningGateway) -> None:
    with pytest.raises(EvolutionAuthenticationError):
        EvolutionClient(shared_gateway.url, "wrong").instances.fetch_instances()
