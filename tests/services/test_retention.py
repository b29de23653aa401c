"""What has been kept for long enough goes, each table after its own time, and what stays is counted."""

from datetime import timedelta

import pytest
from chatting import hear
from sqlalchemy import select

from wa_admin import clock
from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import db, writing
from wa_admin.models import (
    Attachment,
    Chat,
    Contact,
    Event,
    IncomingFile,
    Line,
    Message,
    MessageStatus,
)
from wa_admin.services import chat_search, conversation, retention, timeline

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 600


def after(days):
    return clock.now() + timedelta(days=days)


def count(model):
    db.session.rollback()
    return db.session.query(model).count()


def test_what_came_in_goes_after_ninety_days_with_its_chat_and_its_person(connected):
    hear(connected, text="kue")
    retention.tidy(after(89))
    assert (count(Line), count(Chat), count(Contact)) == (1, 1, 1)
    retention.tidy(after(91))
    assert (count(Line), count(Chat), count(Contact)) == (0, 0, 0)
    assert chat_search.look_for(1, "kue").lines == []


def test_a_chat_that_goes_on_keeps_its_newer_lines(connected):
    hear(connected, "1", text="old", at=clock.now() - timedelta(days=80))
    chat = hear(connected, "2", text="new")
    retention.tidy(after(20))
    db.session.rollback()
    assert [entry.text for entry in conversation.page(db.session.merge(chat)).entries] == ["new"]


def test_of_a_message_sent_the_text_goes_and_the_rest_stays(connected, make_message):
    done = make_message(connected, body="secret", status=MessageStatus.READ)
    waits = make_message(connected, body="waits")
    retention.tidy(after(91))
    db.session.rollback()
    bodies = dict(db.session.execute(select(Message.id, Message.body)).all())
    assert bodies == {done.id: "", waits.id: "waits"}
    assert db.session.get(Message, done.id).recipient == "6281299998888"


def test_files_go_earlier_than_texts(connected):
    hear(connected, kind="image", text="look", file=FileSeen("image/png", "a.png", content=PNG))
    retention.tidy(after(31))
    assert (count(Line), count(Attachment)) == (1, 0)
    assert db.session.scalars(select(IncomingFile)).one().state == "dropped"


def test_the_timeline_goes_after_a_year(connected):
    with writing():
        timeline.record(connected, "restarted", workspace_id=1, actor="cli")
    retention.tidy(after(364))
    assert count(Event) == 1
    retention.tidy(after(366))
    assert count(Event) == 0


def test_numbers_that_are_given_again_hide_nothing(connected):
    """SQLite counts from the start again once a table is empty."""
    for days in (0, 200):
        chat = hear(connected, f"3EB0{days}", kind="image", file=FileSeen("image/png", "a.png", content=PNG))
        with writing():
            db.session.query(Line).update({"at": after(days)})
            db.session.query(IncomingFile).update({"created_at": after(days)})
            db.session.query(Chat).update({"last_at": after(days)})
        retention.tidy(after(days + 100))
        assert (count(Line), count(IncomingFile), count(Attachment)) == (0, 0, 0), chat


def test_it_goes_in_stretches_and_takes_up_where_it_was(connected, make_message, monkeypatch):
    for number in range(7):
        make_message(connected, body=f"text {number}", status=MessageStatus.READ)
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    monkeypatch.setattr(retention, "IN_ONE_RUN", 2)
    assert [retention.tidy(after(91)) for _ in range(3)] == [4, 3, 0]


@pytest.mark.parametrize("days", [1, 36_500])
def test_the_time_is_a_setting(make_app, days):
    settings = make_app(WA_KEEP_MESSAGE_TEXT_DAYS=str(days)).config["SETTINGS"]
    assert settings.keep_message_text_days == days


def test_an_unread_chat_goes_like_any_other(connected):
    hear(connected, text="nobody looked")
    retention.tidy(after(91))
    assert count(Chat) == 0
