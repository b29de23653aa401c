"""What is shown of a session is no older than it says, also when nobody tells that the gateway is gone."""

import time
from datetime import timedelta

import pytest
from running_scheduler import RunningScheduler

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Look, Reason
from wa_admin.services import watch

WITHIN_SECONDS = 60  # checks are made every 5 s here, every 30 s otherwise


@pytest.fixture
def scheduler(app, data_dir, connected, stub, tmp_path):
    scheduler = RunningScheduler(
        data_dir,
        tmp_path / "scheduler.log",
        WA_GATEWAY_PORT=str(stub.port),
        WA_HEALTH_CHECK_SECONDS="5",
    )
    yield scheduler
    scheduler.kill()


def becomes(wa_session, reason):
    ends = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < ends:
        db.session.rollback()
        db.session.refresh(wa_session)
        if wa_session.reason == reason:
            return True
        time.sleep(0.1)
    return False


def test_a_gateway_that_is_gone_is_told_soon(scheduler, stub, connected):
    stub.server.shutdown()
    stub.server.server_close()
    assert becomes(connected, Reason.GATEWAY_UNREACHABLE), scheduler.said()
    assert connected.look != Look.CONNECTED


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, {"instance": {}}), (500, {}), None])
def test_an_answer_that_says_nothing_keeps_no_light_green(stub, connected, answer):
    stub.script["connectionState"] = stub.script["fetchInstances"] = lambda asked: answer
    with writing():
        connected.checked_at = clock.now() - timedelta(seconds=121)
        connected.last_event_at = connected.checked_at
    watch.reconcile()
    db.session.refresh(connected)
    assert connected.look != Look.CONNECTED


def test_webhooks_that_stop_leave_the_checks(stub, connected):
    stub.webhook = None
    stub.state, stub.reason = "close", "logged_out"
    watch.reconcile()
    db.session.refresh(connected)
    assert connected.reason == Reason.LOGGED_OUT
