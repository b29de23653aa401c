import sys
from datetime import timedelta
from pathlib import Path

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Reason, Status, WhatsAppSession
from wa_admin.services import gateway_hooks, gateway_settings, gateways, links, sessions, watch

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_waha import FakeWaha
from fake_wwebjs import FakeWwebjs


def add(**more):
    values = {"kind": "waha", "name": "office", "base_url": "https://93.184.216.34", "key": "k" * 20}
    return gateway_settings.add(1, **{**values, **more}, actor="cli")


@pytest.fixture
def waha(app):
    with FakeWaha() as fake:
        add(base_url=fake.url, key=fake.key, allow_private=True)
        yield fake


def look_again():
    """At what others committed: a read transaction of ours would not see it."""
    db.session.rollback()
    db.session.expire_all()


def office():
    look_again()
    return gateways.named("office")


def is_taken(url):
    return gateways.by_hook(db.engine, gateways.vault(), office().id, url.rsplit("/", 1)[1]) is not None


@pytest.fixture
def linked(waha):
    wa_session = sessions.create(1, "Support line", gateway="office", actor="cli")
    links.link(1, wa_session.id, actor="cli")
    waha.scan("support_line")
    watch.poll_links()
    return wa_session


PRIVATE = (
    "http://127.0.0.1:3000", "http://localhost:3000", "http://10.1.2.3", "http://[::ffff:127.0.0.1]",
    "http://2130706433", "http://0x7f.1", "http://[64:ff9b::7f00:1]", "http://[fd12::1]",
    "http://100.64.0.1", "http://0.0.0.0", "http://[::1]:3000",
)  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_needs_a_person_to_confirm_it(app, url):
    with pytest.raises(gateway_settings.PrivateAddress) as refused:
        add(base_url=url)
    assert refused.value.field == "allow_private"
    assert add(base_url=url, allow_private=True).allow_private


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"base_url": "http://169.254.169.254", "allow_private": True}, "base_url"),
        ({"base_url": "http://0177.0.0.1"}, "base_url"),
        ({"base_url": "http://[fd00:ec2::254]", "allow_private": True}, "base_url"),
        ({"base_url": "http://93.184.216.34/?key=secret"}, "base_url"),
        ({"base_url": "http://user:word@93.184.216.34"}, "base_url"),
        ({"base_url": "ftp://93.184.216.34"}, "base_url"),
        ({"base_url": "http://93.184.216.34:22"}, "base_url"),
        ({"base_url": "http://93.184.216.34:6379"}, "base_url"),
        ({"base_url": "nothing"}, "base_url"),
        ({"header": "no colon"}, "header"),
        ({"header": "X-A: b\r\nX-C: d"}, "header"),
        ({"header": "Host: elsewhere"}, "header"),
        ({"ca_pem": "-----BEGIN nonsense"}, "ca_pem"),
        ({"name": " "}, "name"),
        ({"name": "bundled"}, "name"),
        ({"key": "a\nb"}, "key"),
        ({"kind": "bundled"}, "kind"),
        ({"kind": "webhook", "urls": {"create": "https://93.184.216.34/a"}}, "url_connect"),
    ],
)
def test_what_cannot_be_a_gateway_is_refused_beside_its_field(app, fields, field):
    with pytest.raises(gateway_settings.Refusal) as refused:
        add(**fields)
    assert refused.value.field == field
    assert len(gateways.listed()) == 1


def test_its_secrets_are_not_in_the_database(app):
    urls = {name: f"https://93.184.216.34/{name}?token=url-secret" for name in gateways.URLS}
    add(key="key-secret-0123", header="X-A: header-secret")
    add(name="own", kind="webhook", urls=urls)
    stored = str(db.session.execute(db.text("SELECT * FROM gateway")).all())
    assert not [one for one in ("key-secret", "header-secret", "url-secret") if one in stored]


def test_a_test_stores_how_it_is_and_what_it_can(waha):
    levels = {finding.name: finding.level for finding in gateway_settings.tried(office())}
    assert levels["Gateway"] == "ok" and levels["Strangers"] == "ok"
    assert office().version and "ids_in_advance" in office().capabilities


def test_a_wrong_key_is_told_from_no_answer(waha):
    gateway_settings.change_key(1, office().id, "another key entirely", actor="cli")
    (reach,) = [one for one in gateway_settings.tried(office()) if one.name == "Gateway"]
    assert reach.level == "fail" and "refuses our key" in reach.sentence


def test_an_address_that_is_not_allowed_any_more_is_not_dialled(waha):
    with writing():
        office().allow_private = False
    (reach,) = [one for one in gateway_settings.tried(office()) if one.name == "Gateway"]
    assert "not allowed" in reach.sentence


def test_the_key_can_be_changed_and_the_rest_stays(waha):
    gateway_settings.change_key(1, office().id, "another key entirely", actor="cli")
    waha.key = "another key entirely"
    assert gateways.driver(office()).version()


def test_a_header_that_is_kept_need_not_be_typed_again(app):
    gateway = add(header="X-Proxy: secret")
    edited = gateway_settings.edit(
        1, gateway.id, name="new name", base_url="https://93.184.216.35", header=None, actor="cli"
    )
    assert gateways.access(edited).extra_header == ("X-Proxy", "secret")


def test_that_of_the_settings_is_neither_edited_nor_removed(app):
    bundled = gateways.of_workspace()
    with pytest.raises(gateway_settings.GatewayOfSettings):
        gateway_settings.edit(1, bundled.id, name="x", base_url="https://93.184.216.34", actor="cli")
    with pytest.raises(gateway_settings.GatewayOfSettings):
        gateway_settings.remove(1, bundled.id, actor="cli")


def test_the_secret_of_the_url_is_not_what_webhooks_are_signed_with(waha):
    (key,) = gateways.access(office()).sign_keys
    assert key not in gateways.hook_url(office())


def test_a_new_secret_is_told_every_session_and_then_the_old_one_ends(linked, waha, client):
    old = gateways.hook_url(office())
    gateway_hooks.change_secret(1, office().id, actor="cli")
    assert is_taken(old)
    (report,) = gateway_hooks.mend_all(office(), actor="cli")
    assert report.state == gateway_hooks.INSTALLED
    assert waha.line("support_line").more["config"]["webhooks"][0]["url"] == gateways.hook_url(office())
    assert is_taken(old)  # WAHA goes on trying what it could not deliver
    later = clock.now() + timedelta(hours=1)
    gateway_hooks.settle(office().id, gateways.driver(office()), later)
    assert not is_taken(old)


def test_while_one_session_cannot_be_told_the_old_secret_is_taken(linked, waha, client):
    hook = waha.line("support_line").more["config"]["webhooks"][0]
    gateway_hooks.change_secret(1, office().id, actor="cli")
    waha.fail((500, {"message": "no"}), on="PUT")
    (report,) = gateway_hooks.mend_all(office(), actor="cli")
    assert report.trouble == "gateway_bad_answer"
    waha.unlink("support_line")  # reported to the old address, signed with the old key
    (headers, body), path = waha.told[-1], "/hooks/" + hook["url"].split("/hooks/")[1]
    assert client.post(path, data=body, headers=headers).status_code == 200
    look_again()
    assert (linked.status, linked.reason) == (Status.DISCONNECTED, Reason.LOGGED_OUT)


def test_an_unsigned_webhook_to_the_right_address_is_refused(linked, waha, client):
    waha.unlink("support_line")
    _headers, body = waha.told[-1]
    path = "/hooks/" + gateways.hook_url(office()).split("/hooks/")[1]
    assert client.post(path, data=body, headers={"Content-Type": "application/json"}).status_code == 401


def test_where_only_its_owner_sets_the_address_the_first_event_there_ends_the_old_one(app, client):
    with FakeWwebjs() as fake:
        gateway = add(kind="wwebjs", base_url=fake.url, key=fake.key, allow_private=True)
        gateway_hooks.change_secret(1, gateway.id, actor="cli")
        path = "/hooks/" + gateways.hook_url(office()).split("/hooks/")[1]
        said = {"dataType": "change_state", "data": {"state": "OPENING"}, "sessionId": "nobody"}
        assert client.post(path, json=said, headers={"x-api-key": fake.key}).status_code == 200
        assert office().sealed_old_hook_secret is None
        assert clock.now() - office().hook_seen_at < gateways.HOOK_AGE_STEP


def test_a_session_switched_off_where_it_cannot_go_offline_holds_nothing_up(app, make_session):
    from fake_gowa import FakeGowa

    with FakeGowa() as fake:
        add(kind="gowa", base_url=fake.url, key=fake.key, allow_private=True)
        wa_session = make_session(is_active=False, gateway_id=office().id)
        fake.lines["support_line"] = fake_line("support_line")
        watch.reconcile()
        assert db.session.get(WhatsAppSession, wa_session.id).status == Status.DISCONNECTED


def fake_line(name):
    from fake_gateway import Line

    return Line(name, "connected", "6281234567890")
