import json
from datetime import timedelta

import pytest
from signed import bearing

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Event
from wa_admin.services import gateways

# the doctor reads the gateway's address from the settings: each test needs its own
pytestmark = pytest.mark.usefixtures("data_dir")


def levels(run):
    result = run("doctor", "--json")
    found = json.loads(result.output)
    return {one["subject"]: one["level"] for one in found}, found, result.exit_code


def advice_of(found, subject):
    return next(one["advice"] for one in found if one["subject"] == subject)


def test_a_gateway_that_is_down_is_bad_and_says_what_to_do(run, connected):
    level, found, exit_code = levels(run)
    assert (level["Gateway"], level["Database"], exit_code) == ("bad", "ok", 1)
    assert advice_of(found, "Gateway")


def test_a_wrong_key_is_told_apart(stub, run, connected):
    stub.script["verify-creds"] = lambda _: (401, {"status": 401, "error": "Unauthorized", "response": {}})
    _, found, _ = levels(run)
    gateway = next(one for one in found if one["subject"] == "Gateway")
    assert gateway["level"] == "bad" and "key" in gateway["sentence"]


def test_a_missing_webhook_is_found(stub, run, connected):
    assert levels(run)[0]["Webhook"] == "bad"


def test_what_is_installed_as_it_should_be_is_ok(stub, run, connected):
    url = gateways.hook_url(gateways.of_workspace())
    stub.webhook = {"enabled": True, "url": url, "headers": bearing(), "events": []}
    level, found, _ = levels(run)
    assert (level["Webhook"], level["Support line"]) == ("ok", "ok")
    assert "bears a token" in str(found)


def test_a_webhook_without_its_token_is_found(stub, run, connected):
    stub.webhook = {"enabled": True, "url": gateways.hook_url(gateways.of_workspace()), "events": []}
    assert levels(run)[0]["Webhook"] == "bad"


def test_a_webhook_that_lacks_events_is_found(stub, run, connected):
    url = gateways.hook_url(gateways.of_workspace())
    stub.webhook = {"enabled": True, "url": url, "headers": bearing(), "events": ["QRCODE_UPDATED"]}
    assert levels(run)[0]["Webhook"] == "bad"


def test_the_secret_of_the_webhook_is_not_printed(stub, run, connected):
    secret = gateways.hook_url(gateways.of_workspace()).rsplit("/", 1)[1]
    assert secret not in run("doctor").output


def test_a_session_that_is_offline_says_how_to_link_it(stub, run, unlinked):
    stub.state = "close"
    _, found, _ = levels(run)
    assert advice_of(found, "Support line") == "wa-admin sessions link support_line"


def test_a_database_that_was_not_upgraded_is_bad(run, app):
    with writing():
        db.session.execute(db.text("UPDATE alembic_version SET version_num = 'older'"))
    level, found, exit_code = levels(run)
    assert (level["Database"], exit_code) == ("bad", 1)
    assert advice_of(found, "Database") == "wa-admin db upgrade" and "Gateway" not in level


def test_a_clock_that_was_set_back_is_noticed(run, app):
    with writing():
        later = clock.now() + timedelta(days=1)
        db.session.add(Event(workspace_id=1, kind="login", actor="cli", detail={}, at=later))
    assert levels(run)[0]["Clock"] == "bad"


def test_a_data_directory_that_others_can_read_is_bad(run, data_dir, app):
    data_dir.chmod(0o755)
    assert levels(run)[0]["Data directory"] == "bad"


def test_the_lines_are_for_people(run):
    lines = run("doctor").output.splitlines()
    assert lines[0].startswith("ok") and any(line.startswith("      > ") for line in lines)
