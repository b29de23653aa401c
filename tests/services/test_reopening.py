"""WAHA drops and reopens its link every half hour: for a minute that is nobody's business."""

from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.drivers.contract import State
from wa_admin.extensions import db, writing
from wa_admin.models import Event, Gateway, Reason, Status, WhatsAppSession
from wa_admin.services import status

STARTING, WORKING = State("connecting", word="STARTING"), State("connected", word="WORKING")
FAILED = State("disconnected", "network", "FAILED")


@pytest.fixture
def on_waha(connected):
    with writing():
        db.session.get_one(Gateway, connected.gateway_id).kind = "waha"
    return connected


def hear(wa_session, state, after=0):
    with writing():
        current = db.session.get_one(WhatsAppSession, wa_session.id)
        status.heard(current, state, actor="gateway", now=clock.now() + timedelta(seconds=after))
    return current.status


def lines():
    return db.session.query(Event).filter_by(kind="status").count()


def test_a_link_that_is_reopened_in_time_stays_connected(on_waha):
    told = [hear(on_waha, STARTING), hear(on_waha, STARTING, after=59), hear(on_waha, WORKING, after=60)]
    assert set(told) == {Status.CONNECTED} and lines() == 0


def test_one_that_is_not_is_connecting_since_it_was_dropped(on_waha):
    dropped_at = clock.now()
    hear(on_waha, STARTING)
    assert hear(on_waha, STARTING, after=61) == Status.CONNECTING
    assert on_waha.away_since - dropped_at < timedelta(seconds=5)


def test_the_minute_begins_anew_each_time(on_waha):
    for after in (0, 1800, 3600):
        assert hear(on_waha, STARTING, after=after) == Status.CONNECTED
        hear(on_waha, WORKING, after=after + 5)


def test_what_is_down_is_down_at_once(on_waha):
    hear(on_waha, STARTING)
    assert hear(on_waha, FAILED, after=5) == Status.DISCONNECTED and on_waha.reason == Reason.NETWORK


def test_other_gateways_do_not_do_that(connected):
    assert hear(connected, STARTING) == Status.CONNECTING
