"""The quirks of GOWA, each survived, against a server that has them."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_gateway import ANNA, PHONE, STRANGER, Panel
from fake_gowa import CHALLENGE, OFFLINE, FakeGowa

from wa_admin.drivers.contract import (
    Attached,
    BadAnswer,
    BadKey,
    Checked,
    Code,
    InstanceNotFound,
    MessageSeen,
    NotConnected,
    NotOnWhatsApp,
    RateLimited,
    ReceiptSeen,
    Rejected,
    Remote,
    TimedOut,
    Unsupported,
)
from wa_admin.drivers.gowa import Gowa

PAYLOADS = Path(__file__).parent / "payloads" / "gowa"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOOK = "https://panel.example/hooks/1/secret"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def gateway():
    with FakeGowa() as running:
        yield running


@pytest.fixture
def driver(gateway):
    driver = Gowa(gateway.access(), now=lambda: NOW)
    yield driver
    driver.close()


@pytest.fixture
def made(driver):
    driver.create("main")
    return "main"


@pytest.fixture
def linked(gateway, driver, made):
    driver.connect(made)
    gateway.scan(made)
    return made


def payload(name):
    return (PAYLOADS / f"{name}.json").read_bytes()


def old(gateway):
    """Before per-device webhooks, passkeys and /app/info."""
    gateway.version, gateway.has_device_hooks = "v8.7.0", False


# --- server and auth ---


def test_its_version_is_told_without_its_letter(driver):
    assert driver.version() == "9.2.0"


def test_a_wrong_password_is_answered_in_plain_text(gateway):
    stranger = Gowa(gateway.of_stranger())
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_a_session_that_is_down_has_the_status_of_a_wrong_password(gateway, driver, linked):
    gateway.drop(linked)
    with pytest.raises(NotConnected):
        driver.send_text(linked, ANNA, "Halo", "ref-1")


def test_version_8_does_not_tell_more(gateway, driver):
    gateway.version = "v8.11.0"
    assert driver.version() == "8"
    assert driver.offers() == Gowa.capabilities


def test_before_8_10_webhooks_of_a_device_and_passkeys_are_lacking(gateway, driver):
    old(gateway)
    driver.version()
    assert Gowa.capabilities - driver.offers() == {"set_webhook", "passkey"}


def test_before_8_10_setting_a_webhook_says_where_it_is_set(gateway, driver, made):
    old(gateway)
    with pytest.raises(Unsupported, match="WHATSAPP_WEBHOOK"):
        driver.set_webhook(made, HOOK)


def test_before_8_nothing_is_driven(gateway, driver):
    gateway.fail((404, "Cannot GET", {"Content-Type": "text/plain"}))
    with pytest.raises(Unsupported):
        driver.version()


# --- devices ---


@pytest.mark.parametrize("name", ["", "two words", "a/b", "toko.1"])
def test_a_name_that_cannot_be_a_path_is_refused_before_it_is_sent(gateway, driver, name):
    with pytest.raises(Rejected):
        driver.create(name)
    assert gateway.asked == []


def test_creating_what_is_there_is_fine_in_spite_of_its_500(driver, made):
    driver.create(made)


def test_an_unknown_device_is_a_500_with_a_text(driver):
    for ask in (driver.state, driver.restart, driver.logout):
        with pytest.raises(InstanceNotFound):
            ask("nobody")


def test_an_unknown_device_is_a_404_elsewhere(driver):
    for ask in (driver.webhook, lambda name: driver.send_text(name, ANNA, "Halo", "ref-1")):
        with pytest.raises(InstanceNotFound):
            ask("nobody")


@pytest.mark.parametrize("link", [Gowa.connect, lambda driver, name: driver.pair(name, PHONE)])
def test_linking_what_is_not_there_does_not_create_it(gateway, driver, link):
    with pytest.raises(InstanceNotFound):
        link(driver, "nobody")
    assert "nobody" not in gateway.lines


def test_deleting_what_is_not_there_is_fine(driver):
    driver.delete("nobody")


def test_no_device_is_null_and_lists_nothing(driver):
    assert driver.list() == []


def test_devices_are_listed_but_for_those_whose_id_no_path_can_hold(gateway, driver, linked):
    gateway.create(Asking({"device_id": "two words"}))
    assert driver.list() == [Remote("main", PHONE, "Sari")]


class Asking:
    """As much of a request as creating needs."""

    def __init__(self, body):
        self.body = body


# --- linking ---


def test_the_code_is_fetched_from_our_own_url_as_a_picture(gateway, driver, made):
    code = driver.connect(made)
    assert isinstance(code, Code)
    assert code.qr is None
    assert code.image.startswith(PNG)
    assert gateway.asked[-1].path.startswith("/statics/qrcode/")


def test_a_code_lives_twice_as_long_as_is_told(driver, made):
    code = driver.connect(made)
    assert (code.lifetime_seconds, code.expires_at) == (60, NOW + timedelta(seconds=60))


def test_the_prefix_of_a_proxy_is_in_our_url_only(gateway, made):
    driver = Gowa(gateway.access(base_url=f"{gateway.url}/wa"))
    link = "http://inside:3000/gowa/statics/qrcode/scan-qr-1.png"
    gateway.fail((200, {"results": {"id": "main", "state": "disconnected"}}), "/wa/devices/main$")
    gateway.fail((200, {"results": {"qr_link": link, "qr_duration": 30}}), "/login$")
    gateway.fail((200, PNG, {"Content-Type": "image/png"}), "^GET /wa/statics/qrcode/scan-qr-1.png$")
    assert driver.connect("main").image == PNG
    driver.close()


@pytest.mark.parametrize(
    "link", ["", "http://evil.example/x.png", "http://h/statics/qrcode/../../devices", None]
)
def test_a_link_to_anything_but_a_code_is_not_followed(gateway, driver, made, link):
    gateway.fail((200, {"results": {"qr_link": link, "qr_duration": 30}}), "/login$")
    with pytest.raises(BadAnswer):
        driver.connect(made)


@pytest.mark.parametrize("content", [b"<svg onload='x'>", b"", PNG + b"x" * 600_000])
def test_what_is_no_picture_is_no_code(gateway, driver, made, content):
    gateway.fail((200, content, {"Content-Type": "image/png"}), "/statics/")
    with pytest.raises(BadAnswer):
        driver.connect(made)


def test_a_picture_that_is_gone_already_can_be_asked_for_again(gateway, driver, made):
    gateway.fail((404, "gone", {"Content-Type": "text/plain"}), "/statics/", times=1)
    with pytest.raises(NotConnected):
        driver.connect(made)
    assert driver.connect(made).image


def test_connected_is_not_logged_in(driver, made):
    driver.connect(made)
    state = driver.code(made)
    assert (state.word, state.status, state.number) == ("connected", "qr_pending", None)


def test_asking_for_the_code_starts_nothing(gateway, driver, made):
    driver.code(made)
    assert not any(asked.path.endswith("/login") for asked in gateway.asked)


def test_logged_in_is_connected(driver, linked):
    state = driver.state(linked)
    assert (state.status, state.number, state.profile_name) == ("connected", PHONE, "Sari")


@pytest.mark.parametrize("told", ["disconnected", "logged_in"])
def test_a_stored_login_is_reconnected_and_not_scanned(gateway, driver, linked, told):
    gateway.drop(linked)
    if told == "logged_in":  # it came back between our question and the login
        gateway.fail((200, {"results": {"id": linked, "state": "disconnected"}}), "/devices/main$", times=1)
    assert driver.connect(linked).status == "connecting"
    assert driver.state(linked).status == "connected"


def test_a_login_that_is_there_already_is_no_error(gateway, driver, linked):
    gateway.fail((200, {"results": {"id": linked, "state": "disconnected"}}), "/devices/main$", times=1)
    assert driver.connect(linked).status == "connected"


def test_an_unlinked_device_keeps_its_slot_and_says_so(gateway, driver, linked):
    gateway.unlink(linked)
    state = driver.state(linked)
    assert (state.status, state.reason, state.number) == ("disconnected", "logged_out", None)


def test_a_dropped_device_is_no_unlinked_one(gateway, driver, linked):
    gateway.drop(linked)
    assert (driver.state(linked).reason, driver.state(linked).number) == (None, PHONE)


def test_an_unknown_word_concludes_nothing(gateway, driver, made):
    gateway.fail((200, {"results": {"id": made, "state": "warming"}}), "/devices/main$")
    assert (driver.state(made).status, driver.state(made).word) == (None, "warming")


def test_a_pairing_code_is_given_for_a_number(gateway, driver, made):
    code = driver.pair(made, PHONE)
    assert (code.pairing_code, code.lifetime_seconds) == ("ABCD1234", 160)
    assert gateway.asked[-1].query == {"phone": PHONE}


def test_a_linked_device_needs_no_pairing_code(gateway, driver, linked):
    with pytest.raises(Rejected):
        driver.pair(linked, PHONE)
    gateway.drop(linked)
    with pytest.raises(NotConnected):
        driver.pair(linked, PHONE)


def test_a_passkey_is_asked_for_signed_compared_and_confirmed(gateway, driver, made):
    driver.connect(made)
    gateway.ask_passkey(made)
    assert (driver.code(made).status, driver.code(made).reason) == ("connecting", "passkey_required")
    assert driver.passkey_challenge(made) == CHALLENGE
    driver.answer_passkey(made, {"id": "AX8", "type": "public-key"})
    assert driver.code(made).passkey_code == "1234"
    driver.confirm_passkey(made)
    assert driver.state(made).status == "connected"


def test_a_passkey_that_nobody_asks_for_is_refused(driver, made):
    for step in (driver.passkey_challenge, driver.confirm_passkey):
        with pytest.raises(Rejected):
            step(made)


def test_a_version_without_passkeys_waits_for_the_scan_all_the_same(gateway, driver, made):
    old(gateway)
    driver.connect(made)
    assert driver.code(made).status == "qr_pending"


def test_it_cannot_go_offline_and_keep_its_login(driver, linked):
    with pytest.raises(Unsupported):
        driver.stop(linked)


def test_restarting_needs_a_stored_login(gateway, driver, made):
    with pytest.raises(NotConnected):
        driver.restart(made)


# --- webhooks of a device ---


def test_the_webhook_is_set_signed_and_read_back(gateway, driver, made):
    driver.set_webhook(made, HOOK)
    hook = driver.webhook(made)
    assert (hook.url, hook.is_enabled, hook.events) == (HOOK, True, Gowa.hook_events)
    assert gateway.line(made).more["hook"]["webhook_secret"] == gateway.sign_key


def test_no_webhook_is_an_empty_url(driver, made):
    assert driver.webhook(made) is None


def test_a_webhook_signed_with_an_older_key_is_not_enabled(gateway, driver, made):
    driver.set_webhook(made, HOOK)
    newer = Gowa(gateway.access(sign_keys=("newer", gateway.sign_key)))
    assert not newer.webhook(made).is_enabled
    newer.close()


@pytest.mark.parametrize("keys", [(), ("secret",)])
def test_the_default_secret_is_refused_both_ways(gateway, keys):
    driver = Gowa(gateway.access(sign_keys=keys))
    with pytest.raises(Rejected):
        driver.set_webhook("main", HOOK)
    signature = hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()
    assert not driver.is_genuine({"X-Hub-Signature-256": f"sha256={signature}"}, b"{}")
    driver.close()


@pytest.mark.parametrize("form", ["sha256={}", "sha256={}0", "sha1={}", "{}", ""])
def test_only_the_signature_of_the_raw_body_is_genuine(gateway, driver, form):
    signature = hmac.new(gateway.sign_key.encode(), b'{"a": 1}', hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": form.format(signature)}
    assert driver.is_genuine(headers, b'{"a": 1}') == (form == "sha256={}")
    assert not driver.is_genuine(headers, b'{"a":1}')


def test_what_happens_arrives_signed_and_is_read(gateway, driver, linked):
    with Panel() as panel:
        driver.set_webhook(linked, panel.url)
        gateway.write(linked, "Halo", ANNA)
        gateway.acknowledge(linked, "3EB0CCDD", "read")
        gateway.flush()
        assert all(driver.is_genuine(*hook) for hook in panel.hooks)
        seen = [event for hook in panel.hooks for event in driver.read_events(hook[1])]
    assert [type(event) for event in seen] == [MessageSeen, ReceiptSeen]


# --- sending ---


def test_a_number_is_sent_to_in_full_since_a_long_one_would_be_a_group(gateway, driver, linked):
    assert driver.send_text(linked, ANNA, "Halo", "ref-1") == gateway.sent[-1].provider_id
    driver.send_text(linked, "120363@g.us", "Halo", "ref-2")
    assert [sent.to for sent in gateway.sent] == [f"{ANNA}@s.whatsapp.net", "120363@g.us"]


def test_every_send_names_its_device(gateway, driver, linked):
    driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert gateway.asked[-1].headers["X-Device-Id"] == linked


def test_somebody_without_whatsapp_is_named_as_that(driver, linked):
    with pytest.raises(NotOnWhatsApp):
        driver.send_text(linked, STRANGER, "Halo", "ref-1")


def test_an_image_keeps_its_size(gateway, driver, linked):
    image = Attached("image", b"\xff\xd8\xff-jpeg", "image/jpeg", "foto.jpg")
    driver.send_media(linked, ANNA, "a photo", image, "ref-1")
    form = gateway.asked[-1].form
    assert form["compress"] == "false"
    assert form["image"] == ("foto.jpg", "image/jpeg", b"\xff\xd8\xff-jpeg")


def test_a_document_travels_as_a_file(gateway, driver, linked):
    driver.send_media(
        linked, ANNA, "the offer", Attached("document", b"%PDF", "application/pdf", "o.pdf"), "r"
    )
    assert gateway.asked[-1].path == "/send/file"
    assert (gateway.sent[-1].text, gateway.sent[-1].attached) == ("the offer", b"%PDF")


def test_whatsapps_limit_on_new_chats_holds_the_message(gateway, driver, linked):
    gateway.fail((429, {"code": "WA_REACHOUT_TIMELOCK", "message": "error 463"}), "/send/")
    with pytest.raises(RateLimited) as caught:
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert caught.value.retry_after_seconds == 3600


@pytest.mark.parametrize(
    ("status", "code", "message", "error"),
    [
        (504, "GATEWAY_TIMEOUT", "Request timed out waiting for WhatsApp", TimedOut),
        (500, "INTERNAL_SERVER_ERROR", "websocket disconnected before info query returned", BadAnswer),
        (500, "INTERNAL_SERVER_ERROR", "websocket not connected", NotConnected),
        (500, "INVALID_WA_CLI", "your WhatsApp CLI is invalid or empty", NotConnected),
        (503, "DEVICE_MANAGER_UNAVAILABLE", "Device manager is not initialized", NotConnected),
        (401, "AUTHENTICATION_ERROR", OFFLINE, NotConnected),
        (400, "VALIDATION_ERROR", "phone number must be in international format", Rejected),
        (400, "INVALID_JID", "invalid JID", Rejected),
    ],
)
def test_a_refusal_says_whether_it_may_have_left(gateway, driver, linked, status, code, message, error):
    gateway.fail((status, {"code": code, "message": message}), "/send/")
    with pytest.raises(error) as caught:
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert type(caught.value) is error
    assert caught.value.may_have_left == (error in (TimedOut, BadAnswer))


def test_numbers_are_checked(driver, linked):
    assert driver.check_numbers(linked, [f"+{ANNA}", STRANGER]) == [
        Checked(f"+{ANNA}", True, f"{ANNA}@s.whatsapp.net"),
        Checked(STRANGER, False, None),
    ]


def test_a_lookup_that_fails_is_not_taken_for_a_no(gateway, driver, linked):
    gateway.lookups_work = False
    with pytest.raises(NotConnected):
        driver.check_numbers(linked, [ANNA])


# --- events ---


def test_a_message_is_read(driver):
    [seen] = driver.read_events(payload("event_message"))
    assert (seen.instance, seen.provider_id, seen.chat, seen.sender_number, seen.sender_lid, seen.text) == (
        "main",
        "3EB0AABB",
        "628111222333@s.whatsapp.net",
        "628111222333",
        "99@lid",
        "Halo",
    )
    assert seen.at == datetime(2026, 8, 22, 1, 2, 3, tzinfo=UTC)


def test_what_the_owner_wrote_is_marked(driver):
    [seen] = driver.read_events(payload("event_message_own"))
    assert (seen.from_me, seen.sender_number, seen.sender_lid) == (True, PHONE, None)


def test_a_picture_is_of_its_kind(driver):
    [seen] = driver.read_events(payload("event_message_image"))
    assert seen.kind == "image"


@pytest.mark.parametrize("kind", ["delivered", "read"])
def test_one_receipt_is_for_several_messages(driver, kind):
    seen = driver.read_events(payload(f"event_ack_{kind}"))
    assert [(one.provider_id, one.kind) for one in seen] == [("3EB0AA", kind), ("3EB0BB", kind)]


def test_what_we_read_ourselves_is_no_receipt(driver):
    assert driver.read_events(payload("event_ack_read_self")) == []


def test_before_8_8_a_device_is_known_by_its_number_only(gateway, driver, linked):
    [seen] = driver.read_events(payload("event_message_before_8_8"))
    assert seen.instance == linked
    fresh = Gowa(gateway.access())  # one that has not seen the device yet asks for it
    assert [one.instance for one in fresh.read_events(payload("event_message_before_8_8"))] == [linked]
    fresh.close()


def test_before_8_8_a_number_of_nobody_yields_nothing(driver):
    assert driver.read_events(payload("event_message_before_8_8")) == []


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b"{}", b'{"event":1}'])
def test_a_webhook_that_is_none_is_a_bad_answer(driver, body):
    with pytest.raises(BadAnswer):
        driver.read_events(body)


@pytest.mark.parametrize("event", ["message.reaction", "message"])
def test_an_event_of_another_kind_or_shape_yields_nothing(driver, event):
    body = {"event": event, "session_id": "main", "payload": [] if event == "message" else {}}
    assert driver.read_events(json.dumps(body).encode()) == []
