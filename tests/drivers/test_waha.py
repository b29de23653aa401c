"""The quirks of WAHA, each survived, against a server that has them."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fake_gateway import ANNA, PHONE, STRANGER, Panel
from fake_waha import CHALLENGE, FakeWaha

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
    OutcomeUnknown,
    RateLimited,
    ReceiptSeen,
    Rejected,
    Remote,
    StateSeen,
    TimedOut,
    Unsupported,
)
from wa_admin.drivers.waha import Waha

PAYLOADS = Path(__file__).parent / "payloads" / "waha"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOOK = "https://panel.example/hooks/1/secret"
PDF = Attached("document", b"%PDF-1.4", "application/pdf", "offer.pdf")


@pytest.fixture
def gateway():
    with FakeWaha() as running:
        yield running


@pytest.fixture
def moment():
    """What time it is, to be moved."""
    return [NOW]


@pytest.fixture
def driver(gateway, pauses, moment):
    driver = Waha(gateway.access(), pause=pauses.append, now=lambda: moment[0])
    yield driver
    driver.close()


@pytest.fixture
def linked(gateway, driver):
    driver.create("main")
    driver.connect("main")
    gateway.scan("main")
    return "main"


@pytest.fixture
def reader():
    """A driver that only reads."""
    driver = Waha(FakeWaha.access(FakeWaha, base_url="http://waha.test"))
    yield driver
    driver.close()


@pytest.fixture
def answering(pauses):
    """A driver whose gateway gives one answer to all."""
    made = []

    def start(status, body):
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
        access = FakeWaha.access(FakeWaha, base_url="http://waha.test")
        made.append(Waha(access, transport=transport, pause=pauses.append))
        return made[-1]

    yield start
    for driver in made:
        driver.close()


def payload(name):
    return (PAYLOADS / f"{name}.json").read_bytes()


def test_its_version_is_told_to_who_has_the_key(driver):
    assert driver.version() == "2026.7.1"


def test_a_wrong_key_is_refused(gateway):
    stranger = Waha(gateway.of_stranger())
    with pytest.raises(BadKey):
        stranger.version()
    stranger.close()


def test_the_key_is_never_in_a_url(gateway, driver):
    driver.version()
    assert not any(gateway.key in f"{asked.path}{asked.query}" for asked in gateway.asked)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 55])
def test_a_name_that_waha_does_not_take_is_refused_before_it_is_sent(gateway, driver, name):
    with pytest.raises(Rejected):
        driver.create(name)
    assert gateway.asked == []


def test_creating_what_is_there_is_fine(driver):
    driver.create("main")
    driver.create("main")


def test_a_new_session_is_not_started_and_ignores_what_is_no_chat(gateway, driver):
    driver.create("main")
    assert driver.state("main").word == "STOPPED"
    assert gateway.line("main").more["config"]["ignore"]["status"] is True


def test_an_unknown_session_is_not_found(driver):
    for ask in (driver.state, driver.connect, driver.restart, driver.logout):
        with pytest.raises(InstanceNotFound):
            ask("nobody")


def test_deleting_what_is_not_there_is_fine(driver):
    driver.delete("nobody")


def test_stopped_sessions_are_listed_too(gateway, driver, linked):
    driver.create("second")
    assert driver.list() == [Remote("main", PHONE, "Sari"), Remote("second", None, None)]


# --- linking ---


def test_connecting_starts_and_asks_for_the_code_as_text(driver):
    driver.create("main")
    code = driver.connect("main")
    assert isinstance(code, Code)
    assert code.qr.startswith("2@")


def test_asking_for_the_code_starts_nothing(gateway, driver):
    driver.create("main")
    assert driver.code("main").status == "disconnected"
    assert not any(asked.path.endswith(("/start", "/qr")) for asked in gateway.asked)


def test_the_first_code_lives_60_seconds_and_the_next_20(gateway, driver, moment):
    driver.create("main")
    assert driver.connect("main").expires_at == NOW + timedelta(seconds=60)
    moment[0] += timedelta(seconds=60)
    gateway.expire("main")
    assert driver.code("main").expires_at == moment[0] + timedelta(seconds=20)


def test_the_same_code_does_not_grow_younger(driver, moment):
    driver.create("main")
    driver.connect("main")
    moment[0] += timedelta(seconds=30)
    assert driver.code("main").expires_at == NOW + timedelta(seconds=60)


def test_no_code_is_kept_in_the_clear(driver):
    driver.create("main")
    assert driver.connect("main").qr not in str(vars(driver))


def test_after_six_codes_the_link_has_expired(gateway, driver):
    driver.create("main")
    sequences = [driver.connect("main").sequence]
    for _ in range(5):
        gateway.expire("main")
        sequences.append(driver.code("main").sequence)
    gateway.expire("main")
    assert sequences == [1, 2, 3, 4, 5, 6]
    assert (driver.code("main").status, driver.code("main").reason) == ("disconnected", "qr_expired")


def test_after_six_codes_only_a_restart_gives_new_ones(gateway, driver):
    driver.create("main")
    driver.connect("main")
    for _ in range(6):
        gateway.expire("main")
    assert driver.connect("main").sequence == 1
    assert gateway.asked[-2].path == "/api/sessions/main/restart"


def test_webjs_gets_time_to_restart_a_failed_session_by_itself(gateway, driver, linked, pauses):
    gateway.engine = "WEBJS"
    gateway.drop(linked)
    assert driver.connect(linked).status == "connected"
    assert pauses == [3.0]


def test_a_code_scanned_between_the_two_questions_is_no_error(gateway, driver):
    driver.create("main")
    driver.connect("main")
    gateway.fail((422, {"error": "no", "status": "WORKING", "expected": ["SCAN_QR_CODE"]}), "/auth/qr")
    assert driver.code("main").word == "SCAN_QR_CODE"


def test_a_pairing_code_is_given_for_a_number(gateway, driver):
    driver.create("main")
    assert driver.pair("main", PHONE).pairing_code == "ABCDABCD"
    assert gateway.line("main").more["phone"] == PHONE


def test_a_device_name_of_its_own_breaks_pairing_codes(gateway, driver):
    driver.create("main")
    gateway.line("main").more["config"]["client"] = {"deviceName": "Toko"}
    with pytest.raises(Rejected, match="deviceName"):
        driver.pair("main", PHONE)


def test_a_linked_session_needs_no_pairing_code(driver, linked):
    with pytest.raises(Rejected):
        driver.pair(linked, PHONE)


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("STARTING", "connecting", None),
        ("SCAN_QR_CODE", "qr_pending", None),
        ("PASSKEY_REQUIRED", "connecting", "passkey_required"),
        ("PASSKEY_CONFIRMATION_REQUIRED", "connecting", "passkey_required"),
        ("WORKING", "connected", None),
        ("STOPPED", "disconnected", "stopped"),
        ("FAILED", "disconnected", None),
        ("WARMING", None, None),
    ],
)
def test_a_word_is_told_in_ours(gateway, driver, linked, word, status, reason):
    gateway.line(linked).more["word"] = word
    state = driver.state(linked)
    assert (state.status, state.reason, state.word) == (status, reason, word)


def test_a_passkey_is_asked_for_signed_compared_and_confirmed(gateway, driver):
    driver.create("main")
    driver.connect("main")
    gateway.ask_passkey("main")
    assert driver.state("main").reason == "passkey_required"
    assert driver.passkey_challenge("main") == CHALLENGE
    driver.answer_passkey("main", {"id": "AX8", "type": "public-key"})
    assert gateway.line("main").more["assertion"] == {"id": "AX8", "type": "public-key"}
    assert driver.state("main").passkey_code == "1234"
    driver.confirm_passkey("main")
    assert driver.state("main").status == "connected"


def test_a_passkey_that_nobody_asks_for_is_refused(driver, linked):
    for step in (driver.passkey_challenge, driver.confirm_passkey):
        with pytest.raises(Rejected, match="passkey"):
            step(linked)


def test_only_gows_can_finish_a_passkey(gateway, driver):
    gateway.engine = "GOWS"
    driver.version()
    assert "passkey" in driver.offers()
    gateway.engine = "NOWEB"
    driver.version()
    assert "passkey" not in driver.offers()
    with pytest.raises(Unsupported, match="GOWS"):
        driver.confirm_passkey("main")


def test_stopping_keeps_the_login(driver, linked):
    driver.stop(linked)
    assert (driver.state(linked).reason, driver.state(linked).number) == ("stopped", PHONE)
    assert driver.connect(linked).status == "connected"


def test_unlinking_burns_no_codes(gateway, driver, linked):
    driver.logout(linked)
    assert driver.state(linked).word == "STOPPED"
    assert driver.state(linked).number is None


# --- webhooks of a session ---


def test_the_webhook_is_set_signed_and_read_back(gateway, driver, linked):
    driver.set_webhook(linked, HOOK)
    hook = driver.webhook(linked)
    assert (hook.url, hook.is_enabled, hook.events) == (HOOK, True, Waha.hook_events)
    assert gateway.line(linked).more["config"]["webhooks"][0]["hmac"] == {"key": gateway.sign_key}


def test_foreign_webhooks_apps_and_settings_stay(gateway, driver, linked):
    more, foreign = gateway.line(linked).more, {"url": "https://crm.example", "events": ["message"]}
    more["config"]["webhooks"], more["apps"] = [foreign], [{"app": "calls"}]
    driver.set_webhook(linked, HOOK)
    assert more["config"]["webhooks"][0] == foreign
    assert more["config"]["metadata"] == {"wa_admin": "1"}
    assert more["apps"] == [{"app": "calls"}]


def test_our_old_url_is_replaced(gateway, driver, linked):
    driver.set_webhook(linked, "https://old.example")
    driver.set_webhook(linked, HOOK)
    assert [hook["url"] for hook in gateway.line(linked).more["config"]["webhooks"]] == [HOOK]


def test_a_webhook_that_is_right_is_not_written_since_that_restarts(gateway, driver, linked):
    driver.set_webhook(linked, HOOK)
    gateway.line(linked).more["config"]["webhooks"][0]["events"].reverse()
    driver.set_webhook(linked, HOOK)
    assert gateway.line(linked).more["restarts"] == 1


def test_a_webhook_signed_with_an_older_key_is_not_enabled(gateway, driver, linked):
    driver.set_webhook(linked, HOOK)
    newer = Waha(gateway.access(sign_keys=("newer", gateway.sign_key)))
    assert not newer.webhook(linked).is_enabled
    newer.set_webhook(linked, HOOK)
    assert newer.webhook(linked).is_enabled
    newer.close()


def test_no_webhook_is_set_without_a_key_to_sign_it(gateway):
    driver = Waha(gateway.access(sign_keys=()))
    with pytest.raises(Rejected):
        driver.set_webhook("main", HOOK)
    driver.close()


def test_the_documented_signature_is_genuine(gateway):
    body = b'{"event":"message","session":"default","engine":"WEBJS"}'
    headers = {
        "x-webhook-hmac-algorithm": "sha512",
        "x-webhook-hmac": "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89",
    }
    driver = Waha(gateway.access(sign_keys=("newer-key", "my-secret-key")))
    assert driver.is_genuine(headers, body)
    assert not driver.is_genuine(headers, body + b" ")
    assert not driver.is_genuine({**headers, "x-webhook-hmac-algorithm": "md5"}, body)
    assert not driver.is_genuine({}, body)
    driver.close()


@pytest.mark.parametrize("keys", [(), ("",)])
def test_nothing_is_genuine_without_a_key(gateway, keys):
    driver = Waha(gateway.access(sign_keys=keys))
    signature = hmac.new(b"", b"{}", hashlib.sha512).hexdigest()
    assert not driver.is_genuine({"X-Webhook-Hmac": signature}, b"{}")
    driver.close()


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


def test_a_text_goes_where_whatsapp_says_that_the_number_is(gateway, driver, linked):
    gateway.canonical["5511987654321"] = "551187654321"
    driver.send_text(linked, "5511987654321", "Halo", "ref-1")
    assert gateway.sent[-1].to == "551187654321@c.us"


def test_a_number_is_looked_up_once(gateway, driver, linked):
    for reference in ("ref-1", "ref-2"):
        driver.send_text(linked, ANNA, "Halo", reference)
    assert sum(asked.path == "/api/contacts/check-exists" for asked in gateway.asked) == 1


def test_a_group_is_not_looked_up(gateway, driver, linked):
    driver.send_text(linked, "120363@g.us", "Halo", "ref-1")
    assert gateway.sent[-1].to == "120363@g.us"


def test_whatsapps_own_form_of_a_number_is_translated(gateway, driver, linked):
    driver.send_text(linked, f"{ANNA}@s.whatsapp.net", "Halo", "ref-1")
    assert gateway.sent[-1].to == f"{ANNA}@c.us"


def test_somebody_without_whatsapp_gets_nothing(gateway, driver, linked):
    with pytest.raises(NotOnWhatsApp):
        driver.send_text(linked, STRANGER, "Halo", "ref-1")
    assert gateway.sent == []


def test_a_session_in_another_state_is_not_connected(gateway, driver):
    driver.create("main")
    driver.connect("main")
    with pytest.raises(NotConnected, match="SCAN_QR_CODE"):
        driver.send_text("main", ANNA, "Halo", "ref-1")


def test_a_number_that_cannot_be_looked_up_in_time_left_nothing(gateway, driver, linked):
    driver.read_seconds = 0.2
    gateway.fail("hang", "check-exists")
    with pytest.raises(NotConnected) as caught:
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert not caught.value.may_have_left


@pytest.mark.parametrize("engine", ["NOWEB", "GOWS"])
def test_the_same_reference_leaves_once_whatever_became_of_the_answer(gateway, driver, linked, engine):
    gateway.engine, driver.send_seconds = engine, 0.3
    gateway.fail("hang_after", "sendText", times=1)
    with pytest.raises(TimedOut):
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    again = Waha(gateway.access())  # after a crash
    assert again.send_text(linked, ANNA, "Halo", "ref-1") == gateway.sent[0].provider_id
    again.close()
    assert len(gateway.sent) == 1


def test_an_id_has_the_form_that_the_engines_give_it(gateway, driver, linked):
    found = driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert len(found) == 22
    assert set(found.removeprefix("3EB0")) <= set("0123456789ABCDEF")
    assert driver.send_text(linked, ANNA, "Halo", "ref-2") != found


@pytest.mark.parametrize(("engine", "version"), [("WEBJS", "2026.7.1"), ("NOWEB", "2026.4.2")])
def test_an_engine_that_takes_no_id_is_never_asked_again(gateway, driver, linked, engine, version):
    gateway.engine, gateway.version, driver.send_seconds = engine, version, 0.3
    driver.version()
    assert "ids_in_advance" not in driver.offers()
    gateway.fail("hang_after", "sendText")
    with pytest.raises(OutcomeUnknown):
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert "id" not in gateway.asked[-1].body


def test_a_file_takes_no_id_so_its_doubt_stays(gateway, driver, linked):
    driver.send_media_seconds = 0.3
    gateway.fail("hang_after", "sendFile")
    with pytest.raises(OutcomeUnknown):
        driver.send_media(linked, ANNA, "the offer", PDF, "ref-1")


@pytest.mark.parametrize(("kind", "path"), [("image", "/api/sendImage"), ("document", "/api/sendFile")])
def test_a_file_travels_inside_the_request(gateway, driver, linked, kind, path):
    attached = Attached(kind, b"%PDF-1.4", "application/pdf", "offer.pdf")
    assert driver.send_media(linked, ANNA, "the offer", attached, "ref-1") == gateway.sent[-1].provider_id
    file = {"mimetype": "application/pdf", "filename": "offer.pdf", "data": "JVBERi0xLjQ="}
    assert (gateway.asked[-1].path, gateway.asked[-1].body["file"]) == (path, file)


@pytest.mark.parametrize("name", ["id_text", "id_serialized", "id_nested", "key"])
def test_each_engine_names_the_message_in_its_own_way(answering, name):
    driver = answering(201, json.loads(payload(f"sendText_{name}")))
    assert driver.send_text("main", "120363@g.us", "Halo", "ref-1") == "3EB0CCDD"


def test_whatsapps_limit_on_new_chats_holds_the_message(gateway, driver, linked):
    error = {"statusCode": 500, "exception": {"message": "server returned error 463", "stack": "x"}}
    gateway.fail((500, error), "sendText")
    with pytest.raises(RateLimited) as caught:
        driver.send_text(linked, ANNA, "Halo", "ref-1")
    assert caught.value.retry_after_seconds == 3600


@pytest.mark.parametrize("message", ["it broke", "cannot send 'a secret text'"])
def test_an_error_that_repeats_our_request_repeats_nothing_to_us(gateway, driver, linked, message):
    gateway.fail(
        (
            500,
            {
                "statusCode": 500,
                "exception": {"message": message, "stack": "at a secret text"},
                "request": {"path": "/api/sendText", "body": {"text": "a secret text"}},
            },
        ),
        "sendText",
    )
    with pytest.raises(BadAnswer) as caught:
        driver.send_text(linked, ANNA, "a secret text", "ref-1")
    assert "secret" not in caught.value.detail
    assert caught.value.may_have_left


def test_a_route_that_this_engine_does_not_have_is_unsupported(answering):
    with pytest.raises(Unsupported):
        answering(404, {"message": "Cannot GET /api/sessions/main", "statusCode": 404}).state("main")


def test_numbers_are_checked_by_digits(gateway, driver, linked):
    gateway.canonical["5511987654321"] = "551187654321"
    assert driver.check_numbers(linked, ["+55 11 98765-4321", STRANGER]) == [
        Checked("+55 11 98765-4321", True, "551187654321@s.whatsapp.net"),
        Checked(STRANGER, False, None),
    ]


# --- events ---


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("working", "connected", None),
        ("scan_qr_code", "qr_pending", None),
        ("failed_after_six_codes", "disconnected", "qr_expired"),
        ("failed_after_unlinking", "disconnected", "logged_out"),
        ("failed_for_another_reason", "disconnected", None),
        ("passkey_confirmation", "connecting", "passkey_required"),
    ],
)
def test_a_state_is_told_with_its_time(reader, name, status, reason):
    [seen] = reader.read_events(payload(f"event_status_{name}"))
    assert isinstance(seen, StateSeen)
    assert (seen.instance, seen.state.status, seen.state.reason) == ("main", status, reason)
    assert seen.at == datetime.fromtimestamp(1780000000.123, UTC)


def test_a_passkey_code_comes_with_its_state_and_is_not_in_its_repr(reader):
    [seen] = reader.read_events(payload("event_status_passkey_confirmation"))
    assert seen.state.passkey_code == "1234"
    assert "1234" not in repr(seen)


@pytest.mark.parametrize("name", ["event_status_unknown_word", "event_ack_pending", "event_ack_of_theirs"])
def test_what_says_nothing_new_yields_nothing(reader, name):
    assert reader.read_events(payload(name)) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("read", "read"), ("lid", "delivered"), ("group", "read"), ("error", "failed")],
)
def test_a_receipt_is_matched_by_whatsapps_own_id(reader, name, kind):
    [seen] = reader.read_events(payload(f"event_ack_{name}"))
    assert (seen.provider_id, seen.kind) == ("3EB0CCDD", kind)


def test_a_message_is_read(reader):
    [seen] = reader.read_events(payload("event_message"))
    assert (seen.provider_id, seen.chat, seen.sender_number, seen.push_name, seen.text) == (
        "3EB0AABB",
        "628111222333@s.whatsapp.net",
        "628111222333",
        "Budi",
        "Halo",
    )


def test_who_is_known_by_a_lid_only_has_no_number(reader):
    [seen] = reader.read_events(payload("event_message_lid"))
    assert (seen.sender_number, seen.sender_lid) == (None, "99@lid")


def test_a_picture_in_a_group_names_who_sent_it(reader):
    [seen] = reader.read_events(payload("event_message_group_image"))
    assert (seen.chat, seen.sender_number, seen.kind) == ("120363@g.us", "628111222333", "image")


def test_what_the_owner_wrote_is_of_the_chat_it_went_to(reader):
    [seen] = reader.read_events(payload("event_message_own"))
    assert (seen.from_me, seen.chat, seen.sender_number) == (True, "628111222333@s.whatsapp.net", PHONE)


def test_a_channel_is_no_chat(reader):
    assert reader.read_events(payload("event_message_channel")) == []


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\xff", b'{"event":"message"}', b'{"event":1,"session":"main"}']
)
def test_a_webhook_that_is_none_is_a_bad_answer(reader, body):
    with pytest.raises(BadAnswer):
        reader.read_events(body)


def test_an_event_of_another_kind_yields_nothing(reader):
    assert reader.read_events(b'{"event":"presence.update","session":"main","payload":[]}') == []
