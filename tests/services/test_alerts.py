"""Alerts over the wire: apprise is the real one, the receivers are real servers on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask_babel import get_locale, get_timezone
from mail_server import MailServer
from webhook_receiver import WebhookReceiver

from wa_admin import clock, teller
from wa_admin.drivers.contract import Unreachable
from wa_admin.extensions import db, writing
from wa_admin.models import (
    AlertChannel,
    Event,
    Notice,
    NoticeStatus,
    Outage,
    Reason,
    Status,
    WhatsAppSession,
)
from wa_admin.services import alert_texts, alert_urls, alerts, gateways, notices, outages, status, timeline
from wa_admin.services.alerts import Manner

LATER = timedelta(minutes=10)


@pytest.fixture
def receiver():
    receiver = WebhookReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def post_office():
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def channel(make_channel, receiver):
    return make_channel(alert_urls.webhook(receiver.url))


def change(row, **columns):
    with writing():
        current = db.session.get_one(type(row), row.id)
        for name, value in columns.items():
            setattr(current, name, value)
    return current


def lose(wa_session, reason=Reason.LOGGED_OUT):
    move(wa_session, Status.DISCONNECTED, reason)


def come_back(wa_session):
    move(wa_session, Status.CONNECTED, None)


def move(wa_session, to, reason):
    with writing():
        current = db.session.get_one(WhatsAppSession, wa_session.id)
        status.move(current, to, reason, actor="gateway", now=clock.now())


def look_and_tell(now=None):
    outages.look(now)
    notices.tell(now)


def titles(receiver):
    return [body["title"] for body in receiver.bodies]


def lines(kind):
    return db.session.query(Event).filter_by(kind=kind).count()


# --- what is told --------------------------------------------------------------------------------


def test_a_lost_session_is_told_once_and_once_when_it_is_back(receiver, channel, connected):
    lose(connected)
    for _ in range(3):
        look_and_tell()
    come_back(connected)
    for _ in range(3):
        look_and_tell()
    assert titles(receiver) == [
        "wa-admin: Support line: Unlinked on the phone",
        "wa-admin: Support line is connected again",
    ]
    assert lines("alert_told") == 2


def test_an_alert_says_what_waits_the_next_step_and_where_to_go(receiver, channel, connected):
    change(connected, waiting_count=3)
    lose(connected)
    look_and_tell()
    said = receiver.bodies[0]["message"]
    assert "WhatsApp removed this device at" in said and "3 messages wait safely." in said
    assert "link the phone again" in said and f"/sessions/{connected.id}/link" in said
    assert "6281234567890" not in said and "+62 … 890" in said


def test_it_arrives_by_mail_too(make_channel, post_office, connected):
    url = alert_urls.email("127.0.0.1", post_office.port, "", "", "wa@toko.id", "sari@toko.id", "none")
    make_channel(url, "Sari", "mailto")
    lose(connected)
    look_and_tell()
    assert post_office.mails[0]["To"] == "sari@toko.id"
    assert "Unlinked on the phone" in post_office.mails[0]["Subject"]
    assert "link the phone again" in post_office.texts[0]


def test_a_name_adds_no_head_to_a_mail(make_channel, post_office, connected):
    url = alert_urls.email("127.0.0.1", post_office.port, "", "", "wa@toko.id", "sari@toko.id", "none")
    make_channel(url, "Sari", "mailto")
    change(connected, name="Toko\r\nBcc: all@toko.id\r\n\r\nHalo")  # our forms take no such name
    lose(connected)
    look_and_tell()
    (mail,) = post_office.mails
    assert mail["Bcc"] is None and mail["To"] == "sari@toko.id" and "Unlinked" in mail["Subject"]


@pytest.mark.parametrize("reason", [Reason.NEVER_LINKED, Reason.STOPPED])
def test_nobody_is_told_of_what_a_person_meant(channel, connected, reason):
    lose(connected, reason)
    outages.look(clock.now() + LATER)
    assert outages.open_ones(1) == []


def test_a_code_that_ran_out_before_the_eyes_of_somebody_is_no_news(channel, connected):
    with writing():
        timeline.record(connected, "link_started", workspace_id=1, actor="sari@toko.id")
    lose(connected, Reason.QR_EXPIRED)
    outages.look()
    assert outages.open_ones(1) == []


def test_a_code_that_nobody_asked_for_is(channel, connected):
    lose(connected, Reason.QR_EXPIRED)
    outages.look()
    assert [one.reason for one in outages.open_ones(1)] == [Reason.QR_EXPIRED]


def test_linking_again_is_not_yet_the_end(receiver, channel, connected):
    lose(connected)
    look_and_tell()
    move(connected, Status.CONNECTING, None)
    look_and_tell()
    lose(connected, Reason.QR_EXPIRED)
    look_and_tell()
    assert len(receiver.requests) == 1


def test_a_break_of_the_network_is_told_only_after_its_grace(channel, connected):
    lose(connected, Reason.NETWORK)
    outages.look(clock.now() + timedelta(minutes=4))
    assert outages.open_ones(1) == []
    outages.look(clock.now() + LATER)
    assert [one.reason for one in outages.open_ones(1)] == [Reason.NETWORK]


def test_silence_is_told_when_the_restart_did_not_help(channel, connected):
    change(connected, reason=Reason.SILENT, silent_restart_at=clock.now())
    outages.look()
    assert outages.open_ones(1) == []
    outages.look(clock.now() + LATER)
    assert [one.reason for one in outages.open_ones(1)] == [Reason.SILENT]


def test_a_session_that_is_switched_off_is_looked_after(receiver, channel, connected):
    lose(connected)
    look_and_tell()
    change(connected, is_active=False)
    look_and_tell()
    assert titles(receiver)[-1] == "wa-admin: Support line was switched off by a person"


# --- gateways ------------------------------------------------------------------------------------


def fail_gateway(now):
    gateways.failed(gateways.of_workspace().id, Unreachable("no answer"), now)


def test_a_gateway_is_told_of_after_its_grace_and_its_sessions_are_not(receiver, channel, make_session):
    for name in ("One", "Two"):
        make_session(name)
    fail_gateway(clock.now())
    look_and_tell()
    assert receiver.requests == []
    look_and_tell(clock.now() + LATER)
    gateways.answered(gateways.of_workspace().id, 5, None, clock.now())
    look_and_tell(clock.now() + LATER)
    assert titles(receiver) == [
        "wa-admin: Gateway bundled: The gateway cannot be reached.",
        "wa-admin: Gateway bundled works again",
    ]
    assert "2 sessions depend on it: One, Two" in receiver.bodies[0]["message"]


def test_a_storm_of_sessions_is_one_problem_of_their_gateway(receiver, channel, make_session):
    lost = [make_session(f"Number {n}") for n in range(4)]
    for wa_session in lost:
        lose(wa_session)
    outages.look()
    assert outages.open_ones(1) == []
    for _ in range(2):
        look_and_tell(clock.now() + timedelta(seconds=11))
    assert len(receiver.requests) == 1 and "many sessions were lost at once" in titles(receiver)[0]
    for wa_session in lost:
        come_back(wa_session)
    look_and_tell(clock.now() + timedelta(seconds=12))
    assert titles(receiver)[1:] == ["wa-admin: Gateway bundled works again"]


# --- once ----------------------------------------------------------------------------------------


def test_a_silent_storm_is_told_once_as_one_of_their_gateway(receiver, channel, make_session):
    several = [make_session(name) for name in ("One", "Two", "Three", "Four")]
    for one in several[:3]:
        move(one, Status.CONNECTED, Reason.SILENT)
    look_and_tell()
    look_and_tell(clock.now() + timedelta(minutes=6))
    for one in several[:3]:
        come_back(one)
    look_and_tell(clock.now() + timedelta(minutes=7))
    assert titles(receiver) == [
        "wa-admin: Gateway bundled: nothing comes through from many sessions",
        "wa-admin: Gateway bundled works again",
    ]
    assert "with its events" in receiver.bodies[0]["message"]


def test_two_schedulers_at_once_tell_once(app, receiver, channel, connected):
    lose(connected)
    go = threading.Barrier(2)

    def schedule():
        with app.app_context():
            go.wait()
            look_and_tell()

    both = [threading.Thread(target=schedule) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    look_and_tell()
    assert len(receiver.requests) == 1
    assert db.session.query(Outage).count() == 1


def test_a_scheduler_killed_while_it_tells_is_followed_by_one_that_tells_nothing_twice(
    app, receiver, channel, connected
):
    lose(connected)
    outages.look()
    data_dir = app.config["SETTINGS"].data_dir
    told = "from wa_admin import create_app; from wa_admin.services import notices\n"
    told += "with create_app().app_context(): notices.tell()"
    environment = os.environ | {"WA_DATA_DIR": str(data_dir), "WA_ADMIN_CRASH_AT": "before_notice_result"}
    assert subprocess.run([sys.executable, "-c", told], env=environment).returncode == 137
    assert len(receiver.requests) == 1
    notices.tell(clock.now() + timedelta(minutes=5))
    assert len(receiver.requests) == 1
    assert [one.status for one in db.session.query(Notice)] == [NoticeStatus.TOLD]


def test_what_failed_is_tried_again_later_and_given_up_visibly(receiver, channel, connected):
    receiver.answer = 500
    lose(connected)
    look_and_tell()
    notices.tell()
    assert len(receiver.requests) == 1
    change(db.session.query(Notice).one(), attempts=notices.MOST_ATTEMPTS - 1)
    notices.tell(clock.now() + timedelta(minutes=1))
    notice = db.session.query(Notice).one()
    assert (notice.status, notice.error) == (NoticeStatus.FAILED, "rejected:500")
    assert "refused" in alerts.sentence(alerts.find(1, channel.id).last_error)
    assert lines("alert_failed") == 1


def test_a_later_try_arrives_once(receiver, channel, connected):
    receiver.answer = 503
    lose(connected)
    look_and_tell()
    receiver.answer = 200
    notices.tell(clock.now() + timedelta(minutes=1))
    notices.tell(clock.now() + timedelta(minutes=2))
    assert len(receiver.requests) == 2 and alerts.find(1, channel.id).last_error is None


# --- quiet hours ---------------------------------------------------------------------------------

NIGHT = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # 23:00 in Jakarta
MORNING = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)  # 07:00 in Jakarta
QUIET = {"quiet_from": 22 * 60, "quiet_until": 7 * 60, "time_zone": "Asia/Jakarta"}


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (NIGHT, MORNING),
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), MORNING),
        (MORNING, None),
        (datetime(2026, 11, 20, 8, 0, tzinfo=UTC), None),
    ],
)
def test_quiet_hours_end_in_the_zone_of_the_channel(at, until):
    assert notices.quiet_until(AlertChannel(**QUIET), at) == until


def test_what_begins_at_night_is_told_in_the_morning(receiver, channel, connected):
    change(channel, **QUIET)
    lose(connected)
    change(db.session.get(WhatsAppSession, connected.id), status_at=NIGHT)
    _at_night()
    assert receiver.requests == []
    notices.tell(MORNING)
    assert titles(receiver) == ["wa-admin: Support line: Unlinked on the phone"]


def test_what_began_and_ended_at_night_is_one_summary(receiver, channel, connected):
    change(channel, **QUIET)
    lose(connected)
    _at_night()
    come_back(connected)
    _at_night()
    notices.tell(MORNING)
    notices.tell(MORNING + LATER)
    assert titles(receiver) == ["wa-admin: Support line is connected again"]
    assert "It began at" in receiver.bodies[0]["message"]


def test_a_night_full_of_troubles_is_one_message(receiver, channel, make_session):
    change(channel, **QUIET)
    for name in ("One", "Two"):
        lose(make_session(name))
    _at_night()
    notices.tell(MORNING)
    assert titles(receiver) == ["wa-admin: 2 alerts"]
    assert "One: Unlinked" in receiver.bodies[0]["message"]


def _at_night():
    outages.look(NIGHT)
    with writing():
        db.session.query(Notice).update({"next_at": NIGHT})
    notices.tell(NIGHT)


# --- channels ------------------------------------------------------------------------------------


def test_the_test_button_says_what_came_of_it(receiver, channel):
    assert alerts.test(1, channel.id).is_told
    assert titles(receiver) == ["wa-admin: Test"]
    receiver.answer = 403
    outcome = alerts.test(1, channel.id)
    assert (outcome.word, outcome.status) == (teller.REJECTED, "403")


def test_a_private_address_is_told_nothing_until_somebody_allows_it(receiver, channel):
    alerts.edit(1, channel.id, "On call", Manner(), actor="cli")
    assert alerts.test(1, channel.id).word == teller.NOT_ALLOWED
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]"])
def test_metadata_is_never_asked(make_channel, host):
    channel = make_channel(f"json://{host}/latest")
    assert alerts.test(1, channel.id).word == teller.NOT_ALLOWED


def test_a_redirect_is_not_followed(receiver, channel):
    receiver.answer = 302
    assert not alerts.test(1, channel.id).is_told
    assert [one["path"] for one in receiver.requests] == ["/hook"]


def test_a_paused_channel_hears_nothing_of_the_meantime(receiver, channel, connected):
    lose(connected)
    outages.look()
    alerts.pause(1, channel.id, actor="cli")
    alerts.resume(1, channel.id, actor="cli")
    look_and_tell()
    assert receiver.requests == []


def test_each_channel_is_written_to_in_its_language_and_zone(receiver, channel, connected):
    change(channel, language="id", time_zone="Asia/Jakarta")
    with alert_texts.written_for(channel):
        text = alert_texts.test()
        assert str(get_timezone()) == "Asia/Jakarta" and get_locale().language == "id"
    with alert_texts.written_for(change(channel, language="en")):
        assert alert_texts.test().body != text.body


@pytest.mark.parametrize("url", ["nonsense", "nonsense://x", "syslog://", "http://", "tgram://", "a" * 3000])
def test_what_nothing_can_be_sent_to_is_refused(app, url):
    with pytest.raises(alert_urls.BadAddress):
        alerts.add(1, "Nowhere", alert_urls.other(url), Manner(), actor="cli")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("tgram://123456789:abcdefg_hijklmnopqrstuv/12315544", "tgram"),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack"),
        ("https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord"),
        ("ntfys://alerts-of-toko-sari", "ntfy"),
        ("jsons://example.com/hook", "json"),
    ],
)
def test_an_address_is_kept_sealed_under_its_kind(app, url, kind):
    channel = alerts.add(1, "Somewhere", alert_urls.other(url), Manner(), actor="cli")
    assert channel.kind == kind and url not in channel.sealed_url
    assert len(alerts.last_four(channel)) <= 4


def test_other_workspaces_have_no_such_channel(channel):
    with pytest.raises(alerts.ChannelNotFound):
        alerts.test(2, channel.id)
