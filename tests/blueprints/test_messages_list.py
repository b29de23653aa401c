from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from markup import read

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Role
from wa_admin.services import board

HTMX = {"HX-Request": "true"}


@pytest.fixture
def many(connected, make_message):
    """More than a page, the newest last."""
    return [make_message(connected, body=f"Message number {n}") for n in range(board.PAGE + 3)]


def rows(page):
    return [row["id"].removeprefix("message-") for row in page.one("tbody").all("tr")]


def poll_url(page):
    return page.one("div", id="board")["hx-get"]


def poll(client, page):
    return client.get(poll_url(page), headers=HTMX)


def change(message, **columns):
    with writing():
        row = db.session.get_one(Message, message.id)
        for name, value in columns.items():
            setattr(row, name, value)


def test_each_message_is_a_row_with_its_state_in_words(admin, connected, make_message):
    make_message(connected, body="Pesanan #4821", status=MessageStatus.DELIVERED)
    row = read(admin.get("/messages").text).one("tbody").one("tr")
    for shown in ("+62 812-9999-8888", "Pesanan #4821", "Delivered", "orders-api"):
        assert shown in row.text


def test_customer_text_is_text_and_out_of_htmx_reach(admin, connected, make_message):
    make_message(connected, body="<button hx-get=/x hx-trigger=load>Hi</button>")
    page = read(admin.get("/messages").text)
    cell = page.one("td", class_="grow")
    assert "hx-ignore" in cell and cell.text.startswith("<button") and not cell.all("button")


def test_the_newest_come_first_and_older_ones_are_a_page_away(admin, many):
    first = read(admin.get("/messages").text)
    older = read(admin.get(first.one("a", rel="next")["href"]).text)
    assert rows(first) + rows(older) == [str(message.id) for message in reversed(many)]
    newer = read(admin.get(older.one("a", rel="prev")["href"]).text)
    assert rows(newer) == rows(first)


def test_the_last_page_leads_nowhere_older(admin, many):
    page = read(admin.get(f"/messages?cursor={many[1].id}").text)
    assert not page.all("a", rel="next") and rows(page) == [str(many[0].id)]


@pytest.mark.parametrize(
    "chosen, statuses",
    [("waiting", {"queued", "sending"}), ("failed", {"failed", "expired"}), ("uncertain", {"uncertain"})],
)
def test_a_filter_shows_its_own(admin, connected, make_message, chosen, statuses):
    made = {str(make_message(connected, status=status).id): status for status in MessageStatus}
    page = read(admin.get(f"/messages?status={chosen}").text)
    assert {made[id] for id in rows(page)} == statuses


def test_filters_say_how_many_need_a_look(admin, connected, make_message):
    for _ in range(2):
        make_message(connected, status=MessageStatus.FAILED)
    chips = read(admin.get("/messages").text).one("nav", class_="chips")
    assert [chip.text for chip in chips.all("a")][:4] == ["All", "Waiting", "Failed 2", "Uncertain"]


def test_an_unknown_filter_is_not_found(admin):
    assert admin.get("/messages?status=nonsense").status_code == 404


def test_an_empty_list_says_how_to_send_the_first(admin, connected):
    page = read(admin.get("/messages").text)
    assert page.one("div", class_="empty").one("a", class_="is-primary")["href"] == "/messages/new?test=1"


def test_without_a_session_the_empty_list_leads_to_linking(admin):
    page = read(admin.get("/messages").text)
    assert page.one("div", class_="empty").one("a")["href"] == "/"


def test_an_unchanged_poll_is_empty(admin, many):
    answer = poll(admin, read(admin.get("/messages").text))
    assert (answer.status_code, answer.data) == (204, b"")


def test_a_poll_is_one_query(admin, many, on_statement):
    url = poll_url(read(admin.get("/messages").text))
    asked = []
    on_statement(lambda *args: asked.append(args[2]))
    admin.get(url, headers=HTMX)
    assert [statement.split()[0] for statement in asked if statement != "BEGIN"] == ["SELECT"]


@pytest.mark.sqlite
def test_a_poll_searches_by_keys(many, on_statement):
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("SELECT"):
            plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in plan)

    on_statement(explain)
    board.changed(1, "failed", [message.id for message in many[:50]], with_news=True)
    board.page(1, "failed", cursor=40)
    board.counts(1)
    assert plans and not [step for step in plans if step.startswith("SCAN message")], plans


def test_a_poll_brings_a_new_state_into_its_row(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.SENT)
    page = read(admin.get("/messages").text)
    change(message, status=MessageStatus.READ)
    fragment = read(poll(admin, page).text)
    assert "Read" in fragment.one("tr", id=f"message-{message.id}").text


def test_a_row_that_leaves_its_filter_stays_where_it_is(admin, connected, make_message):
    message = make_message(connected)
    page = read(admin.get("/messages?status=waiting").text)
    change(message, status=MessageStatus.SENT)
    assert rows(read(poll(admin, page).text)) == [str(message.id)]


def test_new_messages_are_counted_and_not_put_in(admin, connected, make_message):
    message = make_message(connected)
    page = read(admin.get("/messages").text)
    for _ in range(3):
        make_message(connected)
    fragment = read(poll(admin, page).text)
    assert rows(fragment) == [str(message.id)]
    assert fragment.one("p", class_="news").one("a").text == "3 new messages: show"


def test_news_are_read_out_once(admin, connected, make_message):
    shown = make_message(connected)
    page = read(admin.get("/messages").text)
    make_message(connected)
    first = read(poll(admin, page).text)
    assert first.one("p", id="status").text == "1 new message"
    change(shown, status=MessageStatus.SENT)
    assert not read(poll(admin, first).text).all("p", id="status")


def test_more_news_than_rows_lose_no_row(admin, connected, make_message):
    message = make_message(connected)
    page = read(admin.get("/messages").text)
    for _ in range(board.PAGE + 5):
        make_message(connected)
    fragment = read(poll(admin, page).text)
    assert rows(fragment) == [str(message.id)]
    assert fragment.one("p", class_="news").text == "More than 50 new messages: show"


def test_an_older_page_hears_of_no_news(admin, many, connected, make_message):
    page = read(admin.get(f"/messages?cursor={many[10].id}").text)
    make_message(connected)
    assert poll(admin, page).status_code == 204


def test_the_first_page_reached_from_an_older_one_hears_of_news(admin, many, connected, make_message):
    page = read(admin.get(f"/messages?cursor=-{many[2].id}").text)
    make_message(connected)
    assert len(rows(page)) == board.PAGE
    assert poll(admin, page).status_code == 200


def test_a_poll_with_too_many_rows_is_refused(admin):
    listed = ",".join(str(n) for n in range(board.PAGE + 1))
    assert admin.get(f"/messages/board?shown={listed}", headers=HTMX).status_code == 400


def test_a_poll_for_rows_that_no_database_can_hold_finds_none(admin):
    assert admin.get(f"/messages/board?shown={'9' * 30}", headers=HTMX).status_code == 200


def test_another_workspace_shows_nothing_here(app, many):
    ids = [message.id for message in many[:3]]
    assert board.page(2, None).rows == []
    assert board.changed(2, None, ids, with_news=True).rows == []
    assert board.version(2, ids[0]) is None


def test_a_supervisor_looks_but_is_offered_no_sending(signed_in, connected, make_message):
    make_message(connected)
    page = read(signed_in(Role.SUPERVISOR).get("/messages").text)
    assert rows(page) and "New message" not in page.one("main").text


def test_an_ended_login_sends_a_poll_to_the_login_page(client, many):
    answer = client.get("/messages/board", headers=HTMX)
    assert answer.status_code == 401 and urlsplit(answer.headers["HX-Redirect"]).path == "/login"


def test_the_poll_carries_the_filter(admin, connected, make_message):
    make_message(connected, created_at=clock.now() - timedelta(days=3))
    url = poll_url(read(admin.get("/messages?status=waiting").text))
    assert parse_qs(urlsplit(url).query)["status"] == ["waiting"]
