from datetime import timedelta

import pytest
from markup import read

from wa_admin import clock
from wa_admin.backups import record
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Lease, Reason, Status
from wa_admin.services import gateway_settings, health

NOW = clock.now()


def look(name):
    db.session.rollback()
    return next(check for check in health.look(1, NOW) if check.name == name)


def tick(ago):
    with writing():
        db.session.merge(Lease(name="scheduler", holder="server:41", renewed_at=NOW - ago))


def set_gateway(**columns):
    with writing():
        gateway = db.session.get_one(Gateway, 1)
        for name, value in columns.items():
            setattr(gateway, name, value)


def test_each_part_has_a_sentence_and_what_is_wrong_a_next_step(app):
    checks = health.look(1)
    assert [check.name for check in checks] == [
        "Database", "Scheduler", "Outbox", "Gateway", "Events from the gateway", "Sessions", "Disk",
        "Backup", "Versions",
    ]  # fmt: skip
    assert all(check.sentence for check in checks)
    assert all(check.next_step for check in checks if check.ok is False)


def test_no_backup_at_all_is_told_with_the_command(data_dir, app):
    check = look("Backup")
    assert check.ok is None and "wa-admin backup FILE" in check.next_step


@pytest.mark.parametrize("days, ok", [(1, True), (8, None)])
def test_the_age_of_the_last_backup_is_told(data_dir, app, days, ok):
    record.note(data_dir, record.Last(NOW - timedelta(days=days), "wa-admin.backup", 3 * 1024**2))
    check = look("Backup")
    assert check.ok is ok and "ago" in check.sentence and "3 MB" in check.sentence


def test_a_scheduler_that_ticks_is_fine(app):
    tick(timedelta(seconds=3))
    check = look("Scheduler")
    assert check.ok and "server:41" in check.sentence and "3 seconds ago" in check.sentence


@pytest.mark.parametrize("ago", [None, timedelta(minutes=4)])
def test_a_scheduler_that_does_not_tick_is_to_be_started(app, ago):
    if ago:
        tick(ago)
    check = look("Scheduler")
    assert check.ok is False and "wa-admin up" in check.next_step


def test_an_empty_outbox_is_fine(connected):
    assert look("Outbox").ok is True


@pytest.mark.parametrize("minutes, ok", [(1, True), (9, False)])
def test_messages_that_could_leave_are_not_left_lying(connected, make_message, minutes, ok):
    make_message(connected, created_at=NOW - timedelta(minutes=minutes))
    assert look("Outbox").ok is ok


def test_messages_that_cannot_leave_are_nobodys_fault_here(make_session, make_message):
    down = make_session(status=Status.DISCONNECTED, reason=Reason.NETWORK)
    make_message(down, created_at=NOW - timedelta(hours=2))
    check = look("Outbox")
    assert check.ok is None and "2 h" in check.sentence and check.next_step


def test_a_gateway_that_answered_says_how_fast(app):
    set_gateway(checked_at=NOW, latency_ms=4)
    check = look("Gateway")
    assert check.ok and "4 ms" in check.sentence


def test_an_answer_of_long_ago_proves_nothing(app):
    set_gateway(checked_at=NOW - timedelta(hours=1), latency_ms=4)
    assert look("Gateway").ok is None


def test_a_failing_gateway_says_since_when_and_what_to_do(app):
    set_gateway(failing_since=NOW - timedelta(minutes=12), failure="gateway_auth")
    check = look("Gateway")
    assert check.ok is False and "12 min" in check.sentence and "WA_GATEWAY_KEY" in check.next_step


def test_a_linked_phone_without_events_is_a_fault(connected):
    assert look("Events from the gateway").ok is False


def test_silence_before_a_phone_is_linked_is_none(unlinked):
    assert look("Events from the gateway").ok is None


def test_no_secret_and_no_path_of_the_machine_is_told(app, admin, data_dir):
    text = admin.get("/health").text
    assert str(data_dir) not in text and app.config["SETTINGS"].gateway_key not in text


def test_the_page_says_how_many_things_need_a_look(admin):
    tick(timedelta(minutes=4))
    assert "1 thing needs a look" in read(admin.get("/health").text).one("main").text


def test_a_poll_gets_the_list_alone(admin):
    fragment = read(admin.get("/health", headers={"HX-Request": "true"}).text)
    assert fragment.one("div", id="health") and not fragment.all("html")


def test_each_gateway_that_holds_a_session_is_told_of(make_session):
    other = gateway_settings.add(1, kind="waha", name="office", base_url="https://93.184.216.34", actor="cli")
    make_session()
    make_session("Other", gateway_id=other.id)
    names = [check.name for check in health.look(1)]
    assert [name for name in names if name.startswith("Gateway")] == ["Gateway bundled", "Gateway office"]


def test_a_lowered_limit_is_told_with_the_way_out(app, make_session):
    for name in ("One", "Two"):
        make_session(name)
    check = next(one for one in health.look(1) if one.name == "Sessions")
    assert (check.ok, check.sentence) == (None, "2 of 1 that are allowed.")
    assert "cleanup --keep 1" in check.next_step
