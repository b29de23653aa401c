"""Where apps may be told, and who says so."""

import os
import subprocess
import sys

import pytest

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.drivers.outbound import Outbound
from wa_admin.extensions import db, writing
from wa_admin.models import AuditEntry, Event, Subscription, Workspace
from wa_admin.services import subscriptions, tidings

PUBLIC = "https://93.184.216.34/hook?token=hush"
PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "0.0.0.0", "0", "[::]", "10.1.2.3", "172.16.0.1",
    "192.168.1.1", "100.64.0.1", "[fc00::1]", "198.18.0.1", "192.0.2.1", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
METADATA = [
    "169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]",
    "100.100.100.200", "168.63.129.16", "2852039166", "0xa9fea9fe", "169.254.43518", "[ff02::1]",
]  # fmt: skip
NO_URLS = [
    "", "app.example.com", "ftp://93.184.216.34/", "file:///etc/passwd", "gopher://93.184.216.34/",
    "https://", "https:///x", "https://user@93.184.216.34/", "https://user:secret@93.184.216.34/",
    "https://93.184.216.34/#x", "https://93.184.216.34:99999/", "https://127.0.0.1%0d%0aHost:x/",
    "https://93.184.216.34\r\nHost: x/", "javascript:alert(1)", "https://93.184.216.34/" + "x" * 2000,
]  # fmt: skip


@pytest.fixture
def add(app):
    def one(url=PUBLIC, name="orders-app", events=tidings.KINDS):
        return subscriptions.add(1, name, url, events, actor="admin@example.com")

    return one


def kinds(model=Event):
    column = model.kind if model is Event else model.action
    return list(db.session.scalars(db.select(column).order_by(model.id)))


@pytest.fixture(scope="module")
def outbound():
    outbound = Outbound()
    yield outbound
    outbound.close()


@pytest.mark.figure("spellings of addresses that are not asked, or only when they may be")
@pytest.mark.parametrize("host", PRIVATE + METADATA)
def test_no_spelling_of_a_private_address_is_taken(add, host):
    with pytest.raises(subscriptions.BadUrl):
        add(f"https://{host}/hook")


@pytest.mark.parametrize("host", PRIVATE + METADATA)
def test_and_none_is_called_however_it_got_into_the_database(host, outbound):
    assert outbound.post(f"http://{host}:9/", {}, b"{}").error == "not_allowed"


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_address_is_refused(add, url):
    with pytest.raises(subscriptions.BadUrl):
        add(url)


def test_open_http_is_refused_where_no_network_is_allowed(add):
    with pytest.raises(subscriptions.BadUrl, match="https"):
        add("http://93.184.216.34/")


def test_an_allowed_network_may_be_called_and_no_other(make_app, add):
    app = make_app(WA_WEBHOOK_ALLOW_CIDRS="10.0.0.0/8, fd00::/8")
    with app.app_context():
        assert subscriptions.checked_host("http://10.1.2.3/") == "10.1.2.3"
        assert subscriptions.checked_host("http://[fd00::1]/") == "fd00::1"
        for host in ("127.0.0.1", "192.168.1.1", "[fd00:ec2::254]", "169.254.169.254"):
            with pytest.raises(subscriptions.BadUrl):
                subscriptions.checked_host(f"http://{host}/")


def test_a_name_that_leads_astray_later_is_not_followed(outbound):
    """The panel checked another address: what counts is where the call would go."""
    assert outbound.post("http://localhost:9/", {}, b"{}").error == "not_allowed"


def test_secret_and_address_are_sealed(add):
    added, secret = add()
    assert secret.startswith("whsec_") and len(secret) == 50
    assert vault().open(added.sealed_secret) == secret and vault().open(added.sealed_url) == PUBLIC
    assert "hush" not in repr({c.name: getattr(added, c.name) for c in Subscription.__table__.columns})


def test_a_name_is_given_once(add):
    add()
    with pytest.raises(subscriptions.NameTaken):
        add()


@pytest.mark.parametrize("events", [[], ["no.such.kind"]])
def test_one_that_wants_to_hear_nothing_is_refused(add, events):
    with pytest.raises(subscriptions.NothingToHear):
        add(events=events)


def test_a_workspace_has_so_many_at_most(add):
    for number in range(subscriptions.MOST):
        add(name=f"app {number}")
    with pytest.raises(subscriptions.TooMany):
        add()


def test_what_is_not_given_stays(add):
    added, _secret = add()
    subscriptions.edit(1, added.id, name="other", actor="cli")
    found = subscriptions.find(1, "other")
    assert vault().open(found.sealed_url) == PUBLIC and found.events == ",".join(tidings.KINDS)


def test_an_edit_can_change_everything(add):
    added, _secret = add()
    edited = subscriptions.edit(1, added.id, url="https://1.1.1.1/", events=["session.status"], actor="cli")
    assert (edited.host, edited.events) == ("1.1.1.1", "session.status")


def test_what_people_do_is_on_record(add):
    added, _secret = add()
    who = "admin@example.com"
    subscriptions.edit(1, added.id, name="other", actor=who)
    subscriptions.pause(1, added.id, actor=who)
    subscriptions.resume(1, added.id, actor=who)
    subscriptions.rotate_secret(1, added.id, actor=who)
    subscriptions.remove(1, added.id, actor=who)
    acts = ["added", "edited", "paused", "resumed", "secret_rotated", "removed"]
    assert kinds() == [f"webhook_{act}" for act in acts]
    assert kinds(AuditEntry)[-6:] == kinds()


def test_those_of_another_workspace_are_not_there(add):
    added, _secret = add()
    with writing():
        other = Workspace(name="Other", created_at=clock.now())
        db.session.add(other)
    assert subscriptions.listed(other.id) == []
    with pytest.raises(subscriptions.SubscriptionNotFound):
        subscriptions.find(other.id, added.id)


def test_a_removed_one_takes_its_calls_along(add):
    added, _secret = add()
    subscriptions.test(1, added.id)
    subscriptions.remove(1, added.id, actor="cli")
    assert db.session.execute(db.text("SELECT count(*) FROM call")).scalar() == 0


def test_a_paused_one_cannot_be_tested(add):
    added, _secret = add()
    subscriptions.pause(1, added.id, actor="cli")
    with pytest.raises(subscriptions.Paused):
        subscriptions.test(1, added.id)


def test_a_panel_that_nobody_asked_for_webhooks_loads_nothing_for_them(tmp_path):
    code = (
        "import sys; from wa_admin import create_app, scheduler; create_app()\n"
        "print([m for m in ('standardwebhooks', 'wa_admin.drivers.outbound') if m in sys.modules])"
    )
    environ = os.environ | {"WA_DATA_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    assert told.stdout == "[]\n"
