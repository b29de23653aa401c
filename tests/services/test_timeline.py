from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import writing
from wa_admin.services import timeline

NOW = clock.now()


@pytest.fixture
def lived(connected):
    """Write changes of status so many minutes ago, and look at the strip."""

    def live(*changes):
        with writing():
            for minutes, status, reason in changes:
                line = timeline.record(
                    connected, "status", workspace_id=1, actor="check", status=status, reason=reason
                )
                line.at = NOW - timedelta(minutes=minutes)
        return timeline.strip(connected, NOW)

    return live


def test_a_day_without_news_is_without_data(lived):
    strip = lived()
    assert (set(strip.slots), strip.up_percent) == ({"none"}, None)


def test_a_quiet_day_is_up(lived):
    strip = lived((2000, "connected", None))
    assert (set(strip.slots), strip.up_percent, strip.interruptions) == ({"up"}, 100.0, 0)


def test_an_outage_shows_where_it_was(lived):
    strip = lived((2000, "connected", None), (120, "disconnected", "network"), (60, "connected", None))
    assert strip.slots[-4:] == ["down", "down", "up", "up"]
    assert (strip.interruptions, strip.down_seconds) == (1, 3600)


def test_a_short_break_only_dims_its_half_hour(lived):
    strip = lived((2000, "connected", None), (20, "connecting", None), (18, "connected", None))
    assert strip.slots[-1] == "degraded"


def test_the_blink_of_a_restart_is_not_counted(lived):
    strip = lived((2000, "connected", None), (20, "connecting", None), (19.9, "connected", None))
    assert (strip.slots[-1], strip.interruptions) == ("up", 0)


def test_silence_is_degraded(lived):
    assert lived((2000, "connected", "silent")).slots[-1] == "degraded"


def test_time_before_the_first_link_is_no_outage(lived):
    strip = lived((2000, "disconnected", "never_linked"), (60, "connected", None))
    assert strip.slots[-3:] == ["none", "up", "up"]
    assert strip.up_percent == 100.0
