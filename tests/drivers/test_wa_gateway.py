"""The quirks of wa-gateway, each against a running fake; what all drivers share is tried elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_gateway import ANNA, PHONE, STRANGER
from fake_wa_gateway import IN_PRODUCTION, FakeWaGateway

from wa_admin.drivers.contract import (
    Attached,
    BadAnswer,
    BadKey,
    Checked,
    Code,
    FileSeen,
    InstanceNotFound,
    MessageSeen,
    NotConnected,
    NotOnWhatsApp,
    Rejected,
    Remote,
    State,
    StateSeen,
    Unsupported,
)
from wa_admin.drivers.wa_gateway import WaGateway

PAYLOADS = Path(__file__).parent / "payloads" / "wa_gateway"
GROUP = "6281234567890-1600000000@g.us"
LONG_TEXT = "a text that takes the gateway five seconds to pretend to type it"


@pytest.fixture
def gateway() -> Iterator[FakeWaGateway]:
    with FakeWaGateway() as running:
        yield running


@pytest.fixture
def driver(gateway: FakeWaGateway, pauses: list[float]) -> Iterator[WaGateway]:
    made = WaGateway(gateway.access(), pause=pauses.append)
    yield made
    made.close()


@pytest.fixture
def linked(gateway: FakeWaGateway, driver: WaGateway) -> str:
    driver.connect("main")
    gateway.scan("main")
    return "main"


def starts(gateway: FakeWaGateway) -> int:
    return len([asked for asked in gateway.asked if asked.path == "/session/start"])


# --- linking ---


def test_the_first_code_lives_for_a_minute(driver):
    code = driver.connect("main")
    assert isinstance(code, Code)
    assert (code.sequence, code.lifetime_seconds) == (1, 60)


def test_a_fresh_code_is_a_session_made_anew(gateway, driver, pauses):
    driver.connect("main")
    assert isinstance(driver.connect("main"), Code)
    assert starts(gateway) == 3  # one was refused
    assert [asked.method for asked in gateway.asked if asked.path == "/session/main"].count("DELETE") == 1
    assert pauses == [1.0]  # the old one takes leave under the same name


def test_another_process_can_ask_for_a_fresh_code_too(gateway, driver):
    driver.connect("main")
    other = WaGateway(gateway.access(), pause=lambda seconds: None)
    assert isinstance(other.connect("main"), Code)
    other.close()


def test_a_connected_session_is_left_alone(gateway, driver, linked):
    assert driver.connect(linked) == State("connected", None, "connected", PHONE, "Sari")
    assert gateway.line(linked).state == "connected"


def test_a_login_on_its_way_back_is_not_thrown_away(gateway, driver, linked):
    gateway.drop(linked)
    assert driver.connect(linked) == State("connecting", None, "connecting", PHONE, "Sari")
    assert gateway.line(linked).number == PHONE


def test_nor_is_it_after_the_gateway_was_restarted(gateway, driver, linked):
    gateway.reboot()
    assert driver.connect(linked).status == "connecting"
    assert gateway.line(linked).number == PHONE


def test_the_number_of_a_lost_login_does_not_pass_for_a_login(gateway, driver, linked):
    gateway.unlink(linked)
    assert isinstance(driver.connect(linked), Code)
    assert isinstance(driver.connect(linked), Code)


def test_a_start_that_is_never_answered_is_looked_at(gateway, driver, monkeypatch):
    monkeypatch.setattr(WaGateway, "start_seconds", 0.2)
    gateway.fail("hang_after", on="POST /session/start")
    assert driver.connect("main") == State("connecting", None, "connecting")


def test_a_start_that_came_to_nothing_is_the_networks_affair(gateway, driver, monkeypatch):
    monkeypatch.setattr(WaGateway, "start_seconds", 0.2)
    gateway.fail("hang", on="POST /session/start")
    assert driver.connect("main") == State("disconnected", "network", "not found")


def test_a_second_start_of_one_name_is_not_sent(gateway, driver, monkeypatch):
    monkeypatch.setattr(WaGateway, "start_seconds", 1.0)
    gateway.fail("hang", on="POST /session/start")
    first = threading.Thread(target=driver.connect, args=("main",))
    first.start()
    while not starts(gateway):
        first.join(0.01)
    assert driver.connect("main") == State("connecting", word="starting")
    assert starts(gateway) == 1
    first.join()


def test_while_a_session_is_made_anew_the_end_of_the_old_one_says_nothing(gateway, driver):
    end = json.dumps({"session": "main", "status": "disconnected"}).encode()
    heard = []
    driver._pause = lambda seconds: heard.append(driver.read_events(end))
    driver.connect("main")
    driver.connect("main")
    assert heard == [[]]
    assert driver.read_events(end) == [StateSeen("main", State("disconnected", "logged_out", "disconnected"))]


def test_asking_for_the_code_starts_nothing(gateway, driver):
    assert driver.code("main") == State(None, word="not found")
    assert starts(gateway) == 0


@pytest.mark.parametrize("name", ["start", "logout", "", " main"])
def test_a_name_that_could_not_be_read_is_refused(gateway, driver, name):
    with pytest.raises(Rejected):
        driver.create(name)
    assert not gateway.asked


# --- states ---


def test_a_short_break_shows_as_connecting(gateway, driver, linked):
    gateway.drop(linked)
    assert driver.state(linked).status == "connecting"


def test_what_was_started_and_not_heard_of_is_connecting(gateway, driver):
    driver.connect("main")
    gateway.statuses.clear()
    assert driver.state("main") == State("connecting", None, "unknown")


def test_a_lost_login_is_not_found_and_asked_for_twice(gateway, driver, linked, pauses):
    gateway.unlink(linked)
    with pytest.raises(InstanceNotFound):
        driver.state(linked)
    assert pauses == [2.0]


def test_a_lost_login_is_not_listed(gateway, driver, linked):
    assert driver.list() == [Remote("main", PHONE, "Sari")]
    gateway.unlink(linked)
    assert driver.list() == []


def test_an_address_that_it_does_not_have_shows_its_login_page(gateway, linked):
    astray = WaGateway(gateway.access(base_url=f"{gateway.url}/api"))
    with pytest.raises(BadAnswer, match="login page"):
        astray.version()
    astray.close()


def test_an_open_gateway_says_that_it_has_no_such_address(gateway, monkeypatch):
    monkeypatch.setattr(FakeWaGateway, "key", "")
    astray = WaGateway(gateway.access(base_url=f"{gateway.url}/api"))
    with pytest.raises(Unsupported):
        astray.version()
    astray.close()


def test_a_wrong_key_is_told_apart(gateway):
    stranger = WaGateway(gateway.access(key="another"))
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_its_default_and_its_example_are_known_to_be_weak():
    assert {"", "secret"} == WaGateway.weak_keys


# --- sending ---


def test_a_number_without_an_account_is_found_out_before_it_is_sent_to(gateway, driver, linked):
    with pytest.raises(NotOnWhatsApp):
        driver.send_text(linked, STRANGER, "Halo", "r1")
    assert not gateway.sent


def test_a_number_is_checked_once(gateway, driver, linked):
    driver.send_text(linked, ANNA, "Halo", "r1")
    driver.send_text(linked, ANNA, "Halo again", "r2")
    assert [asked.path for asked in gateway.asked].count("/profile") == 1


def test_a_check_that_makes_no_sense_does_not_hold_up_a_message(gateway, driver, linked):
    gateway.fail("html", on="/profile")
    assert driver.send_text(linked, ANNA, "Halo", "r1") == gateway.sent[0].provider_id


def test_a_group_is_sent_to_by_its_whole_name(gateway, driver, linked):
    driver.send_text(linked, GROUP, "Halo", "r1")
    assert gateway.sent[0].to == GROUP
    assert gateway.asked[-1].body["is_group"] is True


def test_a_lid_is_sent_to_as_it_is(gateway, driver, linked):
    driver.send_text(linked, "91052067847739@lid", "Halo", "r1")
    assert gateway.sent[0].to == "91052067847739@lid"


def test_a_500_while_it_types_is_tried_once_more_when_it_is_connected(gateway, driver, linked, pauses):
    gateway.fail((500, IN_PRODUCTION), on="send-text", times=1)
    driver.send_text(linked, ANNA, LONG_TEXT, "r1")
    assert len(gateway.sent) == 1
    assert pauses == [2.0]


def test_and_no_more_than_once(gateway, driver, linked):
    gateway.fail((500, IN_PRODUCTION), on="send-text")
    with pytest.raises(NotConnected):
        driver.send_text(linked, ANNA, LONG_TEXT, "r1")
    assert [asked.path for asked in gateway.asked].count("/message/send-text") == 2


def test_a_500_after_it_has_typed_may_have_left(gateway, driver, linked):
    gateway.fail((500, IN_PRODUCTION), on="send-text")
    with pytest.raises(BadAnswer) as caught:
        driver.send_text(linked, ANNA, "", "r1")
    assert caught.value.may_have_left
    assert [asked.path for asked in gateway.asked].count("/message/send-text") == 1


@pytest.mark.parametrize("is_in_production", [True, False])
def test_a_session_that_is_not_ready_sends_nothing(gateway, driver, linked, is_in_production):
    gateway.is_in_production = is_in_production
    gateway.drop(linked)
    with pytest.raises(NotConnected):
        driver.send_text(linked, ANNA, "Halo", "r1")


def test_a_message_waits_for_a_session_to_be_linked_again(gateway, driver, linked):
    gateway.unlink(linked)
    with pytest.raises(NotConnected) as caught:
        driver.send_text(linked, ANNA, "Halo", "r1")
    assert not caught.value.permanent


def test_it_takes_no_files(driver, linked):
    with pytest.raises(Unsupported, match="takes no files"):
        driver.send_media(linked, ANNA, "", Attached("image", b"\x89PNG", "image/png", "a.png"), "r1")


def test_numbers_are_checked_one_by_one_and_without_their_ids(driver, linked):
    assert driver.check_numbers(linked, [ANNA, STRANGER]) == [Checked(ANNA, True), Checked(STRANGER, False)]


def test_numbers_cannot_be_checked_offline(gateway, driver, linked):
    gateway.drop(linked)
    with pytest.raises(NotConnected):
        driver.check_numbers(linked, [ANNA])


# --- webhooks ---

MEANINGS = {
    "session_connecting": [StateSeen("main", State("connecting", None, "connecting"))],
    "session_connected": [StateSeen("main", State("connected", None, "connected"))],
    "session_disconnected": [StateSeen("main", State("disconnected", "logged_out", "disconnected"))],
    "session_unknown_word": [],
    "message_text": [MessageSeen("main", "", f"{ANNA}@s.whatsapp.net", ANNA, None, None, "Halo")],
    "message_lid": [MessageSeen("main", "", "91052067847739@lid", None, "91052067847739@lid", None, "Halo")],
    "message_group": [MessageSeen("main", "", GROUP, None, None, None, "Halo semua")],
    "message_image": [
        MessageSeen(
            "main",
            "",
            f"{ANNA}@s.whatsapp.net",
            ANNA,
            None,
            None,
            "",
            "image",
            file=FileSeen(source={"name": "0b1f.jpg"}),
        )
    ],
    "message_channel": [],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_a_webhook_means(driver, name):
    assert driver.read_events((PAYLOADS / f"{name}.json").read_bytes()) == MEANINGS[name]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 100_000, b'{"session": 7}', b'{"session": ""}'])
def test_what_is_no_webhook_of_it_is_refused(driver, body):
    with pytest.raises(BadAnswer):
        driver.read_events(body)


@pytest.mark.parametrize("name", ["key", "Key"])
def test_its_webhooks_carry_its_key(gateway, driver, name):
    assert driver.is_genuine({name: gateway.key}, b"{}")


@pytest.mark.parametrize(
    "headers", [{}, {"key": ""}, {"key": "another"}, {"key": "ключ"}, {"x-key": "secret"}]
)
def test_a_webhook_without_its_key_is_not_believed(driver, headers):
    assert not driver.is_genuine(headers, b"{}")


def test_what_the_phone_does_is_told(gateway, driver, linked):
    gateway.write(linked, "Halo")
    gateway.unlink(linked)
    told: list[object] = []
    for headers, body in gateway.told:
        assert driver.is_genuine(headers, body)
        told += driver.read_events(body)
    states = [event.state.status for event in told if isinstance(event, StateSeen)]
    assert states == ["connecting", "connected", "disconnected"]
    assert [event.text for event in told if isinstance(event, MessageSeen)] == ["Halo"]


UNSUPPORTED: dict[str, Callable[[WaGateway], object]] = {
    "pair": lambda driver: driver.pair("main", PHONE),
    "restart": lambda driver: driver.restart("main"),
    "stop": lambda driver: driver.stop("main"),
    "webhook": lambda driver: driver.webhook("main"),
    "set_webhook": lambda driver: driver.set_webhook("main", "http://panel.test"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_it_cannot_do_is_refused_with_a_sentence(gateway, driver, name):
    with pytest.raises(Unsupported, match="^wa-gateway "):
        UNSUPPORTED[name](driver)
    assert not gateway.asked
