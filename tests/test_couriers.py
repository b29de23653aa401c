"""Messages of many sessions leave at once, each the moment it may, and at rest nothing is asked."""

import threading
import time
from datetime import timedelta
from itertools import pairwise

import pytest
from waiting import until

from wa_admin import clock, couriers
from wa_admin.couriers import Couriers
from wa_admin.extensions import db, writing
from wa_admin.models import Delivery, Message, MessageStatus, Reason, Status
from wa_admin.services import deliveries, outbox, status


@pytest.fixture(autouse=True)
def nobody_just_looks(monkeypatch):
    """What happens in these tests happens because of news, not because it was time to look again."""
    monkeypatch.setattr(couriers, "ROUND_SECONDS", 600.0)


@pytest.fixture
def release():
    """Lets go what hangs at the gateway."""
    return threading.Event()


@pytest.fixture
def start(app, release):
    """Couriers at work, in the application of the test or in another one."""
    started = []

    def start(within=app):
        def run(_, duty):
            with within.app_context():
                duty()

        at_work = Couriers(within, run)
        at_work.start()
        started.append(at_work)
        return at_work

    yield start
    release.set()
    for at_work in started:
        at_work.stop()
    assert until(lambda: all(at_work.have_returned() for at_work in started))


@pytest.fixture
def sent_at(stub, release):
    """When each text reached the gateway; one that begins with “hang” gets no answer before `release`."""
    times = {}

    def take(asked):
        times[asked.body["text"]] = time.monotonic()
        if asked.body["text"].startswith("hang"):
            release.wait(60)
        return 201, {"key": {"id": f"3EB0{len(times)}"}}

    stub.script["sendText"] = take
    return times


def send(text, to="0812-9999-8888", **more):
    return outbox.send(1, to, text, source="cli", **more)


def now_is(message):
    db.session.rollback()
    return db.session.get_one(Message, message.id, populate_existing=True).status


def test_a_session_whose_gateway_hangs_holds_up_no_other(sent_at, connected, make_session, start):
    make_session("Other")
    send("hang")
    start()
    assert until(lambda: "hang" in sent_at)
    send("free", session_name="Other")
    assert until(lambda: "free" in sent_at)


def test_ten_sessions_send_at_once_and_each_one_message_at_a_time(sent_at, make_session, start):
    for number in range(10):
        make_session(f"Line {number}")
        for turn in range(2):
            send(f"hang {number} {turn}", to=f"0812-0000-10{turn}0", session_name=f"Line {number}")
    start()
    assert until(lambda: len(sent_at) == 10)
    time.sleep(0.3)
    assert sorted(sent_at) == [f"hang {number} 0" for number in range(10)]


def test_a_message_for_an_idle_session_leaves_at_once(sent_at, connected, start):
    start()
    time.sleep(0.3)
    send("now")
    assert until(lambda: "now" in sent_at)


def test_the_pace_is_what_was_asked_for(stub, sent_at, make_app, connected, start):
    paced = make_app(WA_SEND_INTERVAL_SECONDS="0.6", WA_GATEWAY_PORT=str(stub.port))
    for number in range(4):
        send(str(number), to=f"0812-0000-10{number}0")
    start(paced)
    assert until(lambda: len(sent_at) == 4)
    begun = list(db.session.scalars(db.select(Delivery.started_at).order_by(Delivery.id)))
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(begun)]
    assert min(gaps) >= 0.6
    assert min(gaps) < 2 * 0.6  # 1.02 times on an idle machine: `make bench`


def test_two_at_work_send_nothing_twice(sent_at, stub, connected, start):
    for number in range(30):
        send(str(number), to=f"0812-0000-1{number % 5}00")
    start()
    start()
    assert until(lambda: len(sent_at) == 30)
    time.sleep(0.2)
    assert sorted(stub.texts, key=int) == [str(number) for number in range(30)]


def test_the_order_per_recipient_is_kept_by_two_at_work(sent_at, stub, connected, start):
    for number in range(30):
        send(str(number), to=f"0812-0000-1{number % 3}00")
    start()
    start()
    assert until(lambda: len(sent_at) == 30)
    for recipient in range(3):
        numbers = [int(text) for text in stub.texts if int(text) % 3 == recipient]
        assert numbers == sorted(numbers)


def test_what_outlives_its_time_is_shown_as_expired_at_once(stub, unlinked, start):
    message = send("late", valid_for_seconds=1)
    start()
    assert until(lambda: now_is(message) == MessageStatus.EXPIRED)


def test_a_session_that_is_back_sends_at_once_what_waited_for_it(stub, make_session, make_message, start):
    away = make_session(reason=Reason.GATEWAY_UNREACHABLE)
    later = clock.now() + timedelta(minutes=5)
    message = make_message(away, next_at=later, error_code="gateway_unreachable")
    start()
    with writing():
        current = db.session.merge(away)
        status.move(current, Status.CONNECTED, None, actor="check", now=clock.now())
    assert until(lambda: now_is(message) == MessageStatus.SENT)


def test_at_rest_the_database_is_left_alone(connected, start, on_statement):
    start()
    time.sleep(0.3)
    asked = []
    on_statement(lambda *about: asked.append(about[2]))
    time.sleep(1.0)
    assert asked == []


def test_a_message_that_breaks_its_sending_holds_up_nobody(sent_at, connected, start, make_message):
    broken = make_message(connected, reference="•")  # no header can carry this
    send("fine", to="0812-0000-1111")
    start()
    assert until(lambda: "fine" in sent_at)
    assert now_is(broken) != MessageStatus.SENDING


def test_after_stopping_nothing_more_is_begun(sent_at, release, stub, connected, start):
    for number in range(5):
        send(f"hang {number}", to=f"0812-0000-1{number}00")
    at_work = start()
    assert until(lambda: len(sent_at) == 1)
    at_work.stop()
    release.set()
    assert until(at_work.have_returned)
    assert (len(sent_at), deliveries.settle_leases()) == (1, 0)
    assert db.session.query(Message).filter_by(status=MessageStatus.SENDING).count() == 0


def test_what_cannot_be_waited_for_is_put_on_record(sent_at, connected, start):
    message = send("hang")
    at_work = start()
    assert until(lambda: sent_at)
    at_work.stop()
    at_work.abandon()
    # this gateway knows our references: it is asked again by whoever comes next
    assert now_is(message) == MessageStatus.QUEUED
