"""The driver of the bundled gateway against the gateway itself, a process with the simulator in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

from wa_admin import clock
from wa_admin.drivers import make
from wa_admin.drivers.contract import (
    Access,
    Attached,
    BadKey,
    Checked,
    Code,
    CodeShown,
    InstanceNotFound,
    MessageSeen,
    NotConnected,
    NotOnWhatsApp,
    OutcomeUnknown,
    ReceiptSeen,
    Rejected,
    Remote,
    SentSeen,
    State,
    StateSeen,
    TimedOut,
)

PHONE, ANNA = "6281234567890", "628111222333"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def driver(gateway):
    driver = make("bundled", Access(gateway.url, gateway.key, sign_keys=("sign-key",)))
    yield driver
    driver.close()


@pytest.fixture
def name(driver, request):
    """A session of this test's own."""
    name = f"{request.node.name} / 100%?"
    driver.create(name)
    yield name
    driver.delete(name)


@pytest.fixture
def linked(gateway, driver, name):
    driver.connect(name)
    gateway.simulate("scan", name, phone=PHONE)
    wait_until(lambda: driver.state(name).status == "connected")
    return name


@pytest.fixture
def panel():
    receiver = WebhookReceiver()
    yield receiver
    receiver.stop()


def test_its_version_is_told(driver):
    assert driver.version() == "2.3.6"


def test_a_wrong_key_is_refused(gateway):
    stranger = make("bundled", Access(gateway.url, "a wrong key é"))
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_a_new_session_was_never_linked(driver, name):
    assert driver.state(name) == State("disconnected", "never_linked", "close")


def test_creating_it_again_is_fine(driver, name):
    driver.create(name)


def test_a_session_that_is_not_there_is_not_found(driver):
    with pytest.raises(InstanceNotFound):
        driver.state("nobody")
    driver.delete("nobody")


def test_connecting_shows_a_code_that_lives_a_while(driver, name):
    code = driver.connect(name)
    assert isinstance(code, Code)
    assert "2@" in code.qr
    assert code.sequence == 1
    assert code.expires_at > clock.now()
    assert driver.state(name) == State("qr_pending", None, "connecting")


def test_a_pairing_code_comes_while_codes_are_shown(driver, name):
    driver.connect(name)
    assert len(driver.pair(name, PHONE).pairing_code) == 8


def test_a_scan_links(driver, linked):
    state = driver.state(linked)
    assert (state.status, state.number) == ("connected", PHONE)
    assert isinstance(driver.connect(linked), State)
    assert Remote(linked, PHONE, state.profile_name) in driver.list()


def test_what_is_linked_needs_no_pairing_code(driver, linked):
    with pytest.raises(Rejected):
        driver.pair(linked, PHONE)


def test_stopping_keeps_the_login(driver, linked):
    driver.stop(linked)
    assert driver.state(linked).reason == "stopped"
    driver.connect(linked)
    wait_until(lambda: driver.state(linked).status == "connected")


def test_a_restart_brings_it_back(driver, linked):
    driver.restart(linked)
    wait_until(lambda: driver.state(linked).status == "connected")


def test_unlinking_ends_the_login(driver, linked):
    driver.logout(linked)
    assert driver.state(linked).reason == "logged_out"
    driver.logout(linked)


def test_an_unlink_on_the_phone_is_seen(gateway, driver, linked):
    gateway.simulate("unlink", linked)
    wait_until(lambda: driver.state(linked).reason == "logged_out")


@pytest.mark.parametrize(("act", "reason"), [("ban", "banned"), ("replace", "replaced")])
def test_what_whatsapp_does_is_told_as_a_reason(gateway, driver, linked, act, reason):
    gateway.simulate(act, linked)
    wait_until(lambda: driver.state(linked).reason == reason)


def test_a_text_arrives_once_per_reference(gateway, driver, linked):
    first = driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert driver.send_text(linked, ANNA, "Halo", "ref-1") == first
    assert [one["text"] for one in gateway.received(linked)] == ["Halo"]


def test_a_file_arrives(gateway, driver, linked):
    file = Attached("document", b"%PDF-1.4\n%%EOF\n", "application/pdf", "offer.pdf")
    sent = driver.send_media(linked, ANNA, "the offer", file, "ref-2")
    assert sent in [one["id"] for one in gateway.received(linked)]


def test_nothing_leaves_while_it_is_not_connected(driver, name):
    with pytest.raises(NotConnected):
        driver.send_text(name, ANNA, "Halo", "ref-3")
    with pytest.raises(NotConnected):
        driver.check_numbers(name, [ANNA])


@pytest.mark.parametrize(
    ("mode", "error"), [("not_on_whatsapp", NotOnWhatsApp), ("fail", Rejected), ("timeout", TimedOut)]
)
def test_a_send_that_fails_says_how(gateway, driver, linked, mode, error):
    gateway.simulate("mode", linked, send=mode)
    with pytest.raises(error):
        driver.send_text(linked, ANNA, "Halo", "ref-4")
    gateway.simulate("mode", linked, send="ok")


def test_a_text_without_words_is_rejected(driver, linked):
    with pytest.raises(Rejected):
        driver.send_text(linked, ANNA, "  ", "ref-5")


def test_numbers_are_checked(driver, linked):
    (checked,) = driver.check_numbers(linked, [ANNA])
    assert checked == Checked(ANNA, True, f"{ANNA}@s.whatsapp.net")


def test_the_webhook_is_kept(driver, name, panel):
    assert driver.webhook(name) is None
    driver.set_webhook(name, panel.url)
    hook = driver.webhook(name)
    assert (hook.url, hook.is_enabled, hook.events) == (panel.url, True, driver.hook_events)


def test_its_events_are_understood(gateway, driver, name, panel):
    driver.set_webhook(name, panel.url)
    driver.connect(name)
    wait_until(lambda: any(isinstance(one, CodeShown) for one in reports(driver, panel)))
    gateway.link(name, PHONE)
    sent = driver.send_text(name, ANNA, "Halo", "ref-6")
    gateway.simulate("receipt", name, id=sent, type="read")
    gateway.simulate("inbound", name, sender=ANNA, text="Halo juga")
    wait_until(lambda: any(isinstance(one, MessageSeen) for one in reports(driver, panel)))
    seen = reports(driver, panel)
    assert {type(one) for one in seen} == {StateSeen, CodeShown, SentSeen, ReceiptSeen, MessageSeen}
    assert {one.instance for one in seen} == {name}
    assert [one.kind for one in seen if isinstance(one, ReceiptSeen) and one.provider_id == sent][0] == "sent"
    assert [(one.sender_number, one.text) for one in seen if isinstance(one, MessageSeen)] == [
        (ANNA, "Halo juga")
    ]


def test_a_deleted_session_is_gone(driver):
    driver.create("short lived")
    driver.delete("short lived")
    assert "short lived" not in [one.instance for one in driver.list()]


def test_a_send_whose_outcome_is_lost_is_not_sent_again(gateway, driver, linked):
    gateway.simulate("mode", linked, send="timeout")
    with pytest.raises(TimedOut):
        driver.send_text(linked, ANNA, "Halo", "ref-7")
    gateway.simulate("mode", linked, send="ok")
    with pytest.raises(OutcomeUnknown) as caught:
        driver.send_text(linked, ANNA, "Halo", "ref-7")
    assert caught.value.may_have_left


def reports(driver, panel):
    """What came to the webhook so far, understood; the times left out."""
    bodies = [json.dumps(body).encode() for body in list(panel.bodies)]
    seen = [one for body in bodies for one in driver.read_events(body)]
    return [replace(one, at=None) if hasattr(one, "at") else one for one in seen]
