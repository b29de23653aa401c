"""What neonize 0.5.2 delivered, recorded against a stand-in for WhatsApp's server, as we tell it."""

from __future__ import annotations

import base64
import json
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wa_admin.gateway.engines.neonize_events import TRANSLATIONS, checked, event_of, opened, sent

RECORDINGS = Path(__file__).parent / "recordings" / "neonize"


@cache
def protobufs() -> ModuleType:
    """neonize's generated classes without neonize, whose import loads a Go runtime into this process."""
    if "neonize" in sys.modules:
        return import_module("neonize.proto.Neonize_pb2")
    spec = find_spec("neonize")
    assert spec
    package = ModuleType("neonize")
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["neonize"] = package
    try:
        return import_module("neonize.proto.Neonize_pb2")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "neonize"]:
            del sys.modules[name]


def recorded(name: str) -> Any:
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    binary = base64.b64decode(recording["protobuf_base64"])
    return getattr(protobufs(), recording["event"]).FromString(binary)


def state(state: str, reason: str | None, **more: Any) -> dict[str, Any]:
    return {"event": "state", "state": state, "reason": reason, **more}


def message(id: str, type: str, **more: Any) -> dict[str, Any]:
    return {
        "event": "message",
        "id": id,
        "chat": "90986412571170@lid",
        "chat_alt": "6281299998888@s.whatsapp.net",
        "sender": "90986412571170@lid",
        "sender_alt": "6281299998888@s.whatsapp.net",
        "from_me": False,
        "group": False,
        "push_name": "Pelanggan",
        "at": 1795231521,
        "type": type,
        **more,
    }


def receipt(type: str) -> dict[str, Any]:
    ids = ["3EB0A63A1E088742E626D4"]
    return {"event": "receipt", "ids": ids, "type": type, "chat": "90986412571170@lid", "at": 1795231521}


DOCUMENT = {"mimetype": "application/pdf", "filename": "invoice.pdf", "size_bytes": 999}
IMAGE = {"mimetype": "image/jpeg", "filename": "", "size_bytes": 1234}
EXPECTED = {
    "chat_presence": None,
    "client_outdated": state("close", "outdated"),
    "connect_failure_409": state("close", "outdated"),
    "disconnected": state("connecting", "network"),
    "logged_out_by_phone": state("close", "logged_out"),
    "logged_out_on_connect": state("close", "logged_out"),
    "message_contact": message("3EB02501A1466DF6B6ABE2", "contactMessage"),
    "message_document": message("3EB06D5963FC8E17CA10AC", "documentMessage", text="faktur", file=DOCUMENT),
    "message_emoji_html": message(
        "3EB0E12817C1D36D5D73D3", "conversation", text="<b>diskon</b> 20% \N{PARTY POPPER} \u202eabc"
    ),
    "message_extended_text": message(
        "3EB0B5CA51D60C9C7D09A4", "conversation", text="Lihat https://example.com", quoted="Pesanan #4821"
    ),
    "message_image": message("3EB08CD7711453739D77FF", "imageMessage", text="bukti transfer", file=IMAGE),
    "message_location": message("3EB0DE31614B4CBA905702", "locationMessage"),
    "message_protocol_revoke": message("3EB0B0D6BD7E7E1F6B1865", "protocolMessage"),
    "message_reaction": message("3EB0434CEBEEE19E223A6F", "reactionMessage", text="\N{THUMBS UP SIGN}"),
    "message_text": message(
        "3EB0928F66718967DC95BD", "conversation", text="Halo, pesanan saya sudah dikirim?"
    ),
    "offline_sync_completed": None,
    "pair_status": state("connecting", None, number="6281234567890", platform="android"),
    "receipt_delivery": receipt("delivered"),
    "receipt_played": receipt("played"),
    "receipt_read": receipt("read"),
    "stream_replaced": state("close", "replaced"),
    "temporary_ban": state("close", "banned", ban_seconds=3600),
}


def set_enum(event: Any, field: str, value: str) -> None:
    setattr(event, field, event.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name[value].number)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_event_becomes_ours(name: str) -> None:
    assert event_of(recorded(name)) == EXPECTED[name]


def test_every_recorded_event_is_asked_for() -> None:
    with_protobuf = {file.stem for file in RECORDINGS.glob("*.json") if "protobuf_base64" in file.read_text()}
    assert with_protobuf - set(EXPECTED) == {"connected", "send_response"}


def test_neonize_has_an_event_of_each_name_we_translate() -> None:
    assert [name for name in TRANSLATIONS if not hasattr(protobufs(), name)] == []


def test_a_sent_message_is_known_by_its_lid_chat() -> None:
    answer = {"id": "3EB0A63A1E088742E626D4", "jid": "90986412571170@lid", "at": 1795231521}
    assert sent(recorded("send_response")) == answer


def test_an_open_login_tells_number_and_lid_without_their_device() -> None:
    device = protobufs().Device(
        Platform="android", PushName="Toko Contoh", BussinessName="", Initialized=True
    )
    device.JID.CopyFrom(protobufs().JID(**PHONE, Device=1))
    device.LID.CopyFrom(protobufs().JID(**LID, Device=1))
    assert opened(device) == state(
        "open",
        None,
        number="6281299998888",
        lid="90986412571170@lid",
        profile_name="Toko Contoh",
        platform="android",
    )


def test_an_open_login_says_nothing_of_a_name_it_does_not_have_yet() -> None:
    device = protobufs().Device(Platform="", PushName="", BussinessName="")
    device.JID.CopyFrom(protobufs().JID(**PHONE))
    device.LID.CopyFrom(protobufs().JID(User="", Server="", **REST, Device=0))
    assert opened(device) == state("open", None, number="6281299998888")


def test_a_checked_number_keeps_lid_and_phone_apart() -> None:
    there, missing = (is_on_whatsapp(0), is_on_whatsapp(1))
    assert checked("6281299998888", there) == {
        "number": "6281299998888",
        "jid": "6281299998888@s.whatsapp.net",
        "exists": True,
        "lid": "90986412571170@lid",
    }
    assert checked("6281200000000", missing)["exists"] is False


def test_a_number_without_an_answer_is_not_on_whatsapp() -> None:
    nobody = {"number": "6281200000001", "jid": "6281200000001@s.whatsapp.net", "exists": False}
    assert checked("6281200000001", None) == nobody


def test_a_message_in_a_group_has_no_other_name_for_its_chat() -> None:
    event = recorded("message_text")
    event.Info.MessageSource.IsGroup = True
    event.Info.MessageSource.Chat.User = "120363025246125486"
    event.Info.MessageSource.Chat.Server = "g.us"
    told = event_of(event) or {}
    assert (told["chat"], told["chat_alt"]) == ("120363025246125486@g.us", "")
    assert told["sender_alt"] == "6281299998888@s.whatsapp.net"


def test_a_message_written_on_our_phone_names_the_recipient() -> None:
    event = recorded("message_text")
    source = event.Info.MessageSource
    source.IsFromMe = True
    source.RecipientAlt.User, source.RecipientAlt.Server = "6281111111111", "s.whatsapp.net"
    told = event_of(event) or {}
    assert (told["from_me"], told["chat_alt"]) == (True, "6281111111111@s.whatsapp.net")


def test_an_edit_is_not_taken_for_a_new_message() -> None:
    event = recorded("message_text")
    event.IsEdit = True
    assert (event_of(event) or {})["type"] == "editedMessage"


@pytest.mark.parametrize("kind", ["HISTORY_SYNC_NOTIFICATION", "APP_STATE_SYNC_KEY_SHARE"])
def test_what_our_phone_hands_over_is_not_a_message(kind: str) -> None:
    event = recorded("message_protocol_revoke")
    protocol = event.Message.protocolMessage
    set_enum(protocol, "type", kind)
    assert event_of(event) is None


def test_keys_alone_are_not_a_message() -> None:
    event = recorded("message_text")
    event.Message.Clear()
    event.Message.senderKeyDistributionMessage.groupID = "120363025246125486@g.us"
    assert event_of(event) is None


@pytest.mark.parametrize(
    "kind", ["SENDER", "RETRY", "READ_SELF", "PLAYED_SELF", "SERVER_ERROR", "HISTORY_SYNC"]
)
def test_a_receipt_that_says_nothing_of_the_recipient_is_left_out(kind: str) -> None:
    event = recorded("receipt_read")
    set_enum(event, "Type", kind)
    assert event_of(event) is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("GENERIC", state("close", "auth_failure")),
        ("EXPERIMENTAL", state("close", "auth_failure")),
        ("MAIN_DEVICE_GONE", state("close", "logged_out")),
        ("UNKNOWN_LOGOUT", state("close", "banned")),
        ("CLIENT_OUTDATED", state("close", "outdated")),
        ("SERVICE_UNAVAILABLE", state("connecting", "network")),
    ],
)
def test_a_refused_connection_says_what_can_be_done(reason: str, expected: dict[str, Any]) -> None:
    event = recorded("connect_failure_409")
    set_enum(event, "Reason", reason)
    assert event_of(event) == expected


def test_a_login_banned_for_good_is_not_called_unlinked() -> None:
    event = recorded("logged_out_on_connect")
    set_enum(event, "Reason", "UNKNOWN_LOGOUT")
    assert event_of(event) == state("close", "banned")


def test_a_failed_pairing_ends_the_attempt() -> None:
    event = recorded("pair_status")
    set_enum(event, "Status", "ERROR")
    assert event_of(event) == state("close", "auth_failure")


def test_missed_pings_are_a_lost_network() -> None:
    missed = protobufs().KeepAliveTimeout(ErrorCount=1, LastSuccess=1795231521)
    assert event_of(missed) == state("connecting", "network")


REST = {"RawAgent": 0, "Integrator": 0, "IsEmpty": False}
PHONE = {"User": "6281299998888", "Server": "s.whatsapp.net", **REST}
LID = {"User": "90986412571170", "Server": "lid", **REST}


def is_on_whatsapp(number: int) -> Any:
    from google.protobuf.json_format import ParseDict

    answer = json.loads((RECORDINGS / "is_on_whatsapp.json").read_text())["json"][number]
    return ParseDict(answer, protobufs().IsOnWhatsAppResponse())
