"""The home page with more than one session: cards, table, one poll for all."""

from datetime import timedelta

import pytest
from looking import HTMX, NEVER, OFF, change, queries
from markup import read

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Look, Reason, Role, Status, WhatsAppSession, Workspace


@pytest.fixture
def limit(app):
    def set_limit(count):
        from dataclasses import replace

        app.config["SETTINGS"] = replace(app.config["SETTINGS"], max_sessions=count)

    set_limit(10)
    return set_limit


@pytest.fixture
def three(limit, make_session):
    return [make_session(name) for name in ("Support", "Sales", "Billing")]


@pytest.fixture
def many(limit, make_session):
    limit(100)
    with writing():  # all of them at once
        return [make_session(f"Line {number:02}", linked_number=f"62812{number:07}") for number in range(60)]


def home(client, **query):
    return read(client.get("/", query_string=query).text).one("main")


def card(page, wa_session):
    return page.one("li", id=f"line-{wa_session.id}")


def names(page):
    return [one.one("h2").text for one in page.all("li", class_="line")]


def labels(part):
    return [one.text for tag in ("button", "a") for one in part.all(tag, class_="button")]


def poll(client, page):
    return client.get(page.one("div", id="lineup-poll")["hx-get"], headers=HTMX)


def changed(answer):
    return [one["hx-target"] for one in read(answer.text).all("template")]


@pytest.mark.parametrize(
    ("count", "limited_to", "word"), [(1, 1, "Session"), (1, 2, "Sessions"), (3, 1, "Sessions")]
)
def test_the_first_place_is_called_after_how_many_there_are(
    admin, make_session, limit, count, limited_to, word
):
    for number in range(count):
        make_session(f"Line {number}")
    limit(limited_to)
    for path in ("/", "/messages"):
        places = read(admin.get(path).text).one("nav", class_="places")
        assert places.all("a")[0].text == word


def test_syncing_waits_in_the_menu(admin, three):
    menu = home(admin).one("div", class_="page-actions").one("details", class_="menu")
    assert menu.one("form")["action"] == "/sessions/sync" and labels(menu) == ["Sync from gateway"]


def test_a_limit_of_one_shows_the_page_of_one(admin, connected):
    page = home(admin)
    assert page.all("ul", class_="lines") == [] and "of 1" not in page.text


def test_one_session_of_several_allowed_has_its_page_and_a_way_to_the_next(admin, limit, connected):
    page = home(admin)
    assert "1 of 10 sessions" in page.text and "Add a session" in labels(page)
    assert page.one("div", class_="pulse-status")


def test_several_sessions_are_cards_with_a_count(admin, three):
    page = home(admin)
    assert names(page) == ["Support", "Sales", "Billing"]
    assert "3 of 10" in page.text


def test_the_default_one_has_a_word_and_a_ring(admin, three):
    page = home(admin)
    assert "is-default" in card(page, three[0])["class"] and "Default" in card(page, three[0]).text
    assert "is-default" not in card(page, three[1])["class"]


@pytest.mark.parametrize(
    ("columns", "offered"),
    [
        ({}, {"Pause sending", "Restart connection", "Disconnect", "Switch off", "Make it the default"}),
        (OFF | {"reason": Reason.NEVER_LINKED} | NEVER, {"Link WhatsApp", "Link with a pairing code"}),
        ({"status": Status.QR_PENDING, **NEVER}, {"Open the code", "Show a new code", "Cancel linking"}),
        (OFF | {"reason": Reason.STOPPED}, {"Connect", "Delete session"}),
        (OFF | {"reason": Reason.STOPPED, "is_active": False}, {"Switch on", "Delete session"}),
        ({"paused_at": clock.now()}, {"Resume sending"}),
    ],
)
def test_a_card_offers_what_fits_its_state(admin, three, columns, offered):
    change(three[1], **columns)
    assert offered <= set(labels(card(home(admin), three[1])))


def test_the_default_is_offered_to_a_connected_session_only_and_else_explained(admin, three):
    change(three[1], **OFF)
    page = card(home(admin), three[1])
    assert "Make it the default" not in labels(page)
    assert "Only a connected session can be the default." in page.text


def test_who_only_looks_is_offered_nothing(signed_in, three):
    page = read(signed_in(Role.OPERATOR).get("/").text).one("main")
    assert page.all("details") == [] and "Add a session" not in labels(page)


def test_buttons_drawn_once_carry_everybodys_own_token(signed_in, three):
    def tokens(role):
        page = home(signed_in(role))
        assert "<!--" not in str(page)
        return {one["value"] for one in page.all("input", name="csrf_token")}

    of_admin, of_supervisor = tokens(Role.ADMIN), tokens(Role.SUPERVISOR)
    assert len(of_admin) == len(of_supervisor) == 1
    assert of_admin != of_supervisor


def test_buttons_drawn_once_follow_the_language_and_the_number(app, admin, three):
    assert "Edit session" in labels(card(home(admin), three[1]))
    change(three[1], linked_number="6281200000099", linked_at=clock.now())
    admin.set_cookie("__Host-wa_language", "id")
    offered = labels(card(home(admin), three[1]))
    assert "Edit session" not in offered and any("+62 812-0000-0099" in one for one in offered)


def test_at_the_limit_nothing_can_be_added_and_the_page_says_why(admin, three, limit):
    limit(3)
    page = home(admin)
    button = page.one("button", class_="is-primary")
    assert "disabled" in button and "raise WA_MAX_SESSIONS" in page.one("div", id="no-more").text


def test_a_lowered_limit_changes_nothing_and_says_so(admin, three, limit):
    limit(1)
    page = home(admin)
    assert len(page.all("li", class_="line")) == 3
    assert "allows 1 session, and there are 3" in page.text and "Remove 2 sessions" in labels(page)


def test_cleaning_up_lists_what_stays_and_what_goes_and_asks_for_their_number(admin, three, limit, stub):
    limit(2)
    page = read(admin.get("/sessions/cleanup").text).one("main")
    assert [[one.one("b").text for one in some.all("li")] for some in page.all("ul", class_="list")] == [
        ["Support", "Sales"],
        ["Billing"],
    ]
    assert admin.post("/sessions/cleanup", data={"typed_count": "2"}).status_code == 422
    assert WhatsAppSession.count(1) == 3
    assert admin.post("/sessions/cleanup", data={"typed_count": "1"}).status_code == 303
    assert names(home(admin)) == ["Support", "Sales"]


def test_each_session_has_a_page_of_its_own(admin, three):
    page = home(admin)
    own = read(admin.get(card(page, three[1]).one("h2").one("a")["href"]).text).one("main")
    assert own.one("h1").text == "Sales" and len(own.one("div", class_="strip").all("i")) == 48


def test_a_session_of_another_workspace_is_on_no_list_and_has_no_page(admin, three):
    with writing():
        other = Workspace(name="Elsewhere", created_at=clock.now())
        db.session.add(other)
        db.session.flush()
    change(three[2], workspace_id=other.id)
    assert "Billing" not in home(admin).text and "2 of 10" in home(admin).text
    assert admin.get(f"/sessions/{three[2].id}").status_code == 404


# --- acting on a card ----------------------------------------------------------------------------


def test_an_act_answers_with_its_card(admin, three):
    answer = admin.post(f"/sessions/{three[1].id}/pause?in=list", headers=HTMX)
    assert card(read(answer.text), three[1]).one("b", class_="state-word").text == "Sending is paused"
    assert "Sales: Sending is paused." in read(answer.text).one("p", id="status").text


def test_switching_off_keeps_the_login(admin, three, stub):
    address = f"/sessions/{three[1].id}/activation?in=list"
    for on, look in (("0", Look.INACTIVE), ("1", Look.CONNECTED)):
        stub.state = "open"
        admin.post(address, data={"on": on}, headers=HTMX)
        db.session.rollback()
        row = db.session.get(WhatsAppSession, three[1].id, populate_existing=True)
        assert (row.look, row.linked_number, bool(row.linked_at)) == (look, "6281234567890", True)
    assert not any("logout" in route for route in stub.routes_asked())


def test_a_question_from_the_list_is_answered_in_the_list(admin, three):
    path = f"/sessions/{three[1].id}/confirm/disconnect?in=list"
    form = read(admin.get(path, headers=HTMX).text).one("form")
    assert form["hx-target"] == f"#line-{three[1].id}" and form["hx-post"].endswith("?in=list")


def test_without_javascript_an_act_leads_back_to_where_it_was_asked(admin, three):
    own = f"/sessions/{three[1].id}"
    assert admin.post(f"{own}/pause", headers={"Referer": f"http://localhost{own}"}).location == own
    assert admin.post(f"{own}/resume?in=list", headers={"Referer": "http://localhost/"}).location == "/"


# --- the poll ------------------------------------------------------------------------------------


def test_an_unchanged_list_is_204_for_one_query(admin, three):
    page = home(admin)
    with queries() as seen:
        answer = poll(admin, page)
    assert (answer.status_code, len(seen)) == (204, 1)


def test_what_changed_comes_alone_for_one_query_and_is_read_out(admin, three):
    page = home(admin)
    change(three[1], **OFF | {"reason": Reason.LOGGED_OUT})
    with queries() as seen:
        answer = poll(admin, page)
    assert changed(answer) == [f"#line-{three[1].id}"] and len(seen) == 1
    assert read(answer.text).one("p", id="status").text == "Sales: Unlinked on the phone."


def test_a_changed_number_is_not_read_out(admin, three):
    page = home(admin)
    change(three[1], waiting_count=2)
    answer = poll(admin, page)
    assert changed(answer) == [f"#line-{three[1].id}"]
    assert read(answer.text).all("p", id="status") == []


def test_after_its_news_a_list_is_unchanged(admin, three):
    page = home(admin)
    change(three[1], waiting_count=2)
    assert poll(admin, read(poll(admin, page).text)).status_code == 204


def test_a_session_that_came_or_went_brings_the_whole_list(admin, three, make_session):
    page = home(admin)
    make_session("Fourth")
    answer = poll(admin, page)
    assert changed(answer) == ["#lineup"] and "Fourth" in answer.text
    assert poll(admin, read(answer.text)).status_code == 204


def test_polls_quicken_while_a_phone_is_linked(admin, three):
    change(three[1], status=Status.QR_PENDING)
    assert home(admin).one("div", id="lineup-poll")["hx-trigger"].startswith("every 2s,")


def test_the_page_costs_three_queries(admin, three):
    home(admin)
    with queries() as seen:
        home(admin)
    assert len(seen) <= 3


def test_news_are_drawn_as_the_page_draws_them(admin, three):
    page = home(admin)
    change(three[1], waiting_count=2)
    drawn = card(read(poll(admin, page).text), three[1])
    assert drawn.text == card(home(admin), three[1]).text


def test_a_list_of_somebody_whose_login_ended_is_401(client, three):
    assert client.get("/sessions/news?v=1", headers=HTMX).status_code == 401


# --- more than ten -------------------------------------------------------------------------------


def test_more_than_ten_are_a_table_of_fifty_a_page(admin, many):
    page = home(admin)
    rows = page.one("table").one("tbody").all("tr")
    assert len(rows) == 50 and "Line 00" in rows[0].text
    following = read(admin.get(page.one("a", rel="next")["href"]).text).one("main")
    assert [row.one("a").text for row in following.one("tbody").all("tr")] == [
        f"Line {number}" for number in range(50, 60)
    ]


@pytest.mark.parametrize("text", ["line 41", "LINE_41", "0812-0000-041", "62812 0000041"])
def test_a_session_is_found_by_name_id_or_number(admin, many, text):
    rows = home(admin, q=text).one("tbody").all("tr")
    assert [row.one("a").text for row in rows] == ["Line 41"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "nobody", "' or 1=1"])
def test_signs_of_a_pattern_are_text(admin, make_session, limit, text):
    make_session("One", session_id="one")
    make_session("Two", session_id="two")
    assert "No session fits" in home(admin, q=text).text


def test_a_page_further_down_polls_for_itself(admin, many):
    page = home(admin, after=many[49].id)
    assert poll(admin, page).status_code == 204
    change(many[0], waiting_count=3)
    assert poll(admin, page).status_code == 204
    change(many[55], waiting_count=3)
    assert changed(poll(admin, page)) == [f"#line-{many[55].id}"]


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "after=99999999999999999999", "q=%00", "v=1&after=1"]
)
def test_odd_questions_are_no_trouble(admin, three, query):
    assert admin.get(f"/?{query}").status_code == 200
    assert admin.get(f"/sessions/news?{query}", headers=HTMX).status_code == 200


# --- spreading -----------------------------------------------------------------------------------


def test_spreading_is_switched_in_the_settings(admin, three):
    from wa_admin.services import spread

    for on in (True, False):
        page = read(admin.get("/settings/spread").text).one("main")
        form = page.all("form")[-1]
        admin.post("/settings/spread", data={one["name"]: one["value"] for one in form.all("input")})
        db.session.rollback()
        assert spread.is_on(1) == on


def test_one_proof_of_life_makes_one_line_new(admin, three):
    page = home(admin)
    change(three[2], last_proof_at=clock.now() + timedelta(seconds=5))
    assert changed(poll(admin, page)) == [f"#line-{three[2].id}"]
