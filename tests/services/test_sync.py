import sys
from pathlib import Path

import pytest

from wa_admin import clock
from wa_admin.drivers.contract import Unreachable
from wa_admin.extensions import db, writing
from wa_admin.models import Look, Status, WhatsAppSession, Workspace
from wa_admin.services import gateway_settings, gateways, roster, sessions, sync

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_evolution import FakeEvolution
from fake_waha import FakeWaha


def office(fake):
    how = {"base_url": fake.url, "key": fake.key, "allow_private": True}
    gateway_settings.add(1, kind=fake.kind, name="office", **how, actor="cli")
    return fake


@pytest.fixture
def waha(roomy):
    with FakeWaha() as fake:
        yield office(fake)


@pytest.fixture
def evolution(roomy):
    with FakeEvolution() as fake:
        yield office(fake)


@pytest.fixture
def roomy(make_app):
    app = make_app(WA_MAX_SESSIONS="3", WA_GATEWAY_PORT="9")
    with app.app_context():
        gateways.ensure()
        yield app


def elsewhere(fake, name, is_linked=True):
    """A session that somebody made at the gateway itself."""
    driver = gateways.driver(gateways.named("office"))
    driver.create(name)
    driver.connect(name)
    if is_linked:
        fake.scan(name)


def run(**more):
    return sync.sync(1, "office", actor="cli", **more)


def test_what_nobody_knows_is_adopted_connected_and_reporting(waha):
    elsewhere(waha, "Main")
    (adopted,) = run().synced
    assert adopted.look == Look.CONNECTED
    (hook,) = waha.line("Main").more["config"]["webhooks"]
    assert hook["url"] == gateways.hook_url(gateways.named("office"))


def test_a_name_with_spaces_is_kept_and_an_id_is_made_of_it(evolution):
    elsewhere(evolution, "Totale Bot")
    (adopted,) = run().synced
    assert (adopted.name, adopted.instance, adopted.session_id) == ("Totale Bot", "Totale Bot", "totale_bot")
    assert adopted.look == Look.CONNECTED


def test_again_it_changes_nothing(waha):
    elsewhere(waha, "main")
    run()
    restarts = waha.line("main").more.get("restarts")
    again = run()
    assert [one.name for one in again.existing] == ["main"]
    assert (again.synced, again.skipped) == ([], [])
    assert waha.line("main").more.get("restarts") == restarts


def test_one_that_waits_for_a_scan_is_adopted_unlinked(waha):
    elsewhere(waha, "main", is_linked=False)
    (adopted,) = run().synced
    assert adopted.look == Look.NEVER_LINKED


def test_a_name_that_is_taken_gets_a_number(waha):
    sessions.create(1, "main", session_id="other", gateway="office", actor="cli")
    elsewhere(waha, "Main")
    assert run().synced[0].name == "Main 2"


def test_at_the_limit_nothing_is_adopted_silently(waha):
    for name in ("one", "two", "three", "four"):
        elsewhere(waha, name)
    result = run()
    assert len(result.synced) == 3
    assert result.skipped == [sync.Skipped("four", "limit")]


def test_sessions_of_another_workspace_are_neither_taken_nor_told_of(waha):
    elsewhere(waha, "secret-client")
    run()
    with writing():
        db.session.add(Workspace(id=2, name="Other", created_at=clock.now()))
        db.session.flush()
        db.session.execute(db.update(WhatsAppSession).values(workspace_id=2, is_default=False))
    result = run()
    assert (result.synced, result.existing, result.skipped) == ([], [], [])
    assert roster.listed(1) == []


def test_a_webhook_that_cannot_be_set_is_reported(waha):
    elsewhere(waha, "main")
    waha.fail((500, {"message": "no"}), on="PUT /api/sessions/")
    result = run()
    assert result.skipped == [sync.Skipped("main", "no_webhook")]
    assert [one.name for one in result.synced] == ["main"]


def test_a_gateway_that_is_down_does_not_keep_the_others(waha):
    elsewhere(waha, "main")
    result = sync.sync(1, actor="cli")  # the default one is not there
    assert [one.name for one in result.synced] == ["main"]
    assert result.skipped == [sync.Skipped("bundled", Unreachable.code)]


def test_a_gateway_alone_that_is_down_is_an_error(waha):
    with pytest.raises(gateways.GatewayRefused, match="cannot be reached"):
        sync.sync(1, "bundled", actor="cli")


def test_an_adopted_session_keeps_its_login_when_it_is_switched(waha):
    elsewhere(waha, "main")
    (adopted,) = run().synced
    assert (adopted.status, adopted.linked_number) == (Status.CONNECTED, "6281234567890")
