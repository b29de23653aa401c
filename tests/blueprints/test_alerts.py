import pytest
from markup import read
from webhook_receiver import WebhookReceiver

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import AlertChannel, Notice, NoticeStatus, Reason, Role, Status, WhatsAppSession
from wa_admin.services import outages, status

MAIL = {"to": "a@b.co", "sender": "c@d.co", "host": "smtp.example.com", "port": "587", "secure": "ssl"}
COMMON = {"name": "On call", "language": "en", "time_zone": "UTC"}


@pytest.fixture
def receiver():
    receiver = WebhookReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def channel(make_channel, receiver):
    return make_channel(f"json://127.0.0.1:{receiver.port}/hook")


def test_a_channel_is_added_and_tested_at_once(admin, receiver):
    form = COMMON | {
        "address": receiver.url,
        "allow_private": "y",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
    }
    page = read(admin.post("/settings/alerts/new/webhook", data=form, follow_redirects=True).text)
    assert "The test for On call: It arrived." in page.text
    made = db.session.query(AlertChannel).one()
    assert (made.kind, made.quiet_from, made.quiet_until) == ("json", 1320, 420)
    assert len(receiver.requests) == 1


def test_what_the_test_found_wrong_is_said(admin, receiver):
    form = COMMON | {"address": receiver.url}
    page = read(admin.post("/settings/alerts/new/webhook", data=form, follow_redirects=True).text)
    assert "private address" in page.text and receiver.requests == []


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("webhook", {"address": "ftp://example.com"}, "address"),
        ("slack", {"address": "https://example.com"}, "address"),
        ("telegram", {"token": "no token", "chat": "1"}, "token"),
        (
            "email",
            {"to": "a@b.co", "sender": "c@d.co", "host": "a b", "port": "587", "secure": "ssl"},
            "host",
        ),
        ("email", {"to": "a@b.co", "sender": "c@d.co", "host": "x", "port": "0", "secure": "ssl"}, "port"),
        ("other", {"address": "nonsense"}, "address"),
        ("other", {"address": ""}, "address"),
        ("webhook", {"address": "https://example.com", "quiet_from": "22:00"}, "quiet_until"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(admin, kind, fields, field):
    answer = admin.post(f"/settings/alerts/new/{kind}", data=COMMON | fields)
    assert answer.status_code == 422
    assert read(answer.text).one("p", id=f"{field}-error").text
    assert db.session.query(AlertChannel).count() == 0


def test_nothing_of_an_address_is_shown_but_its_end(admin, make_channel):
    channel = make_channel("tgram://123456789:abcdefg_hijklmnopqrstuv/12315544", kind="tgram")
    for path in ("/settings/alerts", f"/settings/alerts/{channel.id}"):
        page = admin.get(path).text
        assert "5544" in page and "abcdefg" not in page and "12315544" not in page


def test_an_edit_without_an_address_keeps_it(admin, channel):
    sealed = channel.sealed_url
    admin.post(f"/settings/alerts/{channel.id}", data=COMMON | {"name": "Night watch", "address": ""})
    with writing():
        current = db.session.get_one(AlertChannel, channel.id)
    assert (current.name, current.sealed_url) == ("Night watch", sealed)


def test_a_channel_is_paused_resumed_and_removed(admin, channel):
    admin.post(f"/settings/alerts/{channel.id}/pause")
    assert "Paused" in admin.get("/settings/alerts").text
    admin.post(f"/settings/alerts/{channel.id}/resume")
    assert "Paused" not in admin.get("/settings/alerts").text
    admin.post(f"/settings/alerts/{channel.id}/removal")
    assert "Nobody is told yet" in admin.get("/settings/alerts").text


def test_what_is_wrong_and_what_failed_can_be_seen(admin, channel, connected):
    with writing():
        current = db.session.get_one(WhatsAppSession, connected.id)
        status.move(current, Status.DISCONNECTED, Reason.LOGGED_OUT, actor="gateway", now=clock.now())
    outages.look()
    with writing():
        db.session.query(Notice).update({"status": NoticeStatus.FAILED, "error": "rejected:403"})
    page = read(admin.get("/settings/alerts").text)
    assert "Wrong right now" in page.text and "Support line: Unlinked on the phone" in page.text
    assert "It was refused." in page.text and "Failed" in page.text


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR])
def test_alerts_are_for_admins(signed_in, channel, role):
    someone = signed_in(role)
    assert someone.get("/settings/alerts").status_code == 403
    assert someone.post(f"/settings/alerts/{channel.id}/test").status_code == 403


@pytest.mark.parametrize("act", ["", "/removal"])
def test_a_channel_that_is_not_there_is_404(admin, act):
    assert admin.get(f"/settings/alerts/99{act}").status_code == 404
