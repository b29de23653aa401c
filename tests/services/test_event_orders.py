"""Events overtake each other, and our own send's answer: whatever the order, the end is the same."""

from datetime import timedelta
from itertools import permutations

import pytest

from wa_admin import clock
from wa_admin.drivers.contract import ReceiptSeen, State, StateSeen
from wa_admin.extensions import db
from wa_admin.models import Message, MessageStatus, Receipt
from wa_admin.services import deliveries, events, gateways, outbox

NAME, ANSWER = "support_line", "answer"
BEGAN = clock.now() - timedelta(minutes=1)
STATES = [
    StateSeen(NAME, State("disconnected", "network", "close"), BEGAN),
    StateSeen(NAME, State("connecting", None, "connecting"), BEGAN + timedelta(seconds=1)),
    StateSeen(NAME, State("connected", None, "open"), BEGAN + timedelta(seconds=2)),
    StateSeen(NAME, State("disconnected", "replaced", "close"), BEGAN + timedelta(seconds=3)),
]


def take_in(*seen):
    events.take_in(gateways.of_workspace(), list(seen))


@pytest.fixture
def send(app, connected, stub):
    """A message whose receipts come in this order, some of them before the gateway has answered us."""

    def send(order, number):
        provider_id, place = f"3EB0{number}", order.index(ANSWER)

        def answer(_asked):
            with app.app_context():
                take_in(*(ReceiptSeen(NAME, provider_id, kind) for kind in order[:place]))
            return 201, {"key": {"id": provider_id}}

        stub.script["sendText"] = answer
        message = outbox.send(1, "0812-9999-8888", "Halo", source="cli")
        assert deliveries.deliver_next(connected.id)
        for kind in order[place + 1 :]:
            take_in(ReceiptSeen(NAME, provider_id, kind))
        return message.id

    return send


@pytest.mark.parametrize(
    ("kinds", "end"),
    [
        (["delivered", "read", "failed"], MessageStatus.READ),
        (["sent", "delivered", "failed"], MessageStatus.DELIVERED),
        (["sent", "failed"], MessageStatus.FAILED),
    ],
    ids=["read", "delivered", "failed"],
)
def test_any_order_of_receipts_and_answer_ends_the_same(send, kinds, end):
    orders = list(permutations([ANSWER, *kinds]))
    sent = [send(order, number) for number, order in enumerate(orders)]
    db.session.rollback()
    ends = [db.session.get_one(Message, id).status for id in sent]
    assert dict(zip(orders, ends, strict=True)) == dict.fromkeys(orders, end)
    assert db.session.query(Receipt).filter_by(message_id=None).count() == 0


@pytest.mark.parametrize("zone", [None, timedelta(hours=7)])
@pytest.mark.parametrize("order", list(permutations(range(len(STATES)))))
def test_any_order_of_states_ends_with_the_last_that_happened(connected, order, zone):
    """Also by a clock that is hours off."""
    for seen in (STATES[place] for place in order):
        take_in(seen if zone is None else StateSeen(NAME, seen.state, turn=seen.at + zone))
    db.session.refresh(connected)
    assert (connected.status, connected.reason) == ("disconnected", "replaced")
    assert connected.linked_at is not None


def test_a_clock_that_was_put_back_is_followed(connected):
    open_, gone = State("connected", None, "open"), State("disconnected", "logged_out", "close")
    take_in(StateSeen(NAME, open_, turn=BEGAN), StateSeen(NAME, gone, turn=BEGAN - timedelta(minutes=59)))
    assert connected.status == "disconnected"


def test_a_gateway_that_is_replaced_by_one_with_a_true_clock_is_heard(connected):
    open_, gone = State("connected", None, "open"), State("disconnected", "logged_out", "close")
    take_in(StateSeen(NAME, open_, turn=BEGAN + timedelta(hours=7)), StateSeen(NAME, gone, BEGAN))
    assert connected.status == "disconnected"
