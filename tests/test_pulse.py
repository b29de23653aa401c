from datetime import date, timedelta

from wa_admin.pulse import CHART_HEIGHT, bars
from wa_admin.services.stats import Day


def days(*counts):
    return [
        Day(date(2026, 11, 1) + timedelta(days=n), sent, failed) for n, (sent, failed) in enumerate(counts)
    ]


def test_the_highest_day_fills_the_chart():
    low, high = bars(days((50, 0), (100, 0)))
    assert (low.sent_height, high.sent_height) == (CHART_HEIGHT // 2, CHART_HEIGHT)


def test_failed_stands_on_sent_without_touching_it():
    (bar,) = bars(days((90, 10)))
    assert bar.failed_y + bar.failed_height < bar.sent_y
    assert bar.failed_y >= 0 and bar.sent_y + bar.sent_height == CHART_HEIGHT


def test_a_single_failure_among_thousands_can_be_seen():
    (bar,) = bars(days((5000, 1)))
    assert bar.failed_height >= 3 and bar.sent_y >= 0


def test_days_without_messages_are_empty():
    assert [(bar.sent_height, bar.failed_height) for bar in bars(days((0, 0), (0, 0)))] == [(0, 0), (0, 0)]
