"""The step of the passkey: on the link page, on the page of the phone's owner, and over the API."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from markup import read

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Event, LoginSession, Look, Role, WhatsAppSession
from wa_admin.services import gateway_settings, link_passes, links, sessions, watch

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_waha import CHALLENGE, FakeWaha

HTMX = {"HX-Request": "true"}
SIGNED = {"id": "AX8bTgH2", "rawId": "AX8bTgH2", "type": "public-key", "response": {"signature": "MEUC"}}
AT = "/sessions/1/link/passkey"


@pytest.fixture
def waha(app):
    with FakeWaha() as running:
        how = {"base_url": running.url, "key": running.key, "allow_private": True}
        gateway_settings.add(1, kind="waha", name="theirs", **how, actor="cli")
        yield running


@pytest.fixture
def asked(waha):
    """Its code was scanned, and now WhatsApp wants the passkey."""
    made = sessions.create(1, "Support line", gateway="theirs", actor="cli")
    links.link(1, made.id, actor="cli")
    watch.poll_links()
    waha.ask_passkey(made.instance)
    watch.poll_links()
    return made


def panel(page):
    return page.one("div", id="link-panel")


def look():
    db.session.rollback()
    db.session.expire_all()
    return db.session.query(WhatsAppSession).one().look


def signed(client, at=AT, what=SIGNED):
    return client.post(at, data={"assertion": json.dumps(what)}, headers=HTMX)


def test_the_page_names_the_extension_and_goes_on_looking(admin, asked):
    page = read(admin.get("/sessions/1/link").text)
    shown = panel(page)
    assert "Install the extension" in shown.text and "hx-trigger" in shown
    assert [one["href"].split("/")[2] for one in shown.all("a", class_="button")] == [
        "chromewebstore.google.com",
        "addons.mozilla.org",
    ]
    assert "/static/link_passkey.js" in page.all("script")[-1]["src"]


def test_no_get_asks_the_gateway(admin, waha, asked):
    before = len(waha.asked)
    for path in ("/", "/sessions/1/link", "/sessions/1/link/panel"):
        admin.get(path)
    assert len(waha.asked) == before


def test_the_card_leads_to_it_and_starts_nothing(admin, asked):
    button = read(admin.get("/").text).one("a", class_="is-primary")
    assert button.text == "Finish linking" and button["href"] == "/sessions/1/link"


def test_a_challenge_is_handed_over_and_kept_nowhere(admin, asked):
    answer = admin.post(f"{AT}/challenge")
    assert answer.get_json() == CHALLENGE
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_demand_a_sentence_comes_in_place_of_the_challenge(admin, unlinked):
    answer = admin.post(f"{AT}/challenge")
    assert answer.status_code == 409 and "asks for no passkey now" in answer.get_json()["trouble"]


def test_what_was_signed_brings_the_code_and_the_same_code_links_it(admin, asked):
    shown = panel(read(signed(admin).text))
    assert shown.one("p", class_="pairing-code").text == "1234"
    assert [one.text for one in shown.all("button")][:2] == ["Yes, the same code", "No, stop linking"]
    assert "Connected" in panel(read(admin.post(f"{AT}/confirmation", headers=HTMX).text)).text


def test_another_code_ends_it(admin, asked):
    signed(admin)
    assert "Linking has ended" in panel(read(admin.post(f"{AT}/denial", headers=HTMX).text)).text
    assert look() == Look.NEVER_LINKED


@pytest.mark.parametrize("what", [{}, [], "no", None, {"type": "password"}, float("nan"), "\ud800"])
def test_what_is_no_answer_is_said_beside_the_step(admin, asked, what):
    answer = signed(admin, what=what)
    assert answer.status_code == 400
    assert "This is not what a passkey answers." in panel(read(answer.text)).text
    assert look() == Look.PASSKEY_REQUIRED


def test_without_htmx_each_act_leads_back_to_the_page(admin, asked):
    answer = admin.post(AT, data={"assertion": json.dumps(SIGNED)})
    assert answer.status_code == 303 and answer.location.startswith("/sessions/1/link")


@pytest.mark.parametrize("act", ["/challenge", "", "/confirmation", "/denial"])
def test_it_asks_for_the_password_after_a_while(admin, waha, asked, act):
    before = len(waha.asked)
    with writing():
        db.session.query(LoginSession).one().proved_at = clock.now().replace(year=2020)
    answer = admin.post(f"{AT}{act}", data={"assertion": json.dumps(SIGNED)})
    assert answer.status_code == 303 and answer.location.startswith("/confirm")
    assert len(waha.asked) == before


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR])
def test_who_may_not_link_may_not_do_this(signed_in, asked, role):
    assert signed_in(role).post(f"{AT}/challenge").status_code == 403


def test_nothing_of_it_is_in_the_log(admin, asked, caplog):
    with caplog.at_level(logging.DEBUG):
        admin.post(f"{AT}/challenge")
        signed(admin)
        admin.get("/sessions/1/link")
    said = "\n".join(str(record.__dict__) for record in caplog.records if record.name.startswith("wa_admin"))
    assert not any(secret in said for secret in ("9WVU", "AX8b", "MEUC", "'1234'"))


def test_a_gateway_that_can_is_offered_where_one_cannot(admin, waha, make_session):
    make_session(status="disconnected", reason="passkey_required", linked_at=None)
    shown = panel(read(admin.get("/sessions/1/link").text))
    assert "Move this session to theirs, which can" in shown.text


# --- the owner of the phone ----------------------------------------------------------------------


@pytest.fixture
def token(asked):
    return link_passes.make(1, asked.id, actor="admin@example.com")[1]


def test_the_owner_of_the_phone_signs_and_compares(client, token):
    assert client.post(f"/l/{token}/passkey/challenge").get_json() == CHALLENGE
    shown = panel(read(signed(client, f"/l/{token}/passkey").text))
    assert shown.one("p", class_="pairing-code").text == "1234"
    shown = panel(read(client.post(f"/l/{token}/passkey/confirmation", headers=HTMX).text))
    assert "The phone is linked." in shown.text
    kinds = [event.kind for event in db.session.query(Event).filter_by(actor="link_page")]
    assert {"passkey_answered", "passkey_confirmed", "link_pass_used"} <= set(kinds)


def test_their_page_says_what_is_needed_and_nothing_of_other_gateways(client, token):
    page = client.get(f"/l/{token}")
    assert "Install the extension" in page.text and "theirs" not in page.text


def test_they_are_told_what_helps_with_the_phone_and_of_no_gateway(client, make_session):
    made = make_session(status="disconnected", reason="passkey_required", linked_at=None)
    shown = panel(read(client.get(f"/l/{link_passes.make(1, made.id, actor='cli')[1]}").text)).text
    assert "Removing the passkey on the phone" in shown
    assert "WAHA" not in shown and "later" not in shown


def test_they_can_say_no(client, token):
    signed(client, f"/l/{token}/passkey")
    client.post(f"/l/{token}/passkey/denial", headers=HTMX)
    assert look() == Look.NEVER_LINKED


def test_an_end_of_the_link_ends_this_too(client, waha, token, asked):
    link_passes.revoke(1, asked.id, actor="cli")
    before = len(waha.asked)
    assert client.post(f"/l/{token}/passkey/challenge").status_code == 410
    assert signed(client, f"/l/{token}/passkey").status_code in (200, 410)
    assert len(waha.asked) == before


def test_nobody_asks_for_challenges_again_and_again(client, token):
    answers = [client.post(f"/l/{token}/passkey/challenge").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]


# --- over the API --------------------------------------------------------------------------------


def test_an_app_can_do_it_all(api, asked):
    assert api.get("/api/v1/sessions/passkey/1/").get_json()["data"] == {"is_asked": True, "code": None}
    data = api.post("/api/v1/sessions/passkey/challenge/1/").get_json()["data"]
    assert data["challenge"] == CHALLENGE
    answer = api.post("/api/v1/sessions/passkey/answer/support_line/", {"assertion": SIGNED})
    assert answer.get_json()["data"]["reason"] == "passkey_required"
    assert api.get("/api/v1/sessions/passkey/1/").get_json()["data"]["code"] == "1234"
    answer = api.post("/api/v1/sessions/passkey/confirm/1/", {"is_same": True})
    assert answer.get_json()["data"]["status"] == "connected"


def test_an_app_can_say_no(api, asked):
    api.post("/api/v1/sessions/passkey/answer/1/", {"assertion": SIGNED})
    answer = api.post("/api/v1/sessions/passkey/confirm/1/", {"is_same": False})
    assert answer.get_json()["data"]["reason"] == "never_linked"


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "missing"), ({"assertion": "x"}, "wrong_type"), ({"assertion": {}}, "bad_assertion")],
)
def test_odd_answers_are_refused_with_their_code(api, asked, body, code):
    answer = api.post("/api/v1/sessions/passkey/answer/1/", body)
    assert answer.status_code == 400 and answer.get_json()["error"]["code"] == code


def test_the_status_of_a_session_holds_no_code(api, asked):
    api.post("/api/v1/sessions/passkey/answer/1/", {"assertion": SIGNED})
    assert "1234" not in api.get("/api/v1/sessions/status/1/").text
