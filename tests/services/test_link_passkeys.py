"""A passkey that WhatsApp asks for, with gateways that can use one: their contracts over the wire."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from wa_admin import clock
from wa_admin.drivers.contract import State, StateSeen
from wa_admin.extensions import db, writing
from wa_admin.models import AuditEntry, Event, Look, Reason, Status
from wa_admin.services import events, gateway_settings, link_passkeys, links, sessions, watch

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_gowa import FakeGowa
from fake_waha import CHALLENGE, FakeWaha

SIGNED = {"id": "AX8bTgH2", "rawId": "AX8bTgH2", "type": "public-key", "response": {"signature": "MEUC"}}
WHO = "admin@example.com"


@pytest.fixture(params=[FakeWaha, FakeGowa], ids=["waha", "gowa"])
def fake(request, app):
    with request.param() as running:
        yield running


@pytest.fixture
def waha(app):
    with FakeWaha() as running:
        yield running


def add(fake):
    how = {"base_url": fake.url, "key": fake.key, "allow_private": True}
    return gateway_settings.add(1, kind=fake.kind, name="theirs", **how, actor="cli")


def begun(fake):
    """A session whose code was scanned, and of which WhatsApp now wants its passkey."""
    made = sessions.create(1, "Support line", gateway=add(fake).name, actor="cli")
    links.link(1, made.id, actor=WHO)
    watch.poll_links()
    fake.ask_passkey(made.instance)
    watch.poll_links()
    return made


@pytest.fixture
def asked(fake):
    return begun(fake)


@pytest.fixture
def asked_by_waha(waha):
    return begun(waha)


def in_no_time(seconds):
    """Nobody waits in a test."""


def kinds():
    return [event.kind for event in db.session.query(Event).order_by(Event.id)]


def test_the_demand_is_seen_while_it_can_be_met(asked):
    assert (asked.status, asked.reason) == (Status.CONNECTING, Reason.PASSKEY_REQUIRED)
    assert asked.look == Look.PASSKEY_REQUIRED and asked.asks_for_passkey


def test_the_challenge_is_that_of_the_gateway(asked):
    assert link_passkeys.challenge(1, asked.id)["challenge"] == CHALLENGE["challenge"]


def test_what_was_signed_brings_the_code_to_compare(fake, asked):
    link_passkeys.answer(1, asked.id, SIGNED, actor=WHO, pause=in_no_time)
    assert link_passkeys.code_of(asked) == "1234"
    assert fake.lines[asked.instance].more["assertion"] == SIGNED


def test_the_same_code_on_the_phone_links_it(asked):
    link_passkeys.answer(1, asked.id, SIGNED, actor=WHO, pause=in_no_time)
    link_passkeys.confirm(1, asked.id, actor=WHO, pause=in_no_time)
    assert asked.look == Look.CONNECTED and asked.sealed_passkey_code is None
    assert [kind for kind in kinds() if "passkey" in kind] == ["passkey_answered", "passkey_confirmed"]


def test_the_code_is_kept_sealed_and_only_once(asked):
    link_passkeys.answer(1, asked.id, SIGNED, actor=WHO, pause=in_no_time)
    rev = asked.rev
    watch.poll_links()
    assert asked.rev == rev and "1234" not in asked.sealed_passkey_code


def test_another_code_on_the_phone_ends_the_linking(asked_by_waha, waha):
    link_passkeys.answer(1, asked_by_waha.id, SIGNED, actor=WHO, pause=in_no_time)
    link_passkeys.deny(1, asked_by_waha.id, actor=WHO)
    assert asked_by_waha.look == Look.NEVER_LINKED
    assert waha.lines[asked_by_waha.instance].more.get("word") is None
    assert "passkey_denied" in kinds()


def test_an_answer_that_whatsapp_does_not_take_leaves_the_demand_as_it_is(asked_by_waha, waha):
    waha.fail((422, {"expected": ["PASSKEY_REQUIRED"], "status": "PASSKEY_REQUIRED"}), "POST .*/passkey")
    with pytest.raises(link_passkeys.AnswerRefused):
        link_passkeys.answer(1, asked_by_waha.id, SIGNED, actor=WHO, pause=in_no_time)
    assert asked_by_waha.asks_for_passkey and "passkey_answered" not in kinds()


@pytest.mark.parametrize("said", [None, [], "x", {}, {"type": "public-key", "id": 1, "response": {}}])
def test_what_no_passkey_answers_never_reaches_the_gateway(fake, asked, said):
    before = len(fake.asked)
    with pytest.raises(link_passkeys.BadAssertion):
        link_passkeys.answer(1, asked.id, said, actor=WHO)
    assert len(fake.asked) == before


def test_without_a_demand_there_is_nothing_to_sign(unlinked):
    for act in (link_passkeys.challenge, lambda *of: link_passkeys.confirm(*of, actor=WHO)):
        with pytest.raises(link_passkeys.NoPasskeyAsked):
            act(1, unlinked.id)


def test_a_code_is_confirmed_only_when_there_is_one(asked):
    with pytest.raises(link_passkeys.NoPasskeyAsked):
        link_passkeys.confirm(1, asked.id, actor=WHO)


def test_a_demand_that_was_met_elsewhere_is_noticed(asked_by_waha, waha):
    waha.lines[asked_by_waha.instance].more.pop("word")
    waha.scan(asked_by_waha.instance)
    with pytest.raises(link_passkeys.NoPasskeyAsked):
        link_passkeys.challenge(1, asked_by_waha.id)
    assert asked_by_waha.look == Look.CONNECTED


def test_linking_again_gets_new_codes_in_place_of_the_demand(asked):
    links.link(1, asked.id, actor=WHO)
    watch.poll_links()
    assert asked.look == Look.WAITING_FOR_SCAN


def test_late_news_of_the_stop_before_it_does_not_end_a_link(asked):
    links.link(1, asked.id, actor=WHO)
    watch.poll_links()
    events.take_in(asked.gateway, [StateSeen(asked.instance, State("disconnected", word="STOPPED"))])
    assert asked.look == Look.WAITING_FOR_SCAN


def test_a_regular_check_does_not_take_the_demand_away(asked):
    link_passkeys.answer(1, asked.id, SIGNED, actor=WHO, pause=in_no_time)
    watch.reconcile()
    assert link_passkeys.code_of(asked) == "1234"


def test_whatsapp_waits_ten_minutes_and_so_do_we(asked):
    with writing():
        asked.status_at = clock.now() - timedelta(minutes=9)
    watch.expire_codes()
    assert asked.asks_for_passkey
    with writing():
        asked.status_at = clock.now() - timedelta(minutes=11)
    watch.expire_codes()
    assert (asked.status, asked.reason) == (Status.DISCONNECTED, Reason.PASSKEY_REQUIRED)
    watch.reconcile()
    assert asked.status == Status.DISCONNECTED


def test_nothing_that_was_signed_is_on_record(asked):
    link_passkeys.answer(1, asked.id, SIGNED, actor=WHO, pause=in_no_time)
    told = [str(event.detail) for event in db.session.query(Event)]
    told += [str(entry.detail) for entry in db.session.query(AuditEntry)]
    assert not any("AX8b" in one or "1234" in one or "9WVU" in one for one in told)


def test_only_gateways_that_can_are_named_as_a_way_out(unlinked, waha):
    assert link_passkeys.able_gateways(unlinked) == []
    add(waha)
    assert link_passkeys.able_gateways(unlinked) == ["theirs"]
