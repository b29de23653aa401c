"""What the English of neonize means, and what of it may be seen."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from wa_admin.gateway.engines.neonize_texts import (
    RedactedLog,
    connect_failure,
    failure,
    redact,
    upload_failure,
)

RECORDINGS = Path(__file__).parent / "recordings" / "neonize"
ERRORS = {name: error["text"] for name, error in json.loads((RECORDINGS / "errors.json").read_text()).items()}
QR = json.loads((RECORDINGS / "qr.json").read_text())["qr_callback_bytes_example"]
KINDS = {
    "send_to_number_not_on_whatsapp": "not_on_whatsapp",
    "send_refused_463": "rejected",
    "pair_phone_starting_with_0": "bad_request",
    "send_after_stop": "not_connected",
    "send_after_logout": "not_connected",
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_recorded_error_has_its_kind(name: str) -> None:
    assert failure(ERRORS[name]).kind == KINDS[name]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed to send message node: websocket not connected", "not_connected"),
        ("failed to send usync query: websocket not connected", "not_connected"),
        ("failed to get device list: info query timed out", "not_connected"),
        ("websocket disconnected before info query returned response", "not_connected"),
        ("failed to get device list: info query returned status 429: rate-overlimit", "rejected"),
        ("failed to get group members: you're not participating in that group", "rejected"),
        ("can't send message to unknown server example.com", "bad_request"),
        ("phone number too short", "bad_request"),
    ],
)
def test_an_error_before_the_first_byte_left_is_certain(text: str, kind: str) -> None:
    assert failure(text).kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "timed out waiting for message send response",
        "websocket disconnected before message send returned response",
        "failed to send message node: failed to write frame: broken pipe",
        "an error nobody has seen yet",
    ],
)
def test_an_error_after_it_may_have_left_admits_that(text: str) -> None:
    assert failure(text).kind == "timeout"


def test_an_error_names_no_number() -> None:
    assert str(failure(ERRORS["send_to_number_not_on_whatsapp"])) == (
        "no LID found for ***00@s.whatsapp.net from server"
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed to refresh media connections: websocket not connected", "not_connected"),
        ("failed to execute request: dial tcp: lookup mmg.whatsapp.net: no such host", "not_connected"),
        ("upload failed with status code 503", "not_connected"),
        ("upload failed with status code 413", "rejected"),
    ],
)
def test_a_failed_upload_sent_nothing(text: str, kind: str) -> None:
    assert upload_failure(text).kind == kind


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("failed to dial whatsapp web websocket: no such host", "connecting", "network"),
        ("noise handshake failed: timed out waiting for handshake response", "connecting", "network"),
        ("failed to upgrade database: file is not a database", "close", "auth_failure"),
        ("failed to upgrade database: database or disk is full", "close", "crashed"),
    ],
)
def test_a_failed_first_connect_says_whether_trying_again_helps(text: str, state: str, reason: str) -> None:
    assert connect_failure(text) == {"event": "state", "state": state, "reason": reason}


@pytest.mark.parametrize(
    "secret",
    [
        QR,
        QR.partition("#")[2],
        QR.split(",")[1],
        "K7QM-2XVW",
        "6281299998888",
    ],
)
def test_no_secret_gets_through(secret: str) -> None:
    assert secret not in redact(f"Emitting {secret} now")


def test_a_log_line_of_whatsmeow_arrives_redacted_and_short() -> None:
    told: list[dict[str, object]] = []
    text = "Ignoring message from 6281299998888@s.whatsapp.net: " + "x y " * 500
    record = logging.LogRecord("whatsmeow.Client", logging.WARNING, "", 0, text, None, None)
    RedactedLog(told.append).emit(record)
    assert told[0]["level"] == "warning"
    assert str(told[0]["text"]).startswith(
        "whatsmeow.Client: Ignoring message from ***88@s.whatsapp.net: x y"
    )
    assert len(str(told[0]["text"])) == 300
