"""Every webhook that was recorded, and what it means."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wa_admin.drivers.contract import (
    CodeShown,
    FileSeen,
    InstanceGone,
    MessageSeen,
    ReceiptSeen,
    SentSeen,
    State,
    StateSeen,
)
from wa_admin.drivers.evolution_events import moment

BOT = "Totale Bot"
OWNER = "4915100000001"
ANNA, ANNA_LID, ANNA_JID = "4915100000003", "91052067847739@lid", "4915100000003@s.whatsapp.net"
NOTHING: list[object] = []
PAYLOADS = Path(__file__).parent / "payloads" / "evolution"


def state(status, reason=None, word="", number=None, instance=BOT):
    return [StateSeen(instance, State(status, reason, word, number))]


def receipt(provider_id, kind):
    return [ReceiptSeen(BOT, provider_id, kind)]


def sent(provider_id, seconds, **more):
    return [SentSeen(BOT, provider_id, ANNA_JID, datetime.fromtimestamp(seconds, UTC), **more)]


def message(provider_id, seconds, text="", kind="text", instance=BOT, **more):
    at = datetime.fromtimestamp(seconds, UTC)
    who = (ANNA_JID, ANNA, ANNA_LID, "Anna Example")
    return [MessageSeen(instance, provider_id, *who, text, kind, at=at, **more)]


def file(provider_id, mimetype, filename, size_bytes, content=None):
    return FileSeen(mimetype, filename, size_bytes, {"id": provider_id}, content)


def recorded(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())["request"]["body"]["data"]


IMAGE = b64decode(recorded("event_messages_upsert_image_base64")["message"]["base64"])
MEANINGS = {
    "event_apikey_hidden": NOTHING,
    "event_by_events_jwt": message("3EB0596B2609A19FF00FC1", 1795227139, "by events"),
    "event_chats_update": NOTHING,
    "event_connection_update_close_logged_out": state("disconnected", "logged_out", "close"),
    "event_connection_update_close_race": state("disconnected", "network", "close", OWNER),
    "event_connection_update_connecting": state("connecting", None, "connecting", instance="probe off"),
    "event_connection_update_open": state("connected", None, "open", OWNER),
    "event_connection_update_refused_qr_limit": state(
        "disconnected", "qr_expired", "refused", instance="limited"
    ),
    "event_contacts_update_array": NOTHING,
    "event_contacts_update_object": NOTHING,
    "event_contacts_upsert_object": NOTHING,
    "event_instance_create": NOTHING,
    "event_instance_delete": [InstanceGone(BOT)],
    "event_logout_instance": state("disconnected", "logged_out", "logout"),
    "event_messages_delete": NOTHING,
    "event_messages_edited": NOTHING,
    "event_messages_edited_revoke": NOTHING,
    "event_messages_update_delivery_ack": receipt("3EB09F77B5330221B9B456", "delivered"),
    "event_messages_update_error": receipt("3EB062B4104E672108B7BA", "failed"),
    "event_messages_update_lid": receipt("3EB0D20060B80D21EC3E87", "delivered"),
    "event_messages_update_played": receipt("3EB0534824395A85E3F462", "played"),
    "event_messages_update_read": receipt("3EB09F77B5330221B9B456", "read"),
    "event_messages_update_server_ack": receipt("3EB0534824395A85E3F462", "sent"),
    "event_messages_upsert_contact": message("3EB04CF1AE5711B6B6E2FB", 1795227093, kind="contact"),
    "event_messages_upsert_document": message(
        "3EB04232F5B3657CDDEE55",
        1795228161,
        "doc",
        "document",
        "coded",
        file=file("3EB04232F5B3657CDDEE55", "application/pdf", "offer.pdf", 26),
    ),
    "event_messages_upsert_image_base64": message(
        "3EB078F46B28F68796D569",
        1795228205,
        "look",
        "image",
        "coded",
        file=file("3EB078F46B28F68796D569", "image/png", None, 90, IMAGE),
    ),
    "event_messages_upsert_lid": [
        MessageSeen(
            BOT,
            "3EB05B30C12532AC28A8F9",
            "4915100000004@s.whatsapp.net",
            "4915100000004",
            "90463901740109@lid",
            "Ben Lid",
            "Hi from a LID",
            at=datetime.fromtimestamp(1795226999, UTC),
        )
    ],
    "event_messages_upsert_location": message("3EB0FF9FB4F36A19BD9F74", 1795227091, kind="location"),
    "event_messages_upsert_quoted": message(
        "3EB08707CCDAADD019FE48", 1795227084, "a reply", quoted="Hello from the panel"
    ),
    "event_messages_upsert_reaction": message("3EB02164A333698A8B1393", 1795227086, "👍", "reaction"),
    "event_messages_upsert_text": message("3EB0DAF678C4F4FD9A900B", 1795226997, "Hi, this is Anna"),
    "event_presence_update": NOTHING,
    "event_qrcode_updated": [BOT, None],
    "event_qrcode_updated_limit": state("disconnected", "qr_expired", "refused", instance="limited"),
    "event_qrcode_updated_pairing_code": ["coded", "TB78F2KW"],
    "event_remove_instance": [InstanceGone(BOT)],
    "event_send_message_image": sent("3EB0D20060B80D21EC3E87", 1795227050, text="a picture", is_file=True),
    "event_send_message_text": sent("3EB09F77B5330221B9B456", 1795226995, text="Hello from the panel"),
    "event_status_instance_api_logout": state("disconnected", "logged_out", "closed"),
    "event_status_instance_phone_logout": state("disconnected", "logged_out", "closed"),
}
CODES = {name for name in MEANINGS if "qrcode" in name and "limit" not in name}


@pytest.fixture(params=["bundled", "evolution"])
def driver(request, make_driver):
    return make_driver(request.param, lambda request: pytest.fail("reading an event asks nobody"))


@pytest.fixture
def evolution(make_driver):
    return make_driver("evolution", lambda request: pytest.fail("reading an event asks nobody"))


def test_every_recording_has_a_meaning():
    assert sorted(MEANINGS) == sorted(path.stem for path in PAYLOADS.glob("event_*.json"))


@pytest.mark.parametrize("name", sorted(set(MEANINGS) - CODES))
def test_an_event_is_read_as_what_it_means(name, evolution, record):
    assert read(evolution, record(name)["request"]["body"]) == MEANINGS[name]


@pytest.mark.parametrize("name", sorted(CODES))
def test_a_code_is_read_with_its_pairing_code(name, driver, record):
    (shown,) = read(driver, record(name)["request"]["body"])
    assert isinstance(shown, CodeShown)
    assert [shown.instance, shown.code.pairing_code] == MEANINGS[name]
    assert shown.code.qr.startswith("2@")


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_the_bundled_gateway_means_the_same_by_it(name, make_driver, evolution, record):
    bundled = make_driver("bundled", lambda request: pytest.fail("reading an event asks nobody"))
    body = record(name)["request"]["body"]
    assert [type(one) for one in read(bundled, body)] == [type(one) for one in read(evolution, body)]


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_data_of_another_shape_is_no_event(name, driver, record):
    event = record(name)["request"]["body"]["event"]
    for data in (None, 3, "x", [], [3], {}, {"key": 3}, {"state": {}}, {"qrcode": [1]}, {"status": ["READ"]}):
        seen = read(driver, {"event": event, "instance": BOT, "data": data})
        assert all(isinstance(one, InstanceGone | StateSeen) for one in seen)


def test_an_event_nobody_knows_is_nothing(driver):
    assert read(driver, {"event": "labels.edit", "instance": BOT, "data": {}}) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "logged_out"),
        (402, "banned"),
        (403, "banned"),
        (405, "outdated"),
        (406, "logged_out"),
        (408, "network"),
        (440, "replaced"),
        (500, "auth_failure"),
        (999, None),
        ("401", None),
        (None, None),
    ],
)
def test_a_closed_session_says_why(driver, code, reason):
    data = {"instance": BOT, "state": "close", "statusReason": code}
    assert read(driver, {"event": "connection.update", "instance": BOT, "data": data}) == state(
        "disconnected", reason, "close"
    )


def test_a_state_nobody_knows_is_nothing(driver):
    assert read(driver, {"event": "connection.update", "instance": BOT, "data": {"state": "warm"}}) == []


def test_the_local_time_of_evolution_is_not_taken_for_utc(evolution, record):
    (seen,) = read(evolution, record("event_connection_update_open")["request"]["body"])
    assert seen.at is None


def test_a_receipt_for_a_message_of_somebody_else_is_nothing(driver):
    data = {"keyId": "3EB0", "fromMe": False, "status": "READ"}
    assert read(driver, {"event": "messages.update", "instance": BOT, "data": data}) == []


def test_several_receipts_in_one_webhook_are_all_read(driver):
    data = [{"keyId": one, "fromMe": True, "status": "READ"} for one in ("A", "B")]
    seen = read(driver, {"event": "messages.update", "instance": BOT, "data": data})
    assert [one.provider_id for one in seen] == ["A", "B"]


def test_a_message_in_a_group_names_who_wrote_it(driver):
    key = {
        "remoteJid": "120363000000000000@g.us",
        "id": "3EB1",
        "fromMe": False,
        "participant": ANNA_LID,
        "participantAlt": ANNA_JID,
    }
    (seen,) = read(driver, upsert(key, {"conversation": "Hi all"}))
    assert seen.chat == "120363000000000000@g.us"
    assert (seen.sender_number, seen.sender_lid) == (ANNA, ANNA_LID)


def test_a_message_of_which_only_the_lid_is_known_has_no_number(driver):
    (seen,) = read(
        driver, upsert({"remoteJid": ANNA_LID, "id": "3EB1", "fromMe": False}, {"conversation": "x"})
    )
    assert (seen.chat, seen.sender_number, seen.sender_lid) == (ANNA_LID, None, ANNA_LID)


def test_what_the_owner_typed_on_the_phone_comes_from_the_owner(driver):
    key = {"remoteJid": ANNA_JID, "id": "3EB1", "fromMe": True}
    (seen,) = read(driver, upsert(key, {"conversation": "on my way"}))
    assert seen.from_me
    assert (seen.chat, seen.sender_number) == (ANNA_JID, OWNER)


@pytest.mark.parametrize("chat", ["status@broadcast", "120363@newsletter", ""])
def test_what_is_no_chat_is_no_message(driver, chat):
    assert read(driver, upsert({"remoteJid": chat, "id": "3EB1"}, {"conversation": "x"})) == []


def test_a_text_with_a_preview_is_a_text(driver):
    key = {"remoteJid": ANNA_JID, "id": "3EB1", "fromMe": False}
    body = upsert(key, {"extendedTextMessage": {"text": "see https://x.id"}}, "extendedTextMessage")
    (seen,) = read(driver, body)
    assert (seen.kind, seen.text) == ("text", "see https://x.id")


def test_no_text_of_a_message_shows_in_its_repr(driver):
    key = {"remoteJid": ANNA_JID, "id": "3EB1", "fromMe": False}
    assert "secret plan" not in repr(read(driver, upsert(key, {"conversation": "secret plan"})))


@pytest.mark.parametrize("odd", ["\ud800", "\0"])
def test_what_no_database_can_hold_is_replaced(driver, odd):
    data = {"keyId": f"3EB0{odd}", "fromMe": True, "status": "READ"}
    seen = read(driver, {"event": "messages.update", "instance": BOT, "data": data})
    assert [one.provider_id for one in seen] == ["3EB0?"]


def test_a_moment_before_all_time_is_none():
    assert moment("0001-01-01T00:00:00+23:59") is None


@pytest.mark.parametrize("at", ["1795226997", 1795226997, {"low": 1795226997, "high": 0, "unsigned": True}])
def test_a_time_may_be_a_number_a_text_or_an_object(driver, at):
    key = {"remoteJid": ANNA_JID, "id": "3EB1", "fromMe": False}
    (seen,) = read(driver, upsert(key, {"conversation": "x"}, at=at))
    assert seen.at == datetime.fromtimestamp(1795226997, UTC)


@pytest.mark.parametrize("at", [None, "soon", 1e400, -1e20, [], {}])
def test_a_time_that_is_none_is_left_out(driver, at):
    key = {"remoteJid": ANNA_JID, "id": "3EB1", "fromMe": False}
    (seen,) = read(driver, upsert(key, {"conversation": "x"}, at=at))
    assert seen.at is None


def upsert(key, content, kind="conversation", at=1795226997):
    data = {"key": key, "message": content, "messageType": kind, "messageTimestamp": at}
    return {"event": "messages.upsert", "instance": BOT, "data": data, "sender": f"{OWNER}:12@s.whatsapp.net"}


def read(driver, body):
    return driver.read_events(json.dumps(body).encode())
