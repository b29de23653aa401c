"""The process that calls an app is killed in the middle: the app hears of it all the same, under one id."""

import os
from datetime import timedelta
from ipaddress import ip_network

import pytest
from app_receiver import NO_TLS, AppReceiver
from forked import run

from wa_admin import clock
from wa_admin.drivers.outbound import Outbound
from wa_admin.extensions import db, writing
from wa_admin.models import Call, CallStatus
from wa_admin.services import calls, subscriptions, tidings

CALL = """
from wa_admin import create_app
from wa_admin.drivers.outbound import Outbound
from wa_admin.services import calls
app = create_app()
with app.app_context():
    calls.deliver_next(1, Outbound(app.config["SETTINGS"].webhook_allow_cidrs))
"""


@pytest.fixture
def receiver():
    receiver = AppReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def environ(app, data_dir):
    ours = {"WA_DATA_DIR": str(data_dir), "WA_WEBHOOK_ALLOW_CIDRS": "127.0.0.0/8", "WA_ENGINE": "simulator"}
    return os.environ | ours


@pytest.fixture
def call(make_app, receiver):
    with make_app(WA_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8").app_context():
        subscriptions.add(1, "orders-app", receiver.url, tidings.KINDS, actor="cli")
        return subscriptions.test(1, 1)


def killed_at(point, environ):
    crash = {"WA_ADMIN_CRASH_AT": point}
    return run(["-c", CALL], environ | crash).returncode


@pytest.fixture
def make_calls(app):
    """As the process does that comes after the one that was killed."""
    outbound = Outbound((ip_network("127.0.0.0/8"),), tls=NO_TLS)
    yield lambda: calls.deliver_next(1, outbound)
    outbound.close()


def lease_runs_out():
    with writing():
        db.session.query(Call).update({"lease_until": clock.now() - timedelta(seconds=1)})


@pytest.mark.parametrize(("point", "heard"), [("after_call_claim", 1), ("before_call_result", 2)])
def test_a_call_under_way_at_a_kill_is_made_again_under_the_same_id(
    environ, call, make_calls, receiver, point, heard
):
    assert killed_at(point, environ) == 137
    make_calls()
    assert len(receiver.ids) == heard - 1  # the lease is not over
    lease_runs_out()
    make_calls()
    db.session.rollback()
    assert receiver.ids == [call.uid] * heard
    assert db.session.query(Call).one().status == CallStatus.DELIVERED
