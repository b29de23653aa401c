"""The quirks of wwebjs-api, each against a running fake; what all drivers share is tried elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_gateway import ANNA, PHONE, STRANGER
from fake_wwebjs import FakeWwebjs

from wa_admin.drivers.contract import (
    Attached,
    BadAnswer,
    BadKey,
    Checked,
    Code,
    CodeShown,
    FileSeen,
    InstanceNotFound,
    MessageSeen,
    NotConnected,
    NotOnWhatsApp,
    ReceiptSeen,
    Rejected,
    Remote,
    State,
    StateSeen,
    Unsupported,
)
from wa_admin.drivers.wwebjs import Wwebjs

PAYLOADS = Path(__file__).parent / "payloads" / "wwebjs"
GROUP, LID = "120363000000000001@g.us", "91052067847739@lid"
PDF = Attached("document", b"%PDF-1.7", "application/pdf", "a.pdf")
MISSING = State("disconnected", None, "session_not_found")
UNSURE = State(None, None, "session_not_found")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 7, 15, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway() -> Iterator[FakeWwebjs]:
    with FakeWwebjs() as running:
        yield running


@pytest.fixture
def another(gateway: FakeWwebjs, pauses: list[float], clock: Clock) -> Iterator[Callable[[], Wwebjs]]:
    """A driver as each process has its own."""
    made: list[Wwebjs] = []

    def make() -> Wwebjs:
        made.append(Wwebjs(gateway.access(), pause=pauses.append, now=clock))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def driver(another: Callable[[], Wwebjs]) -> Wwebjs:
    return another()


@pytest.fixture
def linked(gateway: FakeWwebjs, driver: Wwebjs) -> str:
    driver.connect("main")
    gateway.scan("main")
    assert driver.state("main").status == "connected"
    return "main"


def asked(gateway: FakeWwebjs, what: str) -> int:
    return len([one for one in gateway.asked if one.path.startswith(what)])


# --- codes ---


def test_the_first_code_lives_for_a_minute_and_each_further_one_for_twenty_seconds(gateway, driver, clock):
    first = driver.connect("main")
    assert (first.sequence, first.lifetime_seconds) == (1, 60)
    gateway.rotate("main")
    second = driver.code("main")
    assert (second.sequence, second.lifetime_seconds) == (2, 20)
    assert second.expires_at == clock.now + timedelta(seconds=20)


def test_the_same_code_gets_no_younger_by_being_asked_for(driver, clock):
    first = driver.connect("main")
    clock.forward(30)
    assert driver.code("main") == first


def test_a_code_that_does_not_change_for_a_minute_is_none(gateway, driver, clock):
    driver.connect("main")
    clock.forward(61)
    assert driver.code("main") == State(None, word="UNPAIRED")
    assert asked(gateway, "/session/restart") == 0  # to ask starts nothing


def test_between_two_codes_there_is_none(gateway, driver, clock):
    driver.connect("main")
    gateway.rotate("main")
    driver.code("main")
    clock.forward(21)
    assert driver.code("main") == State(None, word="UNPAIRED")


def test_a_fresh_set_of_codes_is_a_restart(gateway, driver, clock):
    driver.connect("main")
    clock.forward(61)
    fresh = driver.connect("main")
    assert (fresh.sequence, fresh.lifetime_seconds) == (1, 60)
    assert asked(gateway, "/session/restart") == 1


def test_a_live_code_is_shown_again_without_a_restart(gateway, driver):
    assert driver.connect("main") == driver.connect("main")
    assert asked(gateway, "/session/restart") == 0


def test_a_pairing_code_lives_for_three_minutes(driver, clock):
    code = driver.pair("main", PHONE)
    assert (code.pairing_code, code.lifetime_seconds) == ("ABCDEFGH", 180)
    assert code.expires_at == clock.now + timedelta(seconds=180)


def test_while_a_pairing_code_waits_dead_codes_end_nothing(driver, clock):
    driver.pair("main", PHONE)
    clock.forward(120)
    assert driver.state("main") == State(None, word="UNPAIRED")


def test_what_is_linked_gets_no_pairing_code(driver, linked):
    with pytest.raises(Rejected, match="linked already"):
        driver.pair(linked, PHONE)


# --- starting ---


def test_a_start_that_does_not_answer_goes_on(gateway, driver, monkeypatch):
    monkeypatch.setattr(Wwebjs, "start_seconds", 0.2)
    gateway.fail("hang", on="/session/start", times=1)
    assert driver.connect("main") == State("connecting", word="starting")
    assert driver.connect("main") == State("connecting", word="starting")
    assert asked(gateway, "/session/start") == 1  # a second one would be a second Chrome


def test_a_start_that_never_came_to_an_end_may_be_tried_again(gateway, driver, clock, monkeypatch):
    monkeypatch.setattr(Wwebjs, "start_seconds", 0.2)
    gateway.fail("hang", on="/session/start", times=1)
    driver.connect("main")
    clock.forward(181)
    assert isinstance(driver.connect("main"), Code)


def test_two_threads_start_one_browser(gateway, driver, monkeypatch):
    monkeypatch.setattr(Wwebjs, "start_seconds", 1.0)
    gateway.fail("hang", on="/session/start")
    first = threading.Thread(target=driver.connect, args=("main",))
    first.start()
    while not asked(gateway, "/session/start"):
        first.join(0.01)
    assert driver.connect("main") == State("connecting", word="starting")
    assert driver.state("main") == State("connecting", word="starting")
    first.join()
    assert asked(gateway, "/session/start") == 1


def test_a_browser_that_cannot_start_is_told(gateway, driver):
    gateway.cause = {"error": "Failed to launch the browser process"}
    with pytest.raises(Rejected, match="Failed to launch"):
        driver.connect("main")
    gateway.cause = None
    assert isinstance(driver.connect("main"), Code)


# as a running one said without a network; after a timeout it says nothing
@pytest.mark.parametrize("cause", [{"error": "net::ERR_NAME_NOT_RESOLVED at https://web.whatsapp.com/"}, {}])
def test_a_browser_that_cannot_reach_whatsapp_is_the_networks_affair(gateway, driver, cause):
    gateway.cause = cause
    assert driver.connect("main") == State("disconnected", "network", "out of reach")


def test_starts_that_fail_become_rare_as_each_leaves_a_browser_behind(gateway, driver, clock):
    gateway.cause = {}
    for _ in range(24 * 60):
        driver.connect("main")
        clock.forward(60)
    assert asked(gateway, "/session/start") == 29  # after 1, 2, 4 ... minutes, then once an hour


def test_a_start_that_works_is_not_put_off(gateway, driver, clock):
    gateway.cause = {}
    driver.connect("main")
    gateway.cause = None
    clock.forward(60)
    assert isinstance(driver.connect("main"), Code)


def test_a_restart_that_says_it_worked_and_did_not_is_found_out(gateway, driver, linked):
    gateway.cause = {"error": "Failed to launch the browser process"}
    with pytest.raises(Rejected, match="Failed to launch"):
        driver.restart(linked)


def test_a_stopped_session_is_restarted_by_a_start(driver, linked):
    driver.stop(linked)
    driver.restart(linked)
    assert driver.state(linked).status == "connected"


# --- states ---


def test_what_is_missing_may_be_starting_somewhere_else(another, clock):
    scheduler = another()
    assert scheduler.state("main") == UNSURE
    clock.forward(89)
    assert scheduler.state("main") == UNSURE
    clock.forward(1)
    assert scheduler.state("main") == MISSING


def test_what_we_stopped_is_missing_at_once_and_comes_back_without_a_code(driver, linked):
    driver.stop(linked)
    assert driver.state(linked) == MISSING
    assert driver.connect(linked) == State("connected", None, "CONNECTED", PHONE, "Sari")


def test_stopping_what_is_not_there_is_fine(driver):
    driver.stop("main")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("OPENING", State("connecting", None, "OPENING")),
        ("PAIRING", State("connecting", None, "PAIRING")),
        ("UNLAUNCHED", State("connecting", None, "UNLAUNCHED")),
        ("TIMEOUT", State("connecting", None, "TIMEOUT")),
        ("session_not_connected", State("connecting", None, "session_not_connected")),
        ("Protocol error: Target closed.", State("connecting", None, "session_not_connected")),
        ("browser tab closed", State("disconnected", None, "browser tab closed")),
        ("session closed", State("disconnected", None, "session closed")),
        ("CONFLICT", State("disconnected", "replaced", "CONFLICT")),
        ("DEPRECATED_VERSION", State("disconnected", "outdated", "DEPRECATED_VERSION")),
        ("PROXYBLOCK", State("disconnected", "auth_failure", "PROXYBLOCK")),
        ("TOS_BLOCK", State("disconnected", "banned", "TOS_BLOCK")),
        ("SMB_TOS_BLOCK", State("disconnected", "banned", "SMB_TOS_BLOCK")),
    ],
)
def test_each_word_has_its_meaning(gateway, driver, linked, word, state):
    gateway.crash(linked, word)
    assert driver.state(linked) == state


def test_an_unlink_on_the_phone_is_no_crash_although_it_shows_codes(gateway, driver, linked, clock):
    gateway.unlink(linked)
    assert driver.state(linked) == State("disconnected", "logged_out", "UNPAIRED")
    clock.forward(300)
    assert driver.state(linked) == State("disconnected", "logged_out", "UNPAIRED")


def test_a_process_that_missed_the_unlink_waits_until_the_codes_are_dead(gateway, another, linked, clock):
    gateway.unlink(linked)
    scheduler = another()
    assert scheduler.state(linked) == State(None, word="UNPAIRED")
    clock.forward(61)
    assert scheduler.state(linked) == State("disconnected", "qr_expired", "UNPAIRED")


def test_while_somebody_links_it_waits_for_a_scan(another, driver):
    driver.connect("main")
    scheduler = another()
    scheduler.code("main")
    assert scheduler.state("main") == State("qr_pending", word="UNPAIRED")


def test_a_number_that_is_a_lid_is_no_number(gateway, driver, linked):
    gateway.line(linked).number = LID
    assert driver.state(linked).number is None


def test_the_list_names_the_numbers_of_those_that_are_connected(driver, linked):
    driver.connect("other")
    assert driver.list() == [Remote("main", PHONE, "Sari"), Remote("other", None, None)]


# --- to bring it back ---


def test_a_crashed_page_is_left_to_the_gateway_for_a_minute(gateway, driver, linked, clock):
    gateway.crash(linked)
    assert driver.connect(linked) == State("disconnected", None, "browser tab closed")
    clock.forward(60)
    assert driver.connect(linked).status == "connected"
    assert asked(gateway, "/session/restart") == 1


@pytest.mark.parametrize("word", ["OPENING", "TIMEOUT", "Protocol error: Target closed."])
def test_a_connection_that_hangs_for_a_minute_is_built_anew(gateway, driver, linked, clock, word):
    gateway.crash(linked, word)
    driver.state(linked)
    clock.forward(60)
    assert driver.connect(linked).status == "connected"


def test_who_connects_takes_it_over_from_elsewhere(gateway, driver, linked):
    gateway.crash(linked, "CONFLICT")
    assert driver.connect(linked).status == "connected"


def test_what_is_blocked_is_not_tried_again(gateway, driver, linked, clock):
    gateway.crash(linked, "TOS_BLOCK")
    driver.state(linked)
    clock.forward(300)
    assert driver.connect(linked).reason == "banned"
    assert asked(gateway, "/session/restart") == 0


# --- to end it ---


def test_what_is_stopped_is_started_to_be_deleted_with_its_login(gateway, driver, linked):
    driver.stop(linked)
    driver.delete(linked)
    assert (gateway.logins, gateway.lines) == ({}, {})
    assert asked(gateway, "/session/start") == 2


def test_what_we_deleted_is_not_started_to_be_deleted_again(gateway, driver, linked):
    driver.logout(linked)
    driver.delete(linked)
    assert asked(gateway, "/session/start") == 1
    with pytest.raises(InstanceNotFound):
        driver.state(linked)


def test_what_another_process_made_anew_is_deleted_with_its_login(gateway, driver, another, linked):
    driver.delete(linked)
    another().connect(linked)
    gateway.scan(linked)
    driver.state(linked)
    driver.stop(linked)
    driver.delete(linked)
    assert gateway.logins == {}


def test_other_sessions_are_never_touched(gateway, driver, linked):
    driver.connect("other")
    driver.delete(linked)
    assert list(gateway.lines) == ["other"]


@pytest.mark.parametrize("name", ["", "Totale Bot", "a/b", "à", "main\n"])
def test_a_name_that_it_does_not_take_is_refused(gateway, driver, name):
    with pytest.raises(Rejected):
        driver.create(name)
    assert not gateway.asked


# --- sending ---


def test_a_text_goes_to_what_whatsapp_calls_the_number(gateway, driver, linked):
    gateway.canonical["5511987654321"] = "551187654321"
    driver.send_text(linked, "5511987654321", "Oi", "r1")
    assert gateway.sent[0].to == "551187654321@c.us"


@pytest.mark.parametrize("to", [GROUP, LID])
def test_groups_and_lids_are_sent_to_as_they_are(gateway, driver, linked, to):
    driver.send_text(linked, to, "Halo", "r1")
    assert gateway.sent[0].to == to
    assert asked(gateway, "/client/getNumberId") == 0


def test_the_id_is_the_whole_one(gateway, driver, linked):
    provider_id = driver.send_text(linked, f"{ANNA}@s.whatsapp.net", "Halo", "r1")
    assert provider_id == f"true_{ANNA}@c.us_{gateway.sent[0].provider_id}"


def test_a_chat_is_not_marked_as_seen_by_writing_to_it(gateway, driver, linked):
    driver.send_text(linked, ANNA, "Halo", "r1")
    assert gateway.asked[-1].body["options"] == {"sendSeen": False, "linkPreview": False}


def test_success_without_a_message_is_a_failure(gateway, driver, linked):
    gateway.closed_chats.add(f"{ANNA}@c.us")
    with pytest.raises(Rejected, match="nothing was sent") as caught:
        driver.send_text(linked, ANNA, "Halo", "r1")
    assert not caught.value.may_have_left


def test_a_page_error_may_have_left(gateway, driver, linked):
    gateway.fail((500, {"success": False, "error": "Evaluation failed"}), on="sendMessage")
    with pytest.raises(BadAnswer) as caught:
        driver.send_text(linked, ANNA, "Halo", "r1")
    assert caught.value.may_have_left


def test_a_bad_request_is_answered_with_a_page_that_is_not_repeated(gateway, driver, linked):
    page = "<pre>SyntaxError at /usr/src/app/server.js:1</pre>"
    gateway.fail((400, page, {"Content-Type": "text/html"}), on="sendMessage")
    with pytest.raises(Rejected) as caught:
        driver.send_text(linked, ANNA, "Halo", "r1")
    assert caught.value.detail == "HTTP 400 Bad Request"


def test_to_who_has_no_account_nothing_is_sent(gateway, driver, linked):
    with pytest.raises(NotOnWhatsApp):
        driver.send_text(linked, STRANGER, "Halo", "r1")
    assert not gateway.sent


def test_a_number_that_cannot_be_looked_up_is_taken_as_it_is(gateway, driver, linked):
    gateway.fail((500, {"success": False, "error": "Evaluation failed"}), on="getNumberId")
    driver.send_text(linked, ANNA, "Halo", "r1")
    assert gateway.sent[0].to == f"{ANNA}@c.us"


def test_a_number_is_looked_up_once(gateway, driver, linked):
    driver.send_text(linked, ANNA, "Halo", "r1")
    driver.send_text(linked, ANNA, "Halo again", "r2")
    assert asked(gateway, "/client/getNumberId") == 1


@pytest.mark.parametrize("word", ["OPENING", "browser tab closed", "Protocol error: Target closed."])
def test_what_is_not_connected_sends_nothing(gateway, driver, linked, word):
    gateway.crash(linked, word)
    with pytest.raises(NotConnected):
        driver.send_text(linked, ANNA, "Halo", "r1")


def test_a_message_waits_for_a_stopped_session(driver, linked):
    driver.stop(linked)
    with pytest.raises(NotConnected) as caught:
        driver.send_text(linked, ANNA, "Halo", "r1")
    assert not caught.value.permanent


def test_a_document_travels_as_one(gateway, driver, linked):
    driver.send_media(linked, ANNA, "invoice", PDF, "r1")
    said = gateway.asked[-1].body
    assert said["content"] == {"mimetype": "application/pdf", "data": "JVBERi0xLjc=", "filename": "a.pdf"}
    assert said["options"] == {"sendSeen": False, "caption": "invoice", "sendMediaAsDocument": True}


def test_numbers_are_checked_with_their_own_ids(gateway, driver, linked):
    gateway.canonical["5511987654321"] = "551187654321"
    assert driver.check_numbers(linked, ["5511987654321", STRANGER]) == [
        Checked("5511987654321", True, "551187654321@s.whatsapp.net"),
        Checked(STRANGER, False, None),
    ]


# --- keys ---


def test_a_wrong_key_is_told_apart(gateway):
    stranger = Wwebjs(gateway.access(key="another"))
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_its_default_and_its_example_are_known_to_be_weak():
    assert {"", "SET_YOUR_API_KEY_HERE"} == Wwebjs.weak_keys


def test_its_webhooks_carry_its_key(gateway, driver):
    assert driver.is_genuine({"X-Api-Key": gateway.key}, b"{}")


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"x-api-key": "another"}, {"key": "secret"}])
def test_a_webhook_without_its_key_is_not_believed(driver, headers):
    assert not driver.is_genuine(headers, b"{}")


# --- webhooks ---

AT = datetime.fromtimestamp(1780000000, UTC)
JID = f"{ANNA}@s.whatsapp.net"


def state(status, reason, word):
    return [StateSeen("main", State(status, reason, word))]


def receipt(kind):
    return [ReceiptSeen("main", f"true_{ANNA}@c.us_3EB0A1B2C3", kind)]


MEANINGS = {
    "auth_failure": state("disconnected", "auth_failure", "auth_failure"),
    "authenticated": state("connecting", None, "authenticated"),
    "change_state_conflict": state("disconnected", "replaced", "CONFLICT"),
    "change_state_opening": state("connecting", None, "OPENING"),
    "change_state_unpaired": [],
    "code": [CodeShown("main", Code(None, "ABCDEFGH", lifetime_seconds=180))],
    "disconnected_conflict": state("disconnected", "replaced", "CONFLICT"),
    "disconnected_logout": state("disconnected", "logged_out", "LOGOUT"),
    "disconnected_navigation": state("disconnected", None, "NAVIGATION"),
    "loading_screen": state("connecting", None, "loading_screen"),
    "media": [
        MessageSeen(
            "main",
            f"false_{ANNA}@c.us_3EB0IN",
            JID,
            ANNA,
            None,
            None,
            "look",
            "image",
            at=AT,
            file=FileSeen("image/jpeg", "a.jpg", content=b"\xff\xd8\xff\xe0\x00\x10"),
        )
    ],
    "message_ack_device": receipt("delivered"),
    "message_ack_error": receipt("failed"),
    "message_ack_incoming": [],
    "message_ack_pending": [],
    "message_ack_played": receipt("played"),
    "message_ack_read": receipt("read"),
    "message_ack_server": receipt("sent"),
    "message_chat": [
        MessageSeen("main", f"false_{ANNA}@c.us_3EB0IN", JID, ANNA, None, "Anna Example", "Halo", at=AT)
    ],
    "message_create_own": [],
    "message_group_lid": [
        MessageSeen("main", f"false_{GROUP}_3EB0IN_{LID}", GROUP, None, LID, "Ben Lid", "Halo semua", at=AT)
    ],
    "message_image": [
        MessageSeen(
            "main",
            f"false_{ANNA}@c.us_3EB0IN",
            JID,
            ANNA,
            None,
            "Anna Example",
            "look",
            "image",
            at=AT,
            file=FileSeen(),
        )
    ],
    "message_lid": [MessageSeen("main", f"false_{LID}_3EB0IN", LID, None, LID, "Ben Lid", "Halo", at=AT)],
    "message_location": [
        MessageSeen("main", f"false_{ANNA}@c.us_3EB0IN", JID, ANNA, None, None, "", "location", at=AT)
    ],
    "message_status_broadcast": [],
    "ready_alone": [],
    "unknown": [],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_a_webhook_means(driver, name):
    assert driver.read_events((PAYLOADS / f"{name}.json").read_bytes()) == MEANINGS[name]


def test_a_code_comes_in_with_the_age_that_it_has(driver, clock):
    body = json.dumps({"dataType": "qr", "data": {"qr": "2@a,b,c,d,1"}, "sessionId": "main"}).encode()
    (first,) = driver.read_events(body)
    clock.forward(5)
    assert driver.read_events(body) == [first]
    assert (first.code.sequence, first.code.lifetime_seconds) == (1, 60)


def test_ready_is_believed_after_authenticated_and_once(gateway, driver):
    def read(name):
        return driver.read_events((PAYLOADS / f"{name}.json").read_bytes())

    read("authenticated")
    assert read("ready_alone") == state("connected", None, "ready")
    assert read("ready_alone") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"[" * 100_000, b'{"dataType": "ready"}', b'{"dataType": 7, "sessionId": "main"}'],
)
def test_what_is_no_webhook_of_it_is_refused(driver, body):
    with pytest.raises(BadAnswer):
        driver.read_events(body)


@pytest.mark.parametrize("event", ["qr", "code", "disconnected", "change_state", "message", "message_ack"])
@pytest.mark.parametrize(
    "data", [None, [], 7, {}, {"message": 7, "ack": "3", "state": 7, "reason": [], "qr": 7}]
)
def test_data_of_a_strange_shape_does_no_harm(driver, event, data):
    body = json.dumps({"dataType": event, "data": data, "sessionId": "main"}).encode()
    assert all(event.instance == "main" for event in driver.read_events(body))


def test_receipts_that_come_are_read_though_they_are_not_promised(gateway, driver, linked):
    provider_id = driver.send_text(linked, ANNA, "Halo", "r1")
    gateway.acknowledge(linked, provider_id, "read")
    _, body = gateway.told[-1]
    assert driver.read_events(body) == [ReceiptSeen(linked, provider_id, "read")]
    assert "receipts" not in driver.capabilities


@pytest.mark.parametrize(
    "call", [lambda one: one.webhook("main"), lambda one: one.set_webhook("main", "http://x")]
)
def test_where_it_reports_to_is_its_own_affair(gateway, driver, call):
    with pytest.raises(Unsupported, match="BASE_WEBHOOK_URL"):
        call(driver)
    assert not gateway.asked
