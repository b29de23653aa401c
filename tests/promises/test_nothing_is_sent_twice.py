"""The process that hands over is killed at every point of a delivery: nothing is lost, nothing doubled."""

from collections import Counter
from datetime import timedelta

import pytest
from draining import start_draining
from waiting import wait_until

from wa_admin import clock
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus
from wa_admin.services import deliveries, gateways, outbox

KILLS = 2  # after the third a person is asked


@pytest.fixture
def environ(gateway, data_dir):
    return {
        "WA_DATA_DIR": str(data_dir),
        "WA_ENGINE": "simulator",
        "WA_SEND_INTERVAL_SECONDS": "0",
        "WA_GATEWAY_PORT": str(gateway.port),
        "WA_GATEWAY_KEY": gateway.key,
    }


@pytest.fixture
def app(make_app, environ):
    app = make_app(**environ)
    with app.app_context():
        gateways.ensure()
        yield app


def take_up_what_was_left():
    """As the scheduler would once the lease has run out."""
    past = clock.now() - timedelta(seconds=1)
    with writing():
        db.session.query(Message).filter_by(status=MessageStatus.SENDING).update({"lease_until": past})
    deliveries.settle_leases()
    with writing():
        db.session.query(Message).filter_by(status=MessageStatus.QUEUED).update({"next_at": past})


def accept(count, word):
    word = f"{word} {new_token()}"  # the gateway remembers what other tests sent
    return [
        outbox.send(1, f"08120000{n:04}", f"{word} {n}", source="cli").body for n in range(1000, 1000 + count)
    ]


def settled():
    db.session.rollback()
    db.session.expire_all()
    return Counter(message.status for message in db.session.query(Message))


@pytest.mark.parametrize("point", ["before_claim", "after_claim", "before_result"])
def test_a_kill_at_a_marked_point_loses_and_doubles_nothing(app, environ, gateway, connected, point):
    texts = accept(KILLS + 2, point)
    for _ in range(KILLS):
        assert start_draining(environ, crash_at=point).wait(120) == 137
        take_up_what_was_left()
    deliveries.drain()
    arrived = Counter(one["text"] for one in gateway.received() if one["text"] in texts)
    assert arrived == Counter(texts)
    assert settled() == {MessageStatus.SENT: len(texts)}


def test_a_kill_while_the_gateway_is_sending_loses_and_doubles_nothing(app, environ, gateway, connected):
    texts = accept(2, "in flight")
    gateway.simulate("mode", send="slow")
    worker = start_draining(environ)
    wait_until(lambda: settled()[MessageStatus.SENDING])
    worker.kill()
    worker.wait()
    gateway.simulate("mode", send="ok")
    take_up_what_was_left()
    deliveries.drain()
    arrived = Counter(one["text"] for one in gateway.received() if one["text"] in texts)
    assert arrived == Counter(texts)


def test_without_references_a_kill_leaves_doubt_and_never_a_double(app, environ, gateway, connected):
    with writing():
        row = gateways.of_workspace()
        row.kind, row.capabilities = "evolution", "qr"
    texts = accept(4, "external")
    for _ in range(2):
        assert start_draining(environ, crash_at="before_result").wait(120) == 137
        take_up_what_was_left()
    deliveries.drain()
    arrived = Counter(one["text"] for one in gateway.received() if one["text"] in texts)
    assert arrived == Counter(texts)
    assert settled() == {MessageStatus.SENT: 2, MessageStatus.UNCERTAIN: 2}
