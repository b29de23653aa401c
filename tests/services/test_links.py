import threading
import time

import pytest

from wa_admin.drivers.contract import State, StateSeen
from wa_admin.extensions import db, writing
from wa_admin.models import Look, Reason, Status
from wa_admin.services import events, gateways, links, roster, sessions, watch


def create():
    return sessions.create(1, "Support line", actor="cli")


def go_down(id):
    with writing():
        wa_session = roster.find(1, id)
        wa_session.status, wa_session.reason = Status.DISCONNECTED, Reason.NETWORK
    return wa_session


def test_linking_shows_a_code_and_installs_the_webhook(stub, app):
    stub.state = "close"
    wa_session = links.link(1, create().id, actor="cli")
    assert wa_session.look == Look.WAITING_FOR_SCAN
    assert links.qr_of(wa_session).code == "2@a,b,c,d"
    assert f"/hooks/{wa_session.gateway_id}/" in stub.webhook["url"]


def test_the_code_lies_encrypted_in_the_database(stub, app):
    stub.state = "close"
    links.link(1, create().id, actor="cli")
    assert "2@" not in db.session.scalar(db.text("SELECT sealed_qr FROM whatsapp_session"))


def test_a_connected_session_is_not_linked_again(stub, connected):
    with pytest.raises(links.AlreadyConnected):
        links.link(1, connected.id, actor="cli")
    assert stub.asked == []


def test_a_gateway_that_is_down_is_said_in_words(app):
    wa_session = create()
    with pytest.raises(gateways.GatewayRefused, match="gateway cannot be reached"):
        links.link(1, wa_session.id, actor="cli")
    assert roster.find(1, wa_session.id).look == Look.GATEWAY_UNREACHABLE


def test_a_gateway_that_hangs_is_not_waited_for_longer_than_a_person_would(stub, app):
    hangs = threading.Event()
    stub.script["create"] = lambda _: (hangs.wait(60), (200, {}))[1]
    wa_session, began = create(), time.monotonic()
    refused = pytest.raises(gateways.GatewayRefused, match="did not answer in time. Try again")
    with refused, links.asking(wa_session, seconds=0.5) as driver:
        driver.create(wa_session.session_id)
    hangs.set()
    assert time.monotonic() - began < 30
    assert links.PATIENCE_SECONDS <= 10


def test_one_deadline_holds_for_all_calls_of_a_click(stub, app):
    stub.script["connectionState"] = lambda _: (time.sleep(0.3), (200, {"instance": {"state": "open"}}))[1]
    wa_session, began = create(), time.monotonic()
    with pytest.raises(gateways.GatewayRefused), links.asking(wa_session, seconds=0.5) as driver:
        for _ in range(300):
            driver.state(wa_session.session_id)
    assert time.monotonic() - began < 30  # 90 s, had each its own


@pytest.mark.parametrize(
    "act",
    [
        lambda id: links.disconnect(1, id, actor="cli"),
        lambda id: links.restart(1, id, actor="cli"),
        lambda id: sessions.delete(1, id, force=True, actor="cli"),
        lambda id: watch.refresh(roster.find(1, id)),
        lambda id: watch.reconcile(),
        lambda id: go_down(id) and watch.reconnect_due(),
    ],
)
def test_no_transaction_waits_for_a_gateway(stub, connected, act):
    usual, pool, held = stub._answer, db.engine.pool, []
    stub._answer = lambda asked: (held.append(pool.checkedout()), usual(asked))[1]
    act(connected.id)
    assert held and not any(held)


def test_what_an_event_told_while_we_asked_is_kept(stub, app):
    stub.state = "close"

    def cannot_reach_whatsapp(_):
        with app.app_context():
            away = StateSeen("support_line", State("connecting", "network", "connecting"))
            events.take_in(gateways.of_workspace(), [away])
        return 200, {"count": 0}

    stub.script["connect"] = cannot_reach_whatsapp
    assert links.link(1, create().id, actor="cli").reason == Reason.NETWORK


def test_a_late_answer_takes_back_no_connection(stub, app, make_session):
    wa_session = make_session(status=Status.DISCONNECTED, reason=Reason.STOPPED)

    def is_quicker(_):
        with app.app_context():
            events.take_in(gateways.of_workspace(), [StateSeen("support_line", State("connected"))])
        return 200, {"instance": {"instanceName": "support_line", "state": "connecting"}}

    stub.script["connect"] = is_quicker
    assert links.connect(1, wa_session.id, actor="cli").look == Look.CONNECTED


def test_disconnecting_keeps_the_login(stub, connected):
    wa_session = links.disconnect(1, connected.id, actor="sari@example.com")
    assert (wa_session.status, wa_session.reason) == (Status.DISCONNECTED, Reason.STOPPED)
    assert wa_session.linked_at


def test_logging_out_ends_the_login(stub, connected):
    wa_session = links.logout(1, connected.id, actor="sari@example.com")
    assert (wa_session.reason, wa_session.linked_at) == (Reason.STOPPED, None)
    assert wa_session.look == Look.NEVER_LINKED


def test_replacing_shows_codes_for_another_number(stub, connected):
    wa_session = links.replace(1, connected.id, phone_number="0811 234 5678", actor="cli")
    assert wa_session.phone_number == "628112345678"
    assert wa_session.look == Look.WAITING_FOR_SCAN
    assert stub.routes_asked()[0] == "DELETE /instance/logout/support_line"


def test_cancelling_a_link_stops_the_codes(stub, app):
    stub.state = "close"
    wa_session = links.link(1, create().id, actor="cli")
    wa_session = links.cancel_link(1, wa_session.id, actor="cli")
    assert wa_session.look == Look.NEVER_LINKED
    assert links.qr_of(wa_session) is None
