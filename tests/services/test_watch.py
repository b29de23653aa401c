from datetime import timedelta
from threading import Thread

import pytest
from signed import bearing

from wa_admin import clock
from wa_admin.drivers.contract import State, StateSeen, Unreachable
from wa_admin.extensions import db, writing
from wa_admin.models import Event, Gateway, Look, MessageStatus, Reason, Status
from wa_admin.services import events, gateways, watch


def lines(kind):
    return db.session.query(Event).filter_by(kind=kind).count()


def ago(**span):
    return clock.now() - timedelta(**span)


@pytest.fixture
def dropped(make_session):
    """Linked, but off the network."""
    return make_session(status=Status.DISCONNECTED, reason=Reason.NETWORK)


def test_a_check_confirms_and_notes_its_time(stub, make_session):
    wa_session = make_session(checked_at=ago(minutes=5))
    watch.reconcile()
    db.session.refresh(wa_session)
    assert clock.now() - wa_session.checked_at < timedelta(seconds=5)
    assert wa_session.look == Look.CONNECTED


def test_a_check_finds_out_what_no_event_told(stub, connected):
    stub.state, stub.reason = "close", "logged_out"
    watch.reconcile()
    assert connected.look == Look.UNLINKED


def test_a_lost_webhook_is_installed_again(stub, connected):
    watch.reconcile()
    assert stub.webhook["url"] == gateways.hook_url(gateways.of_workspace())
    assert lines("webhook_installed") == 1
    watch.reconcile()
    assert lines("webhook_installed") == 1


def test_a_changed_webhook_is_put_right(stub, connected):
    stub.webhook = {"url": "http://elsewhere.example/", "enabled": True, "events": []}
    watch.reconcile()
    assert stub.webhook["url"] == gateways.hook_url(gateways.of_workspace())


def test_a_webhook_without_its_token_is_put_right(stub, connected):
    url = gateways.hook_url(gateways.of_workspace())
    stub.webhook = {"url": url, "headers": bearing("another"), "enabled": True, "events": []}
    watch.reconcile()
    assert stub.webhook["headers"] == bearing()


def test_a_webhook_that_lacks_events_is_put_right(stub, connected):
    url = gateways.hook_url(gateways.of_workspace())
    stub.webhook = {"url": url, "headers": bearing(), "enabled": True, "events": ["QRCODE_UPDATED"]}
    watch.reconcile()
    assert "MESSAGES_UPDATE" in stub.webhook["events"]


def test_a_crash_loop_of_the_engine_has_its_own_look(stub, connected):
    stub.state, stub.reason = "close", "crashed"
    watch.reconcile()
    assert connected.look == Look.ENGINE_CRASHED


def test_a_dead_gateway_is_one_trouble_told_once(app, make_session):
    make_session()
    make_session("Other")
    watch.reconcile()
    watch.reconcile()
    gateway = db.session.query(Gateway).one()
    assert gateway.failure == "gateway_unreachable"
    assert lines("gateway_down") == 1


def test_a_dead_gateway_is_told_apart_from_an_unlinked_phone(app, connected):
    watch.reconcile()
    assert connected.look == Look.GATEWAY_UNREACHABLE
    assert not connected.is_connected


def test_news_older_than_a_minute_is_not_called_connected(app, make_session):
    wa_session = make_session(checked_at=ago(seconds=61))
    watch.reconcile()
    assert (wa_session.status, wa_session.reason) == (Status.DISCONNECTED, Reason.GATEWAY_UNREACHABLE)


def test_a_gateway_that_is_back_brings_its_sessions_back(stub, connected):
    gateways.failed(connected.gateway_id, Unreachable(), clock.now())
    assert connected.look == Look.GATEWAY_UNREACHABLE
    watch.reconcile()
    assert connected.look == Look.CONNECTED
    assert lines("gateway_back") == 1


def test_only_a_gateway_that_was_lost_is_looked_for(stub, connected):
    watch.look_for_lost_gateways()
    assert stub.asked == []
    gateways.failed(connected.gateway_id, Unreachable(), clock.now())
    watch.look_for_lost_gateways()
    assert connected.look == Look.CONNECTED


@pytest.mark.parametrize(
    ("code", "is_released"), [("gateway_unreachable", True), ("not_connected", True), ("rate_limited", False)]
)
def test_a_session_that_is_back_releases_what_waited_for_it(stub, connected, make_message, code, is_released):
    later = clock.now() + timedelta(minutes=5)
    message = make_message(connected, next_at=later, error_code=code)
    gateways.failed(connected.gateway_id, Unreachable(), clock.now())
    watch.reconcile()
    db.session.refresh(message)
    assert (message.next_at < later) == is_released


def test_garbage_turns_no_light(stub, connected):
    stub.script["connectionState"] = [(200, {"instance": {"state": "dancing"}})]
    watch.reconcile()
    assert connected.look == Look.CONNECTED


def test_a_wrong_key_has_its_own_word(stub, connected):
    wrong = (401, {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}})
    stub.script["verify-creds"] = [wrong]
    watch.reconcile()
    assert db.session.query(Gateway).one().failure == "gateway_auth"


def test_a_dropped_session_is_reconnected(stub, dropped):
    stub.state = "open"
    assert watch.reconnect_due() == 1
    assert dropped.look == Look.CONNECTED


@pytest.mark.parametrize(
    "reason",
    [
        Reason.LOGGED_OUT,
        Reason.REPLACED,
        Reason.BANNED,
        Reason.PASSKEY_REQUIRED,
        Reason.STOPPED,
        Reason.OUTDATED,
    ],
)
def test_nothing_reconnects_after_a_reason_that_needs_a_person(stub, make_session, reason):
    make_session(status=Status.DISCONNECTED, reason=reason)
    watch.reconnect_due()
    assert stub.asked == []


def test_a_switched_off_session_stays_off(stub, make_session):
    make_session(status=Status.DISCONNECTED, reason=Reason.NETWORK, is_active=False)
    assert watch.reconnect_due() == 0


def test_attempts_step_back_up_to_a_quarter_of_an_hour(stub, dropped):
    stub.script["connect"] = lambda _: (500, {"response": {"message": "no"}})
    waits = []
    for _ in range(9):
        began = clock.now()
        watch.reconnect_due(jitter=lambda: 1.0)
        waits.append(round((dropped.reconnect_at - began).total_seconds()))
        with writing():
            dropped.reconnect_at = began
    assert waits == [5, 15, 45, 135, 405, 900, 900, 900, 900]


def test_a_session_that_is_down_for_weeks_stops_no_other(stub, dropped):
    stub.script["connect"] = lambda _: (500, {"response": {"message": "no"}})
    with writing():
        dropped.reconnect_attempts = 5000
    assert watch.reconnect_due() == 1


def test_an_hour_of_trouble_costs_fifteen_attempts_at_most():
    spent, attempts = 0.0, 0
    while spent < 3600:
        longest = min(watch.FIRST_RETRY_SECONDS * 3**attempts, watch.LONGEST_RETRY_SECONDS)
        spent += longest * 0.5  # the shortest wait that the jitter allows
        attempts += 1
    assert attempts <= 15


def test_what_an_event_told_while_it_connected_is_kept(app, stub, dropped):
    def is_quicker(_):
        with app.app_context():
            events.take_in(gateways.of_workspace(), [StateSeen("support_line", State("connected"))])
        return 200, {"instance": {"instanceName": "support_line", "state": "connecting"}}

    stub.script["connect"] = is_quicker
    watch.reconnect_due()
    assert dropped.look == Look.CONNECTED


def test_a_login_that_is_gone_shows_no_codes_to_nobody(stub, dropped):
    stub.state = "close"
    watch.reconnect_due()
    assert dropped.look == Look.UNLINKED


def test_connecting_for_long_ends_with_a_reason(app, make_session):
    wa_session = make_session(status=Status.CONNECTING, status_at=ago(minutes=4))
    watch.expire_codes()
    assert (wa_session.status, wa_session.reason) == (Status.DISCONNECTED, Reason.NETWORK)


def test_a_code_nobody_scanned_ends_with_a_reason(app, make_session):
    wa_session = make_session(
        status=Status.QR_PENDING, reason=None, linked_at=None, qr_sequence=6, qr_expires_at=ago(seconds=11)
    )
    watch.expire_codes()
    assert wa_session.look == Look.QR_EXPIRED


def test_a_code_that_is_still_good_stays(app, make_session):
    wa_session = make_session(
        status=Status.QR_PENDING, reason=None, qr_expires_at=clock.now() + timedelta(seconds=20)
    )
    watch.expire_codes()
    assert wa_session.status == Status.QR_PENDING


def test_silence_is_shown_and_answered_with_one_restart(stub, make_session):
    wa_session = make_session(connected_at=ago(hours=3))
    watch.reconcile()
    watch.reconcile()
    assert wa_session.look == Look.SILENT
    assert stub.routes_asked().count("POST /instance/restart/support_line") == 1


def test_a_silent_storm_is_not_answered_with_restarts(stub, make_session):
    several = [make_session(f"Line {number}", connected_at=ago(hours=3)) for number in range(3)]
    watch.reconcile()
    assert {one.look for one in several} == {Look.SILENT} and lines("restarted_for_silence") == 0
    assert not [route for route in stub.routes_asked() if "/restart/" in route]


def test_one_that_is_unlinked_while_it_is_judged_is_not_called_silent(
    app, connected, make_message, on_statement
):
    make_message(connected, status=MessageStatus.SENT, sent_at=ago(minutes=11))
    unlinked = [StateSeen("support_line", State("disconnected", "logged_out"))]

    def unlink():
        with app.app_context():
            events.take_in(gateways.of_workspace(), unlinked)

    def at_once(_connection, _cursor, sql, *_):
        if "min(message.sent_at)" in sql:
            meanwhile = Thread(target=unlink)
            meanwhile.start()
            meanwhile.join()

    on_statement(at_once)
    watch.look_for_silence(clock.now())
    db.session.refresh(connected)
    assert connected.look == Look.UNLINKED


def test_what_nobody_could_hear_while_we_were_stopped_is_no_silence(stub, make_session):
    wa_session = make_session(connected_at=ago(hours=9))
    with writing():
        wa_session.gateway.checked_at = ago(hours=3)
    watch.reconcile()
    watch.look_for_silence(clock.now() + timedelta(minutes=119))
    assert wa_session.look == Look.CONNECTED
    watch.look_for_silence(clock.now() + timedelta(minutes=121))
    assert wa_session.look == Look.SILENT


def test_a_short_stop_takes_nothing_from_the_silence(stub, make_session):
    wa_session = make_session(connected_at=ago(hours=3))
    with writing():
        wa_session.gateway.checked_at = ago(minutes=9)
    watch.reconcile()
    assert wa_session.look == Look.SILENT


def test_messages_that_nobody_confirms_are_silence_too(stub, make_session, make_message):
    wa_session = make_session(connected_at=ago(hours=1))
    make_message(wa_session, status=MessageStatus.SENT, sent_at=ago(minutes=11))
    watch.reconcile()
    assert wa_session.look == Look.SILENT


def test_a_gateway_that_tells_no_receipts_is_not_called_silent_for_it(stub, make_session, make_message):
    wa_session = make_session(connected_at=ago(hours=1))
    make_message(wa_session, status=MessageStatus.SENT, sent_at=ago(minutes=11))
    with writing():
        wa_session.gateway.capabilities = "qr,list"
    watch.look_for_silence(clock.now())
    assert wa_session.look == Look.CONNECTED


def test_a_proof_of_life_ends_the_silence(stub, make_session):
    wa_session = make_session(connected_at=ago(hours=3), reason=Reason.SILENT, silent_restart_at=ago(hours=1))
    with writing():
        wa_session.last_proof_at = clock.now()
    watch.reconcile()
    assert wa_session.look == Look.CONNECTED
