import json
import sys
from pathlib import Path

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import HookCall
from wa_admin.services import gateways, sessions

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_waha import FakeWaha


@pytest.fixture
def waha(app):
    with FakeWaha() as fake:
        yield fake


@pytest.fixture
def run(runner):
    def invoke(*arguments, typed=None):
        done = runner.invoke(args=arguments, input=typed)
        db.session.rollback()
        db.session.expire_all()
        return done

    return invoke


@pytest.fixture
def added(run, waha):
    how = ("--key-stdin", "--allow-private")
    return run("gateways", "add", "waha", "office", waha.url, *how, typed=waha.key)


def test_a_gateway_is_added_and_tested(added, waha):
    assert added.exit_code == 0
    assert "Added office." in added.output and "answers in" in added.output
    assert waha.key not in added.output


def test_a_private_address_is_confirmed_by_an_option(run, waha):
    done = run("gateways", "add", "waha", "office", waha.url)
    assert done.exit_code == 1
    assert "If your gateway lives there, confirm it here." in done.output


def test_all_are_listed_without_their_keys(added, run, waha):
    listed = json.loads(run("gateways", "list", "--json").stdout)
    assert [one["name"] for one in listed] == ["bundled", "office"]
    assert "office" in run("gateways", "list").output
    assert waha.key not in str(listed)


def test_a_test_that_fails_exits_with_one(added, run, waha):
    assert run("gateways", "test", "office").exit_code == 0
    waha.key = "changed"
    done = run("gateways", "test", "office")
    assert done.exit_code == 1 and "refuses our key" in done.output


def test_it_is_removed_with_a_plan_for_its_sessions(added, run):
    sessions.create(1, "Support line", gateway="office", actor="cli")
    assert run("gateways", "remove", "office", "--yes").exit_code == 1
    done = run("gateways", "remove", "office", "--yes", "--move-to", "bundled")
    assert "Moved Support line" in done.output
    assert [one.name for one in gateways.listed()] == ["bundled"]


def test_sessions_are_adopted(added, run, waha):
    gateways.driver(gateways.named("office")).create("Shop")
    assert "Adopted Shop (shop)" in run("sessions", "sync", "--gateway", "office").output
    assert "Already here: Shop" in run("sessions", "sync", "--gateway", "office").output


def test_a_session_moves(added, run):
    sessions.create(1, "Support line", actor="cli")
    done = run("sessions", "move", "support_line", "office", "--yes")
    assert "Support line is on office now" in done.output


def test_an_unknown_gateway_is_answered_with_those_there_are(run):
    done = run("sessions", "add", "Line", "--gateway", "nope")
    assert "There is no gateway nope; there are: bundled." in done.output


def test_events_that_nobody_could_read_are_listed_and_read_once_more(run, added):
    came = clock.now()
    with writing():
        row = {"gateway_id": 1, "received_at": came, "next_at": came, "tries": 3, "sealed_body": "x"}
        db.session.add(HookCall(**row, parked_at=came, error_code="KeyError"))
    assert "bundled  1" in run("gateways", "events").output
    assert "will be read" in run("gateways", "events", "--retry").output
    assert db.session.query(HookCall).one().parked_at is None
    assert "will be read" not in run("gateways", "events", "--retry").output
