import threading
import time
from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Look, Reason, WhatsAppSession
from wa_admin.services import checkup, gateways, watch


def ago(**span):
    return clock.now() - timedelta(**span)


def state_of(asked):
    instance = {"instanceName": asked.path.rsplit("/", 1)[1], "state": "open", "number": "6281234567890"}
    return 200, {"instance": instance}


@pytest.fixture
def twenty(make_session):
    return [make_session(f"Line {number}", checked_at=ago(minutes=5)) for number in range(20)]


@pytest.fixture
def impatient(monkeypatch):
    """Gives up on a session after a moment, as on a slow gateway after ten seconds."""
    monkeypatch.setattr(checkup, "PATIENCE_SECONDS", 1.0)


def looks():
    db.session.rollback()
    return [one.look for one in db.session.query(WhatsAppSession).order_by(WhatsAppSession.id)]


def asked_states(stub):
    return [route for route in stub.routes_asked() if "connectionState" in route]


def test_sessions_are_asked_eight_at_once_and_no_more(stub, twenty):
    here, most, lock = 0, 0, threading.Lock()

    def slow(asked):
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        time.sleep(0.02)
        with lock:
            here -= 1
        return state_of(asked)

    stub.script["connectionState"] = slow
    watch.reconcile()
    assert 4 <= most <= checkup.AT_ONCE
    assert len(asked_states(stub)) == 20


def test_all_are_confirmed_in_one_statement(stub, twenty, on_statement):
    checkup.look(db.session.query(Gateway).all())
    begun = []
    on_statement(
        lambda _c, _cursor, statement, *_: begun.append(statement) if statement.startswith("UPDATE") else None
    )
    checkup.look(db.session.query(Gateway).all())
    assert len([one for one in begun if "whatsapp_session" in one]) == 1


def test_a_session_that_does_not_answer_is_not_its_gateway(stub, twenty, impatient):
    def deaf(asked):
        if asked.path.endswith("/line_7"):
            time.sleep(4)
        return state_of(asked)

    stub.script["connectionState"] = deaf
    watch.reconcile()
    db.session.rollback()
    assert db.session.query(Gateway).one().failure is None
    assert [look for look in looks() if look != Look.CONNECTED] == [
        Look.GATEWAY_UNREACHABLE
    ]  # line_7, by age


def test_a_gateway_that_answers_nothing_any_more_is_lost_and_not_asked_for_every_session(
    stub, twenty, impatient
):
    def hang(asked):
        stub.script["verify-creds"] = hang
        time.sleep(4)
        return state_of(asked)

    stub.script["connectionState"] = hang
    watch.reconcile()
    db.session.rollback()
    assert db.session.query(Gateway).one().failure is not None
    assert set(looks()) == {Look.GATEWAY_UNREACHABLE}
    assert len(asked_states(stub)) < 20


def test_an_event_that_just_came_saves_the_question(stub, make_session):
    fresh = make_session("Fresh", last_event_at=clock.now(), checked_at=ago(minutes=5))
    make_session("Quiet", last_event_at=ago(seconds=40), checked_at=ago(minutes=5))
    watch.reconcile()
    assert asked_states(stub) == ["GET /instance/connectionState/quiet"]
    db.session.refresh(fresh)
    assert (fresh.look, fresh.checked_at) == (Look.CONNECTED, fresh.last_event_at)


def test_a_session_in_trouble_is_asked_however_fresh_its_events(stub, make_session):
    make_session(last_event_at=ago(seconds=5), reason=Reason.GATEWAY_UNREACHABLE)
    watch.reconcile()
    assert looks() == [Look.CONNECTED]


def test_what_an_event_told_meanwhile_is_not_overwritten(stub, make_session, app):
    wa_session = make_session()

    def late(asked):
        with app.app_context(), writing():
            row = db.session.get_one(WhatsAppSession, wa_session.id)
            row.paused_at = clock.now()
        return 200, {"instance": {"instanceName": "x", "state": "close", "reason": "logged_out"}}

    stub.script["connectionState"] = late
    watch.reconcile()
    assert looks() == [Look.PAUSED]


def test_one_gateway_that_is_gone_holds_up_no_other(stub, make_session, app):
    with writing():
        dead = Gateway(
            kind="evolution",
            name="dead",
            base_url="http://127.0.0.1:9",
            sealed_key=gateways.of_workspace().sealed_key,
            sealed_hook_secret=gateways.of_workspace().sealed_hook_secret,
            created_at=clock.now(),
        )
        db.session.add(dead)
    make_session("Dead", gateway_id=dead.id)
    make_session("Alive", gateway_id=1, checked_at=ago(minutes=5))
    watch.reconcile()
    assert looks() == [Look.GATEWAY_UNREACHABLE, Look.CONNECTED]


def test_of_many_webhooks_some_are_looked_at_each_time(stub, twenty, monkeypatch):
    monkeypatch.setattr(checkup, "HOOKS_AT_ONCE", 5)
    watch.reconcile()
    assert len({route for route in stub.routes_asked() if "webhook/find" in route}) == 5


def test_a_live_list_saves_the_questions_about_those_that_are_connected(stub, make_session):
    make_session("One", checked_at=ago(minutes=5))
    make_session("Two", checked_at=ago(minutes=5))
    rows = [
        {"name": "one", "connectionStatus": "open", "ownerJid": "6281234567890@s.whatsapp.net"},
        {"name": "two", "connectionStatus": "close"},
    ]
    stub.script["fetchInstances"] = [(200, rows)]
    watch.reconcile()
    assert asked_states(stub) == ["GET /instance/connectionState/two"]
    assert looks() == [Look.CONNECTED, Look.CONNECTED]


@pytest.mark.parametrize("answer", [(200, {"odd": 1}), (500, {}), (200, [None, {"name": 1}]), None])
def test_without_a_list_each_session_is_asked_for(stub, make_session, answer):
    make_session(checked_at=ago(minutes=5))
    stub.script["fetchInstances"] = [answer]
    watch.reconcile()
    assert (looks(), len(asked_states(stub))) == ([Look.CONNECTED], 1)
