"""Of two processes that start the same session only one does, where a second start would do harm."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from wa_admin.drivers.contract import NotConnected, State, TimedOut
from wa_admin.extensions import db, writing
from wa_admin.models import WhatsAppSession
from wa_admin.services import starts


class SlowToStart:
    """A gateway of another process's: `during` runs while its start is under way."""

    starts_for_seconds = 90.0

    def __init__(self, during=lambda: None, answer=None):
        self.during, self.answer, self.started = during, answer or State("connected"), 0

    def connect(self, instance):
        self.started += 1
        self.during()
        return self.answer

    def pair(self, instance, number):
        raise AssertionError

    restart = connect


def test_a_second_start_meanwhile_is_told_of_the_first(connected):
    second, told = SlowToStart(), []
    first = SlowToStart(during=lambda: told.append(starts.connect(second, connected)))
    assert starts.connect(first, connected).status == "connected"
    assert (second.started, told[0].status) == (0, "connecting")


def test_restarting_and_pairing_wait_for_it_too(connected):
    second = SlowToStart()

    def meanwhile():
        starts.restart(second, connected)
        with pytest.raises(NotConnected):
            starts.pair(second, connected, "62812")

    starts.connect(SlowToStart(during=meanwhile), connected)
    assert second.started == 0


def test_after_it_the_next_one_may_start(connected):
    driver = SlowToStart()
    for _ in range(2):
        starts.connect(driver, connected)
    assert driver.started == 2


@pytest.mark.parametrize("ends", [TimedOut("slow"), State("connecting", word=starts.STARTING)])
def test_one_that_goes_on_at_the_gateway_is_waited_for(connected, ends):
    def during():
        if isinstance(ends, TimedOut):
            raise ends

    with suppress(TimedOut):
        starts.connect(SlowToStart(during, ends), connected)
    driver = SlowToStart()
    assert starts.connect(driver, connected).word == starts.STARTING and driver.started == 0


def test_but_not_for_ever(connected):
    starts.connect(SlowToStart(answer=State("connecting", word=starts.STARTING)), connected)
    with writing():
        db.session.get_one(WhatsAppSession, connected.id).starting_until -= timedelta(seconds=91)
    assert starts.connect(SlowToStart(), connected).status == "connected"


def test_of_two_at_the_same_time_one_starts(app, connected):
    id, both, is_over = connected.id, threading.Barrier(2), threading.Event()
    driver = SlowToStart(during=lambda: is_over.wait(10))
    answers = []

    def start():
        with app.app_context():
            wa_session = db.session.get_one(WhatsAppSession, id)
            both.wait()
            answers.append(starts.connect(driver, wa_session).status)
            is_over.set()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.started == 1 and sorted(answers) == ["connected", "connecting"]
