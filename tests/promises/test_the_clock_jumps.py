"""The clock is set by an hour, either way: nothing leaves twice, nothing is stuck for longer than a lease."""

from dataclasses import replace
from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Call, HookCall, Message, MessageStatus, Notice, Reason, Status
from wa_admin.services import (
    claiming,
    clock_back,
    deliveries,
    gateways,
    inbox,
    notices,
    outages,
    outbox,
    subscriptions,
    tidings,
)

HOUR = timedelta(hours=1)
AT_ALL = timedelta(seconds=2)  # that a test takes


def was_written_by_a_clock_ahead(table, *columns):
    """As after setting the clock back by an hour."""
    with writing():
        for row in db.session.query(table):
            for column in columns:
                setattr(row, column, getattr(row, column) + HOUR)


def under_way():
    """A message that a worker has claimed, and its claim."""
    message = outbox.send(1, "081299998888", "Halo", source="cli")
    (claim,) = deliveries.claim([message.session_id])
    return message, claim


def test_what_waited_when_the_clock_was_set_back_leaves_at_once(stub, connected):
    outbox.send(1, "081299998888", "Halo", source="cli")
    was_written_by_a_clock_ahead(Message, "next_at", "status_at", "queued_at", "created_at")
    assert deliveries.drain() == 0
    assert clock_back.mend() == 1
    assert deliveries.drain() == 1
    assert (stub.texts, clock_back.mend()) == (["Halo"], 0)


def test_a_gateway_that_said_how_long_to_wait_is_left_alone(stub, connected):
    stub.script["sendText"] = [(429, {}, {"Retry-After": "7200"})]
    message = outbox.send(1, "081299998888", "Halo", source="cli")
    deliveries.drain()
    assert clock_back.mend() == 0
    assert message.next_at > clock.now() + HOUR


def test_a_lease_from_before_ends_as_late_as_a_new_one_would(stub, connected):
    message, _ = under_way()
    was_written_by_a_clock_ahead(Message, "lease_until", "status_at")
    clock_back.mend()
    db.session.refresh(message)
    assert abs(message.lease_until - clock.now() - claiming.LEASE) < AT_ALL
    assert deliveries.settle_leases() == 0  # whoever sends it still may


@pytest.mark.parametrize("offers", ["ids_in_advance", "qr"])
def test_a_clock_set_forward_while_a_message_is_under_way_sends_it_once(stub, connected, offers):
    with writing():
        row = gateways.of_workspace()
        row.kind, row.capabilities = ("bundled" if offers == "ids_in_advance" else "evolution"), offers
    message, claim = under_way()
    with writing():
        message.lease_until -= HOUR
    deliveries.settle_leases()
    deliveries.deliver(claim)
    with writing():
        db.session.query(Message).update({"next_at": clock.now()})
    deliveries.drain()
    references = [asked.headers.get("X-Reference") for asked in stub.asked if "sendText" in asked.path]
    assert len(references) == 1 or set(references) == {message.reference}  # the same never leaves twice


def test_a_process_that_was_frozen_since_it_claimed_a_message_does_not_hand_it_over(stub, connected):
    message, claim = under_way()
    deliveries.deliver(replace(claim, taken_at=claim.taken_at - claiming.BEGIN_WITHIN_SECONDS))
    db.session.refresh(message)
    assert (stub.texts, message.status) == ([], MessageStatus.QUEUED)


def test_a_doubt_from_before_is_soon_looked_into(connected, make_message):
    later = clock.now() + HOUR
    message = make_message(connected, status=MessageStatus.UNCERTAIN, status_at=later, next_at=later)
    assert clock_back.mend() == 2
    db.session.refresh(message)
    assert message.status_at < clock.now() + timedelta(minutes=2)
    assert message.next_at < clock.now() + timedelta(minutes=11)


def test_a_webhook_from_before_is_read(app, connected):
    receipt = b'{"event":"messages.update","instance":"support_line","data":{"keyId":"3EB1","status":"READ"}}'
    inbox.keep(gateways.of_workspace(), receipt, clock.now())
    was_written_by_a_clock_ahead(HookCall, "next_at", "received_at")
    clock_back.mend()
    assert db.session.query(HookCall).one().next_at < clock.now() + timedelta(minutes=1)


def test_a_start_and_a_next_try_from_before_hold_up_no_session(app, connected):
    with writing():
        connected.starting_until = connected.reconnect_at = clock.now() + HOUR
    assert clock_back.mend() == 2
    db.session.refresh(connected)
    assert connected.starting_until < clock.now() + timedelta(minutes=5)
    assert connected.reconnect_at < clock.now() + timedelta(minutes=16)


def test_a_call_that_was_to_be_made_again_is_made_again_at_once(app):
    subscriptions.add(1, "orders-app", "https://app.example.com/", tidings.KINDS, actor="cli")
    call = subscriptions.test(1, 1)
    was_written_by_a_clock_ahead(Call, "next_at")
    assert clock_back.mend() == 0  # its app asked for that
    was_written_by_a_clock_ahead(Call, "written_at")
    assert clock_back.mend() == 1
    db.session.refresh(call)
    assert call.next_at <= clock.now()
    assert clock_back.mend() == 0


def test_an_alert_that_was_to_be_told_again_is_told_again_soon(app, connected, make_channel):
    make_channel("json://127.0.0.1:9/")
    with writing():
        connected.status, connected.reason = Status.DISCONNECTED, Reason.LOGGED_OUT
    outages.look()
    was_written_by_a_clock_ahead(Notice, "next_at", "written_at")
    assert clock_back.mend() == 1
    assert db.session.query(Notice).one().next_at <= clock.now() + notices.LEASE


def test_a_message_is_done_with_when_nobody_is_sending_it_any_more(stub, connected):
    message, _ = under_way()
    was_written_by_a_clock_ahead(Message, "lease_until", "status_at")
    clock_back.mend()
    with writing():
        message.lease_until -= claiming.LEASE + timedelta(seconds=1)  # which passes
    assert deliveries.settle_leases() == 1
    assert message.status in (MessageStatus.QUEUED, MessageStatus.UNCERTAIN)
