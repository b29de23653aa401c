from datetime import timedelta

import pytest
from looking import HTMX, NEVER, OFF, change, queries
from markup import read

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Look, Reason, Role, Status

# look: (columns, the word, the button that is the right next step)
LOOKS = {
    Look.CONNECTED: ({}, "Connected", "Send a test"),
    Look.PAUSED: ({"paused_at": clock.now()}, "Sending is paused", "Resume sending"),
    Look.SILENT: ({"reason": Reason.SILENT}, "Silent", "Restart connection"),
    Look.RECONNECTING: ({"status": Status.CONNECTING}, "Reconnecting", "Try now"),
    Look.NO_NETWORK: (
        OFF | {"reason": Reason.NETWORK, "reconnect_attempts": 3}, "WhatsApp out of reach", "Try now",
    ),
    Look.ENGINE_CRASHED: (
        OFF | {"reason": Reason.NETWORK, "gateway_word": "crashed"}, "The engine keeps stopping", "Try now",
    ),
    Look.GATEWAY_UNREACHABLE: ({"reason": Reason.GATEWAY_UNREACHABLE}, "Gateway unreachable", "Try now"),
    Look.UNLINKED: (OFF | {"reason": Reason.LOGGED_OUT}, "Unlinked on the phone", "Link again"),
    Look.QR_EXPIRED: (OFF | {"reason": Reason.QR_EXPIRED}, "Nobody scanned the code", "Show a new code"),
    Look.PASSKEY_REQUIRED: (
        OFF | {"reason": Reason.PASSKEY_REQUIRED}, "WhatsApp asks for a passkey", "Finish linking",
    ),
    Look.AUTH_FAILURE: (OFF | {"reason": Reason.AUTH_FAILURE}, "WhatsApp refused the login", "Link again"),
    Look.REPLACED: (OFF | {"reason": Reason.REPLACED}, "Opened somewhere else", "Connect here again"),
    Look.BANNED: (OFF | {"reason": Reason.BANNED}, "Blocked by WhatsApp", "Try to connect"),
    Look.OUTDATED: (OFF | {"reason": Reason.OUTDATED}, "Too old for WhatsApp", "Connect again"),
    Look.STOPPED: (OFF | {"reason": Reason.STOPPED}, "Disconnected", "Connect Support line"),
    Look.INACTIVE: (OFF | {"reason": Reason.STOPPED, "is_active": False}, "Switched off", "Switch it on"),
    Look.STARTING: ({"status": Status.CONNECTING, **NEVER}, "Starting", "Cancel linking"),
    Look.WAITING_FOR_SCAN: ({"status": Status.QR_PENDING, **NEVER}, "Waiting for the phone", "Open the code"),
    Look.FINISHING: (
        {"status": Status.QR_PENDING, "is_scanned": True, **NEVER}, "Finishing on the phone", "Show progress",
    ),
}  # fmt: skip


def card(page):
    return page.one("div", class_="session")


def state(page):
    """What polls: the state of the session."""
    return page.one("div", class_="pulse-status")


def poll(client, page):
    return client.get(state(page)["hx-get"], headers=HTMX)


def actions(page):
    return [one.text for tag in ("button", "a") for one in page.all(tag, class_="button")]


@pytest.mark.parametrize("look", LOOKS)
def test_each_state_has_its_word_and_its_next_step(admin, make_session, look):
    columns, word, step = LOOKS[look]
    wa_session = make_session(**columns)
    page = card(read(admin.get("/").text))
    assert wa_session.look == look
    assert page.one("h2", class_="state-word").text == word
    assert step in actions(page)


def test_before_the_first_link_there_is_one_button_and_nothing_else(admin, unlinked):
    page = read(admin.get("/").text).one("main")
    assert actions(page.one("section")) == ["Link your WhatsApp"]
    assert len(page.all("section")) == 1


def test_without_a_session_the_first_is_added_and_linked_at_once(admin, app):
    form = read(admin.get("/").text).one("main").one("form")
    fields = {field["name"]: field["value"] for field in form.all("input")}
    assert form["action"] == "/sessions/new" and fields["link"] == "1" and fields["name"]


def test_an_operator_sends_and_touches_no_session(signed_in, connected):
    client = signed_in(Role.OPERATOR)
    for columns, _, _ in LOOKS.values():
        change(connected, **columns)
        page = read(client.get("/").text).one("main")
        assert [form for form in page.all("form") if form.attributes.get("method") == "post"] == []
        assert page.all("svg", class_="qr-code") == []


def test_waiting_messages_are_counted_where_they_cannot_leave(admin, make_session):
    make_session(status=Status.DISCONNECTED, reason=Reason.LOGGED_OUT, waiting_count=14)
    assert "14 messages wait safely." in read(admin.get("/").text).one("p", class_="sentence").text


def test_a_reconnect_says_which_attempt_and_when(admin, make_session):
    soon = clock.now() + timedelta(seconds=40)
    make_session(status=Status.CONNECTING, reconnect_attempts=2, reconnect_at=soon)
    assert "Attempt 3, next in 40 s" in read(admin.get("/").text).one("p", class_="sentence").text


def test_a_ban_says_until_when(admin, make_session):
    ends = clock.now() + timedelta(days=2)
    make_session(status=Status.DISCONNECTED, reason=Reason.BANNED, ban_ends_at=ends)
    assert "The block ends on" in read(admin.get("/").text).one("p", class_="sentence").text


def test_a_gateway_that_refuses_our_key_says_so(admin, make_session):
    wa_session = make_session(reason=Reason.GATEWAY_UNREACHABLE)
    with writing():
        db.session.get_one(Gateway, wa_session.gateway_id).failure = "gateway_auth"
    assert "refuses our key" in read(admin.get("/").text).one("p", class_="sentence").text


def test_a_slow_start_says_that_it_is_slow(admin, make_session):
    late = clock.now() - timedelta(seconds=31)
    make_session(status=Status.CONNECTING, status_at=late, **NEVER)
    page = card(read(admin.get("/").text))
    assert "longer than usual" in page.one("p", class_="sentence").text
    assert "See what happened" in actions(page)


def test_facts_and_the_last_day_stand_below_the_state(admin, make_session):
    make_session(last_proof_at=clock.now() - timedelta(minutes=3), last_proof="delivery")
    page = card(read(admin.get("/").text))
    assert "3 min ago , a delivery" in page.one("dl").text
    assert len(page.one("div", class_="strip").all("i")) == 48


def test_another_number_than_expected_is_pointed_out(admin, make_session):
    make_session(phone_number="6281399998888")
    assert "+62 813-9999-8888 was expected" in card(read(admin.get("/").text)).text


def test_what_people_named_is_text(admin, make_session):
    make_session(name="<b hx-get=/x>Toko</b>", description="<script>1</script>")
    page = read(admin.get("/").text).one("main")
    assert page.one("h1").text == "<b hx-get=/x>Toko</b>" and not page.all("script")


def test_messages_of_customers_are_out_of_htmx_reach(admin, connected, make_message):
    make_message(connected, body="<button hx-get=/x hx-trigger=load>Hi</button>")
    table = card_of_messages(admin)
    assert "hx-ignore" in table.one("td", class_="grow") and not table.all("button")


def card_of_messages(client):
    return read(client.get("/").text).all("table", class_="is-clickable")[0]


# --- the poll ------------------------------------------------------------------------------------


def test_an_unchanged_poll_is_204(admin, connected):
    answer = poll(admin, read(admin.get("/").text))
    assert (answer.status_code, answer.text) == (204, "")


def test_a_poll_costs_one_query(admin, connected):
    page = read(admin.get("/").text)
    change(connected, paused_at=clock.now())
    with queries() as seen:
        assert poll(admin, page).status_code == 200
    assert len(seen) == 1


def test_a_changed_state_is_shown_spoken_and_passed_on(admin, connected):
    page = read(admin.get("/").text)
    change(connected, status=Status.DISCONNECTED, reason=Reason.LOGGED_OUT)
    answer = poll(admin, page)
    fragment = read(answer.text)
    assert fragment.one("h2", class_="state-word").text == "Unlinked on the phone"
    assert fragment.one("p", id="status").text.startswith(
        "Unlinked on the phone. WhatsApp removed this device"
    )
    assert "wa:changed" in answer.headers["HX-Trigger"]


def test_a_change_of_numbers_alone_is_not_spoken(admin, connected):
    page = read(admin.get("/").text)
    change(connected, waiting_count=3)
    fragment = read(poll(admin, page).text)
    assert fragment.all("p", id="status") == []


def test_polls_quicken_while_a_phone_is_linked(admin, make_session):
    wa_session = make_session()
    assert state(read(admin.get("/").text))["hx-trigger"].startswith("every 10s,")
    change(wa_session, status=Status.QR_PENDING)
    assert state(read(admin.get("/").text))["hx-trigger"].startswith("every 2s,")


def test_the_fragment_is_the_part_of_the_page_that_it_replaces(admin, connected):
    page = read(admin.get("/").text)
    change(connected, description="Shop")
    fragment = read(poll(admin, page).text)
    assert state(fragment)["id"] == state(page)["id"]
    assert "aria-live" not in poll(admin, page).text


def test_a_change_lets_the_whole_card_come_anew(admin, connected):
    page = read(admin.get("/").text)
    change(connected, description="Shop")
    assert "wa:card" in poll(admin, page).headers["HX-Trigger"]
    fragment = read(admin.get(card(page)["hx-get"], headers=HTMX).text)
    assert card(fragment)["id"] == card(page)["id"] and "Shop" in card(fragment).text


def test_a_poll_of_a_session_that_is_gone_leads_home(admin, connected):
    answer = admin.get("/sessions/99/status", headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/"


@pytest.mark.parametrize("part", ["status", "card", "day", "latest", "link/panel"])
def test_an_expired_login_is_401_with_the_way_to_the_login(client, connected, part):
    answer = client.get(f"/sessions/{connected.id}/{part}", headers=HTMX)
    assert answer.status_code == 401 and "/login" in answer.headers["HX-Redirect"]


@pytest.mark.parametrize("part", ["day", "latest", "link", "edit", "delete", "confirm/logout"])
def test_a_missing_session_is_404(admin, app, part):
    assert admin.get(f"/sessions/99/{part}").status_code == 404


def test_the_small_code_is_for_those_who_may_link(signed_in, make_session):
    make_session(
        status=Status.QR_PENDING,
        sealed_qr=vault().seal("2@secret"),
        qr_sequence=1,
        qr_expires_at=clock.now() + timedelta(seconds=50),
        **NEVER,
    )
    answer = signed_in(Role.ADMIN).get("/")
    assert read(answer.text).all("svg", class_="qr-code") and "2@secret" not in answer.text


def test_the_last_day_and_the_latest_messages_come_by_themselves_too(admin, connected, make_message):
    make_message(connected)
    day = read(admin.get(f"/sessions/{connected.id}/day", headers=HTMX).text)
    latest = read(admin.get(f"/sessions/{connected.id}/latest", headers=HTMX).text)
    assert day.one("div", class_="day")["id"] == f"session-{connected.id}-day"
    assert "+62 812-9999-8888" in latest.one("table", class_="is-clickable").text


def test_the_chart_has_a_table_beneath(admin, connected):
    page = read(admin.get(f"/sessions/{connected.id}/latest", headers=HTMX).text)
    assert len(page.one("details", class_="as-table").one("tbody").all("tr")) == 14


def test_without_javascript_the_page_comes_again(admin, connected):
    refresh = read(admin.get("/").text).one("noscript").one("meta")
    assert refresh["content"] == "10"
