"""Linking: codes and their clock, pairing codes, and every way a link attempt ends."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

LIMIT = {"message": "QR code limit reached, please login again", "statusCode": 500}


@pytest.fixture
def linking(fresh: RunningGateway, receiver: WebhookReceiver) -> RunningGateway:
    webhook = {"enabled": True, "url": receiver.url, "events": []}
    fresh.post("webhook/set", json={"webhook": webhook})
    fresh.get("instance/connect")
    return fresh


def test_a_code_says_how_long_it_lives(linking: RunningGateway) -> None:
    asked_at = datetime.now(UTC)
    code = linking.get("instance/connect").json()
    lifetime = (60 if code["count"] == 1 else 20) / linking.speed
    ends_at = datetime.fromisoformat(code["expiresAt"])
    assert code["lifetimeSeconds"] == lifetime
    assert asked_at < ends_at <= datetime.now(UTC) + timedelta(seconds=lifetime)


def test_the_picture_of_a_code_is_a_png_of_300_pixels_or_more(linking: RunningGateway) -> None:
    kind, _, picture = linking.get("instance/connect").json()["base64"].partition(",")
    png = base64.b64decode(picture)
    assert kind == "data:image/png;base64"
    assert png.startswith(b"\x89PNG") and int.from_bytes(png[16:20], "big") >= 300


def test_six_codes_of_60_and_20_seconds_then_it_stops(tmp_path: Path, receiver: WebhookReceiver) -> None:
    with RunningGateway(tmp_path, speed=20) as gateway:
        gateway.create(webhook={"url": receiver.url, "events": []})
        started = time.monotonic()
        gateway.get("instance/connect")
        wait_until(lambda: gateway.state()["reason"] == "qr_expired")
        assert time.monotonic() - started >= 8  # 160 s
        wait_until(lambda: LIMIT in receiver.data("qrcode.updated"))
        codes = [data["qrcode"] for data in receiver.data("qrcode.updated")[:-1]]
        assert [code["lifetimeSeconds"] for code in codes] == [3, 1, 1, 1, 1, 1]
        assert receiver.data("connection.update")[-1]["state"] == "refused"
        assert gateway.state()["state"] == "close"


def test_connecting_after_the_last_code_gives_a_new_set(tmp_path: Path, receiver: WebhookReceiver) -> None:
    with RunningGateway(tmp_path, speed=400) as gateway:
        gateway.create(webhook={"url": receiver.url, "events": []})
        gateway.get("instance/connect")
        wait_until(lambda: gateway.state()["reason"] == "qr_expired")
        wait_until(lambda: LIMIT in receiver.data("qrcode.updated"))  # the last that is told
        told = len(receiver.requests)
        gateway.get("instance/connect")
        wait_until(lambda: receiver.events[told:].count("connection.update") == 2)
        assert [body["data"]["state"] for body in receiver.bodies[told:] if "state" in body["data"]] == [
            "connecting",
            "refused",
        ]


def test_connecting_twice_shows_the_same_code(linking: RunningGateway) -> None:
    def is_the_same() -> bool:  # but where one ran out between the two
        first, second = (linking.get("instance/connect").json()["code"] for _ in range(2))
        return bool(first == second)

    wait_until(is_the_same)


def test_scanning_opens_the_session_with_its_number(
    linking: RunningGateway, receiver: WebhookReceiver
) -> None:
    linking.simulate("scan", phone="+62 812-3456-7890", name="Toko Sari")
    state = linking.wait_for_state("open")
    assert (state["number"], state["profileName"]) == ("6281234567890", "Toko Sari")
    wait_until(lambda: receiver.data("connection.update")[-1]["state"] == "open")
    opened = receiver.data("connection.update")[-1]
    assert opened["wuid"] == "6281234567890@s.whatsapp.net"
    assert (opened["number"], opened["reason"], opened["statusReason"]) == ("6281234567890", None, 200)


def test_connecting_what_is_open_answers_with_its_number(linked: RunningGateway) -> None:
    answer = linked.get("instance/connect").json()["instance"]
    assert (answer["state"], answer["number"]) == ("open", "6281234567890")


def test_nothing_can_be_scanned_while_no_code_is_shown(fresh: RunningGateway) -> None:
    response = fresh.post_act("scan", phone="6281234567890")
    assert response.status_code == 409


def test_a_pairing_code_comes_while_a_code_is_shown(linking: RunningGateway) -> None:
    answer = linking.get("instance/connect", number="+62 812-3456-7890").json()
    assert len(answer["pairingCode"]) == 8 and answer["count"] >= 1
    linking.simulate("scan", phone="6281234567890", code=answer["pairingCode"])
    linking.wait_for_state("open")


def test_a_pairing_code_starts_a_closed_session(fresh: RunningGateway) -> None:
    assert len(fresh.get("instance/connect", number="6281234567890").json()["pairingCode"]) == 8


@pytest.mark.parametrize("number", ["0812345678", "12", "hello", "6281234567890123456"])
def test_a_pairing_code_needs_a_full_number(linking: RunningGateway, number: str) -> None:
    response = linking.get("instance/connect", number=number)
    assert response.status_code == response.json()["status"] == 400


def test_a_wrong_pairing_code_links_nothing(linking: RunningGateway) -> None:
    linking.get("instance/connect", number="6281234567890")
    assert linking.post_act("scan", phone="6281234567890", code="WRONG123").status_code == 400
    assert linking.state()["state"] == "connecting"


def test_a_passkey_demand_ends_the_attempt(linking: RunningGateway, receiver: WebhookReceiver) -> None:
    linking.simulate("mode", passkey=True)
    linking.simulate("scan", phone="6281234567890")
    assert linking.wait_for_state("close")["reason"] == "passkey_required"
    wait_until(lambda: receiver.data("connection.update")[-1]["reason"] == "passkey_required")
    assert receiver.data("connection.update")[-1]["statusReason"] == 500


def test_a_restart_of_the_gateway_goes_on_linking(gateway: RunningGateway) -> None:
    gateway.create(qrcode=True)
    gateway.stop()
    gateway.start()
    wait_until(lambda: gateway.get("instance/connect").json().get("count", 0) >= 1)


def test_create_can_show_the_first_code_at_once(shared_gateway: RunningGateway) -> None:
    answer = shared_gateway.create("shown at once", qrcode=True)
    assert answer["instance"]["status"] == "connecting"
    assert answer["qrcode"]["count"] == 1


def test_a_code_is_in_no_log(linking: RunningGateway) -> None:
    codes = linking.get("instance/connect", number="6281234567890").json()
    linking.simulate("scan", phone="6281234567890")
    linking.wait_for_state("open")
    log = "\n".join(linking.log)
    assert codes["code"] not in log and codes["pairingCode"] not in log and linking.key not in log
