"""Calls to apps, over the wire: signed, tried again as the schedule says, no app in the way of another."""

import time
from datetime import timedelta

import pytest
from app_receiver import NO_TLS, AppReceiver
from standardwebhooks import WebhookVerificationError
from waiting import until

from wa_admin import clock
from wa_admin.callers import Callers
from wa_admin.drivers.outbound import Outbound
from wa_admin.extensions import db, writing
from wa_admin.models import Call, CallStatus, Event, Subscription
from wa_admin.scheduler import Leader
from wa_admin.services import calls, subscriptions, tidings


@pytest.fixture
def app(make_app):
    app = make_app(WA_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8,::1/128")
    with app.app_context():
        yield app


@pytest.fixture
def receiver():
    receiver = AppReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def other_receiver():
    receiver = AppReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def outbound(app):
    outbound = Outbound(app.config["SETTINGS"].webhook_allow_cidrs, tls=NO_TLS)
    yield outbound
    outbound.close()


@pytest.fixture
def callers(app):
    callers = Callers(app)
    yield callers
    callers.stop()
    assert until(callers.have_returned)
    callers.close()


@pytest.fixture
def added(app, receiver):
    """A subscription and its secret."""
    return subscriptions.add(1, "orders-app", receiver.url, tidings.KINDS, actor="cli")


@pytest.fixture
def subscription(added):
    return added[0]


@pytest.fixture
def deliver(subscription, outbound):
    """Make the next call of the subscription, whenever it is due; how it is now."""

    def run(call=None):
        with writing():
            db.session.query(Call).filter_by(status="waiting").update({"next_at": clock.now()})
        calls.deliver_next(subscription.id, outbound)
        return now(call or the_call())

    return run


def event(subscription):
    return subscriptions.test(1, subscription.id)


def now(row):
    db.session.rollback()
    db.session.refresh(row)
    return row


def the_call():
    return db.session.query(Call).one()


def test_a_call_is_signed_as_apps_check_it(added, receiver, deliver):
    event(added[0])
    assert deliver().status == CallStatus.DELIVERED
    told = receiver.verified(added[1])
    assert (told["type"], told["data"]) == ("webhook.test", {"id": 1, "name": "orders-app"})


def test_a_changed_body_is_not_ours(added, receiver, deliver):
    event(added[0])
    deliver()
    headers, body = receiver.requests[0]
    receiver.requests[0] = (headers, body.replace(b"orders", b"others"))
    with pytest.raises(WebhookVerificationError):
        receiver.verified(added[1])


def test_both_secrets_sign_for_a_day_after_a_rotation(added, receiver, deliver):
    _, secret = subscriptions.rotate_secret(1, added[0].id, actor="cli")
    event(added[0])
    deliver()
    assert receiver.verified(added[1]) == receiver.verified(secret)
    assert len(receiver.requests[0][0]["webhook-signature"].split()) == 2


def test_the_old_secret_signs_no_longer_than_that(added, receiver, deliver):
    _, secret = subscriptions.rotate_secret(1, added[0].id, actor="cli")
    with writing():
        added[0].old_secret_until = clock.now() - timedelta(seconds=1)
    event(added[0])
    deliver()
    assert receiver.verified(secret)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(added[1])


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500, 503])
def test_any_answer_but_a_success_is_tried_again(subscription, receiver, deliver, status):
    receiver.answers = [(status, {"Location": receiver.url}), 200]
    event(subscription)
    call = deliver()
    assert (call.status, call.answer_status, call.attempts) == (CallStatus.WAITING, status, 1)
    assert len(receiver.requests) == 1  # no redirect is followed
    assert deliver().status == CallStatus.DELIVERED
    assert len(set(receiver.ids)) == 1


def test_a_call_is_tried_again_as_the_schedule_says(subscription, receiver, deliver):
    receiver.answers = [500]
    event(subscription)
    for seconds in calls.RETRY_SECONDS:
        call = deliver()
        waits = (call.next_at - clock.now()).total_seconds()
        assert seconds * 0.99 - 1 <= waits <= seconds * 1.2
    call = deliver()
    assert (call.status, call.next_at, call.attempts) == (CallStatus.FAILED, None, 10)


def test_an_app_says_when_it_wants_to_be_asked_again(subscription, receiver, deliver):
    receiver.answers = [(429, {"Retry-After": "3600"})]
    event(subscription)
    waits = deliver().next_at - clock.now()
    assert timedelta(minutes=59) < waits <= timedelta(hours=1)


def test_an_app_cannot_be_asked_for_sooner_than_planned(subscription, receiver, deliver):
    receiver.answers = [(429, {"Retry-After": "0"})]
    event(subscription)
    assert deliver().next_at - clock.now() > timedelta(seconds=4)


def test_an_address_that_is_gone_is_called_no_more(subscription, receiver, deliver):
    receiver.answers = [410]
    first, second = event(subscription), event(subscription)
    deliver(first)
    assert (now(first).status, now(second).status) == (CallStatus.FAILED, CallStatus.FAILED)
    assert not now(subscription).is_active and subscription.disabled_at
    assert db.session.query(Event).filter_by(kind="webhook_disabled").count() == 1


@pytest.mark.parametrize(("days", "is_active"), [(4.9, True), (5.1, False)])
def test_after_five_days_of_failure_it_is_switched_off(subscription, receiver, deliver, days, is_active):
    receiver.answers = [500]
    with writing():
        subscription.failing_since = clock.now() - timedelta(days=days)
    event(subscription)
    deliver()
    assert now(subscription).is_active == is_active


def test_one_success_ends_the_days_of_failure(subscription, deliver):
    with writing():
        subscription.failing_since = clock.now() - timedelta(days=4)
    event(subscription)
    deliver()
    assert now(subscription).failing_since is None


def test_an_answer_that_never_ends_is_a_success_all_the_same(subscription, receiver, deliver):
    receiver.answers = ["drip", "flood"]
    event(subscription)
    began = time.monotonic()
    assert deliver().status == CallStatus.DELIVERED
    assert deliver(event(subscription)).status == CallStatus.DELIVERED
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(("answer", "error"), [("hang_up", "broken"), ("hang", "timeout")])
def test_no_answer_is_tried_again(subscription, receiver, app, answer, error):
    receiver.answers = [answer]
    allowed = app.config["SETTINGS"].webhook_allow_cidrs
    call, hasty = event(subscription), Outbound(allowed, seconds=0.3, tls=NO_TLS)
    calls.deliver_next(subscription.id, hasty)
    hasty.close()
    now(call)
    assert (call.status, call.answer_status, call.error) == (CallStatus.WAITING, None, error)


def test_nobody_there_is_tried_again(subscription, receiver, deliver):
    receiver.close()
    event(subscription)
    assert deliver().error == "no_connection"


def test_a_secret_that_cannot_be_opened_is_our_fault_and_told_so(subscription, receiver, deliver, caplog):
    with writing():
        subscription.sealed_secret = "broken"
    event(subscription)
    assert (deliver().error, receiver.requests) == ("internal", [])
    assert "could not be made" in caplog.text


def test_an_app_that_hangs_holds_up_neither_others_nor_its_own_next_call(
    subscription, receiver, other_receiver, callers
):
    receiver.answers = ["hang", 204]
    other, _ = subscriptions.add(1, "other", other_receiver.url, tidings.KINDS, actor="cli")
    hanging = event(subscription)
    callers.round()
    assert until(lambda: receiver.requests)
    own, others = event(subscription), event(other)
    callers.round()
    assert until(lambda: now(own).status == now(others).status == CallStatus.DELIVERED)
    assert now(hanging).status == CallStatus.WAITING
    receiver.released.set()


def test_so_many_calls_of_one_app_are_under_way_at_once(subscription, receiver, callers):
    receiver.answers = ["hang"]
    for _ in range(9):
        event(subscription)
    for _ in range(3):
        callers.round()
    assert until(lambda: len(receiver.requests) == calls.AT_ONCE)
    time.sleep(0.2)
    assert len(receiver.requests) == calls.AT_ONCE
    receiver.released.set()


def test_calls_begin_in_the_order_of_what_happened(subscription, receiver, outbound):
    told = [event(subscription).uid for _ in range(5)]
    while calls.deliver_next(subscription.id, outbound):
        pass
    assert receiver.ids == told


def test_two_schedulers_that_race_make_each_call_once(subscription, receiver, app):
    told = {event(subscription).uid for _ in range(30)}
    both = [Callers(app), Callers(app)]
    while db.session.query(Call).filter_by(status="waiting").count():
        for callers in both:
            callers.round()
        db.session.rollback()
    for callers in both:
        callers.stop()
    assert until(lambda: all(callers.have_returned() for callers in both))
    for callers in both:
        callers.close()
    assert (len(receiver.ids), set(receiver.ids)) == (30, told)


def test_the_scheduler_makes_the_calls(subscription, receiver, app):
    leader, call = Leader(app), event(subscription)
    leader.start([])
    assert until(lambda: now(call).status == CallStatus.DELIVERED)
    leader.stop()
    assert receiver.ids == [call.uid]


def test_a_paused_one_is_not_called_and_goes_on_after(subscription, receiver, callers):
    event(subscription)
    subscriptions.pause(1, subscription.id, actor="cli")
    callers.round()
    assert callers.have_returned() and not receiver.requests
    subscriptions.resume(1, subscription.id, actor="cli")
    callers.round()
    assert until(lambda: receiver.requests)


def test_what_failed_can_be_sent_again_under_the_same_id(subscription, receiver, deliver):
    receiver.answers = [410, 200]
    call = event(subscription)
    deliver()
    subscriptions.resume(1, subscription.id, actor="cli")
    assert calls.resend_failed(1, subscription.id) == 1
    assert deliver(call).status == CallStatus.DELIVERED
    calls.resend(1, call.id)
    assert deliver(call).attempts == 1
    assert receiver.ids == [call.uid] * 3


def test_a_call_under_way_is_not_made_twice_by_a_resend(subscription, receiver, callers):
    receiver.answers = ["hang"]
    call = event(subscription)
    callers.round()
    assert until(lambda: receiver.requests)
    calls.resend(1, call.id)
    assert now(call).attempts == 1
    receiver.released.set()


def test_the_log_is_kept_for_a_while(subscription, deliver):
    event(subscription)
    deliver()
    assert calls.forget_old(clock.now() + timedelta(days=6)) == 0
    assert calls.forget_old(clock.now() + timedelta(days=8)) == 1


def test_what_never_arrived_is_kept_longer(subscription):
    event(subscription)
    assert calls.forget_old(clock.now() + timedelta(days=29)) == 0
    assert calls.forget_old(clock.now() + timedelta(days=31)) == 1


@pytest.mark.sqlite
def test_neither_secret_nor_address_is_in_the_database_or_the_log(added, receiver, deliver, app, caplog):
    caplog.set_level("DEBUG")
    receiver.answers = [500, 200]
    event(added[0])
    deliver()
    deliver()
    db.session.rollback()
    with db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (app.config["SETTINGS"].data_dir / "wa-admin.db").read_bytes()
    for secret in (added[1], added[1].removeprefix("whsec_"), "token=hush"):
        assert secret.encode() not in stored and secret not in caplog.text
    assert db.session.query(Subscription).one().host == "127.0.0.1"
