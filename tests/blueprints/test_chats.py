"""The chats as people see them: the list, a conversation, an answer, and who may do what."""

from datetime import timedelta

import pytest
from chatting import BUDI, hear
from markup import read
from sqlalchemy import select

from wa_admin import clock
from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import db, writing
from wa_admin.models import Chat, IncomingFile, LoginSession, Message, MessageStatus, Reason, Role
from wa_admin.services import chats, conversation, logins, users

HTMX = {"HX-Request": "true"}
# what customers, groups and gateways may be called and write: none of it may become markup
INJECTIONS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><button hx-get="/logout" hx-trigger="load">x</button>',
    "<template hx type=partial hx-target=#alert>x</template>",
    "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</span></div><form action=/chats/1/reading method=post>",
]


@pytest.fixture
def chat(connected):
    return hear(connected)


def test_the_list_says_who_wrote_and_that_nobody_has_read_it(admin, chat):
    page = admin.get("/chats").text
    assert "Budi" in page and "Halo, masih buka?" in page and "is-unread" in page


def test_a_conversation_shows_both_sides(admin, chat, connected, make_message):
    make_message(connected, recipient=BUDI, body="Ya, sampai pukul 20", status=MessageStatus.READ)
    page = admin.get(f"/chats/{chat.id}").text
    assert "Halo, masih buka?" in page and "Ya, sampai pukul 20" in page and "+62 811-1000-222" in page


def test_a_failed_or_uncertain_answer_shows_it(admin, chat, connected, make_message):
    make_message(connected, recipient=BUDI, status=MessageStatus.FAILED)
    make_message(connected, recipient=BUDI, status=MessageStatus.UNCERTAIN)
    page = admin.get(f"/chats/{chat.id}").text
    assert "Failed" in page and "Uncertain" in page


def test_a_reply_is_queued_and_shown_with_an_empty_form(admin, chat):
    answer = admin.post(f"/chats/{chat.id}/messages", data={"message": "Ya", "once": "a"}, headers=HTMX)
    assert answer.status_code == 200 and 'id="thread"' in answer.text and "Ya" in answer.text
    db.session.rollback()
    message = db.session.scalars(select(Message)).one()
    assert (message.recipient, message.body, message.source) == (BUDI, "Ya", "admin@example.com")


def test_a_reply_without_htmx_leads_back_to_the_conversation(admin, chat):
    answer = admin.post(f"/chats/{chat.id}/messages", data={"message": "Ya", "once": "a"})
    assert answer.status_code == 303 and answer.location == f"/chats/{chat.id}"


def test_the_same_form_sent_twice_is_one_reply(admin, chat):
    for _ in range(2):
        admin.post(f"/chats/{chat.id}/messages", data={"message": "Ya", "once": "a"})
    db.session.rollback()
    assert db.session.query(Message).count() == 1


@pytest.mark.parametrize("text", ["", "  \n ", "\u2800", "x" * 4097])
def test_a_reply_that_cannot_be_sent_says_why_and_keeps_the_text(admin, chat, text):
    answer = admin.post(f"/chats/{chat.id}/messages", data={"message": text, "once": "a"}, headers=HTMX)
    assert answer.status_code == 422 and 'id="reply"' in answer.text and "message-error" in answer.text
    assert db.session.query(Message).count() == 0


def test_a_session_that_is_away_is_named_and_the_reply_waits(admin, chat, connected):
    with writing():
        db.session.merge(connected).reason = Reason.GATEWAY_UNREACHABLE
    page = admin.get(f"/chats/{chat.id}").text
    assert "Gateway unreachable" in page and "the message waits" in page


def test_a_chat_whose_session_is_gone_is_read_and_not_answered(admin, chat, connected):
    with writing():
        db.session.merge(chat).session_id = None
    page = admin.get(f"/chats/{chat.id}").text
    assert "was removed" in page and 'id="reply"' not in page
    answer = admin.post(f"/chats/{chat.id}/messages", data={"message": "Ya", "once": "a"}, headers=HTMX)
    assert answer.status_code == 422 and "was removed" in answer.text


def test_opening_changes_nothing_but_asks_the_page_to_mark_it_read(admin, chat):
    page = read(admin.get(f"/chats/{chat.id}").text)
    assert chats.unread(1) == 1
    form = page.one("form", action=f"/chats/{chat.id}/reading")
    assert form["hx-trigger"] == "load"
    assert "wa:chats" in admin.post(form["action"], headers=HTMX).headers["HX-Trigger"]
    db.session.rollback()
    assert chats.unread(1) == 0


def test_a_supervisor_reads_and_neither_answers_nor_marks_anything_read(signed_in, chat):
    supervisor = signed_in(Role.SUPERVISOR)
    page = supervisor.get(f"/chats/{chat.id}").text
    assert "Halo, masih buka?" in page and "/reading" not in page and 'id="reply"' not in page
    assert supervisor.post(f"/chats/{chat.id}/reading").status_code == 403


def test_polls_tell_nothing_until_something_changes(admin, chat, connected):
    page = read(admin.get(f"/chats/{chat.id}").text)
    polls = [page.one("div", id=id)["hx-get"] for id in ("chat-list", "thread")]
    assert [admin.get(poll, headers=HTMX).status_code for poll in polls] == [204, 204]
    hear(connected, "3EB0BB", text="Masih di sana?")
    answers = [admin.get(poll, headers=HTMX) for poll in polls]
    assert all("Masih di sana?" in answer.text for answer in answers)
    assert "New message from Budi" in answers[1].text and "Masih" not in answers[1].text.split("status")[-1]


def test_the_menu_tells_how_many_chats_are_unread(admin, chat, connected):
    hear(connected, "3EB0BB", chat="628999@s.whatsapp.net", sender_number="628999")
    answer = admin.get("/chats/unread", headers=HTMX)
    assert ">2</span>" in answer.text.replace("Unread: </span>2", ">2")
    assert admin.get("/chats/unread?v=2", headers=HTMX).status_code == 204


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_that_customers_write_becomes_markup(admin, connected, text):
    group = "120363000000000001@g.us"
    hear(connected, "1", push_name=text, text=text)
    hear(connected, "2", push_name=text, text=text, chat=group, kind=text[:20])
    with writing():
        db.session.query(Chat).filter_by(address=group).update({"name": text[:120]})
    for chat in db.session.scalars(select(Chat)).all():
        for path in ("/chats", f"/chats/{chat.id}", f"/chats/{chat.id}/thread", "/chats/list"):
            page = admin.get(path, headers=HTMX if "thread" in path or "list" in path else {}).text
            assert text not in page or not set(text) & set("<>\"'"), path
            assert all_is_ignored(page, "excerpt", "said-text", "row-link")


def all_is_ignored(page, *classes):
    """Whether each element of these classes lies inside of hx-ignore."""
    tree = read(page)
    shields = [one for tag in ("li", "div") for one in tree.all(tag) if "hx-ignore" in one]
    tags = ("a", "span")
    inside = {id(one) for shield in shields for tag in tags for one in shield.all(tag)}
    found = [one for tag in tags for name in classes for one in tree.all(tag, class_=name)]
    return all(id(one) in inside for one in found)


def test_pages_further_back_do_not_poll(admin, connected):
    begin = clock.now() - timedelta(hours=1)
    for number in range(60):
        chat = hear(connected, str(number), text=f"number {number}.", at=begin + timedelta(seconds=number))
    page = read(admin.get(f"/chats/{chat.id}").text)
    older = page.one("p", class_="talk-older").one("a")["href"]
    text = admin.get(older).text
    assert "number 9." in text and "number 10." not in text and "/thread" not in text


@pytest.mark.parametrize("path", ["/chats/999", "/chats/999/thread", "/chats/1?before=x", "/chats?cursor=x"])
def test_what_is_not_there_is_not_found(admin, chat, path):
    assert admin.get(path).status_code == 404


def test_an_empty_list_says_what_to_do_next(admin, connected):
    page = admin.get("/chats").text
    assert "Replies to your messages appear here" in page and "/messages/new" in page
    assert "Nothing is unread" in admin.get("/chats?unread=1").text


def test_no_page_of_chats_needs_many_queries(admin, chat, on_statement):
    statements = []
    on_statement(lambda _c, _cursor, sql, *_: statements.append(sql))
    for path, most in (("/chats", 4), (f"/chats/{chat.id}", 6), ("/chats/list", 3), ("/chats/unread?v=1", 1)):
        statements.clear()
        admin.get(path, headers=HTMX if "list" in path or "unread" in path else {})
        # who asks is known for some seconds, and asked for anew on a slow machine
        looks = [sql for sql in statements if sql.startswith("SELECT") and "login_session" not in sql]
        assert len(looks) <= most, (path, looks)


@pytest.fixture
def sent_file(connected):
    """The address of a file in a chat."""

    def send(content, name):
        chat = hear(connected, kind="document", file=FileSeen("image/png", name, content=content))
        return f"/chats/{chat.id}/files/{db.session.scalars(select(IncomingFile.id)).one()}"

    return send


def test_a_file_is_saved_and_never_run(admin, client, sent_file):
    leads_to = admin.get(sent_file(b"just a text", 'Surat \u00e1 "x".txt')).location
    answer = client.get(leads_to)  # whoever holds the link
    assert answer.data == b"just a text" and answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''Surat%20%C3%A1")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_file_of_a_chat_is_only_for_who_sees_the_chat(
    client, signed_in, sent_file, connected, make_session
):
    address = sent_file(b"just a text", "a.txt")
    assert client.get(address).status_code == 303 and "/login" in client.get(address).location
    second = make_session("Second line", session_id="second")
    users.assign(1, users.find(1, "operator@example.com").id, [second.id], actor="cli")
    assert signed_in(Role.OPERATOR).get(address).status_code == 404


def test_a_link_of_ones_own_making_is_not_found(client, sent_file):
    sent_file(b"just a text", "a.txt")
    assert client.get("/chats/files/1").status_code == 404


def test_a_file_that_is_not_there_says_why(admin, connected):
    chat = hear(connected, kind="video", file=FileSeen("video/mp4", size_bytes=10**9, source={"id": "x"}))
    assert "too large to be kept here" in admin.get(f"/chats/{chat.id}").text


def test_a_search_finds_names_and_words_and_leads_to_the_place(admin, connected):
    begin = clock.now() - timedelta(hours=1)
    for number in range(60):
        hear(connected, str(number), at=begin + timedelta(seconds=number), text=f"nomor {number}.")
    assert "Budi" in admin.get("/chats?q=budi").text
    page = read(admin.get("/chats?q=nomor+7", headers=HTMX).text)
    (found,) = [one for one in page.all("a", class_="row-link") if "line=" in one["href"]]
    entries = read(admin.get(found["href"]).text).all("span", class_="said-text")
    assert entries[-1].text == "nomor 7." and len(entries) == 8


def test_a_search_that_finds_nothing_leads_on(admin, chat):
    page = admin.get("/chats?q=%3Cb%3Ezebra", headers=HTMX).text
    assert "Nothing found" in page and "/messages?q=%3Cb%3Ezebra" in page and "<b>zebra" not in page


def test_a_line_that_is_not_in_the_chat_is_not_found(admin, chat):
    assert admin.get(f"/chats/{chat.id}?line=999").status_code == 404


def test_an_admin_downloads_what_is_kept_of_a_person(admin, chat):
    answer = admin.get(f"/chats/{chat.id}/export")
    assert answer.json["written"][0]["text"] == "Halo, masih buka?"
    assert answer.headers["Content-Disposition"].startswith("attachment") and "no-store" in str(
        answer.headers
    )


def test_an_admin_erases_a_person_after_a_question(admin, chat):
    assert "Nothing brings this back" in admin.get(f"/chats/{chat.id}/removal").text
    assert db.session.query(Chat).count() == 1
    assert admin.post(f"/chats/{chat.id}/removal").location == "/chats"
    db.session.rollback()
    assert db.session.query(Chat).count() == 0
    assert "Erased: 1 messages that came in" in admin.get("/chats").text


def test_erasing_needs_the_password_again(admin, chat):
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(hours=1)})
    logins.forget_cached()
    assert "/confirm" in admin.post(f"/chats/{chat.id}/removal").location
    assert "/confirm" in admin.get(f"/chats/{chat.id}/export").location
    assert db.session.query(Chat).count() == 1


def test_a_group_is_no_person_to_erase(admin, connected):
    group = hear(connected, chat="120363000000000001@g.us")
    assert admin.get(f"/chats/{group.id}/removal").status_code == 404
    assert "/removal" not in admin.get(f"/chats/{group.id}").text


@pytest.mark.parametrize("role", Role)
def test_a_poll_is_one_query_for_whoever_asks(signed_in, chat, on_statement, role):
    person, statements = signed_in(role), []
    page = read(person.get(f"/chats/{chat.id}").text)
    polls = [page.one("div", id=id)["hx-get"] for id in ("chat-list", "thread")] + ["/chats/unread?v=1"]
    on_statement(lambda _c, _cursor, sql, *_: statements.append(sql))
    for poll in polls:
        statements.clear()
        logins.forget_cached()
        assert person.get(poll, headers=HTMX).status_code == 204
        assert len(statements) == 1, statements


def test_a_poll_tells_nobody_of_chats_that_are_not_theirs(signed_in, chat, make_session):
    second = make_session("Second line", session_id="second")
    users.assign(1, users.find(1, "operator@example.com").id, [second.id], actor="cli")
    version = conversation.version(1, chat.id)
    operator = signed_in(Role.OPERATOR)
    assert operator.get(f"/chats/{chat.id}/thread?v={version}", headers=HTMX).status_code == 404
    assert operator.get("/chats/unread?v=0", headers=HTMX).status_code == 204
    assert operator.get(f"/chats/list?v={chats.version(1)}", headers=HTMX).status_code == 200


def test_a_poll_of_somebody_who_is_not_logged_in_leads_to_the_login(client, chat):
    for poll in ("/chats/list?v=0", f"/chats/{chat.id}/thread?v=0", "/chats/unread?v=1"):
        assert client.get(poll, headers=HTMX).status_code == 401
