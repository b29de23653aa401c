"""Every route answers in the shapes recorded from Evolution API 2.3.6.

Each recording is replayed in the situation it was made in. Our answer has the recorded status and at least
the recorded keys, with values of the same kind; the extra ones are our extensions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

RECORDINGS = Path(__file__).parent / "recordings" / "evolution"

# What we do not keep: keys to media we never download, and context of quoted messages.
NOT_OURS_IN_MEDIA = """
    url fileSha256 mediaKey fileEncSha256 directPath mediaKeyTimestamp contextInfo jpegThumbnail
    interactiveAnnotations scanLengths annotations height width
"""
NOT_OURS_IN_CONTEXT = "ephemeralSettingTimestamp disappearingMode stanzaId participant quotedMessage"
NOT_OURS = {f"$.contextInfo.{key}" for key in NOT_OURS_IN_CONTEXT.split()} | {
    f"$.message.{kind}Message.{key}" for kind in ("image", "document") for key in NOT_OURS_IN_MEDIA.split()
}

AS_RECORDED = {
    # a session that never was connected
    "probe-plain": """
        auth_bad_key auth_missing_key auth_bearer_instead auth_bad_key_unknown_instance root verify_creds
        verify_creds_bad unknown_route restart_put connectionState_never_connected connect_plus_encoded
        connectionState_instance_token_other create_bad_json create_bad_number create_duplicate
        create_duplicate_bad_key create_invalid_integration create_no_integration create_number_not_string
        create_with_instance_token_as_key fetchInstances_never_connected fetchInstances_unknown_name
        logout_when_close unknown_instance_connectionState unknown_instance_sendText webhook_find_none
        sendText_empty_text sendText_missing_text sendText_number_not_string sendText_v1_body
        sendText_number_garbage sendText_never_connected sendMedia_bad_media sendMedia_bad_mediatype
        whatsappNumbers_bad_body whatsappNumbers_never_connected
    """,
    # an open session with a webhook
    "Totale Bot": """
        connectionState_open connect_when_open fetchInstances_open
        restart_when_open settings_set settings_find webhook_set webhook_find webhook_set_bad_url
        webhook_set_disable webhook_set_disable_with_url webhook_set_empty_events webhook_set_flat_v1
        webhook_set_ignored_field_names webhook_set_partial_keeps webhook_set_unknown_event
        webhook_set_byevents_jwt whatsappNumbers sendText_ok sendText_quoted sendMedia_image_base64
        sendMedia_document_base64 sendMedia_document_no_filename sendMedia_data_uri sendMedia_url_localhost
    """,
    # linked once, then logged out
    "coded": """
        fetchInstances_after_phone_logout sendText_logged_out whatsappNumbers_logged_out
        connect_after_phone_logout
    """,
}
CASES = [
    pytest.param(instance, name, id=name) for instance, names in AS_RECORDED.items() for name in names.split()
]
# Where repairing a quirk changes the words, not the shape.
OTHER_WORDS_ALLOWED = {"sendText_number_garbage", "create_bad_json", "sendText_never_connected"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("recorded")) as gateway:
        gateway.create("probe-plain")
        gateway.create("coded", token="token-of-coded")
        gateway.link("coded")
        gateway.simulate("unlink", "coded")
        gateway.wait_for_state("close", "coded")
        gateway.create("Totale Bot", number="4915100000001")
        gateway.link("Totale Bot", "4915100000001")
        set_webhook(gateway, "Totale Bot", "http://127.0.0.1:9/hook")
        yield gateway


@pytest.mark.parametrize(("instance", "name"), CASES)
def test_a_route_answers_as_recorded(world: RunningGateway, instance: str, name: str) -> None:
    recording = load(name)
    wait_until_open(world, "Totale Bot")
    status, body = replay(world, recording, instance)
    expected = recording["response"]
    assert status == expected["status"]
    assert differences(expected["body"], body) == []
    if status >= 400 and name not in OTHER_WORDS_ALLOWED:
        assert same_words(expected["body"], body)


def test_a_new_session_with_a_code_answers_as_recorded(world: RunningGateway) -> None:
    recording = load("create_qr")
    status, body = replay(world, recording, "Totale Bot", instanceName="with a code", token=None)
    assert (status, differences(recording["response"]["body"], body)) == (201, [])
    assert (
        load("connect_qr")["response"]["body"].keys()
        <= world.get("instance/connect", "with a code").json().keys()
    )


def test_a_new_session_with_a_pairing_code_answers_as_recorded(world: RunningGateway) -> None:
    recording = load("create_pairing_code")
    status, body = replay(world, recording, "coded", instanceName="with a pairing code")
    assert (status, differences(recording["response"]["body"], body)) == (201, [])
    assert len(body["qrcode"]["pairingCode"]) == 8


def test_a_new_session_answers_zero_codes_while_whatsapp_is_out_of_reach(gateway: RunningGateway) -> None:
    gateway.create("probe off")
    gateway.simulate("mode", "probe off", network="down")
    status, body = replay(gateway, load("connect_unreachable"), "probe off")
    assert (status, body) == (200, {"count": 0})
    assert replay(gateway, load("restart_unreachable"), "probe off") == (200, {"count": 0})
    assert replay(gateway, load("sendText_unreachable"), "probe off")[0] == 500


def test_restarting_while_a_code_is_shown_answers_the_old_code(gateway: RunningGateway) -> None:
    gateway.create("probe-plain", qrcode=True)
    recording = load("restart_connecting_qr")
    status, body = replay(gateway, recording, "probe-plain")
    assert (status, differences(recording["response"]["body"], body)) == (200, [])


def test_an_instance_token_lists_only_its_own_instance(world: RunningGateway) -> None:
    headers = {"apikey": "token-of-coded"}
    listed = world.client.get("/instance/fetchInstances", headers=headers)
    assert [one["name"] for one in listed.json()] == ["coded"]
    others = world.client.get("/instance/fetchInstances?instanceName=probe-plain", headers=headers)
    assert others.status_code == load("fetchInstances_instance_token_other")["response"]["status"]


def test_an_instance_is_found_by_its_id(world: RunningGateway) -> None:
    listed = world.client.get("/instance/fetchInstances?instanceName=coded").json()
    by_id = world.client.get(f"/instance/fetchInstances?instanceId={listed[0]['id']}").json()
    assert differences(load("fetchInstances_by_id")["response"]["body"], by_id) == []
    assert by_id == listed


def test_an_empty_gateway_lists_nothing(gateway: RunningGateway) -> None:
    assert replay(gateway, load("fetchInstances_empty"), "") == (200, [])


def test_logout_and_delete_answer_as_recorded(gateway: RunningGateway) -> None:
    gateway.create("Totale Bot")
    gateway.link("Totale Bot")
    assert replay(gateway, load("logout_open"), "Totale Bot") == answer_of("logout_open")
    assert replay(gateway, load("logout_second_time"), "Totale Bot") == answer_of("logout_second_time")
    assert replay(gateway, load("delete_open"), "Totale Bot") == answer_of("delete_open")
    assert replay(gateway, load("connectionState_after_delete"), "Totale Bot") == answer_of(
        "connectionState_after_delete"
    )
    assert replay(gateway, load("fetchInstances_after_delete"), "Totale Bot") == answer_of(
        "fetchInstances_after_delete"
    )


@pytest.mark.parametrize(
    ("name", "status"),
    [("create_empty_name", 400), ("create_name_not_string", 400), ("webhook_set_no_events", 400)],
)
def test_a_quirk_is_repaired_in_evolutions_own_shape(world: RunningGateway, name: str, status: int) -> None:
    answered, body = replay(world, load(name), "Totale Bot")
    assert answered == body["status"] == status
    assert isinstance(body["response"]["message"], list)


def test_restarting_a_closed_session_starts_it(gateway: RunningGateway) -> None:
    gateway.create("probe-plain")
    status, body = replay(gateway, load("restart_when_close"), "probe-plain")
    assert (status, body["count"]) == (200, 1)  # Evolution: 200 with an error, and nothing happens


# The events


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """All requests a webhook got during one life: linked, sent, received, unlinked, deleted."""
    receiver = WebhookReceiver()
    with RunningGateway(tmp_path_factory.mktemp("events")) as gateway:
        webhook = {"url": receiver.url, "events": [], "headers": {"x-webhook-secret": "s3cret"}}
        gateway.create("Totale Bot", webhook=webhook)
        gateway.get("instance/connect", "Totale Bot", number="4915100000001")
        gateway.link("Totale Bot", "4915100000001")
        sent = gateway.send("Hello from the panel", "Totale Bot", "4915100000003").json()["key"]["id"]
        gateway.simulate("inbound", "Totale Bot", sender="4915100000003", text="Hi, this is Anna")
        for kind in ("played", "failed"):
            gateway.simulate("receipt", "Totale Bot", id=sent, type=kind)
        wait_for(receiver, "messages.update", 5)
        gateway.simulate("unlink", "Totale Bot")
        gateway.wait_for_state("close", "Totale Bot")
        wait_until(lambda: receiver.data("connection.update")[-1]["state"] == "close")  # the last it tells
        gateway.delete("instance/delete", "Totale Bot")
        wait_for(receiver, "instance.delete", 1)
    yield receiver.requests
    receiver.stop()


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("event_instance_create", {}),
        ("event_connection_update_connecting", {"state": "connecting"}),
        ("event_connection_update_open", {"state": "open"}),
        ("event_connection_update_close_logged_out", {"state": "close"}),
        ("event_qrcode_updated", {}),
        ("event_send_message_text", {}),
        ("event_messages_upsert_text", {}),
        ("event_messages_update_server_ack", {"status": "SERVER_ACK"}),
        ("event_messages_update_delivery_ack", {"status": "DELIVERY_ACK"}),
        ("event_messages_update_read", {"status": "READ"}),
        ("event_messages_update_played", {"status": "PLAYED"}),
        ("event_messages_update_error", {"status": "ERROR"}),
        ("event_status_instance_phone_logout", {}),
        ("event_logout_instance", {}),
        ("event_instance_delete", {}),
    ],
)
def test_an_event_leaves_as_recorded(told: list[dict[str, Any]], name: str, which: dict[str, str]) -> None:
    expected = load(name)["request"]["body"]
    if name.startswith("event_connection_update_connecting"):
        expected.pop("sender", None)
    found = [
        request["body"]
        for request in told
        if request["body"]["event"] == expected["event"]
        and all((request["body"]["data"] or {}).get(key) == value for key, value in which.items())
    ]
    assert found
    assert differences(expected, found[-1], ignore={"$.sender"} if "sender" not in found[-1] else set()) == []


def test_the_pairing_code_is_told_as_recorded(told: list[dict[str, Any]]) -> None:
    codes = [one["body"] for one in told if one["body"]["event"] == "qrcode.updated"]
    paired = [one for one in codes if one["data"]["qrcode"]["pairingCode"]]
    assert differences(load("event_qrcode_updated_pairing_code")["request"]["body"], paired[0]) == []


def test_events_carry_the_configured_headers(told: list[dict[str, Any]]) -> None:
    assert {one["headers"]["x-webhook-secret"] for one in told} == {"s3cret"}


# Comparing


def load(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def answer_of(name: str) -> tuple[int, Any]:
    response = load(name)["response"]
    return response["status"], response["body"]


def replay(gateway: RunningGateway, recording: Any, instance: str, **changes: Any) -> tuple[int, Any]:
    """Send the recorded request again, to the session of this name."""
    request = recording["request"]
    headers = {name: with_keys(value, gateway) for name, value in request["headers"].items()}
    headers.pop("Accept", None)
    content = None
    if request["body"] is not None:
        body = json.loads(json.dumps(request["body"]).replace("<INSTANCE_TOKEN>", "token-of-coded"))
        content = json.dumps(body | changes)
    elif "Content-Type" in headers:
        content = "{bad json"
    path = request["path"]
    parts = path.partition("?")[0].split("/")
    if len(parts) == 4 and parts[3] not in ("nope", "probe+off") and instance:
        path = "/".join([*parts[:3], quote(instance, safe="")])
    client = gateway.client
    sent = client.build_request(request["method"], path, content=content, headers=headers)
    if "apikey" not in headers:
        sent.headers.pop("apikey")
    response = client.send(sent)
    return response.status_code, response.json()


def with_keys(value: str, gateway: RunningGateway) -> str:
    return value.replace("<GLOBAL_API_KEY>", gateway.key).replace("<INSTANCE_TOKEN>", "token-of-coded")


def differences(recorded: Any, ours: Any, path: str = "$", ignore: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """Paths of recorded keys that we lack, or whose value is of another kind; null goes with anything."""
    path = path.replace("$.data.", "$.") if ".message" in path or ".contextInfo" in path else path
    if path in NOT_OURS or path in ignore or recorded is None or ours is None:
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        wanted = {key for key in recorded if f"{path}.{key}" not in ignore}
        missing = [key for key in wanted if key not in ours and f"{path}.{key}" not in NOT_OURS]
        missing = [key for key in missing if f"{path}.{key}".replace("$.data.", "$.") not in NOT_OURS]
        below = [
            differences(recorded[key], ours[key], f"{path}.{key}", ignore) for key in wanted & ours.keys()
        ]
        return [f"{path}.{key} is missing" for key in missing] + sum(below, [])
    if isinstance(recorded, list) and isinstance(ours, list):
        if recorded and not ours:
            return [f"{path} is empty"]
        return differences(recorded[0], ours[0], f"{path}[0]", ignore) if recorded and ours else []
    kinds = {int: float, bool: bool}
    same = kinds.get(type(recorded), type(recorded)) == kinds.get(type(ours), type(ours))
    return [] if same else [f"{path} is {type(ours).__name__}, not {type(recorded).__name__}"]


def same_words(recorded: Any, ours: Any) -> bool:
    """The message, leaving our extra fields aside."""
    if not isinstance(recorded, dict) or not recorded:
        return True
    return all(ours[key] == value or key in ("response", "message") for key, value in recorded.items()) and (
        "response" not in recorded or ours["response"]["message"] == recorded["response"]["message"]
    )


def set_webhook(gateway: RunningGateway, name: str, url: str) -> None:
    webhook = {"enabled": True, "url": url, "events": [], "headers": {"x-webhook-secret": "s3cret"}}
    assert gateway.post("webhook/set", name, json={"webhook": webhook}).status_code == 201


def wait_until_open(gateway: RunningGateway, name: str) -> None:
    gateway.wait_for_state("open", name)


def wait_for(receiver: WebhookReceiver, event: str, count: int) -> None:
    wait_until(lambda: receiver.events.count(event) >= count)
