"""A database that comes from a backup does nothing by itself that may have been done since."""

from datetime import timedelta

import pytest

from wa_admin import clock, story
from wa_admin.extensions import db, writing
from wa_admin.models import (
    Call,
    CallStatus,
    Delivery,
    Event,
    Lease,
    LinkPass,
    LoginSession,
    Message,
    MessageStatus,
    Subscription,
    WhatsAppSession,
)
from wa_admin.services import audit, deliveries, due, logins, outbox, restored, users

MADE_AT = clock.now() - timedelta(days=1)
OPEN = (MessageStatus.QUEUED, MessageStatus.SENDING)


@pytest.fixture
def restore():
    """Bring it to rest, and read everything anew."""

    def settle():
        settled = restored.settle(MADE_AT, clock.now())
        db.session.rollback()
        db.session.expire_all()
        return settled

    return settle


def test_what_waited_or_was_on_its_way_is_uncertain(connected, make_message, restore):
    for status in OPEN:
        make_message(connected, status=status, attempts=1)
    assert restore().messages == 2
    found = db.session.query(Message).all()
    assert {(one.status, one.error_code, one.lease_until) for one in found} == {
        (MessageStatus.UNCERTAIN, "restored", None)
    }


@pytest.mark.parametrize("status", sorted(set(MessageStatus) - set(OPEN)))
def test_what_was_settled_stays_as_it_was(connected, make_message, restore, status):
    message = make_message(connected, status=status, error_code="rejected")
    assert restore().messages == 0
    assert (message.status, message.error_code, message.rev) == (status, "rejected", 1)


def test_nothing_is_sent_before_somebody_says_so(stub, connected, make_message, restore):
    for _ in range(5):
        outbox.send(1, "081299998888", "Halo", source="cli")
    restore()
    assert due.plan(clock.now() + timedelta(days=2)) == []
    assert (deliveries.drain(), deliveries.settle_leases(), deliveries.expire()) == (0, 0, 0)
    assert stub.texts == []
    assert {one.status for one in db.session.query(Message)} == {MessageStatus.UNCERTAIN}


def test_a_person_sends_one_again_and_says_of_another_that_it_arrived(connected, restore):
    again, arrived = (outbox.send(1, "081299998888", text, source="cli") for text in ("one", "two"))
    restore()
    outbox.retry(1, again.id, actor="cli")
    outbox.it_arrived(1, arrived.id, actor="cli")
    assert (outbox.find(1, again.id).status, outbox.find(1, arrived.id).status) == ("queued", "sent")
    counts = db.session.get_one(WhatsAppSession, connected.id, populate_existing=True)
    assert (counts.waiting_count, counts.uncertain_count) == (1, 0)


def test_one_that_is_sent_again_may_still_have_left_before(connected, restore):
    message = outbox.send(1, "081299998888", "Halo", source="cli")
    restore()
    outbox.retry(1, message.id, actor="cli")
    outbox.cancel(1, message.id, actor="cli")
    assert outbox.find(1, message.id).status == "uncertain"
    assert story.may_have_left(outbox.find(1, message.id))


def test_the_counters_fit(connected, make_message, restore):
    for status in (*OPEN, MessageStatus.UNCERTAIN, MessageStatus.SENT):
        make_message(connected, status=status)
    restore()
    counts = db.session.get_one(WhatsAppSession, connected.id)
    assert (counts.waiting_count, counts.uncertain_count) == (0, 3)


def test_an_attempt_that_was_under_way_is_closed(connected, make_message, restore):
    message = make_message(connected, status=MessageStatus.SENDING, attempts=1)
    with writing():
        db.session.add(Delivery(message_id=message.id, attempt=1, started_at=MADE_AT))
    restore()
    attempt = db.session.query(Delivery).one()
    assert (attempt.outcome, attempt.error_code) == ("uncertain", "restored")


def test_calls_to_apps_wait_for_a_person(connected, restore):
    with writing():
        to = subscription_of_an_app()
        for status in CallStatus:
            db.session.add(
                Call(subscription_id=to, uid=f"msg_{status}", kind="webhook.test", payload="{}",
                     status=status, next_at=MADE_AT, created_at=MADE_AT)
            )  # fmt: skip
    assert restore().calls == 1
    call = db.session.query(Call).filter_by(uid="msg_waiting").one()
    assert (call.status, call.error, call.next_at) == (CallStatus.FAILED, "restored", None)


def subscription_of_an_app():
    made = Subscription(
        workspace_id=1, name="orders", sealed_url="", host="app.example.com", events="message.status",
        sealed_secret="", created_by="cli", created_at=MADE_AT,
    )  # fmt: skip
    db.session.add(made)
    db.session.flush()
    return made.id


def test_whoever_was_let_in_then_logs_in_anew(connected, restore):
    who = users.find(1, "admin@example.com")
    with writing():
        logins.start("token", who.id, 1, address="127.0.0.1", agent="test", now=clock.now())
        db.session.add(
            LinkPass(session_id=connected.id, token_hash="x", created_by="cli", created_at=MADE_AT,
                     expires_at=clock.now() + timedelta(days=9))
        )  # fmt: skip
        db.session.merge(Lease(name="scheduler", holder="old:1", renewed_at=clock.now()))
    restore()
    assert db.session.query(LoginSession).count() == db.session.query(Lease).count() == 0
    assert db.session.query(LinkPass).one().revoked_at is not None


def test_it_stands_in_the_timeline_and_in_an_audit_log_that_is_whole(connected, make_message, restore):
    make_message(connected)
    restore()
    event = db.session.query(Event).filter_by(kind="restored").one()
    assert event.detail == {"count": 1, "made_at": f"{MADE_AT:%Y-%m-%d %H:%M} UTC"}
    assert [entry.actor for entry in audit.page(1, action="restored").items] == ["cli"]
    assert audit.verify().broken_id is None
