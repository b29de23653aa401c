from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from markup import read

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Attachment, MessageStatus
from wa_admin.services import board, search
from wa_admin.services.search import Search

HTMX = {"HX-Request": "true"}


@pytest.fixture
def look(admin):
    """What a search shows, as a page."""

    def get(htmx=False, **asked):
        return read(admin.get("/messages", query_string=asked, headers=HTMX if htmx else {}).text)

    return get


@pytest.fixture
def three(connected, make_message):
    return [make_message(connected, body=body) for body in ("50% off", "50 pieces", "Order_7 sent")]


def texts(page):
    return [cell.text for cell in page.one("tbody").all("td", class_="grow")]


@pytest.mark.parametrize(
    "asked, found",
    [("order", "Order_7 sent"), ("50%", "50% off"), ("R_7", "Order_7 sent"), ("  off ", "50% off")],
)
def test_a_part_of_the_text_finds_a_message_and_means_what_it_says(look, three, asked, found):
    assert texts(look(q=asked)) == [found]


@pytest.mark.parametrize("asked", ["0812-9999", "+62 812 9999", "99998888"])
def test_a_part_of_the_number_finds_it_however_it_is_typed(look, connected, make_message, asked):
    make_message(connected, body="To Rina")
    make_message(connected, body="To Budi", recipient="5511998765432")
    assert texts(look(q=asked)) == ["To Rina"]


def test_two_digits_look_for_no_number(look, three):
    assert texts(look(q="50")) == ["50 pieces", "50% off"]


def test_state_and_text_are_looked_for_together(look, connected, make_message):
    make_message(connected, body="Halo one")
    make_message(connected, body="Halo two", status=MessageStatus.FAILED)
    make_message(connected, body="Other", status=MessageStatus.FAILED)
    assert texts(look(q="halo", status="failed")) == ["Halo two"]


def test_a_day_is_the_readers_day(admin, connected, make_message):
    admin.set_cookie("__Host-wa_time_zone", "Asia/Jakarta")
    for hour in (16, 17, 40, 41):  # midnight in Jakarta is 17:00 UTC
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        make_message(connected, body=f"at {hour}", created_at=at)
    page = read(admin.get("/messages?day=2026-03-02").text)
    assert texts(page) == ["at 40", "at 17"]


@pytest.mark.parametrize("day", ["yesterday", "0001-01-01", "9999-12-31", "2026-02-30"])
def test_what_is_no_day_narrows_nothing(look, three, day):
    page = look(day=day)
    assert len(texts(page)) == 3 and page.one("input", name="day")["value"] == ""


def test_pages_and_states_keep_what_is_looked_for(look, connected, make_message):
    today = clock.now()
    with writing():  # all of them at once
        for n in range(board.PAGE + 2):
            make_message(connected, body=f"Halo {n}", created_at=today)
    page = look(q="halo", day=today.date().isoformat())
    for link in (page.one("a", rel="next"), page.one("nav", class_="chips").all("a")[2]):
        asked = parse_qs(urlsplit(link["href"]).query)
        assert (asked["q"], asked["day"]) == (["halo"], [today.date().isoformat()])


def test_older_pages_of_a_search_lead_back_to_the_newer_ones(look, admin, connected, make_message):
    with writing():
        for n in range(2 * board.PAGE):
            make_message(connected, body="Halo" if n % 2 else "Other")
    make_message(connected, body="Halo")
    first = look(q="halo")
    older = read(admin.get(first.one("a", rel="next")["href"]).text)
    assert (len(texts(first)), len(texts(older))) == (board.PAGE, 1)
    assert texts(read(admin.get(older.one("a", rel="prev")["href"]).text)) == texts(first)


def test_a_search_looks_through_one_stretch_at_a_time(look, admin, three, monkeypatch):
    monkeypatch.setattr(search, "STRETCH", 2)
    page = look(q="50%")
    assert "so far" in page.one("div", class_="empty").text
    further = read(admin.get(page.one("div", class_="empty").all("a")[0]["href"]).text)
    assert texts(further) == ["50% off"] and not further.all("a", rel="next")


def test_a_stretch_leads_both_ways(three, monkeypatch):
    monkeypatch.setattr(search, "STRETCH", 1)
    wanted, cursor = Search("50 pieces"), None
    shown = board.page(1, None, cursor, wanted)
    while not shown.rows:
        shown = board.page(1, None, shown.older, wanted)
    assert [row.id for row in shown.rows] == [three[1].id]
    assert [row.id for row in board.page(1, None, -(three[1].id - 1), wanted).rows] == [three[1].id]


@pytest.mark.parametrize("asked", [{"q": "no such words"}, {"day": "2020-02-03"}])
def test_nothing_found_says_so_and_leads_back(look, three, asked):
    empty = look(**asked).one("div", class_="empty")
    assert empty.one("h2").text == "Nothing found"
    assert empty.one("a")["href"] == "/messages"


def test_nothing_found_in_one_state_leads_to_all_of_them(look, three):
    empty = look(q="order", status="failed").one("div", class_="empty")
    assert empty.all("a")[0]["href"] == "/messages?q=order"


def test_htmx_gets_what_was_found_and_it_is_read_out(look, three):
    fragment = look(htmx=True, q="50")
    assert fragment.one("p", id="status").text == "Found 2 messages"
    assert fragment.one("div", id="found")["data-address"] == "/messages?q=50" and not fragment.all("form")


def test_what_was_typed_comes_back_as_text(look, three):
    page = look(q='"><b>x')
    assert page.one("input", id="search")["value"] == '"><b>x' and not page.one("main").all("b")


def test_who_looks_back_hears_no_news(look, admin, connected, make_message):
    make_message(connected, body="Halo")
    url = look(q="halo").one("div", id="board")["hx-get"]
    make_message(connected, body="Halo again")
    assert admin.get(url, headers=HTMX).status_code == 204


@pytest.mark.sqlite
def test_a_search_reads_one_workspace_by_keys(three, on_statement):
    plans = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("SELECT"):
            plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in plan)

    on_statement(explain)
    day = Search("50", clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
    assert len(board.page(1, None, None, day).rows) == 2 and board.page(2, None, None, day).rows == []
    assert not [step for step in plans if step.startswith("SCAN message")], plans


def test_a_file_is_found_by_its_name(look, connected, make_message):
    file = Attachment(
        kind="document",
        filename="invoice-4711.pdf",
        mimetype="application/pdf",
        size_bytes=3,
        content=b"pdf",
        created_at=clock.now(),
    )
    with writing():
        db.session.add(file)
    make_message(connected, body="", attachment_id=file.id)
    assert len(texts(look(q="4711.PDF"))) == 1
