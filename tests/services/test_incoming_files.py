"""Files that people send: fetched after their message, called by what they are, lent for some minutes."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from chatting import hear
from sqlalchemy import select, update

from wa_admin import clock, log
from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import db, writing
from wa_admin.models import Attachment, IncomingFile
from wa_admin.services import conversation, incoming_files

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.fixture
def fetched(app, connected, stub):
    """What becomes of a file that the gateway answers with."""

    def fetch(content=PNG, filename=None, answers=None, **seen):
        answer = (201, {"base64": base64.b64encode(content).decode(), "fileName": filename})
        stub.script["getBase64FromMediaMessage"] = answers or [answer]
        told = {"mimetype": "image/png", "filename": filename, "source": {"id": "3EB0AA"}, **seen}
        hear(connected, kind="image", text="", file=FileSeen(**told))
        incoming_files.fetch()
        return only()

    return fetch


def only():
    db.session.rollback()
    return db.session.scalars(select(IncomingFile)).one()


def later(seconds):
    return clock.now() + timedelta(seconds=seconds)


def test_a_picture_is_fetched_by_the_id_of_its_message_and_kept(fetched, stub):
    file = fetched(PNG, "cat.png")
    assert (file.state, file.mimetype, file.size_bytes) == ("kept", "image/png", len(PNG))
    assert (file.attachment.content, file.attachment.filename) == (PNG, "cat.png")
    assert stub.asked[-1].body["message"] == {"key": {"id": "3EB0AA"}}


def test_whoever_looks_at_the_chat_hears_that_the_file_is_there(app, connected, stub):
    chat = hear(connected, kind="image", file=FileSeen("image/png", source={"id": "3EB0AA"}))
    before = conversation.version(1, chat.id)
    stub.script["getBase64FromMediaMessage"] = [(201, {"base64": base64.b64encode(PNG).decode()})]
    incoming_files.fetch()
    db.session.rollback()
    assert conversation.version(1, chat.id) != before


PROGRAMS = [b"MZ\x90\x00\x03", b"\x7fELF\x02\x01\x01\x00", b"\xca\xfe\xba\xbe\x00\x00\x00\x34"]


@pytest.mark.parametrize("content", PROGRAMS)
def test_no_program_is_kept_whatever_it_is_called(fetched, content):
    file = fetched(content, "invoice.pdf")
    assert (file.state, file.attachment_id) == ("refused", None)


def test_a_text_that_begins_like_one_is_no_program(fetched):
    assert fetched(b"MZ is how programs of Windows begin", "note.txt").state == "kept"


@pytest.mark.parametrize("content", [SVG, HTML, b"\n\n <html><body>x", b"  <script>alert(1)</script>"])
def test_what_a_browser_would_run_is_not_kept_whatever_it_is_called(fetched, content):
    file = fetched(content, "cat.png")
    assert (file.state, file.attachment_id) == ("refused", None)
    assert db.session.query(Attachment).count() == 0


def test_a_polyglot_is_what_its_first_bytes_are(fetched):
    file = fetched(PNG + b"<script>alert(1)</script>", "x.html")
    assert (file.state, file.mimetype) == ("kept", "image/png")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\boot.ini", "a/b/c", "x\r\nSet-Cookie: a=b", "\0", ""]
)
def test_a_name_leads_nowhere(fetched, name):
    file = fetched(PNG, name)
    assert file.filename and not set(file.filename) & set("/\\\r\n\0") and ".." not in file.filename[:2]


def test_a_file_that_says_that_it_is_too_large_is_not_asked_for(fetched, stub):
    file = fetched(size_bytes=17 * 1024 * 1024)
    assert file.state == "too_large" and not stub.asked


def test_a_file_that_is_larger_than_it_says_is_not_kept(fetched, app):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], media_max_mb=1)
    assert fetched(b"\0" * (1024 * 1024 + 1), size_bytes=10).state == "too_large"
    assert db.session.query(Attachment).count() == 0


def test_no_more_is_read_than_may_be_kept(fetched, app):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], media_max_mb=1)
    assert fetched(b"\0" * (3 * 1024 * 1024), size_bytes=10).state == "too_large"


def test_a_gateway_that_is_away_is_asked_again_later(fetched):
    away = (503, {"status": 503, "response": {"message": ["busy"]}})
    good = (201, {"base64": base64.b64encode(PNG).decode()})
    assert fetched(answers=[away, good]).state == "waiting"
    assert incoming_files.fetch() == 0  # not at once
    assert incoming_files.fetch(later(11)) == 1 and only().state == "kept"


def test_after_five_tries_the_phone_has_it(fetched):
    away = (503, {"status": 503, "response": {"message": ["busy"]}})
    fetched(answers=[away] * 5)
    for number in range(6):
        incoming_files.fetch(later(1000 * (number + 1)))
    assert (only().state, only().tries) == ("failed", 5)


@pytest.mark.parametrize("body", [{}, {"base64": ""}, {"base64": "%%%"}, {"base64": 7}, [], "x"])
def test_an_answer_without_a_file_breaks_nothing(fetched, body):
    assert fetched(answers=[(201, body)]).state == "waiting"


def test_one_whose_fetching_ended_the_process_is_not_tried_for_ever(app, connected, stub):
    hear(connected, kind="image", file=FileSeen("image/png", source={"id": "3EB0AA"}))
    with writing():
        db.session.execute(update(IncomingFile).values(tries=incoming_files.TRIES))
    incoming_files.fetch()
    assert (only().state, stub.asked) == ("failed", [])


def test_what_a_gateway_no_longer_has_is_given_up_at_once(fetched):
    gone = (400, {"status": 400, "response": {"message": ["Message not found"]}})
    assert fetched(answers=[gone]).state == "failed"


def test_a_file_that_came_along_is_kept_without_asking(app, connected, stub):
    hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    assert only().state == "kept" and not stub.asked


def test_a_file_may_come_after_its_message(app, connected):
    chat = hear(connected, kind="image", file=FileSeen())
    assert only().state == "failed"
    hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    assert only().state == "kept" and conversation.page(chat).entries[0].file.filename == "image"


def test_a_link_opens_the_file_for_some_minutes(app, connected, monkeypatch):
    chat = hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    token = incoming_files.pass_for(1, chat.id, only().id)
    assert incoming_files.opened(token)[0].content == PNG
    monkeypatch.setattr(incoming_files, "LINK_LASTS_SECONDS", -1)
    with pytest.raises(incoming_files.FileNotThere):
        incoming_files.opened(token)


@pytest.mark.parametrize("token", ["", "x", "MQ.x.y", "1"])
def test_a_link_of_ones_own_making_opens_nothing(app, connected, token):
    hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    with pytest.raises(incoming_files.FileNotThere):
        incoming_files.opened(token)


def test_a_link_is_a_secret_to_the_log(app, connected):
    chat = hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    token = incoming_files.pass_for(1, chat.id, only().id)
    with pytest.raises(incoming_files.FileNotThere):
        incoming_files.opened(log.redact(f"GET /chats/files/{token} 200").split("/")[3].split()[0])
