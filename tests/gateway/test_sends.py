"""Sending: what arrives, what is refused, and that a reference never leaves twice."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def outcome(gateway: RunningGateway, reference: str) -> dict[str, object]:
    found: dict[str, object] = gateway.client.get(f"/message/reference/{gateway.name}/{reference}").json()
    return found


# What arrives


@pytest.mark.parametrize(
    "text", ["Halo", "line\nbreak", "<b>&amp;", "🐙 漢字", "@62812345678901 hi", "x" * 60_000]
)
def test_a_text_arrives_as_it_is(linked: RunningGateway, text: str) -> None:
    sent = linked.send(text).json()
    assert [(one["to"], one["text"], one["id"]) for one in linked.received()] == [
        ("628111222333", text, sent["key"]["id"])
    ]


@pytest.mark.parametrize("number", ["+62 811-122-2333", "(62) 811 1222333", "628111222333@s.whatsapp.net"])
def test_a_number_is_taken_as_people_write_it(linked: RunningGateway, number: str) -> None:
    assert linked.send("hi", to=number).json()["key"]["remoteJid"] == "628111222333@s.whatsapp.net"


@pytest.mark.parametrize("jid", ["120363000000000000@g.us", "91052067847739@lid"])
def test_a_group_and_a_lid_are_kept(linked: RunningGateway, jid: str) -> None:
    assert linked.send("hi", to=jid).json()["key"]["remoteJid"] == jid


def test_a_picture_arrives_byte_for_byte(linked: RunningGateway) -> None:
    media = {"number": "628111222333", "mediatype": "image", "media": base64.b64encode(PNG).decode()}
    answer = linked.post("message/sendMedia", json=media | {"caption": "look", "fileName": "p.png"})
    assert answer.json()["message"]["imageMessage"]["mimetype"] == "image/png"
    arrived = linked.received()[0]
    assert (arrived["kind"], arrived["text"], arrived["filename"]) == ("image", "look", "p.png")
    assert arrived["sha256"] == hashlib.sha256(PNG).hexdigest()


def test_a_document_can_be_uploaded_as_a_form(linked: RunningGateway) -> None:
    fields = {"number": "628111222333", "mediatype": "document", "fileName": "offer.pdf", "delay": "1"}
    files = {"file": ("offer.pdf", b"%PDF-1.4", "application/pdf")}
    assert linked.post("message/sendMedia", data=fields, files=files).status_code == 201
    assert linked.received()[0]["size_bytes"] == 8


def test_the_steps_of_a_message_are_told_in_order(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    linked.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    sent = linked.send("Halo").json()
    wait_until(lambda: len(receiver.events) == 4)
    assert receiver.events == ["send.message", "messages.update", "messages.update", "messages.update"]
    assert receiver.data("send.message") == [sent]
    updates = [(data["keyId"], data["status"]) for data in receiver.data("messages.update")]
    assert updates == [(sent["key"]["id"], status) for status in ("SERVER_ACK", "DELIVERY_ACK", "READ")]


def test_an_incoming_message_is_told_with_its_phone_number_first(
    linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    linked.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    linked.simulate("inbound", sender="+49 151 00000003", text="Hi, this is Anna")
    wait_until(lambda: receiver.events)
    data = receiver.data("messages.upsert")[0]
    assert data["key"]["remoteJid"] == "4915100000003@s.whatsapp.net"
    assert data["key"]["remoteJidAlt"].endswith("@lid")
    assert data["message"] == {"conversation": "Hi, this is Anna"}


def test_numbers_are_checked(linked: RunningGateway) -> None:
    linked.simulate("mode", strangers=["+49 151 99999999"])
    numbers = ["4915100000002", "+49 151 99999999", "120363000000000000@g.us"]
    answers = linked.post("chat/whatsappNumbers", json={"numbers": numbers}).json()
    assert {one["number"]: one["exists"] for one in answers} == dict(
        zip(numbers, [True, False, False], strict=True)
    )


# What is refused


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("fail", 400, "REJECTED"), ("not_on_whatsapp", 400, None), ("timeout", 504, "OUTCOME_UNKNOWN")],
)
def test_a_failed_send_says_what_it_means(
    linked: RunningGateway, mode: str, status: int, code: str | None
) -> None:
    linked.simulate("mode", send=mode)
    response = linked.send("hi")
    assert (response.status_code, response.json().get("code")) == (status, code)
    assert linked.received() == []


def test_a_slow_send_arrives(linked: RunningGateway) -> None:
    linked.simulate("mode", send="slow")
    started = time.monotonic()
    assert linked.send("hi").status_code == 201
    assert time.monotonic() - started >= 8 / linked.speed


@pytest.mark.parametrize(
    "body", [{"number": ""}, {"number": "abc"}, {"text": 5}, {"text": ""}, {"number": ["1"]}]
)
def test_a_bad_send_is_refused_before_anything_leaves(
    linked: RunningGateway, body: dict[str, object]
) -> None:
    response = linked.post("message/sendText", json={"number": "628111222333", "text": "hi"} | body)
    assert response.status_code == 400
    assert linked.received() == []


def test_no_url_is_fetched_for_a_caller(linked: RunningGateway, receiver: WebhookReceiver) -> None:
    media = {"number": "628111222333", "mediatype": "image", "media": f"{receiver.url}/secret.png"}
    assert linked.post("message/sendMedia", json=media).status_code == 400
    assert receiver.requests == []


def test_a_silent_whatsapp_leaves_the_gateway_able_to_answer(linked: RunningGateway) -> None:
    linked.simulate("mode", send="timeout")
    with ThreadPoolExecutor(14) as pool:
        sends = [pool.submit(linked.send, f"{number}") for number in range(14)]
        wait_until(lambda: sum(send.done() for send in sends) >= 4)
        assert linked.state()["state"] == "open"
        linked.simulate("crash")  # so that the ten that wait need not wait on
        refused = [send.result() for send in sends if send.result().status_code == 503]
    assert len(refused) == 4
    assert {one.headers["Retry-After"] for one in refused} == {"5"}


# References


def test_the_same_reference_sends_once_and_answers_the_same(linked: RunningGateway) -> None:
    first = linked.send("hi", **{"X-Reference": "order-1"})
    second = linked.send("hi", **{"X-Reference": "order-1"})
    assert first.json() == second.json()
    assert ("X-Replayed" in first.headers, second.headers["X-Replayed"]) == (False, "1")
    assert len(linked.received()) == 1


def test_eight_at_once_with_one_reference_send_once(linked: RunningGateway) -> None:
    linked.simulate("mode", send="slow")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: linked.send("hi", **{"X-Reference": "order-2"}), range(8)))
    assert {answer.json()["key"]["id"] for answer in answers} == {linked.received()[0]["id"]}
    assert len(linked.received()) == 1


def test_a_reference_of_another_session_is_another_reference(linked: RunningGateway) -> None:
    linked.send("hi", **{"X-Reference": "order-3"})
    other = linked.named("a second session")
    other.create()
    other.link()
    assert "X-Replayed" not in other.send("hi", **{"X-Reference": "order-3"}).headers


@pytest.mark.parametrize("mode", ["fail", "not_on_whatsapp"])
def test_a_send_that_did_not_leave_may_be_tried_again(linked: RunningGateway, mode: str) -> None:
    linked.simulate("mode", send=mode)
    linked.send("hi", **{"X-Reference": "order-4"})
    assert outcome(linked, "order-4") == {"state": "unknown"}
    linked.simulate("mode", send="ok")
    assert linked.send("hi", **{"X-Reference": "order-4"}).status_code == 201


def test_a_send_while_disconnected_leaves_no_trace(fresh: RunningGateway) -> None:
    response = fresh.send("hi", **{"X-Reference": "order-5"})
    assert (response.status_code, response.json()["code"]) == (500, "NOT_CONNECTED")
    assert outcome(fresh, "order-5") == {"state": "unknown"}


def test_an_unknown_outcome_is_never_sent_again(linked: RunningGateway) -> None:
    linked.simulate("mode", send="timeout", arrives=True)
    assert linked.send("hi", **{"X-Reference": "order-6"}).status_code == 504
    linked.simulate("mode", send="ok")
    response = linked.send("hi", **{"X-Reference": "order-6"})
    assert (response.status_code, response.json()["code"]) == (409, "OUTCOME_UNKNOWN")
    assert outcome(linked, "order-6") == {"state": "started", "inFlight": False}
    assert len(linked.received()) == 1


def test_an_outcome_can_be_asked_for(linked: RunningGateway) -> None:
    sent = linked.send("hi", **{"X-Reference": "order-7"}).json()
    found = outcome(linked, "order-7")
    assert (found["state"], found["key"]) == ("sent", sent["key"])
    assert outcome(linked, "never-seen") == {"state": "unknown"}


@pytest.mark.parametrize("reference", ["", "x" * 129])
def test_a_reference_has_1_to_128_characters(linked: RunningGateway, reference: str) -> None:
    assert linked.send("hi", **{"X-Reference": reference}).status_code == 400


def test_a_gateway_killed_in_the_middle_of_a_send_remembers_that_it_began(alone: RunningGateway) -> None:
    alone.simulate("mode", send="timeout", arrives=True)
    send = threading.Thread(target=_send_and_be_cut_off, args=(alone, "order-8"))
    send.start()
    wait_until(alone.received)
    alone.kill()
    send.join()
    alone.start()
    alone.wait_for_state("open")
    alone.simulate("mode", send="ok")
    response = alone.send("hi", **{"X-Reference": "order-8"})
    assert (response.status_code, response.json()["code"]) == (409, "OUTCOME_UNKNOWN")
    assert len(alone.received()) == 1


def test_a_finished_reference_is_remembered_after_a_kill(alone: RunningGateway) -> None:
    first = alone.send("hi", **{"X-Reference": "order-9"}).json()
    alone.kill()
    alone.start()
    alone.wait_for_state("open")
    again = alone.send("hi", **{"X-Reference": "order-9"})
    assert (again.headers["X-Replayed"], again.json()["key"]) == ("1", first["key"])
    assert len(alone.received()) == 1


def test_a_child_killed_in_the_middle_of_a_send_leaves_the_outcome_unknown(linked: RunningGateway) -> None:
    linked.simulate("mode", send="timeout")
    with ThreadPoolExecutor(1) as pool:
        send = pool.submit(linked.send, "hi", **{"X-Reference": "order-10"})
        wait_until(lambda: outcome(linked, "order-10").get("inFlight"))
        linked.simulate("crash")
        assert send.result().status_code == 504
    linked.wait_for_state("open")
    assert linked.send("hi", **{"X-Reference": "order-10"}).status_code == 409


def _send_and_be_cut_off(gateway: RunningGateway, reference: str) -> None:
    with pytest.raises(httpx.HTTPError):
        gateway.send("hi", **{"X-Reference": reference})
