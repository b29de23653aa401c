"""Two machines, each with a panel and a scheduler, on one PostgreSQL: one leads, and whatever becomes of it,
messages leave once and soon."""

import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
import waiting
from running_panel import RunningPanel
from running_scheduler import RunningScheduler

from wa_admin import clock
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus
from wa_admin.services import api_keys, deliveries, gateways

pytestmark = pytest.mark.postgresql
LONGEST_GAP_SECONDS = 15


until = partial(waiting.until, seconds=60.0)


@pytest.fixture
def environ(gateway):
    return {
        "WA_SEND_INTERVAL_SECONDS": "0.05",
        "WA_GATEWAY_PORT": str(gateway.port),
        "WA_GATEWAY_KEY": gateway.key,
    }


@pytest.fixture
def app(make_app, environ):
    app = make_app(**environ)
    with app.app_context():
        gateways.ensure()
        yield app


@pytest.fixture
def panels(app, connected, data_dir, tmp_path, environ):
    """One on each machine; the keys are the same, the data directories are not."""
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    panels = []
    for machine in ("one", "two"):
        shutil.copytree(data_dir, tmp_path / machine)
        panels.append(RunningPanel(tmp_path / machine, key, **environ))
    yield panels
    for panel in panels:
        panel.close()


@pytest.fixture
def start_scheduler(panels, environ, tmp_path):
    started = []

    def start(machine):
        log = tmp_path / f"scheduler-{len(started)}.log"
        port = str(panels[machine].port)  # where the gateway reports to
        scheduler = RunningScheduler(panels[machine].data_dir, log, WA_PORT=port, **environ)
        started.append(scheduler)
        return scheduler

    yield start
    for scheduler in started:
        scheduler.kill()


def accepted(panels, texts):
    """Each by one of the panels, several at a time; asked again while something is busy, as apps do."""

    def send(number, text):
        panel, to = panels[number % 2], f"08120000{number % 7:04}"
        while (answer := panel.send(text, to, **{"Idempotency-Key": text})).status_code == 503:
            time.sleep(float(answer.headers["Retry-After"]))
        return answer.status_code

    with ThreadPoolExecutor(4) as callers:
        assert set(callers.map(send, range(1000, 1000 + len(texts)), texts)) == {202}


def arrived(gateway, texts):
    return Counter(one["text"] for one in gateway.received() if one["text"] in texts)


def gap_after(moment):
    """The seconds until the next message was handed over."""
    db.session.rollback()
    next_at = db.session.scalar(db.select(db.func.min(Message.sent_at)).where(Message.sent_at > moment))
    return (next_at - moment).total_seconds()


def take_up_what_was_left():
    """As the leader would once the lease has run out."""
    with writing():
        db.session.query(Message).filter_by(status=MessageStatus.SENDING).update(
            {"lease_until": clock.now() - timedelta(seconds=1)}
        )
    deliveries.settle_leases()


def texts_of(count):
    run = new_token()  # the gateway remembers what other tests sent
    return [f"{run} {number}" for number in range(count)]


def test_whatever_becomes_of_the_leader_messages_leave_once_and_soon(gateway, panels, start_scheduler):
    killed = start_scheduler(0)
    assert until(killed.leads), killed.said()
    frozen, third = start_scheduler(1), start_scheduler(0)
    assert until(lambda: frozen.stands_by() and third.stands_by())
    texts = texts_of(40)
    accepted(panels, texts)
    assert until(lambda: len(arrived(gateway, texts)) > 5)
    killed.kill()
    killed_at = clock.now()
    assert until(lambda: len(arrived(gateway, texts)) > 30), frozen.said() + third.said()
    take_up_what_was_left()
    assert until(lambda: arrived(gateway, texts) == Counter(texts))
    assert gap_after(killed_at) <= LONGEST_GAP_SECONDS

    if third.leads():
        frozen, third = third, frozen
    frozen.freeze()
    frozen_at = clock.now()
    texts = texts_of(10)
    accepted(panels, texts)
    assert until(third.leads)
    take_up_what_was_left()  # which others to the same people wait for
    assert until(lambda: arrived(gateway, texts) == Counter(texts)), third.said()
    assert gap_after(frozen_at) <= LONGEST_GAP_SECONDS
    frozen.thaw()
    assert until(frozen.stands_by)
    assert third.leads()


def test_a_database_that_is_started_again_is_found_again(postgresql, gateway, panels, start_scheduler):
    scheduler = start_scheduler(0)
    assert until(scheduler.leads), scheduler.said()
    postgresql.server.stop()
    try:
        answers = [panel.send("while it is away") for panel in panels]
        poll = panels[0].client.get("/sessions/1/status", headers={"HX-Request": "true"})
    finally:
        postgresql.server.start()
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert poll.status_code in (401, 503)
    texts = texts_of(10)
    accepted(panels, texts)
    assert until(lambda: arrived(gateway, texts) == Counter(texts))
    assert scheduler.leads()


def test_one_key_on_two_machines_at_once_is_one_message(panels):
    def send(turn):
        return panels[turn % 2].send("once", **{"Idempotency-Key": "order-1"}).json()["data"]["id"]

    with ThreadPoolExecutor(8) as callers:
        assert len(set(callers.map(send, range(16)))) == 1
