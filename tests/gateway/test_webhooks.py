"""Events out: in order, until they arrive, through restarts on both sides, and in the way of nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

from wa_admin.crypto import Vault
from wa_admin.gateway.callbacks import pause_seconds, wants
from wa_admin.gateway.spool import Spool
from wa_admin.gateway.store import Instance, Store


def watch(gateway: RunningGateway, receiver: WebhookReceiver, **more: object) -> None:
    webhook = {"enabled": True, "url": receiver.url, "events": [], **more}
    assert gateway.post("webhook/set", json={"webhook": webhook}).status_code == 201


def texts(receiver: WebhookReceiver) -> list[str]:
    return [data["message"]["conversation"] for data in receiver.data("messages.upsert")]


def write(gateway: RunningGateway, *numbers: int) -> None:
    for number in numbers:
        gateway.simulate("inbound", sender="4915100000003", text=str(number))


def test_events_wait_for_their_receiver_and_keep_their_order(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    watch(linked, receiver)
    write(linked, 1, 2)
    wait_until(lambda: texts(receiver) == ["1", "2"])
    receiver.stop()
    write(linked, 3, 4, 5)
    receiver.start()
    write(linked, 6)
    wait_until(lambda: texts(receiver) == ["1", "2", "3", "4", "5", "6"])


def test_events_survive_a_kill_of_the_gateway(alone: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(alone, receiver)
    receiver.stop()
    write(alone, 1, 2, 3)
    alone.kill()
    receiver.start()
    alone.start()
    alone.wait_for_state("open")
    write(alone, 4)
    wait_until(lambda: texts(receiver) == ["1", "2", "3", "4"])


@pytest.mark.parametrize("answer", [500, 503, 429, 302, 410])
def test_a_receiver_in_trouble_is_asked_again(
    linked: RunningGateway, receiver: WebhookReceiver, answer: int
) -> None:
    receiver.answer = answer
    watch(linked, receiver)
    write(linked, 1)
    wait_until(lambda: texts(receiver) == ["1"])
    receiver.answer = 204
    wait_until(lambda: texts(receiver) == ["1", "1"])
    assert {request["path"] for request in receiver.requests} == {"/hook"}  # no redirect is followed


@pytest.mark.parametrize("answer", [400, 401, 403, 404, 422])
def test_a_receiver_that_refuses_is_not_asked_again(
    linked: RunningGateway, receiver: WebhookReceiver, answer: int
) -> None:
    receiver.answer = answer
    watch(linked, receiver)
    write(linked, 1)
    wait_until(lambda: texts(receiver) == ["1"])
    receiver.answer = 200
    write(linked, 2)
    wait_until(lambda: len(texts(receiver)) == 2)
    assert texts(receiver) == ["1", "2"]


def test_deleting_does_not_wait_for_a_dead_webhook(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    receiver.answer = 500
    watch(linked, receiver)
    write(linked, 1, 2, 3)
    started = time.monotonic()
    assert linked.delete("instance/delete").status_code == 200
    assert linked.get("instance/connectionState").status_code == 404
    assert time.monotonic() - started < 20  # the webhook is tried for hours
    wait_until(lambda: "instance.delete" in receiver.events)
    linked.create()


def test_a_deleted_session_says_goodbye_once(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver)
    linked.delete("instance/delete")
    wait_until(lambda: "instance.delete" in receiver.events)
    assert receiver.data("instance.delete")[0]["instanceName"] == linked.name


def test_only_chosen_events_are_sent(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver, events=["MESSAGES_UPSERT"])
    linked.send("hi")
    write(linked, 1)
    wait_until(lambda: receiver.events)
    assert set(receiver.events) == {"messages.upsert"}


def test_a_webhook_that_is_off_gets_nothing(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver, enabled=False)
    write(linked, 1)
    watch(linked, receiver)
    write(linked, 2)
    wait_until(lambda: texts(receiver))
    assert texts(receiver) == ["2"]


def test_waiting_events_go_to_the_new_address(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    dead = WebhookReceiver()
    dead.stop()
    watch(linked, dead)
    write(linked, 1)
    watch(linked, receiver)
    wait_until(lambda: texts(receiver) == ["1"])


def test_each_event_can_have_a_path_of_its_own(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    watch(linked, receiver, byEvents=True)
    write(linked, 1)
    wait_until(lambda: receiver.requests)
    assert receiver.requests[0]["path"] == "/hook/messages-upsert"
    assert receiver.bodies[0]["destination"] == receiver.url


def test_a_header_named_jwt_key_signs_instead_of_being_sent(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    watch(linked, receiver, headers={"jwt_key": "k3y", "x-a": "1"})
    write(linked, 1)
    wait_until(lambda: receiver.requests)
    headers = receiver.requests[0]["headers"]
    signed, _, signature = headers["Authorization"].removeprefix("Bearer ").rpartition(".")
    expected = base64.urlsafe_b64encode(hmac.digest(b"k3y", signed.encode(), hashlib.sha256))
    assert signature == expected.rstrip(b"=").decode()
    assert (headers["x-a"], "jwt_key" in headers) == ("1", False)


@pytest.mark.parametrize("headers", [{"a b": "1"}, {"x": "line\nbreak"}, {"x": 5}, {"x": "é"}, ["x"]])
def test_headers_that_cannot_be_sent_are_refused(fresh: RunningGateway, headers: object) -> None:
    webhook = {"enabled": True, "url": "http://127.0.0.1:9/", "events": [], "headers": headers}
    assert fresh.post("webhook/set", json={"webhook": webhook}).status_code == 400


def test_an_event_says_when_it_happened_in_utc_and_who_for(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    watch(linked, receiver)
    write(linked, 1)
    wait_until(lambda: receiver.requests)
    body = receiver.bodies[0]
    age = datetime.now(UTC) - datetime.fromisoformat(body["date_time"])
    assert 0 <= age.total_seconds() < 60
    assert body["sender"] == "6281234567890@s.whatsapp.net"
    assert (body["server_url"], body["instance"]) == (linked.url, linked.name)


def test_an_old_code_is_not_delivered_late(tmp_path: Path, receiver: WebhookReceiver) -> None:
    receiver.answer = 500
    with RunningGateway(tmp_path, speed=100) as gateway:
        gateway.create(webhook={"url": receiver.url, "events": ["QRCODE_UPDATED"]})
        gateway.get("instance/connect")
        wait_until(lambda: gateway.state()["reason"] == "qr_expired")
        before = len(receiver.requests)
        receiver.answer = 200
        wait_until(lambda: len(receiver.requests) > before)
    assert [body["data"].get("statusCode") for body in receiver.bodies[before:]] == [500]


# The spool by itself


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "gateway.db", Vault((Fernet.generate_key().decode(),)))
    yield opened
    opened.close()


@pytest.fixture
def instance(store: Store) -> Instance:
    return store.add("main", "WHATSAPP-BAILEYS")


def test_the_spool_drops_the_oldest_when_it_is_full(
    store: Store, instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(store, limit=3)
    for number in range(5):
        spool.put(instance.id, "messages.upsert", number)
    head = spool.head(instance.id)
    assert (spool.count(instance.id), head and head.data) == (3, 2)
    assert len(caplog.records) == 1  # one line an outage, not one an event


def test_a_newer_state_replaces_a_waiting_code(store: Store, instance: Instance) -> None:
    spool = Spool(store)
    for event in ("qrcode.updated", "messages.upsert", "qrcode.updated", "connection.update"):
        spool.put(instance.id, event, {})
    events = [row["event"] for row in store.rows("SELECT event FROM spool ORDER BY id")]
    assert events == ["messages.upsert", "connection.update"]


def test_events_older_than_a_day_are_dropped(store: Store, instance: Instance) -> None:
    spool = Spool(store)
    spool.put(instance.id, "messages.upsert", 1)
    with store.transaction() as db:
        db.execute("UPDATE spool SET at = at - 90000")
    spool.put(instance.id, "messages.upsert", 2)
    head = spool.head(instance.id)
    assert head is not None and head.data == 2


def test_nothing_is_kept_for_a_session_that_is_gone(store: Store, instance: Instance) -> None:
    spool = Spool(store)
    spool.put(instance.id, "messages.upsert", 1)
    store.remove(instance.id)
    spool.put(instance.id, "messages.upsert", 2)
    assert spool.count(instance.id) == 0


@pytest.mark.parametrize(
    ("webhook", "wanted"),
    [
        (None, False),
        ({"enabled": True, "url": "http://x", "events": []}, True),
        ({"enabled": False, "url": "http://x", "events": []}, False),
        ({"enabled": True, "url": "ftp://x", "events": []}, False),
        ({"enabled": True, "url": "http://x", "events": ["CONNECTION_UPDATE"]}, True),
        ({"enabled": True, "url": "http://x", "events": ["QRCODE_UPDATED"]}, False),
    ],
)
def test_a_webhook_wants_what_it_chose(webhook: dict[str, object] | None, wanted: bool) -> None:
    assert wants(webhook, "connection.update") is wanted


def test_no_message_is_in_a_log(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    receiver.answer = 500
    watch(linked, receiver, headers={"x-webhook-secret": "s3cret-header"})
    linked.send("top secret text")
    linked.simulate("inbound", sender="4915100000003", text="another secret")
    wait_until(lambda: receiver.requests)
    log = json.dumps(linked.log)
    assert not [word for word in ("secret", receiver.url, linked.key, "628111222333") if word in log]


def test_attempts_come_after_1_2_4_and_at_most_10_seconds() -> None:
    assert [pause_seconds(failures, 1.0) for failures in (1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 10, 10]
    assert pause_seconds(7, 0.75) == 7.5
