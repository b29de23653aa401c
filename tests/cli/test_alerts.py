import json

import pytest
from webhook_receiver import WebhookReceiver

from wa_admin.services import link_passes


@pytest.fixture
def receiver():
    receiver = WebhookReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def channel(make_channel, receiver):
    return make_channel(f"json://127.0.0.1:{receiver.port}/hook")


def test_channels_are_listed_without_their_addresses(run, channel, receiver):
    told = json.loads(run("alerts", "list", "--json").output)
    assert [(one["name"], one["kind"]) for one in told] == [("On call", "json")]
    assert str(receiver.port) not in run("alerts", "list").output


def test_a_test_tells_by_its_exit_code(run, channel, receiver):
    assert run("alerts", "test", "On call").exit_code == 0
    receiver.answer = 500
    result = run("alerts", "test", str(channel.id))
    assert result.exit_code == 1 and "It was refused" in result.output


def test_an_unknown_channel_is_said_in_a_sentence(run):
    result = run("alerts", "test", "nobody")
    assert result.exit_code == 1 and "no such alert channel" in result.output


def test_a_link_for_the_owner_of_the_phone_is_made_and_taken_back(run, unlinked):
    url = run("sessions", "link-pass", unlinked.name).stdout.strip()
    token = url.rpartition("/l/")[2]
    assert link_passes.visit(token, address="127.0.0.1").wa_session.id == unlinked.id
    run("sessions", "link-pass", unlinked.name, "--revoke")
    with pytest.raises(link_passes.PassRevoked):
        link_passes.visit(token, address="127.0.0.1")
