import json

import pytest
from fake_gowa import FakeGowa

from wa_admin.app import vault
from wa_admin.extensions import writing
from wa_admin.services import gateways


@pytest.fixture
def office(app):
    """A gateway of that name, over the wire."""
    with FakeGowa() as fake:
        with writing():
            gateway = gateways.of_workspace()
            gateway.kind, gateway.name, gateway.base_url = "gowa", "Office", fake.url
            gateway.sealed_key, gateway.allow_private = vault().seal(fake.key), True
        yield fake


def test_a_gateway_is_tried_by_its_name(run, office):
    result = run("doctor", "--gateway", "Office", "--json")
    found = {one["subject"]: one["level"] for one in json.loads(result.output)}
    assert result.exit_code == 0
    assert (found["Gateway"], found["Strangers"], found["Fits"], found["Missing"]) == (
        "ok",
        "ok",
        "ok",
        "warn",
    )
    assert not office.lines and "Trial session" not in found


def test_a_trial_session_is_made_only_when_asked_for(run, office):
    result = run("doctor", "--gateway", "Office", "--trial")
    assert "Trial session: deleted" in result.output
    assert [asked.method for asked in office.asked if asked.path == "/devices"].count("POST") == 1
    assert not office.lines


def test_a_default_key_is_bad_and_not_printed(run, office):
    office.key = "kemal:secret"
    with writing():
        gateways.named("Office").sealed_key = vault().seal(office.key)
    result = run("doctor", "--gateway", "Office")
    assert result.exit_code == 1
    assert "bad   Key: is a default" in result.output and "kemal" not in result.output


def test_an_unknown_name_lists_the_names_there_are(run, office):
    result = run("doctor", "--gateway", "Ofice")
    assert result.exit_code == 1 and "Office" in result.output


def test_a_trial_needs_a_gateway(run):
    assert run("doctor", "--trial").exit_code == 2
