import threading
from collections import Counter

import pytest

from wa_admin.extensions import db, writing
from wa_admin.models import DailyCount, Message, Status
from wa_admin.services import outbox, roster, sessions, spread


@pytest.fixture
def spreading(app):
    spread.switch(1, True, actor="cli")


@pytest.fixture
def three(spreading, make_session):
    return [make_session(name) for name in ("One", "Two", "Three")]


def send(number, name="auto"):
    return outbox.send(1, f"0812-0000-{number:04}", "Halo", session_name=name, source="cli")


def switch_off(wa_session):
    with writing():
        db.session.merge(wa_session).is_active = False


def test_auto_is_refused_until_somebody_allows_it(connected):
    with pytest.raises(spread.SpreadOff, match="sessions spread on"):
        send(1)
    assert db.session.query(Message).count() == 0


def test_new_recipients_are_spread_evenly(three):
    used = Counter(send(number).session_name for number in range(9))
    assert used == {"One": 3, "Two": 3, "Three": 3}


def test_what_was_sent_today_counts_too(three, app):
    from wa_admin import clock

    with writing():
        db.session.add(
            DailyCount(session_id=three[0].id, day=clock.now().date(), sent=5, delivered=0, failed=0)
        )
    assert {send(number).session_name for number in range(4)} == {"Two", "Three"}


def test_a_recipient_stays_with_the_session_it_knows(three):
    known = send(1).session_id
    assert [send(number).session_id != known for number in (2, 3)] == [True, True]
    assert {send(1).session_id for _ in range(4)} == {known}


def test_a_named_send_makes_that_session_the_known_one(three):
    send(1, "Three")
    assert send(1).session_name == "Three"


def test_a_known_session_that_is_offline_keeps_its_recipient(three):
    send(1, "Two")
    with writing():
        db.session.merge(three[1]).status = Status.DISCONNECTED
    assert (send(1).session_name, send(2).session_name) == ("Two", "One")


def test_a_known_session_that_is_switched_off_or_gone_is_replaced(three, stub):
    send(1, "Two")
    switch_off(three[1])
    moved = send(1).session_name
    assert moved in ("One", "Three")
    sessions.delete(1, roster.find(1, moved).id, force=True, actor="cli")
    assert send(1).session_name == ({"One", "Three"} - {moved}).pop()


def test_paused_and_unlinked_sessions_get_no_new_recipients(three):
    with writing():
        db.session.merge(three[0]).status = Status.DISCONNECTED
    sessions.pause(1, three[1].id, actor="cli")
    assert {send(number).session_name for number in range(4)} == {"Three"}


def test_while_none_can_send_the_default_one_takes_it(three):
    with writing():
        for one in three:
            db.session.merge(one).status = Status.DISCONNECTED
    assert {send(number).session_name for number in range(3)} == {"One"}


def test_with_all_switched_off_it_is_refused(three):
    for one in three:
        switch_off(one)
    with pytest.raises(roster.SessionInactive):
        send(1)


def test_first_messages_at_once_find_one_session(app, three):
    names = []

    def run():
        with app.app_context():
            names.append(send(1).session_name)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 6 and len(set(names)) == 1


@pytest.mark.postgresql
def test_what_is_spread_keeps_nobody_waiting_who_names_a_session(app, three):
    accepted = []

    def run():
        with app.app_context():
            accepted.append(send(2, name="Two"))

    with writing(alone=False):
        spread.choose(1, "6281200000001")
        beside = threading.Thread(target=run)
        beside.start()
        beside.join()
    assert accepted


@pytest.mark.parametrize("values", [{"name": "Auto"}, {"name": "Main", "session_id": "auto"}])
def test_no_session_can_be_called_auto(app, values):
    with pytest.raises(outbox.Refusal):
        sessions.create(1, **values, actor="cli")


def test_the_command_line_switches_it(app, runner):
    assert "off" in runner.invoke(args=["sessions", "spread"]).output
    assert "on" in runner.invoke(args=["sessions", "spread", "on"]).output
    assert spread.is_on(1)
