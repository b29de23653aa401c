import sys
from pathlib import Path

import pytest

from wa_admin.extensions import db
from wa_admin.models import Role
from wa_admin.services import gateway_settings, gateways, link_passes, links, sessions, watch

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_gowa import FakeGowa
from fake_waha import FakeWaha

SETTINGS = "/settings/gateways"


@pytest.fixture
def waha(app):
    with FakeWaha() as fake:
        yield fake


@pytest.fixture
def added(admin, waha):
    return admin.post(f"{SETTINGS}/new/waha", data=filled(waha))


def filled(fake, **more):
    return {"name": "office", "base_url": fake.url, "key": fake.key, "allow_private": "y", **more}


def office():
    db.session.rollback()
    db.session.expire_all()
    return gateways.named("office")


def test_every_kind_is_offered_with_what_it_can(admin):
    page = admin.get(f"{SETTINGS}/new").text
    assert all(name in page for name in ("WAHA", "GOWA", "Evolution API", "wa-gateway", "wwebjs-api"))
    assert "All but: safe repeats" in page and "Only: QR code" in page


@pytest.mark.parametrize("kind", ["waha", "gowa", "evolution", "wa_gateway", "wwebjs", "webhook"])
def test_each_kind_has_its_form(admin, kind):
    assert admin.get(f"{SETTINGS}/new/{kind}").status_code == 200


def test_a_gateway_is_added_and_tested_at_once(added):
    assert added.status_code == 201
    assert "answers in" in added.text
    assert office().allow_private


def test_a_private_address_is_confirmed_first(admin, waha):
    response = admin.post(f"{SETTINGS}/new/waha", data=filled(waha, allow_private=""))
    assert response.status_code == 422
    assert "If your gateway lives there, confirm it here." in response.text


def test_of_its_key_four_letters_are_shown(admin, added, waha):
    page = admin.get(f"{SETTINGS}/{office().id}").text
    assert f"…{waha.key[-4:]}" in page
    assert waha.key not in page + added.text


def test_a_test_that_fails_says_why(admin, added, waha):
    waha.key = "changed at the gateway"
    assert "refuses our key" in admin.post(f"{SETTINGS}/{office().id}/test").text


def test_a_new_key_is_tested_at_once(admin, added, waha):
    waha.key = "changed at the gateway"
    page = admin.post(f"{SETTINGS}/{office().id}/key", data={"key": waha.key}).text
    assert "answers in" in page


def test_it_is_edited(admin, added, waha):
    response = admin.post(f"{SETTINGS}/{office().id}/edit", data=filled(waha, header="X-A: b"))
    assert response.status_code == 303
    assert gateways.access(office()).extra_header == ("X-A", "b")


def test_webhooks_are_looked_at_and_installed(admin, added, waha):
    linked = sessions.create(1, "Support line", gateway="office", actor="cli")
    links.link(1, linked.id, actor="cli")
    waha.line("support_line").more["config"] = {}
    assert "Installed now" in admin.post(f"{SETTINGS}/{office().id}/webhooks").text
    assert "In order" in admin.post(f"{SETTINGS}/{office().id}/webhooks").text


def test_a_gateway_that_cannot_be_told_shows_its_owner_the_address_when_asked(admin):
    how = {"base_url": "https://93.184.216.34", "key": "k" * 20}
    gateway_settings.add(1, kind="wa_gateway", name="office", **how, actor="cli")
    url = gateways.hook_url(office())
    assert url not in admin.get(f"{SETTINGS}/{office().id}").text
    assert url in admin.post(f"{SETTINGS}/{office().id}/webhooks/address").text


def test_its_secret_is_changed(admin, added):
    before = gateways.hook_url(office())
    assert admin.get(f"{SETTINGS}/{office().id}/webhooks/secret").status_code == 200
    admin.post(f"{SETTINGS}/{office().id}/webhooks/secret")
    assert gateways.hook_url(office()) != before


def test_with_sessions_it_is_removed_only_with_a_plan_for_them(admin, added):
    sessions.create(1, "Support line", gateway="office", actor="cli")
    url = f"{SETTINGS}/{office().id}/removal"
    assert "Sessions still live on it" in admin.post(url, data={"move_to": ""}).text
    assert admin.post(url, data={"move_to": "bundled"}).status_code == 303
    db.session.rollback()
    assert [one.name for one in gateways.listed()] == ["bundled"]


def test_that_of_the_settings_has_no_buttons_that_would_not_last(admin, app):
    page = admin.get(f"{SETTINGS}/{gateways.of_workspace().id}").text
    assert "/removal" not in page and "/edit" not in page


def test_only_an_owner_sees_them(signed_in):
    assert signed_in(Role.OPERATOR).get(SETTINGS).status_code == 403


def test_the_form_of_a_session_asks_for_the_gateway_when_there_are_several(admin, app):
    assert 'name="gateway"' not in admin.get("/sessions/new").text


def test_a_session_is_added_at_the_chosen_gateway(admin, added):
    assert 'name="gateway"' in admin.get("/sessions/new").text
    admin.post("/sessions/new", data={"name": "Line", "is_active": "y", "gateway": "office"})
    db.session.rollback()
    assert sessions.roster.find(1, "Line").gateway.name == "office"


def test_a_session_moves_to_another_gateway(admin, added):
    wa_session = sessions.create(1, "Support line", actor="cli")
    assert "office" in admin.get(f"/sessions/{wa_session.id}/gateway").text
    admin.post(f"/sessions/{wa_session.id}/gateway", data={"gateway": "office"})
    db.session.rollback()
    db.session.expire_all()
    assert wa_session.gateway.name == "office"


def test_sync_shows_what_was_adopted(admin, added, waha):
    driver = gateways.driver(office())
    driver.create("Shop")
    page = admin.post("/sessions/sync", data={"gateway": "office"}).text
    assert "1 adopted" in page and "Shop" in page


def test_a_code_that_came_as_a_picture_is_shown_to_who_may_link(admin, signed_in):
    with FakeGowa() as gowa:
        admin.post(f"{SETTINGS}/new/gowa", data=filled(gowa))
        wa_session = sessions.create(1, "Support line", gateway="office", actor="cli")
        links.link(1, wa_session.id, actor="cli")
        watch.poll_links()
    address = f"/sessions/{wa_session.id}/link/picture"
    assert f'src="{address}?v=' in admin.get(f"/sessions/{wa_session.id}/link").text
    picture = admin.get(address)
    assert (picture.mimetype, picture.headers["Cache-Control"]) == ("image/png", "no-store")
    assert picture.data.startswith(b"\x89PNG")
    assert signed_in(Role.SUPERVISOR).get(address).status_code == 403


def test_it_is_shown_on_a_link_page_too(admin, client):
    with FakeGowa() as gowa:
        admin.post(f"{SETTINGS}/new/gowa", data=filled(gowa))
        wa_session = sessions.create(1, "Support line", gateway="office", actor="cli")
        _made, token = link_passes.make(1, wa_session.id, actor="cli")
        client.post(f"/l/{token}/code")
    assert f'src="/l/{token}/picture?v=' in client.get(f"/l/{token}").text
    assert client.get(f"/l/{token}/picture").mimetype == "image/png"
    assert client.get(f"/sessions/{wa_session.id}/link/picture").status_code != 200
