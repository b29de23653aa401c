"""Gateways of URLs, as people build them: the quirks of their contract, each survived."""

import json
import logging
from base64 import b64encode
from pathlib import Path

import httpx
import pytest
from fake_gateway import PHONE, STRANGER, picture
from fake_webhook import FakeWebhook

from wa_admin import log
from wa_admin.drivers import make
from wa_admin.drivers.contract import (
    Access,
    BadAnswer,
    BadKey,
    Code,
    Created,
    InstanceNotFound,
    NotConnected,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    State,
    Unsupported,
)

URLS = {name: f"https://flows.test/{name}?key=7" for name in ("create", "connect", "status", "disconnect")}
TOKEN = "tok-0815"
PAYLOADS = Path(__file__).parent / "payloads" / "webhook"
PNG = picture("2@abc")


@pytest.fixture
def gateway(pauses):
    """A driver, and the requests that reached a gateway which gives this answer to everything."""
    made = []

    def start(answer, status=200, urls=None, **headers):
        seen = []

        def serve(request):
            seen.append(request)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            return httpx.Response(status, content=content, headers=headers)

        urls = {**URLS, "send": "https://flows.test/send"} if urls is None else urls
        access = Access("https://flows.test", urls=urls, token_of=lambda instance: TOKEN)
        made.append(make("webhook", access, transport=httpx.MockTransport(serve)))
        made[-1]._pause = pauses.append
        return made[-1], seen

    yield start
    for driver in made:
        driver.close()


@pytest.fixture
def fake():
    with FakeWebhook() as running:
        yield running


@pytest.fixture
def driver(fake):
    driver = make("webhook", fake.access())
    yield driver
    driver.close()


@pytest.fixture
def example(gateway):
    """A driver at a gateway that answers what the contract shows, and what it asked."""

    def start(name):
        said = json.loads((PAYLOADS / f"{name}.json").read_text())
        answer = said["response"]
        driver, seen = gateway(answer["body"], answer["status"], **{"Content-Type": "application/json"})
        return driver, seen, said["request"]

    return start


@pytest.mark.parametrize("name", ["create", "create_n8n"])
def test_a_session_is_created_as_the_contract_shows(example, name):
    driver, seen, asked = example(name)
    assert driver.create("WhatsApp Cobranca") == Created("abc123", TOKEN)
    assert json.loads(seen[0].content) == asked["body"]
    assert TOKEN not in repr(driver.create("WhatsApp Cobranca"))


def test_a_code_comes_as_the_contract_shows(example):
    driver, seen, asked = example("connect")
    assert driver.connect("abc123").image.startswith(b"\x89PNG")
    assert json.loads(seen[0].content) == asked["body"]


def test_a_state_comes_as_the_contract_shows(example):
    driver, _, _ = example("status")
    assert driver.state("abc123") == State("connected", word="connected", number="5511999999999")


def test_a_text_is_sent_as_the_contract_shows(example):
    driver, seen, asked = example("send")
    assert driver.send_text("abc123", "6281234567890", "Halo", "ref") == "wamid-1"
    body = json.loads(seen[0].content)
    assert body == asked["body"] | {"client_message_id": body["client_message_id"]}


@pytest.mark.parametrize(
    ("name", "call", "sentence"),
    [
        ("create_started", lambda driver: driver.create("a"), "reply when it finishes"),
        ("status_inactive", lambda driver: driver.state("abc123"), "not active"),
        ("disconnect_failed", lambda driver: driver.logout("abc123"), "the device is busy"),
    ],
)
def test_a_failure_of_the_contract_says_what_to_do(example, name, call, sentence):
    driver, _, _ = example(name)
    with pytest.raises((BadAnswer, Rejected), match=sentence):
        call(driver)


@pytest.mark.parametrize("name", ["disconnect", "connect_linked"])
def test_what_the_contract_calls_done_is_done(example, name):
    driver, _, asked = example(name)
    done = driver.logout if name == "disconnect" else driver.connect
    assert done("abc123") in (None, State("connected", word="connected"))


def test_one_url_may_serve_all_actions(gateway):
    url = "https://flows.test/x"
    driver, seen = gateway({"status": "connected"}, urls=dict.fromkeys(URLS, url))
    driver.state("a")
    assert str(seen[0].url).startswith(url)


@pytest.mark.parametrize(
    "urls",
    [
        {},
        URLS | {"status": " "},
        URLS | {"create": "ftp://x"},
        URLS | {"create": "https://u:p@x/"},
        URLS | {"send": "//x"},
    ],
)
def test_urls_that_cannot_be_a_gateway_are_refused_at_once(gateway, urls):
    with pytest.raises(ValueError, match="URL"):
        gateway({}, urls=urls)


def test_the_status_query_is_added_to_what_the_url_has_and_percent_encoded(gateway):
    driver, seen = gateway({"status": "connected"})
    driver.state("a b&c")
    assert seen[0].url.query == b"key=7&instance_id=a%20b%26c&token=tok-0815"


def test_every_post_carries_a_request_id(gateway):
    driver, seen = gateway({"success": True, "message_id": "m"})
    driver.logout("a")
    driver.logout("a")
    ids = {request.headers["x-request-id"] for request in seen}
    assert len(ids) == 2


def test_the_same_send_carries_the_same_ids(gateway):
    driver, seen = gateway({"success": True, "message_id": "m"})
    for reference in ("one", "one", "two"):
        driver.send_text("a", "628111222333", "Halo", reference)
    bodies = [json.loads(request.content) for request in seen]
    first, again, other = (body["client_message_id"] for body in bodies)
    assert first == again != other
    assert seen[0].headers["x-request-id"] == first
    assert bodies[0].keys() == {"instance_id", "token", "to", "message", "client_message_id"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda said: said,
        lambda said: [said],
        *[lambda said, key=key: {key: said} for key in ("data", "body", "result", "results")],
    ],
)
def test_a_wrapped_answer_is_opened_once(gateway, wrap):
    driver, _ = gateway(wrap({"instance_id": 17, "token": "t"}))
    assert driver.create("WhatsApp Cobranca") == Created("17", "t")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([{"instance_id": "a", "token": "t"}] * 2, "more than one"),
        ([{"data": {"instance_id": "a", "token": "t"}}], "no instance_id"),
        ({"instance_id": "a", "token": ""}, "token is missing"),
        ({"instance_id": "a"}, "token is missing"),
        ({"instance_id": ["a"], "token": "t"}, "instance_id is not a text"),
        ({"instance_id": True, "token": "t"}, "instance_id is not a text"),
        ({"instance_id": "a" * 256, "token": "t"}, "too long"),
        ({"message": "Workflow was started"}, "reply when it finishes"),
        (3, "no instance_id"),
        (None, "no instance_id"),
    ],
)
def test_an_answer_to_create_that_names_no_session_says_why(gateway, answer, sentence):
    driver, _ = gateway(answer)
    with pytest.raises(BadAnswer, match=sentence):
        driver.create("main")


def test_a_wrapper_is_left_alone_when_the_answer_stands_beside_it(gateway):
    driver, _ = gateway({"status": "connected", "data": {"status": "disconnected"}})
    assert driver.state("a").status == "connected"


def test_json_is_believed_whatever_its_type_says_and_behind_a_mark(gateway):
    driver, _ = gateway(b'\xef\xbb\xbf{"status":"connected"}', **{"Content-Type": "text/html"})
    assert driver.state("a").status == "connected"


def test_what_is_no_json_is_told_by_its_type_and_beginning_without_the_token(gateway):
    page = f"<h1>Oops</h1> token {TOKEN} refused".encode()
    driver, _ = gateway(page, **{"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(BadAnswer, match="text/html: <h1>Oops") as caught:
        driver.state("a")
    assert TOKEN not in caught.value.detail


def test_no_token_is_in_a_refusal_that_repeats_it(gateway):
    driver, _ = gateway({"error": f"bad token {TOKEN}"}, 400, **{"Content-Type": "application/json"})
    with pytest.raises(Rejected, match="bad token …"):
        driver.logout("a")


def test_no_token_is_in_a_failure_that_repeats_it(gateway):
    driver, _ = gateway({"success": False, "error": f"bad token {TOKEN}"})
    with pytest.raises(Rejected, match="bad token …"):
        driver.logout("a")


def test_the_token_in_the_url_of_a_state_is_in_no_log_line(gateway, caplog):
    caplog.set_level(logging.DEBUG)
    driver, _ = gateway({"status": "connected"})
    driver.state("a")
    lines = [log.redact(record.getMessage()) for record in caplog.records]
    assert any("instance_id=a" in line for line in lines)
    assert not any(TOKEN in line for line in lines)


def test_a_timed_out_create_may_have_created(fake, driver):
    driver.write_seconds = 0.2
    fake.fail("hang_after", on="/create")
    with pytest.raises(OutcomeUnknown, match="may have created"):
        driver.create("main")
    assert len(fake.lines) == 1


def test_a_timed_out_send_may_have_left(fake, driver):
    created = driver.create("main")
    driver.connect(created.instance)
    fake.scan(created.instance)
    driver.write_seconds = 0.2
    fake.fail("hang_after", on="/send")
    with pytest.raises(OutcomeUnknown):
        driver.send_text(created.instance, "628111222333", "Halo", "ref")
    assert [sent.text for sent in fake.sent] == ["Halo"]


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        (b64encode(PNG).decode(), Code(None, lifetime_seconds=60, image=PNG)),
        (b64encode(PNG).decode().rstrip("="), Code(None, lifetime_seconds=60, image=PNG)),
        (f"data:image/jpeg;base64,\n {b64encode(PNG).decode()}", Code(None, lifetime_seconds=60, image=PNG)),
        ("2@abc,def,ghi=,jkl=", Code("2@abc,def,ghi=,jkl=", lifetime_seconds=60)),
        (" https://wa.me/x#2@a", Code("https://wa.me/x#2@a", lifetime_seconds=60)),
    ],
)  # fmt: skip
def test_a_qr_code_comes_as_base64_as_a_data_uri_or_as_its_text(gateway, drawn, code):
    driver, _ = gateway({"qr_code_base64": drawn})
    assert driver.connect("a") == code


@pytest.mark.parametrize(
    "drawn",
    [
        b64encode(b"<svg onload=alert(1)>").decode(),
        "data:image/svg+xml;base64," + b64encode(b"<svg/>").decode(),
        "https://cdn.test/qr.png",
        "not base64 !",
        b64encode(PNG[:8] + bytes(512 * 1024)).decode(),
        17,
    ],
)
def test_what_is_no_picture_is_no_qr_code(gateway, drawn):
    driver, _ = gateway({"qr_code_base64": drawn})
    with pytest.raises(BadAnswer, match=r"not a QR image|qr_code_base64 is not a text"):
        driver.connect("a")


@pytest.mark.parametrize("said", [{"status": "connected"}, {"status": "connected", "qr_code_base64": None}])
def test_what_is_linked_already_needs_no_code(gateway, said):
    driver, _ = gateway(said)
    assert driver.connect("a") == State("connected", word="connected")


def test_a_gateway_without_a_code_is_asked_again_for_half_a_minute(gateway, pauses):
    driver, seen = gateway({"status": "connecting"})
    with pytest.raises(NotConnected, match="no QR code"):
        driver.connect("a")
    assert pauses == [3.0] * 10
    assert len(seen) == 11


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("connected", State("connected", word="connected")),
        ("Logged In", State("connected", word="logged_in")),
        (True, State("connected", word="true")),
        ("connecting", State("qr_pending", word="connecting")),
        ("SCAN-QR-CODE", State("qr_pending", word="scan_qr_code")),
        ("reconnecting", State("connecting", word="reconnecting")),
        ("disconnected", State("disconnected", word="disconnected")),
        ("logged_out", State("disconnected", "logged_out", "logged_out")),
        ("not connected", State("disconnected", word="not_connected")),
        (False, State("disconnected", word="false")),
        ("fine", State(None, word="fine")),
        ("", State(None)),
    ],
)
def test_status_words_are_known_in_any_spelling_and_an_unknown_one_concludes_nothing(gateway, word, state):
    driver, _ = gateway({"status": word})
    assert driver.state("a") == state


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("5511999999999", "5511999999999"),
        ("+62 (812) 3456-7890", "6281234567890"),
        ("6281234567890:7@s.whatsapp.net", "6281234567890"),
        (6281234567890, "6281234567890"),
        ("123", None),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_a_phone_number_is_put_right_or_ignored(gateway, said, number):
    driver, _ = gateway({"status": "connected", "phone_number": said})
    assert driver.state("a").number == number


@pytest.mark.parametrize("field", ["status", "phone_number"])
def test_a_field_of_a_wrong_type_is_named(gateway, field):
    driver, _ = gateway({"status": "connected", field: {}})
    with pytest.raises(BadAnswer, match=f"{field} is not a text"):
        driver.state("a")


@pytest.mark.parametrize(
    ("answer", "status"), [({"success": True}, 200), (b"", 200), (b"", 204), ({}, 404), ({}, 410)]
)
def test_a_disconnect_succeeds_when_there_is_nothing_left_to_disconnect(gateway, answer, status):
    driver, seen = gateway(answer, status)
    driver.delete("a")
    assert json.loads(seen[0].content) == {"instance_id": "a", "token": TOKEN}


@pytest.mark.parametrize("said", [{"success": False, "message": "busy"}, {"success": "true"}, {"success": 1}])
def test_a_disconnect_succeeds_only_when_it_says_so(gateway, said):
    driver, _ = gateway(said)
    with pytest.raises(Rejected):
        driver.logout("a")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Rejected), (422, Rejected), (401, BadKey), (403, BadKey), (404, InstanceNotFound),
     (410, InstanceNotFound), (429, RateLimited), (500, BadAnswer), (302, BadAnswer)],
)  # fmt: skip
def test_a_status_of_http_has_its_meaning(gateway, status, error):
    driver, _ = gateway({"error": "no"}, status, **{"Content-Type": "application/json"})
    with pytest.raises(error):
        driver.state("a")


def test_told_to_wait_without_a_time_is_a_minute(gateway):
    driver, _ = gateway({}, 429)
    with pytest.raises(RateLimited) as caught:
        driver.send_text("a", "1", "x", "ref")
    assert caught.value.retry_after_seconds == 60


def test_a_workflow_that_is_not_active_is_no_missing_session(gateway):
    said = {"code": 404, "message": 'The requested webhook "GET x" is not registered.'}
    driver, _ = gateway(said, 404, **{"Content-Type": "application/json"})
    with pytest.raises(Rejected, match="not active"):
        driver.state("a")


def test_a_missing_page_to_create_is_no_missing_session(gateway):
    driver, _ = gateway({}, 404)
    with pytest.raises(Rejected, match="nothing answers"):
        driver.create("main")


def test_without_a_url_to_send_it_cannot(gateway):
    driver, seen = gateway({}, urls=URLS)
    with pytest.raises(Unsupported):
        driver.send_text("a", "1", "x", "ref")
    assert not seen


def test_a_send_that_succeeded_without_an_id_has_ours(gateway):
    driver, seen = gateway({"success": True})
    found = driver.send_text("a", "1", "x", "ref")
    assert found == json.loads(seen[0].content)["client_message_id"]


def test_a_test_touches_no_session_and_checks_the_header(fake, driver):
    assert driver.version() == ""
    assert fake.asked[0].query["instance_id"] not in fake.lines
    stranger = make("webhook", fake.of_stranger())
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_a_page_of_a_web_server_is_no_gateway(gateway):
    driver, _ = gateway(b"<html>It works!</html>", **{"Content-Type": "text/html"})
    with pytest.raises(BadAnswer):
        driver.version()


def test_what_its_builder_says_of_a_message_is_handed_on(fake, driver):
    created = driver.create("main")
    driver.connect(created.instance)
    fake.scan(created.instance)
    assert driver.state(created.instance) == State("connected", word="connected", number=PHONE)
    with pytest.raises(Rejected, match="not on WhatsApp"):
        driver.send_text(created.instance, STRANGER, "x", "ref")
