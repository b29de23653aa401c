"""Six codes, one scan, and all that can come between."""

from __future__ import annotations

from typing import Any

import pytest

from wa_admin.gateway.engines.neonize_login import FreshProcess, Login

SHOWN_AT = [0.0, 60.0, 80.0, 100.0, 120.0, 140.0]  # as recorded


def showing(codes: int) -> Login:
    login = Login()
    for number in range(codes):
        login.code(f"2@{number}", SHOWN_AT[number])
    return login


def closed(reason: str) -> dict[str, Any]:
    return {"event": "state", "state": "close", "reason": reason}


def test_the_first_code_lives_a_minute_and_the_others_twenty_seconds() -> None:
    login = Login()
    told = [login.code("2@x", at) for at in SHOWN_AT]
    assert [event["sequence"] for event in told] == [1, 2, 3, 4, 5, 6]
    assert [event["lifetime_seconds"] for event in told] == [60.0, 20.0, 20.0, 20.0, 20.0, 20.0]


def test_a_timeout_after_the_last_code_means_that_nobody_scanned() -> None:
    assert showing(6).word("timeout", 160.0) == closed("qr_expired")


def test_a_timeout_while_a_code_lives_is_a_lost_connection() -> None:
    with pytest.raises(FreshProcess):
        showing(3).word("timeout", 85.0)


def test_a_timeout_before_the_first_code_is_a_lost_connection() -> None:
    with pytest.raises(FreshProcess):
        Login().word("timeout", 2.0)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("passkey-request", "passkey_required"),
        ("passkey-confirmation", "passkey_required"),
        ("err-client-outdated", "outdated"),
        ("err-scanned-without-multidevice", "auth_failure"),
        ("err-unexpected-state", "auth_failure"),
        ("error", "auth_failure"),
        ("a word of next year", "auth_failure"),
    ],
)
def test_every_other_word_ends_the_attempt(word: str, reason: str) -> None:
    assert showing(1).word(word, 5.0) == closed(reason)


def test_a_scan_is_told_at_once() -> None:
    assert showing(2).word("success", 70.0) == {"event": "scanned"}


def test_a_code_that_nothing_follows_has_expired() -> None:
    login = showing(2)
    assert login.seconds_left(80.0) == 5.0
    assert login.overdue() == closed("qr_expired")


def test_a_scan_that_no_login_follows_needs_a_fresh_process() -> None:
    login = showing(1)
    login.word("success", 10.0)
    assert login.seconds_left(10.0) == 120.0
    with pytest.raises(FreshProcess):
        login.overdue()


def test_a_complete_login_awaits_nothing() -> None:
    login = showing(1)
    login.word("success", 10.0)
    login.connected()
    assert login.seconds_left(1000.0) is None


def test_a_lost_connection_is_given_ten_minutes() -> None:
    login = Login()
    login.connected()
    login.lost(100.0)
    assert login.seconds_left(400.0) == 300.0
