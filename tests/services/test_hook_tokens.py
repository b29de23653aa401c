"""Evolution and the bundled gateway prove webhooks by a token; until 0.2.0 by the secret in the URL alone."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from fake_evolution import FakeEvolution
from fake_gateway import Line

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import HookCall
from wa_admin.services import gateway_hooks, gateways, watch

NAMES = ("support_line", "other")
PHONE = "6281234567890"


@pytest.fixture
def evolution(app, make_session):
    """With two sessions that were linked by a version without tokens."""
    with FakeEvolution() as fake:
        with writing():
            gateway = gateways.of_workspace()
            gateway.kind, gateway.base_url, gateway.capabilities = "evolution", fake.url, "set_webhook"
            gateway.sealed_key = vault().seal(fake.key)
            gateway.sealed_hook_secret = vault().seal(new_token())
        for name in NAMES:
            hook = {"url": gateways.hook_url(gateway), "enabled": True, "events": [], "headers": {}}
            more = {"column": "open", "owner": PHONE, "hook": hook}
            fake.lines[name] = Line(name, "connected", PHONE, more=more)
            make_session(name)
        yield fake


@pytest.fixture
def write(evolution, client):
    """Somebody writes, and Evolution tells it by the webhook that it has, or by this one: what we answer."""

    def write(hook=None):
        hook = hook or hook_of(evolution)
        evolution.write("support_line", f"Halo {len(evolution.told)}")
        _, body = evolution.told[-1]
        return client.post(urlsplit(hook["url"]).path, data=body, headers=hook["headers"]).status_code

    return write


def kept():
    db.session.rollback()
    return db.session.query(HookCall).count()


def hook_of(fake, name="support_line"):
    return dict(fake.lines[name].more["hook"])


def settle_later():
    gateway = gateways.of_workspace()
    gateway_hooks.settle(gateway.id, gateways.driver(gateway), clock.now() + timedelta(minutes=31))


def test_until_the_first_check_the_address_is_enough(evolution, write):
    assert "address alone" in gateway_hooks.proof(gateways.of_workspace())
    assert write() == 200
    assert kept() == 1


def test_a_check_gives_every_session_a_token_of_its_own(evolution, write):
    before = hook_of(evolution)
    watch.reconcile()
    ours, another = hook_of(evolution), hook_of(evolution, "other")
    assert ours["url"] == another["url"] != before["url"]
    assert ours["headers"]["Authorization"] != another["headers"]["Authorization"]
    assert write() == 200
    assert "token" in gateway_hooks.proof(gateways.of_workspace())
    assert urlsplit(ours["url"]).path.rpartition("/")[2] not in str(ours["headers"])


@pytest.mark.figure("webhooks without a proof, or with a wrong one, refused")
def test_after_it_the_address_alone_proves_nothing(evolution, write):
    watch.reconcile()
    ours, another = hook_of(evolution), hook_of(evolution, "other")
    for headers in ({}, another["headers"], {"Authorization": "Bearer wrong"}, {"Authorization": "\xe9"}):
        assert write(ours | {"headers": headers}) == 401
    assert kept() == 0


def test_what_was_under_way_in_the_upgrade_is_taken_as_long_as_it_is_tried_again(evolution, write):
    before = hook_of(evolution)
    watch.reconcile()
    watch.reconcile()
    assert write(before) == 200
    settle_later()
    assert write(before) == 404


def test_while_one_session_cannot_be_told_the_old_address_goes_on(evolution, write):
    before = hook_of(evolution)
    evolution.fail((500, {}), on="POST /webhook/set/other")
    watch.reconcile()
    assert gateways.of_workspace().hooks_settled_at is None
    assert (write(before), write()) == (200, 200)
    evolution.heal()
    watch.reconcile()
    assert gateways.of_workspace().hooks_settled_at is not None


def test_a_gateway_that_says_nothing_is_not_taken_for_told(evolution, write):
    before = hook_of(evolution)
    evolution.fail((500, {}), on="POST /verify-creds")
    watch.reconcile()
    assert gateways.of_workspace().hooks_settled_at is None
    assert write(before) == 200


def test_a_secret_that_is_changed_is_old_and_new_at_once(evolution, write):
    watch.reconcile()
    settle_later()
    before = hook_of(evolution)
    gateway_hooks.change_secret(1, gateways.of_workspace().id, actor="cli")
    watch.reconcile()
    assert (write(before), write(), write(before | {"headers": {}})) == (200, 200, 401)
    settle_later()
    assert write(before) == 404


def test_the_token_is_not_in_the_database(evolution):
    watch.reconcile()
    stored = str(db.session.execute(db.text("SELECT * FROM gateway")).all())
    assert hook_of(evolution)["headers"]["Authorization"].removeprefix("Bearer ") not in stored
