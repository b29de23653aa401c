"""Killed in the midst of 60 sends: what left is found at the gateway, and nothing arrives twice."""

import json
import random
import time
from collections import Counter
from datetime import timedelta

import pytest
from draining import start_draining
from fake_evolution import FakeEvolution

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus
from wa_admin.services import deliveries, doubts, gateways, outbox

ACCEPTED, RECIPIENTS = 60, 12  # each gets the same words five times
KILLS = ["before_result", "", "before_result", ""]  # at a marked point, or at any


class Slow(FakeEvolution):
    """It takes its time to answer after a message has left."""

    def send_text(self, asked, name):
        answer = super().send_text(asked, name)
        time.sleep(0.02)
        return answer

    send_text.routes = FakeEvolution.send_text.routes


@pytest.fixture
def evolution():
    with Slow() as fake:
        yield fake


@pytest.fixture(params=[False, True], ids=["to a person", "sent again"])
def resends(request):
    return request.param


@pytest.fixture
def environ(data_dir, resends):
    return {
        "WA_DATA_DIR": str(data_dir),
        "WA_ENGINE": "simulator",
        "WA_SEND_INTERVAL_SECONDS": "0",
        "WA_RESEND_UNCERTAIN": str(int(resends)),
    }


@pytest.fixture
def app(make_app, environ, evolution):
    app = make_app(**environ)
    with app.app_context():
        gateway = gateways.ensure()
        with writing():
            gateway.kind, gateway.base_url = "evolution", evolution.url
            gateway.capabilities = "list,look_up_sent"
            gateway.sealed_key = vault().seal(evolution.key)
        yield app


@pytest.fixture
def linked(app, evolution, connected):
    """The session, at the gateway too."""
    driver = gateways.driver(gateways.of_workspace())
    driver.create(connected.instance)
    driver.connect(connected.instance)
    evolution.scan(connected.instance)
    return connected


def kill_a_worker(environ, crash_at):
    worker = start_draining(environ, crash_at)
    if not crash_at:
        time.sleep(random.uniform(0.1, 0.25))
        worker.kill()
    worker.wait(120)


def two_minutes_later():
    """The lease has run out, and the last look is due."""
    past = clock.now() - timedelta(seconds=121)
    with writing():
        db.session.query(Message).filter_by(status=MessageStatus.SENDING).update({"lease_until": past})
    deliveries.settle_leases()
    doubtful = db.session.query(Message).filter_by(status=MessageStatus.UNCERTAIN)
    met = doubtful.count()
    with writing():
        doubtful.filter(Message.next_at.is_not(None)).update({"status_at": past, "next_at": past})
    doubts.look()
    return met


def test_a_kill_leaves_no_doubt_and_nothing_arrives_twice(app, environ, evolution, linked, resends):
    for n in range(ACCEPTED):
        outbox.send(1, f"08120000{1000 + n % RECIPIENTS}", "Your order is ready", source="cli")
    met = 0
    for point in KILLS:
        kill_a_worker(environ, point)
        met += two_minutes_later()
    deliveries.drain()
    db.session.expire_all()
    arrived = Counter(one.to for one in evolution.sent)
    statuses = Counter(one.status for one in db.session.query(Message))
    report = {
        "accepted": ACCEPTED,
        "delivered": len(evolution.sent),
        "double": sum(max(0, count - ACCEPTED // RECIPIENTS) for count in arrived.values()),
        "uncertain": statuses[MessageStatus.UNCERTAIN],
        "lost": ACCEPTED - len(evolution.sent) - statuses[MessageStatus.UNCERTAIN],
    }
    print(json.dumps(report | {"doubts": met, "database": db.engine.dialect.name}))
    assert met >= KILLS.count("before_result")
    assert (report["double"], report["lost"]) == (0, 0)
    ids = [one.provider_id for one in db.session.query(Message) if one.provider_id]
    assert sorted(ids) == sorted(one.provider_id for one in evolution.sent)
    if resends:
        assert (report["delivered"], report["uncertain"]) == (ACCEPTED, 0)
