"""What an answer that is no success means, and how little of its text is repeated."""

from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from wa_admin import clock
from wa_admin.drivers.contract import (
    Access,
    BadAnswer,
    BadKey,
    GatewayError,
    InstanceNotFound,
    RateLimited,
    Rejected,
    TimedOut,
)
from wa_admin.drivers.http import MAX_BODY_BYTES, Http, one_line

KEY = "hunter2-of-the-gateway"


@pytest.fixture
def ask():
    """The GatewayError for this answer."""

    def ask(status, **answer):
        transport = httpx.MockTransport(lambda request: httpx.Response(status, **answer))
        http = Http(Access("http://gateway.test", KEY), ("apikey", KEY), transport=transport)
        with pytest.raises(GatewayError) as caught:
            http.call("POST", "/x", seconds=1)
        http.close()
        return caught.value

    return ask


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, BadAnswer),
        (307, BadAnswer),
        (400, Rejected),
        (401, BadKey),
        (403, BadKey),
        (404, InstanceNotFound),
        (408, TimedOut),
        (409, Rejected),
        (413, Rejected),
        (422, Rejected),
        (429, RateLimited),
        (500, BadAnswer),
        (502, BadAnswer),
        (503, BadAnswer),
        (504, TimedOut),
        (599, BadAnswer),
    ],
)
def test_a_status_has_its_place_in_the_table(ask, status, error):
    assert type(ask(status, json={"error": "x"})) is error


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_says_when_is_asked_then(ask, status):
    error = ask(status, headers={"Retry-After": "17"})
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == 17


def test_the_time_to_wait_may_be_a_date(ask):
    date = format_datetime(clock.now() + timedelta(seconds=60), usegmt=True)
    assert ask(503, headers={"Retry-After": date}).retry_after_seconds == pytest.approx(60, abs=3)


@pytest.mark.parametrize(
    ("header", "seconds"), [("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("9" * 40, 86_400), ("0", 0)]
)
def test_a_time_to_wait_is_kept_within_a_day(ask, header, seconds):
    assert ask(429, headers={"Retry-After": header}).retry_after_seconds == seconds


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "٣"])
def test_a_time_to_wait_that_is_none_is_none(ask, header):
    assert ask(429, headers={"Retry-After": header.encode()}).retry_after_seconds in (None, 3)


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>ok</html>", "headers": {"Content-Type": "text/html"}},
        {"text": '{"key":{"id":"A"}}', "headers": {"Content-Type": "text/plain"}},
        {"text": "", "headers": {"Content-Type": "application/json"}},
        {"text": "{'a': 1}", "headers": {"Content-Type": "application/json"}},
        {"content": b'"\xff"', "headers": {"Content-Type": "application/json"}},
        {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
        {"content": b" " * MAX_BODY_BYTES + b"{}", "headers": {"Content-Type": "application/json"}},
        {"content": b"{}", "headers": {"Content-Type": "application/json", "Content-Encoding": "br"}},
        {},
    ],
)
def test_a_success_that_is_not_json_may_have_left(ask, answer):
    error = ask(200, **answer)
    assert isinstance(error, BadAnswer)
    assert error.may_have_left


def test_a_missing_page_of_a_web_server_is_no_missing_session(ask):
    assert type(ask(404, text="<h1>Not Found</h1>", headers={"Content-Type": "text/html"})) is Rejected


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"response": {"message": ['The "x" instance does not exist']}}, 'The "x" instance does not exist'),
        ({"response": {"message": "Unauthorized"}, "error": "Unauthorized"}, "Unauthorized"),
        ({"message": [["numbers is not of a type(s) array"]]}, "numbers is not of a type(s) array"),
        ({"output": {"payload": {"message": "Connection Closed"}}}, "Connection Closed"),
        ({"error": "service not activated", "code": 5}, "service not activated"),
        ({"message": "a\r\nb\x00\t c"}, "a b c"),
        ({"message": "to +62 812-3456-7890 failed"}, "to … failed"),
        ({"message": "4915100000003@s.whatsapp.net"}, "…"),
        ({"message": "code 2@qrPlaceholderRef000003,noisePublicKey= expired"}, "code … expired"),
        ({"message": f"key {KEY} is wrong"}, "key … is wrong"),
        ({"message": {"message": {"message": "deep"}}}, "deep"),
        ([], ""),
        ({}, ""),
        (None, ""),
        (5, ""),
    ],
)
def test_an_error_text_is_one_line_without_secrets_or_numbers(said, line):
    assert one_line(said, KEY) == line


def test_a_long_error_text_is_cut():
    assert len(one_line({"message": ["many words " * 300] * 50})) <= 200


def test_an_endless_nest_of_errors_ends():
    said = {"message": "deepest"}
    for _ in range(500):
        said = {"message": [said]}
    assert one_line(said) == ""


def test_a_body_that_is_not_json_is_never_repeated(ask):
    error = ask(500, text="root:x:0:0", headers={"Content-Type": "text/plain"})
    assert error.detail == "HTTP 500 Internal Server Error"
