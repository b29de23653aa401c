"""A session that a gateway of URLs has already, entered by hand."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from markup import read

from wa_admin.app import vault
from wa_admin.drivers.contract import OutcomeUnknown
from wa_admin.extensions import db
from wa_admin.models import AuditEntry, Event, Gateway, Look, Role, WhatsAppSession
from wa_admin.services import existing, gateway_settings, gateways, links, sessions

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_gateway import Line
from fake_webhook import HEADER, FakeWebhook

AT = "/sessions/1/existing"
MINE = {"instance": "inst-77", "token": "tok-made-there"}


@pytest.fixture
def urls(app):
    with FakeWebhook() as running:
        access = {"urls": dict(running.access().urls), "header": f"{HEADER}: {running.key}"}
        gateway_settings.add(1, kind="webhook", name="n8n", allow_private=True, **access, actor="cli")
        running.lines["inst-77"] = Line("inst-77", more={"token": "tok-made-there"})
        yield running


@pytest.fixture
def added(urls):
    return sessions.create(1, "Support line", gateway="n8n", actor="cli")


def now():
    db.session.rollback()
    db.session.expire_all()
    return db.session.query(WhatsAppSession).one()


def test_a_creation_whose_answer_is_lost_leads_to_it(admin, urls, added):
    urls.fail((500, b"<html>timeout"), "POST /create")
    shown = read(admin.post("/sessions/1/link", headers={"HX-Request": "true"}).text)
    assert AT in [one["href"] for one in shown.all("a")]


def test_doubt_about_a_creation_is_not_put_in_words_for_messages(app):
    said = str(gateways.GatewayRefused(OutcomeUnknown("")))
    assert "trying again may do it twice" in said and "recipient" not in said


def test_what_was_made_there_is_taken_over_and_linked(admin, urls, added):
    answer = admin.post(AT, data=MINE)
    assert answer.status_code == 303 and answer.location.startswith("/sessions/1/link")
    assert now().instance == "inst-77" and vault().open(now().sealed_token) == "tok-made-there"
    assert now().look == Look.WAITING_FOR_SCAN
    assert not [one for one in urls.asked if one.path == "/create"]


def test_one_that_is_linked_there_is_connected_at_once(admin, urls, added):
    urls.lines["inst-77"].state = "qr"
    urls.scan("inst-77")
    assert admin.post(AT, data=MINE).location == "/sessions/1"
    assert (now().look, now().linked_number) == (Look.CONNECTED, "6281234567890")


@pytest.mark.parametrize(
    "wrong", [{"instance": "inst-78"}, {"token": "another"}, {"instance": ""}, {"token": "x" * 256}]
)
def test_what_the_gateway_does_not_know_changes_nothing(admin, urls, added, wrong):
    before = added.instance
    answer = admin.post(AT, data=MINE | wrong)
    assert answer.status_code in (400, 409)
    assert read(answer.text).one("p", class_="error").text
    assert now().instance == before and now().sealed_token is None


def test_a_gateway_that_does_not_answer_is_said(admin, urls, added):
    urls.fail("drop")
    answer = admin.post(AT, data=MINE)
    assert answer.status_code == 502 and now().sealed_token is None


def test_the_token_is_in_no_page_and_on_no_record(admin, urls, added):
    page = admin.post(AT, data=MINE | {"instance": "inst-78"}).text
    admin.post(AT, data=MINE)
    told = [str(one.detail) for model in (Event, AuditEntry) for one in db.session.query(model)]
    assert not any("tok-made" in one for one in (page, *told))
    assert "session_identified" in [event.kind for event in db.session.query(Event)]


def test_a_gateway_that_goes_by_our_ids_takes_none(admin, unlinked):
    answer = admin.post(AT, data=MINE)
    assert answer.status_code == 409 and "goes by our ids" in answer.text


def test_no_two_sessions_are_the_same_one(app, urls, added):
    existing.enter(1, added.id, **MINE, actor="cli")
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], max_sessions=2)
    other = sessions.create(1, "Sales", gateway="n8n", actor="cli")
    with pytest.raises(existing.KnownHere):
        existing.enter(1, other.id, **MINE, actor="cli")


def test_only_who_keeps_sessions_may(signed_in, added):
    assert signed_in(Role.OPERATOR).get(AT).status_code == 403


def test_removing_it_when_the_urls_do_not_answer(urls, added):
    existing.enter(1, added.id, **MINE, actor="cli")
    urls.fail((500, {"error": "workflow failed"}), "POST /disconnect")
    with pytest.raises(gateways.GatewayRefused):
        sessions.delete(1, added.id, force=True, actor="cli")
    sessions.delete(1, added.id, force=True, only_here=True, actor="cli")
    [line] = db.session.query(Event).filter_by(kind="session_left_behind")
    assert line.detail["failure"] and db.session.query(WhatsAppSession).count() == 0


def test_linking_goes_on_with_what_was_entered(urls, added):
    existing.enter(1, added.id, **MINE, actor="cli")
    links.link(1, added.id, actor="cli")
    assert [one.body["instance_id"] for one in urls.asked if one.path == "/connect"] == ["inst-77"]
    assert db.session.get_one(Gateway, added.gateway_id).kind == "webhook"
