"""A long queue is a normal day: it can be looked at and taken back, and costs the next message nothing."""

import time

import pytest
from sqlalchemy import insert

from wa_admin import clock
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Call, Message, MessageStatus, WhatsAppSession
from wa_admin.services import deliveries, outbox, progress, subscriptions, tidings

MANY = 2000
CANCELLED_WITHIN_SECONDS = 2.0  # five times as many: `make faults`


@pytest.fixture
def queue(connected):
    now = clock.now()
    usual = {
        "workspace_id": 1,
        "session_id": connected.id,
        "session_name": connected.name,
        "source": "cli",
        "status": MessageStatus.QUEUED,
        **dict.fromkeys(("next_at", "queued_at", "created_at", "status_at"), now),
        "attempts": 0,
        "rev": 1,
    }
    people = [f"62812{number:08}" for number in range(MANY)]
    rows = [usual | {"body": to, "typed": to, "recipient": to, "reference": new_token()} for to in people]
    with writing():
        db.session.execute(insert(Message), rows)
        progress.count_waiting(connected.id, MANY)


def waiting(wa_session):
    db.session.rollback()
    db.session.refresh(wa_session)
    return wa_session.waiting_count


@pytest.mark.parametrize("apps", [0, 1])
def test_all_that_waits_is_taken_back_at_once(queue, connected, apps):
    for name in range(apps):  # that want to hear of each
        subscriptions.add(1, f"App {name}", "https://93.184.216.34/", tidings.KINDS, actor="cli")
    began = time.process_time()
    with writing():
        count = outbox.cancel_all(db.session.get_one(WhatsAppSession, connected.id), actor="cli")
    assert time.process_time() - began < CANCELLED_WITHIN_SECONDS
    assert (count, waiting(connected)) == (MANY, 0)
    assert db.session.scalar(db.select(db.func.count()).where(Message.status == "cancelled")) == MANY
    assert db.session.query(Call).count() == apps * MANY


def test_the_next_message_leaves_as_soon_as_from_a_short_queue(queue, stub, connected):
    began = time.process_time()
    for _ in range(20):
        assert deliveries.deliver_next(connected.id)
    assert time.process_time() - began < 2.0
    assert waiting(connected) == MANY - 20
