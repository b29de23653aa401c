"""The quirks of Evolution, each survived."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from fake_evolution import FakeEvolution
from fake_gateway import ANNA, Panel

from wa_admin.drivers.contract import (
    BadAnswer,
    BadKey,
    Code,
    InstanceNotFound,
    MessageSeen,
    NotConnected,
    Rejected,
    State,
    TimedOut,
    Unlicensed,
    Unsupported,
)
from wa_admin.drivers.evolution import Evolution

BOT = "Totale Bot"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STATE_OF_CODED = "GET /instance/connectionState/coded"


@pytest.fixture
def gateway(replay):
    return lambda *names, **more: replay("evolution", *names, **more)


def test_a_session_that_is_missing_right_after_a_start_is_asked_for_again(gateway, pauses):
    driver, _ = gateway("connectionState_after_delete", "connectionState_open")
    assert driver.state(BOT).status == "connected"
    assert pauses == [2.0]


def test_a_session_that_is_missing_twice_is_not_there(gateway, pauses):
    driver, seen = gateway("connectionState_after_delete")
    with pytest.raises(InstanceNotFound):
        driver.state(BOT)
    assert len(seen.requests) == 2


def test_the_second_question_stays_within_the_deadline_of_the_first(gateway):
    driver, seen = gateway("connectionState_after_delete", pause=lambda seconds: time.sleep(0.2))
    with pytest.raises(InstanceNotFound):
        driver.state(BOT)
    first, second = (request.extensions["timeout"]["read"] for request in seen.requests)
    assert second <= first - 0.2


@pytest.mark.parametrize(
    ("instance", "segment"),
    [
        (BOT, "Totale%20Bot"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        ("x?instanceName=y", "x%3FinstanceName%3Dy"),
        ("100%", "100%25"),
        ("a#b+c", "a%23b%2Bc"),
        ("bot🤖", "bot%F0%9F%A4%96"),
    ],
)
def test_a_name_is_one_encoded_segment_whatever_is_in_it(gateway, instance, segment):
    driver, seen = gateway()
    seen.say(f"GET /instance/connectionState/{segment}", {"instance": {"state": "open"}})
    assert driver.state(instance).status == "connected"


@pytest.fixture
def clock():
    """What time it is, to be moved."""
    return [NOW]


def test_a_code_lives_45_seconds_from_the_moment_it_was_first_seen(gateway, clock):
    driver, _ = gateway("connect_qr", "fetchInstances_after_qr_limit", now=lambda: clock[0])
    driver.connect(BOT)
    clock[0] += timedelta(seconds=30)
    assert driver.connect(BOT).expires_at == NOW + timedelta(seconds=45)


def test_a_new_code_begins_a_new_life(gateway, clock):
    driver, _ = gateway(
        "connect_qr", "connect_after_phone_logout", "fetchInstances_after_phone_logout", now=lambda: clock[0]
    )
    driver.connect(BOT)
    clock[0] += timedelta(seconds=50)
    assert driver.connect(BOT).expires_at == NOW + timedelta(seconds=95)


def test_a_code_seen_in_an_event_first_is_not_younger_when_asked_for(gateway, clock, record):
    driver, _ = gateway("connect_qr", "fetchInstances_after_qr_limit", now=lambda: clock[0])
    driver.read_events(json.dumps(record("event_qrcode_updated")["request"]["body"]).encode())
    clock[0] += timedelta(seconds=20)
    assert driver.connect(BOT).expires_at == NOW + timedelta(seconds=45)


def test_no_code_is_kept_in_the_clear(gateway):
    driver, _ = gateway("connect_qr", "fetchInstances_after_qr_limit")
    assert driver.connect(BOT).qr not in str(vars(driver))


def test_a_missing_state_concludes_nothing(gateway):
    driver, _ = gateway("connectionState_during_startup")
    assert driver.state("coded") == State(None)


def test_an_unknown_state_is_kept_as_a_word_only(gateway):
    driver, seen = gateway()
    seen.say(STATE_OF_CODED, {"instance": {"state": "warming"}})
    assert driver.state("coded") == State(None, word="warming")


def test_the_version_is_read_once(gateway):
    driver, seen = gateway("verify_creds", "root")
    driver.version()
    driver.version()
    assert seen.routes == ["POST /verify-creds", "GET /", "POST /verify-creds"]


def test_a_version_that_cannot_be_had_does_not_make_the_gateway_unreachable(gateway):
    driver, seen = gateway("verify_creds")
    seen.say("GET /", {"status": 500, "error": "fetch failed"}, 500)
    assert driver.version() == ""


def test_a_gateway_without_a_licence_says_so(gateway):
    driver, seen = gateway()
    answer = {"error": "service not activated", "code": "LICENSE_REQUIRED", "register_url": "https://x"}
    seen.say("POST /verify-creds", answer, 503)
    with pytest.raises(Unlicensed, match="service not activated") as caught:
        driver.version()
    assert isinstance(caught.value, BadKey)


def test_it_cannot_go_offline_and_keep_its_login(gateway):
    driver, _ = gateway()
    with pytest.raises(Unsupported):
        driver.stop(BOT)


def test_a_login_that_cannot_be_undone_now_is_not_called_unlinked(gateway):
    driver, _ = gateway("logout_second_time", "fetchInstances_open")
    with pytest.raises(NotConnected):
        driver.logout(BOT)


def test_as_of_2_4_a_closed_session_answers_a_logout_with_success(gateway):
    driver, seen = gateway(
        "fetchInstances_after_phone_logout", "delete_open", "connectionState_after_delete", "create_qr"
    )
    said = {"status": "SUCCESS", "error": False, "response": {"message": "Instance was already disconnected"}}
    seen.say("DELETE /instance/logout/Totale%20Bot", said)
    seen.say("GET /webhook/find/Totale%20Bot", None)
    driver.logout(BOT)
    assert seen.routes[:2] == ["DELETE /instance/logout/Totale%20Bot", "GET /instance/fetchInstances"]


def test_a_name_still_taken_by_a_session_being_deleted_is_not_there_yet(gateway):
    driver, seen = gateway("create_duplicate")
    said = {"status": 404, "response": {"message": ['The "probe-plain" instance does not exist']}}
    seen.say("GET /instance/connectionState/probe-plain", said, 404)
    with pytest.raises(InstanceNotFound):
        driver.create("probe-plain")


def test_http_200_with_an_error_is_one(gateway):
    driver, seen = gateway()
    seen.say("GET /instance/connect/coded", {"error": True, "message": "[object Object]"})
    with pytest.raises(Rejected):
        driver.connect("coded")


def test_a_pairing_code_that_is_slow_is_waited_for(gateway, pauses):
    driver, seen = gateway()
    seen.say(STATE_OF_CODED, {"instance": {"state": "close"}})
    seen.say("GET /instance/connect/coded", {"code": "2@a", "pairingCode": None, "count": 1})
    seen.say("GET /instance/connect/coded", {"code": "2@a", "pairingCode": "TB78F2KW", "count": 1})
    assert driver.pair("coded", "4915100000030").pairing_code == "TB78F2KW"


def test_a_pairing_code_that_never_comes_is_an_error(gateway):
    driver, seen = gateway()
    seen.say(STATE_OF_CODED, {"instance": {"state": "close"}})
    seen.say("GET /instance/connect/coded", {"count": 0})
    with pytest.raises(NotConnected):
        driver.pair("coded", "4915100000030")


def test_what_is_linked_needs_no_pairing_code(gateway):
    driver, seen = gateway()
    seen.say(STATE_OF_CODED, {"instance": {"state": "open"}})
    seen.say("GET /instance/connect/coded", {"instance": {"instanceName": "coded", "state": "open"}})
    with pytest.raises(Rejected, match="linked"):
        driver.pair("coded", "4915100000030")


def _showing_codes(seen, column):
    """A session that shows QR codes, so that Evolution ignores a number."""
    seen.say(STATE_OF_CODED, {"instance": {"state": "connecting"}})
    seen.say(STATE_OF_CODED, {"response": {"message": ['The "coded" instance does not exist']}}, 404)
    seen.say("GET /instance/fetchInstances", [{"name": "coded", "connectionStatus": column}])
    seen.say("GET /webhook/find/coded", {"url": "http://panel.example/hook", "enabled": True, "events": []})
    seen.say("POST /webhook/set/coded", {"enabled": False}, 201)
    seen.say("DELETE /instance/delete/coded", {"status": "SUCCESS", "error": False})


def test_while_codes_are_shown_a_number_needs_a_new_instance(gateway):
    driver, seen = gateway("create_pairing_code")
    _showing_codes(seen, "connecting")
    assert driver.pair("coded", "4915100000030").pairing_code == "TB78F2KW"
    assert seen.body()["number"] == "4915100000030"
    assert seen.body()["webhook"]["url"] == "http://panel.example/hook"


def test_a_login_is_never_thrown_away_for_a_pairing_code(gateway):
    driver, seen = gateway()
    _showing_codes(seen, "open")
    with pytest.raises(NotConnected):
        driver.pair("coded", "4915100000030")
    assert not [route for route in seen.routes if route.startswith("DELETE")]


def test_the_old_code_of_a_linked_session_that_reconnects_is_none(gateway):
    driver, _ = gateway("connect_qr", "fetchInstances_open")
    assert driver.connect(BOT) == State("connecting", word="connecting")


def test_a_gateway_that_was_away_is_asked_for_its_version_again(gateway):
    driver, seen = gateway("verify_creds", "verify_creds_bad", "verify_creds", "root")
    driver.version()
    with pytest.raises(BadKey):
        driver.version()
    assert driver.version() == "2.3.6"
    assert seen.routes.count("GET /") == 2


@pytest.mark.parametrize(
    "answer", [None, [], 3, {}, {"key": None}, {"key": {}}, {"key": {"id": ""}}, {"key": {"id": 5}}]
)
def test_a_success_without_a_message_id_may_have_left(gateway, answer):
    driver, seen = gateway()
    seen.say("POST /message/sendText/coded", answer, 201)
    with pytest.raises(BadAnswer) as caught:
        driver.send_text("coded", "1", "x", "ref")
    assert caught.value.may_have_left


@pytest.mark.parametrize("answer", [None, [], 3, "x", {"instance": None}, {"instance": 5}])
def test_a_state_of_another_shape_is_a_bad_answer(gateway, answer):
    driver, seen = gateway()
    seen.say(STATE_OF_CODED, answer)
    with pytest.raises(BadAnswer):
        driver.state("coded")


def test_evolution_is_told_nothing_of_our_references(gateway):
    driver, seen = gateway("sendText_ok")
    driver.send_text(BOT, "4915100000003", "x", "ref-1")
    assert "x-reference" not in seen.requests[0].headers


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        ("Error: item-not-found", Rejected),
        ("Error: Connection Closed", NotConnected),
        ("TypeError: Cannot read properties of undefined (reading 'groupMetadata')", NotConnected),
    ],
)
def test_a_group_that_is_not_found_is_no_session_that_is_not_found(gateway, pauses, cause, error):
    driver, seen = gateway()
    said = {"status": 404, "error": "Not Found", "response": {"message": ["Error fetching group", cause]}}
    seen.say("GET /group/findGroupInfos/coded", said, 404)
    with pytest.raises(error):
        driver.group_name("coded", "120363000000000001@g.us")
    assert pauses == []


def test_the_deadlines_outlast_what_evolution_takes(gateway):
    driver, seen = gateway("create_qr", "connect_when_open", "sendText_ok")
    driver.create(BOT)
    driver.connect(BOT)
    driver.send_text(BOT, "1", "x", "ref")
    create, connect, send = (request.extensions["timeout"]["read"] for request in seen.requests)
    assert create >= 15
    assert connect >= 10
    assert send >= 30


def test_a_gateway_that_does_not_know_the_outcome_may_have_sent(gateway):
    driver, seen = gateway()
    seen.say("POST /message/sendText/coded", {"status": 504, "error": "Gateway Timeout"}, 504)
    with pytest.raises(TimedOut) as caught:
        driver.send_text("coded", "1", "x", "ref")
    assert caught.value.may_have_left


# --- over the wire, on a gateway that answers what was recorded and has the quirks of the real one ---


@pytest.fixture
def fake():
    with FakeEvolution() as running:
        yield running


@pytest.fixture
def driver(fake, pauses):
    driver = Evolution(fake.access(), pause=pauses.append)
    driver.create(BOT)
    yield driver
    driver.close()


@pytest.fixture
def panel(driver):
    with Panel() as panel:
        driver.set_webhook(BOT, panel.url)
        yield panel


def link(fake, driver):
    driver.connect(BOT)
    fake.scan(BOT)


def messages(fake, driver, panel):
    fake.flush()
    seen = [one for _, body in panel.hooks for one in driver.read_events(body)]
    return [one.text for one in seen if isinstance(one, MessageSeen)]


def test_the_list_that_says_open_for_ever_is_not_believed(fake, driver):
    link(fake, driver)
    fake.drop(BOT)
    assert fake.line(BOT).more["column"] == "open"
    assert driver.state(BOT).status == "disconnected"


def test_after_a_restart_of_the_gateway_its_sessions_are_not_gone(fake, driver, pauses):
    fake.start_anew()
    assert driver.state(BOT).status == "disconnected"
    assert pauses == [2.0]


def test_a_logout_by_the_api_deafens_so_the_session_is_made_anew(fake, driver, panel):
    link(fake, driver)
    driver.logout(BOT)
    link(fake, driver)
    fake.write(BOT, "Halo")
    assert messages(fake, driver, panel) == ["Halo"]
    assert driver.webhook(BOT).events == driver.hook_events


def test_the_gateway_of_these_tests_is_deaf_after_its_own_logout(fake, driver, panel):
    link(fake, driver)
    driver._call("DELETE", "/instance/logout/Totale%20Bot", seconds=5)
    link(fake, driver)
    fake.write(BOT, "Halo")
    assert messages(fake, driver, panel) == []


def test_unlinking_what_is_not_linked_is_fine(fake, driver):
    driver.logout(BOT)
    assert driver.state(BOT).status == "disconnected"


def test_a_logout_that_could_not_make_the_session_anew_can_be_repeated(fake, driver, panel):
    link(fake, driver)
    fake.fail((500, {}), on="DELETE /instance/delete", times=1)
    with pytest.raises(BadAnswer):
        driver.logout(BOT)
    driver.logout(BOT)
    driver.set_webhook(BOT, panel.url)
    link(fake, driver)
    fake.write(BOT, "Halo")
    assert messages(fake, driver, panel) == ["Halo"]


def test_a_webhook_that_fails_does_not_hold_up_a_delete(fake, driver, panel):
    fake.hook_is_dead = True
    fake.line(BOT).more["hook"]["events"] = []  # somebody chose all of them
    driver.delete(BOT)
    assert BOT not in fake.lines


def test_a_restart_of_a_closed_session_is_a_200_that_is_an_error_and_connects_instead(fake, driver):
    driver.restart(BOT)
    assert fake.line(BOT).state == "qr"


def test_without_a_licence_no_call_is_served(fake, driver):
    fake.is_licensed = False
    for call in (driver.version, driver.list, lambda: driver.send_text(BOT, ANNA, "x", "ref")):
        with pytest.raises(Unlicensed):
            call()


def test_a_wrong_key_for_a_session_that_is_not_there_looks_like_a_missing_session(fake, driver):
    stranger = Evolution(fake.of_stranger(), pause=lambda seconds: None)
    with pytest.raises(InstanceNotFound):
        stranger.state("nobody")
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_the_code_of_the_moment_comes_again_until_it_is_scanned(fake, driver):
    first, again = driver.connect(BOT), driver.connect(BOT)
    assert isinstance(first, Code)
    assert first == again
