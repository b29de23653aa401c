"""What every driver keeps to, tried on recorded answers of a real Evolution API.

`gateway("sendText_ok")` is a driver, and behind it a gateway that answers just that.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wa_admin.drivers import DRIVERS, make
from wa_admin.drivers.contract import (
    CAPABILITIES,
    Access,
    Attached,
    BadAnswer,
    BadKey,
    Checked,
    Code,
    InstanceNotFound,
    NotConnected,
    NotOnWhatsApp,
    Rejected,
    Remote,
    State,
    Unsupported,
)
from wa_admin.drivers.signatures import token_of

BOT = "Totale Bot"
HOOK = "http://panel.example:9099/hook"
TEXT = "Hello from the panel"
TOKEN = {"Authorization": token_of(BOT, "sign-key")}


@pytest.fixture(params=["bundled", "evolution"])
def kind(request):
    return request.param


@pytest.fixture
def gateway(kind, replay):
    return lambda *names: replay(kind, *names)


def test_it_says_what_it_is(kind):
    driver = DRIVERS[kind]
    assert driver.kind == kind
    assert driver.capabilities <= set(CAPABILITIES)


def test_it_is_made_by_its_kind(kind):
    driver = make(kind, Access("http://127.0.0.1:1", "key"))
    driver.close()
    assert type(driver) is DRIVERS[kind]


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "//x", "http://u:p@x", "http://x/?a=1", "http://[", "http://x:99999", ""]
)
def test_a_bad_url_is_refused_at_once(kind, url):
    with pytest.raises(ValueError, match="URL"):
        make(kind, Access(url, "key"))


def test_the_version_is_told_to_who_has_the_key(gateway):
    driver, _ = gateway("verify_creds", "root")
    assert driver.version() == "2.3.6"


def test_the_version_is_not_told_with_a_wrong_key(gateway):
    driver, _ = gateway("verify_creds_bad", "root")
    with pytest.raises(BadKey) as caught:
        driver.version()
    assert caught.value.permanent
    assert not caught.value.may_have_left


def test_every_request_carries_the_key(gateway):
    driver, seen = gateway("verify_creds", "root")
    driver.version()
    assert {request.headers["apikey"] for request in seen.requests} == {"gateway-key-of-the-tests"}


def test_a_session_is_created(gateway):
    driver, seen = gateway("create_qr")
    driver.create(BOT)
    assert seen.body()["instanceName"] == BOT


def test_creating_what_is_there_is_fine(gateway):
    driver, _ = gateway("create_duplicate", "connectionState_never_connected")
    driver.create("probe-plain")


def test_creating_with_a_wrong_key_is_not_fine(gateway, record):
    driver, seen = gateway("create_duplicate_bad_key")
    refusal = record("auth_bad_key")["response"]
    seen.say("GET /instance/connectionState/probe-plain", refusal["body"], refusal["status"])
    with pytest.raises(BadKey):
        driver.create("probe-plain")


@pytest.mark.parametrize("instance", ["", " bot", "bot "])
def test_a_name_that_cannot_be_used_is_refused_before_it_is_sent(gateway, instance):
    driver, seen = gateway()
    with pytest.raises(Rejected):
        driver.create(instance)
    assert not seen.requests


def test_connecting_shows_a_code(gateway):
    driver, _ = gateway("connect_qr", "fetchInstances_after_qr_limit")
    code = driver.connect(BOT)
    assert isinstance(code, Code)
    assert code.qr.startswith("2@")
    assert code.sequence == 1
    assert code.pairing_code is None


def test_a_code_is_not_in_its_own_repr(gateway):
    driver, _ = gateway("connect_pairing", "fetchInstances_after_qr_limit")
    code = driver.connect("coded")
    assert code.qr not in repr(code)
    assert code.pairing_code not in repr(code)


def test_connecting_what_is_connected_says_so(gateway):
    driver, _ = gateway("connect_when_open")
    assert driver.connect(BOT) == State("connected", word="open")


def test_connecting_without_a_code_yet_is_a_state(gateway):
    driver, _ = gateway("connect_unreachable")
    assert driver.connect("probe off") == State("connecting", word="connecting")


def test_a_pairing_code_is_given_for_a_number(gateway):
    driver, seen = gateway("connect_pairing")
    seen.say("GET /instance/connectionState/coded", {"instance": {"state": "close"}})
    assert driver.pair("coded", "4915100000030").pairing_code == "TB78F2KW"
    assert seen.requests[-1].url.params["number"] == "4915100000030"


@pytest.mark.parametrize(
    ("name", "instance", "status"),
    [
        ("connectionState_open", BOT, "connected"),
        ("connectionState_connecting", BOT, "connecting"),
        ("connectionState_never_connected", "probe-plain", "disconnected"),
        ("connectionState_unreachable", "probe off", "disconnected"),
        ("connectionState_during_startup", "coded", None),
    ],
)
def test_the_state_is_told_in_our_words(gateway, name, instance, status):
    driver, _ = gateway(name)
    assert driver.state(instance).status == status


def test_an_unknown_session_is_not_found(gateway):
    driver, _ = gateway("unknown_instance_connectionState", "unknown_instance_sendText")
    with pytest.raises(InstanceNotFound):
        driver.state("nope")
    with pytest.raises(InstanceNotFound) as caught:
        driver.send_text("nope", "1", "x", "ref")
    assert not caught.value.may_have_left


def test_a_route_that_the_gateway_does_not_have_is_unsupported(gateway, record):
    driver, seen = gateway()
    refusal = record("unknown_route")["response"]
    seen.say("GET /instance/fetchInstances", refusal["body"], refusal["status"])
    with pytest.raises(Unsupported):
        driver.list()


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("restart_when_open", BOT),
        ("restart_connecting_qr", "probe-plain"),
        ("restart_unreachable", "probe off"),
    ],
)
def test_a_session_is_restarted(gateway, name, instance):
    driver, seen = gateway(name)
    driver.restart(instance)
    assert len(seen.requests) == 1


def test_a_closed_session_is_restarted_by_connecting_it(gateway):
    driver, seen = gateway("restart_when_close")
    seen.say("GET /instance/connect/probe-plain", {"count": 0})
    driver.restart("probe-plain")
    assert seen.routes == ["POST /instance/restart/probe-plain", "GET /instance/connect/probe-plain"]


def test_a_session_is_unlinked(gateway):
    driver, seen = gateway(
        "logout_open", "webhook_find_none", "delete_open", "connectionState_after_delete", "create_qr"
    )
    seen.say("GET /webhook/find/Totale%20Bot", None)
    driver.logout(BOT)
    assert seen.routes[0] == "DELETE /instance/logout/Totale%20Bot"


def test_a_deleted_session_is_gone_and_its_webhook_silent_before(gateway):
    driver, seen = gateway("webhook_find", "webhook_set", "delete_open", "connectionState_after_delete")
    driver.delete(BOT)
    assert seen.routes[:3] == [
        "GET /webhook/find/Totale%20Bot",
        "POST /webhook/set/Totale%20Bot",
        "DELETE /instance/delete/Totale%20Bot",
    ]
    assert seen.body(1) == {"webhook": {"enabled": False, "url": HOOK}}


def test_a_session_that_stays_is_not_called_deleted(gateway):
    driver, seen = gateway("webhook_find", "webhook_set", "delete_open", "connectionState_open")
    with pytest.raises(BadAnswer, match="still there"):
        driver.delete(BOT)
    assert len(seen.requests) > 5


def test_deleting_what_is_not_there_is_fine(gateway, record):
    driver, seen = gateway()
    refusal = record("unknown_instance_connectionState")["response"]
    seen.say("GET /webhook/find/nope", refusal["body"], refusal["status"])
    driver.delete("nope")


def test_sessions_are_listed_without_their_secrets(gateway):
    driver, _ = gateway("fetchInstances_open")
    assert driver.list() == [Remote(BOT, "4915100000001", None)]


def test_an_empty_gateway_lists_nothing(gateway):
    driver, _ = gateway("fetchInstances_empty")
    assert driver.list() == []


def test_the_webhook_is_found_and_without_our_token_is_none_of_ours(gateway, record):
    driver, seen = gateway("webhook_find")
    seen.say(
        "GET /webhook/find/Totale%20Bot", record("webhook_find")["response"]["body"] | {"headers": TOKEN}
    )
    found, ours = driver.webhook(BOT), driver.webhook(BOT)
    assert found.url == HOOK
    assert found.events == {"QRCODE_UPDATED", "CONNECTION_UPDATE", "MESSAGES_UPSERT"}
    assert ours.is_enabled and not found.is_enabled


def test_no_webhook_is_none(gateway):
    driver, _ = gateway("webhook_find_none")
    assert driver.webhook("probe-plain") is None


def test_a_webhook_is_set_for_the_events_that_are_read(gateway, kind, record):
    driver, seen = gateway()
    answer = record("webhook_set")["response"]["body"] | {"headers": TOKEN}
    seen.say("POST /webhook/set/Totale%20Bot", answer, 201)
    driver.set_webhook(BOT, HOOK)
    hook = seen.body()["webhook"]
    assert set(hook.pop("events")) == DRIVERS[kind].hook_events
    assert hook == {"enabled": True, "url": HOOK, "headers": TOKEN, "byEvents": False, "base64": False}


def test_a_gateway_that_keeps_no_headers_is_not_called_set_up(gateway, record):
    driver, seen = gateway()
    seen.say(
        "POST /webhook/set/Totale%20Bot", record("webhook_set")["response"]["body"] | {"headers": None}, 201
    )
    with pytest.raises(Rejected):
        driver.set_webhook(BOT, HOOK)


def test_a_text_is_sent_and_its_id_comes_back(gateway):
    driver, seen = gateway("sendText_ok")
    assert driver.send_text(BOT, "4915100000003", TEXT, "ref-1") == "3EB09F77B5330221B9B456"
    assert seen.body() == {"number": "4915100000003", "text": TEXT, "linkPreview": False}


@pytest.mark.parametrize(
    ("name", "instance", "error"),
    [
        ("sendText_not_on_whatsapp", BOT, NotOnWhatsApp),
        ("sendText_never_connected", "probe-plain", NotConnected),
        ("sendText_while_disconnected", BOT, NotConnected),
        ("sendText_logged_out", "coded", NotConnected),
        ("sendText_unreachable", "probe off", NotConnected),
        ("sendText_empty_text", "probe-plain", Rejected),
        ("sendText_missing_text", "probe-plain", Rejected),
        ("sendText_number_not_string", "probe-plain", Rejected),
        ("sendText_number_garbage", "coded", Rejected),
        ("sendText_group_unknown", "coded", Rejected),
    ],
)
def test_a_text_that_certainly_did_not_leave_says_why(gateway, name, instance, error):
    driver, _ = gateway(name)
    with pytest.raises(error) as caught:
        driver.send_text(instance, "4915100000003", "x", "ref-1")
    assert type(caught.value) is error
    assert not caught.value.may_have_left
    assert caught.value.permanent == (error is not NotConnected)


@pytest.mark.parametrize("kind_of_file", ["image", "document"])
def test_a_file_is_sent_as_bare_base64(gateway, kind_of_file):
    driver, seen = gateway(f"sendMedia_{kind_of_file}_base64")
    attached = Attached(kind_of_file, b"%PDF-1.4\n%%EOF\n", "application/pdf", "offer.pdf")
    assert driver.send_media(BOT, "4915100000003", "the offer", attached, "ref-2").startswith("3EB0")
    assert seen.body() == {
        "number": "4915100000003",
        "mediatype": kind_of_file,
        "media": "JVBERi0xLjQKJSVFT0YK",
        "mimetype": "application/pdf",
        "fileName": "offer.pdf",
        "caption": "the offer",
    }


def test_a_file_while_nothing_was_ever_connected_did_not_leave(gateway):
    driver, _ = gateway("sendMedia_never_connected")
    with pytest.raises(NotConnected):
        driver.send_media("probe-plain", "1", "", Attached("image", b"x", "image/png", "x.png"), "ref-3")


def test_numbers_are_checked_and_come_back_in_the_order_asked(gateway):
    driver, _ = gateway("whatsappNumbers")
    asked = ["4915100000002", "+49 151 99999999", "120363000000000000@g.us"]
    assert driver.check_numbers(BOT, asked) == [
        Checked("4915100000002", True, "4915100000002@s.whatsapp.net"),
        Checked("+49 151 99999999", False, "4915199999999@s.whatsapp.net"),
        Checked("120363000000000000@g.us", False, "120363000000000000@g.us"),
    ]


def test_a_number_without_an_answer_is_not_taken_for_a_no(gateway):
    driver, _ = gateway("whatsappNumbers")
    with pytest.raises(BadAnswer):
        driver.check_numbers(BOT, ["62811"])


@pytest.mark.parametrize(
    ("name", "instance", "error"),
    [
        ("whatsappNumbers_never_connected", "probe-plain", NotConnected),
        ("whatsappNumbers_logged_out", "coded", NotConnected),
        ("whatsappNumbers_bad_body", "probe-plain", Rejected),
    ],
)
def test_numbers_that_cannot_be_checked_say_why(gateway, name, instance, error):
    driver, _ = gateway(name)
    with pytest.raises(error):
        driver.check_numbers(instance, ["4915"])


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"3", b"\xff", b'{"event":1,"instance":"x"}', b'{"event":"x"}', b"[" * 200_000],
)
def test_a_webhook_that_is_none_is_a_bad_answer(gateway, body):
    driver, _ = gateway()
    with pytest.raises(BadAnswer):
        driver.read_events(body)


def test_the_readme_says_what_each_gateway_can():
    names = ["bundled", "evolution", "waha", "gowa", "wa_gateway", "wwebjs", "webhook"]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = readme.partition("## Gateways")[2].partition("| QR code")[2].splitlines()[: len(CAPABILITIES)]
    told = [[cell.strip() == "yes" for cell in row.split("|")[-8:-1]] for row in rows]
    assert [[ability in DRIVERS[name].capabilities for name in names] for ability in CAPABILITIES] == told


def test_what_whatsapp_said_of_a_message_can_be_asked_for_later(gateway):
    driver, asked = gateway("findStatusMessage")
    seen = driver.receipts_of("Totale Bot", "3EB09F77B5330221B9B456")
    assert [(one.instance, one.kind) for one in seen] == [("Totale Bot", "delivered"), ("Totale Bot", "read")]
    assert driver.receipts_of("Totale Bot", "3EB0") == []
