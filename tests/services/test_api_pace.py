import pytest

from wa_admin.services.api_pace import Pace, TooManyCalls


def calls_that_pass(pace, key, count, now, per_minute=60):
    passed = 0
    for _ in range(count):
        try:
            pace.count(key, per_minute, now)
        except TooManyCalls:
            continue
        passed += 1
    return passed


def test_a_minutes_worth_may_come_at_once():
    assert calls_that_pass(Pace(), "a", 100, now=5.0) == 60


def test_then_each_call_waits_for_its_share():
    pace = Pace()
    calls_that_pass(pace, "a", 60, now=0.0)
    assert [calls_that_pass(pace, "a", 5, now=at) for at in (0.5, 1.0, 3.0)] == [0, 1, 2]


def test_a_minute_of_rest_gives_all_of_it_back():
    pace = Pace()
    calls_that_pass(pace, "a", 100, now=0.0)
    assert calls_that_pass(pace, "a", 100, now=60.0) == 60


def test_each_key_has_its_own():
    pace = Pace()
    calls_that_pass(pace, "a", 60, now=0.0)
    assert calls_that_pass(pace, "b", 60, now=0.0) == 60


def test_who_comes_back_when_told_to_may_call():
    pace = Pace()
    calls_that_pass(pace, "a", 3, now=0.0, per_minute=3)
    with pytest.raises(TooManyCalls) as refused:
        pace.count("a", 3, 0.0)
    assert refused.value.retry_after_seconds == 20
    pace.count("a", 3, 20.0)
