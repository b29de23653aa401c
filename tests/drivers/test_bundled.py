"""What the bundled gateway says beyond Evolution."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from wa_admin.drivers.contract import (
    Code,
    InstanceNotFound,
    NotConnected,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    State,
    StateSeen,
    TimedOut,
    Unsupported,
)

STATE = "GET /instance/connectionState/main"
SEND = "POST /message/sendText/main"
CODE = {
    "pairingCode": None,
    "code": "2@abc",
    "base64": "data:image/png;base64,AAAA",
    "count": 2,
    "expiresAt": "2026-11-21T12:00:20.000Z",
    "lifetimeSeconds": 20.0,
}


@pytest.fixture
def gateway(replay):
    return replay("bundled")


def _error(message, **more):
    return {"error": "…", "response": {"message": message}, **more}


def test_a_reference_travels_with_the_send(replay):
    driver, seen = replay("bundled", "sendText_ok")
    driver.send_text("Totale Bot", "1", "x", "message-7")
    assert seen.requests[0].headers["x-reference"] == "message-7"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "OUTCOME_UNKNOWN", OutcomeUnknown),
        (504, "OUTCOME_UNKNOWN", TimedOut),
        (500, "NOT_CONNECTED", NotConnected),
        (400, "REJECTED", Rejected),
        (400, "UNSUPPORTED", Unsupported),
    ],
)
def test_its_codes_decide_what_became_of_a_send(gateway, status, code, error):
    driver, seen = gateway
    seen.say(SEND, _error(["unknown outcome"], code=code), status)
    with pytest.raises(error) as caught:
        driver.send_text("main", "1", "x", "ref")
    assert caught.value.may_have_left == (error in (TimedOut, OutcomeUnknown))


def test_a_busy_gateway_is_asked_later(make_driver):
    answer = httpx.Response(
        503, json=_error(["too many sends at once"], code="BUSY"), headers={"Retry-After": "5"}
    )
    driver = make_driver("bundled", lambda request: answer)
    with pytest.raises(RateLimited) as caught:
        driver.send_text("main", "1", "x", "ref")
    assert caught.value.retry_after_seconds == 5


def test_a_missing_session_is_believed_at_once(gateway, pauses):
    driver, seen = gateway
    seen.say(STATE, _error(['The "main" instance does not exist']), 404)
    with pytest.raises(InstanceNotFound):
        driver.state("main")
    assert not pauses


def test_the_life_of_a_code_is_what_the_gateway_says(gateway):
    driver, seen = gateway
    seen.say("GET /instance/connect/main", CODE)
    expires_at = datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)
    assert driver.connect("main") == Code("2@abc", None, 2, expires_at, 20)


@pytest.mark.parametrize("odd", [1e300, -1, "20", None])
def test_a_code_that_lives_no_possible_time_has_none(gateway, odd):
    driver, seen = gateway
    seen.say("GET /instance/connect/main", CODE | {"lifetimeSeconds": odd})
    assert driver.connect("main").lifetime_seconds is None


def test_a_pairing_code_may_come_while_codes_are_shown(gateway):
    driver, seen = gateway
    seen.say("GET /instance/connect/main", CODE | {"pairingCode": "TB78F2KW"})
    assert driver.pair("main", "628111").pairing_code == "TB78F2KW"
    assert seen.requests[0].url.params["number"] == "628111"


def test_a_number_it_cannot_pair_is_rejected(gateway):
    driver, seen = gateway
    seen.say("GET /instance/connect/main", _error(["number is not a phone number"]), 400)
    with pytest.raises(Rejected):
        driver.pair("main", "1")


def test_stopping_keeps_the_login(gateway):
    driver, seen = gateway
    seen.say("POST /instance/stop/main", {"status": "SUCCESS", "error": False})
    driver.stop("main")
    assert seen.routes == ["POST /instance/stop/main"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "close", "reason": "banned"}, State("disconnected", "banned", "close")),
        ({"state": "close", "reason": "stopped"}, State("disconnected", "stopped", "close")),
        ({"state": "connecting", "reason": "network"}, State("connecting", "network", "connecting")),
        (
            {"state": "connecting", "reason": None, "qrcode": {"count": 1}},
            State("qr_pending", None, "connecting"),
        ),
        (
            {"state": "open", "reason": None, "number": "628111", "profileName": "Sari"},
            State("connected", None, "open", "628111", "Sari"),
        ),
        ({"state": "close", "reason": "crashed"}, State("disconnected", None, "crashed")),
    ],
)
def test_its_states_carry_their_reason(gateway, said, state):
    driver, seen = gateway
    seen.say(STATE, {"instance": {"instanceName": "main", **said}})
    assert driver.state("main") == state


def test_a_login_that_is_offline_cannot_be_unlinked_there(gateway):
    driver, seen = gateway
    seen.say("DELETE /instance/logout/main", _error(['The "main" instance is not connected']), 400)
    seen.say(STATE, {"instance": {"state": "close", "number": "628111"}})
    with pytest.raises(NotConnected):
        driver.logout("main")


def test_unlinking_what_is_not_linked_is_fine(gateway):
    driver, seen = gateway
    seen.say("DELETE /instance/logout/main", _error(['The "main" instance is not connected']), 400)
    seen.say(STATE, {"instance": {"state": "close", "number": None}})
    driver.logout("main")
    assert seen.routes == ["DELETE /instance/logout/main", STATE]


def test_its_clock_is_believed_and_a_ban_has_an_end(gateway):
    driver, _ = gateway
    event = {
        "event": "connection.update",
        "instance": "main",
        "date_time": "2026-11-21T12:00:00.000Z",
        "data": {
            "instance": "main",
            "state": "close",
            "statusReason": 403,
            "reason": "banned",
            "number": "628111",
            "banExpiresAt": "2026-11-22T12:00:00.000Z",
        },
    }
    ends_at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    state = State("disconnected", "banned", "close", "628111", ban_ends_at=ends_at)
    seen_at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert driver.read_events(json.dumps(event).encode()) == [StateSeen("main", state, seen_at)]
