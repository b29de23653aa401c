import pytest
from markup import read

from wa_admin.extensions import db
from wa_admin.models import Reason, Role, Status, WhatsAppSession

HTMX = {"HX-Request": "true"}
ACTS = (
    "link", "link/phone", "link/cancel", "connection", "disconnection", "restart", "logout", "replacement",
    "default", "pause", "resume",
)  # fmt: skip


def now(wa_session):
    """The row as it is, not as it was when this test first looked."""
    db.session.rollback()
    db.session.refresh(wa_session)
    return wa_session


def act(client, wa_session, name, **data):
    return client.post(f"/sessions/{wa_session.id}/{name}", data=data, headers=HTMX)


def word(answer):
    return read(answer.text).one("h2", class_="state-word").text


def test_pausing_holds_what_is_sent_and_resuming_lets_it_go(admin, connected):
    assert word(act(admin, connected, "pause")) == "Sending is paused"
    assert now(connected).paused_at
    assert word(act(admin, connected, "resume")) == "Connected"
    assert now(connected).paused_at is None


def test_an_act_without_javascript_ends_on_the_home_page(admin, connected):
    answer = admin.post(f"/sessions/{connected.id}/pause")
    assert (answer.status_code, answer.location) == (303, "/")


def test_an_act_is_spoken(admin, connected):
    fragment = read(act(admin, connected, "pause").text)
    assert fragment.one("p", id="status").text.startswith("Sending is paused.")


def test_try_now_connects_with_the_stored_login(stub, admin, make_session):
    wa_session = make_session(status=Status.DISCONNECTED, reason=Reason.STOPPED)
    assert word(act(admin, wa_session, "connection")) == "Connected"


def test_disconnecting_keeps_the_login(stub, admin, connected):
    assert word(act(admin, connected, "disconnection")) == "Disconnected"
    assert now(connected).linked_at


def test_restarting_asks_the_gateway(stub, admin, connected):
    assert act(admin, connected, "restart").status_code == 200
    assert any("/restart/" in route for route in stub.routes_asked())


def test_unlinking_leads_back_to_the_first_page(stub, admin, connected):
    page = read(act(admin, connected, "logout").text)
    assert page.one("h1").text == "Link your WhatsApp"
    assert now(connected).linked_at is None


def test_another_number_is_linked_in_the_place_of_the_old_one(stub, admin, connected):
    stub.script["connect"] = lambda _: (200, {"code": "2@new", "count": 1, "lifetimeSeconds": 60})
    answer = admin.post(f"/sessions/{connected.id}/replacement", data={"phone_number": "0813-9999-8888"})
    assert answer.location == f"/sessions/{connected.id}/link"
    assert now(connected).phone_number == "6281399998888" and connected.status == Status.QR_PENDING


def test_only_a_connected_session_becomes_the_default(admin, make_session):
    make_session("First")
    other = make_session("Second", status=Status.DISCONNECTED, reason=Reason.STOPPED)
    assert act(admin, other, "default").status_code == 409


def test_a_gateway_that_fails_is_told_about_in_the_alert_region(admin, connected):
    answer = act(admin, connected, "restart")
    assert answer.status_code == 502
    assert "The gateway cannot be reached." in read(answer.text).one("div", class_="notice").text


def test_an_operator_changes_no_session(signed_in, connected):
    client, rev = signed_in(Role.OPERATOR), connected.rev
    assert {act(client, connected, name).status_code for name in ACTS} == {403}
    assert now(connected).rev == rev


def test_a_session_that_is_not_there_is_404(admin, app):
    number = {"phone": "0812-3456-7890"}
    assert {admin.post(f"/sessions/99/{name}", data=number).status_code for name in ACTS} == {404}


@pytest.mark.parametrize("name", ["new", "1/edit", "1/delete"])
def test_the_row_itself_is_for_admins(signed_in, connected, name):
    assert signed_in(Role.OPERATOR).get(f"/sessions/{name}").status_code == 403


# --- asked again ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "verb", "consequence"),
    [
        ("disconnect", "Disconnect Support line", "14 messages will wait."),
        ("logout", "Unlink +62 812-3456-7890", "14 messages will wait until then."),
        (
            "replace",
            "Unlink +62 812-3456-7890 and link another",
            "14 waiting messages will leave from the new",
        ),
    ],
)
def test_what_cannot_be_undone_is_asked_again_with_its_object_and_numbers(
    admin, make_session, name, verb, consequence
):
    wa_session = make_session(waiting_count=14)
    for headers in ({}, HTMX):
        page = read(admin.get(f"/sessions/{wa_session.id}/confirm/{name}", headers=headers).text)
        assert page.one("button", class_="is-danger").text == verb
        assert consequence in page.text


def test_an_unknown_question_is_404(admin, connected):
    assert admin.get(f"/sessions/{connected.id}/confirm/delete").status_code == 404


def test_deleting_wants_the_name(stub, admin, connected):
    answer = admin.post(f"/sessions/{connected.id}/delete", data={"typed_name": "Support"})
    assert answer.status_code == 422
    assert "not its name" in read(answer.text).one("p", id="typed_name-error").text
    assert now(connected)


def test_deleting_with_the_name_removes_the_session(stub, admin, connected):
    answer = admin.post(f"/sessions/{connected.id}/delete", data={"typed_name": "support LINE "})
    assert answer.status_code == 303 and db.session.query(WhatsAppSession).count() == 0


def test_a_gateway_that_does_not_answer_keeps_the_session_until_somebody_insists(admin, connected):
    typed = {"typed_name": connected.name}
    answer = admin.post(f"/sessions/{connected.id}/delete", data=typed)
    page = read(answer.text).one("main")
    assert answer.status_code == 502 and "The gateway cannot be reached." in page.text
    assert "Its login may live on at the gateway" in page.text
    assert page.one("input", id="typed_name")["value"] == connected.name and now(connected)
    admin.post(f"/sessions/{connected.id}/delete", data=typed | {"only_here": "1"})
    db.session.rollback()
    assert db.session.query(WhatsAppSession).count() == 0
    assert "its login may live on at the gateway" in admin.get("/activity").text


# --- the row -------------------------------------------------------------------------------------


def form(name="Toko", **more):
    return {"name": name, "phone_number": "", "session_id": "", "description": "", "is_active": "y", **more}


def test_adding_and_linking_at_once_shows_the_code(stub, admin, app):
    stub.state = "close"
    answer = admin.post("/sessions/new", data=form(link="1"))
    added = db.session.query(WhatsAppSession).one()
    assert answer.location == f"/sessions/{added.id}/link?by=qr"
    assert (added.session_id, added.is_default, added.status) == ("toko", True, Status.QR_PENDING)


def test_a_gateway_that_is_down_leaves_the_added_session_to_be_linked_later(admin, app):
    answer = admin.post("/sessions/new", data=form(link="1"))
    assert answer.status_code == 502 and "The gateway cannot be reached." in read(answer.text).text
    assert db.session.query(WhatsAppSession).one().status == Status.DISCONNECTED


def test_editing_stores_what_was_typed(admin, unlinked):
    fields = form("Shop", phone_number="0813-9999-8888", session_id="shop", description="Front desk")
    assert admin.post(f"/sessions/{unlinked.id}/edit", data=fields).status_code == 303
    row = now(unlinked)
    assert (row.name, row.phone_number, row.session_id) == ("Shop", "6281399998888", "shop")


def test_a_form_without_its_fields_switches_nothing_off(admin, connected):
    assert admin.post(f"/sessions/{connected.id}/edit", data={}).status_code == 422
    assert now(connected).is_active


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 81),
        ("name", "a\x00b"),
        ("phone_number", "hello"),
        ("phone_number", "120363023456789012"),
        ("phone_number", "9" * 200),
        ("session_id", "Has Space"),
        ("session_id", "../etc"),
        ("session_id", "☎️"),
        ("session_id", "<b>"),
        ("description", "x" * 501),
        ("description", "a\x07"),
    ],
)
def test_odd_input_gets_a_sentence_beside_its_field_and_changes_nothing(admin, unlinked, field, typed):
    answer = admin.post(f"/sessions/{unlinked.id}/edit", data=form(**{field: typed}))
    page = read(answer.text)
    assert answer.status_code == 422
    assert page.one("p", id=f"{field}-error").text
    assert now(unlinked).name == "Support line"


def test_a_second_session_says_where_the_limit_is(admin, connected):
    answer = admin.post("/sessions/new", data=form())
    assert answer.status_code == 422
    assert "WA_MAX_SESSIONS" in read(answer.text).one("div", class_="tone-bad").text


def test_switching_off_disconnects_and_keeps_the_login(stub, admin, connected):
    fields = form("Support line", session_id="support_line")
    del fields["is_active"]
    assert admin.post(f"/sessions/{connected.id}/edit", data=fields).status_code == 303
    row = now(connected)
    assert (row.is_active, row.status) == (False, Status.DISCONNECTED) and row.linked_at
