from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Message, MessageStatus
from wa_admin.services import gateways, missed

NOW = clock.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def evolution(stub, connected):
    """Evolution, which keeps what WhatsApp said of our messages."""
    with writing():
        db.session.get_one(Gateway, gateways.of_workspace().id).kind = "evolution"
    rows = [{"keyId": "3EB0", "fromMe": True, "status": word} for word in ("DELIVERY_ACK", "READ")]
    stub.script["findStatusMessage"] = lambda asked: (
        200,
        rows if asked.body["where"] == {"id": "3EB0"} else [],
    )
    return stub


@pytest.fixture
def sent(connected, make_message):
    def make(provider_id, ago):
        return make_message(
            connected, status=MessageStatus.SENT, provider_id=provider_id, sent_at=NOW - ago, next_at=None
        )

    return make


def status_of(message):
    db.session.rollback()
    return db.session.get(Message, message.id, populate_existing=True).status


def test_what_was_told_while_nobody_listened_is_asked_for(evolution, sent):
    message, other = sent("3EB0", HOUR), sent("3EB1", HOUR)
    assert missed.ask(NOW) == 1
    assert (status_of(message), status_of(other)) == (MessageStatus.READ, MessageStatus.SENT)
    assert missed.ask(NOW) == 0


@pytest.mark.parametrize("ago", [timedelta(minutes=1), timedelta(days=2)])
def test_what_is_new_or_long_given_up_is_not_asked_for(evolution, sent, ago):
    sent("3EB0", ago)
    assert missed.ask(NOW) == 0
    assert evolution.asked == []


def test_a_gateway_that_does_not_answer_is_asked_another_time(evolution, sent):
    message = sent("3EB0", HOUR)
    evolution.script["findStatusMessage"] = lambda asked: (500, {})
    assert missed.ask(NOW) == 0
    assert status_of(message) == MessageStatus.SENT


def test_the_bundled_gateway_tells_by_itself(stub, sent):
    sent("3EB0", HOUR)
    assert missed.ask(NOW) == 0
    assert stub.asked == []
