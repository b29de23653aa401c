from datetime import timedelta

import pytest
from markup import read

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import Gateway, Reason, Role, Status, WhatsAppSession

HTMX = {"HX-Request": "true"}
OFF = {"status": Status.DISCONNECTED, "linked_at": None, "linked_number": None}


def showing(sequence=1, **columns):
    """Columns of a session whose code waits for the phone."""
    return {
        "status": Status.QR_PENDING,
        "reason": None,
        "linked_at": None,
        "linked_number": None,
        "sealed_qr": vault().seal(f"2@code-{sequence}"),
        "qr_sequence": sequence,
        "qr_expires_at": clock.now() + timedelta(seconds=48),
        "qr_lifetime_seconds": 60,
        **columns,
    }


def change(wa_session, **columns):
    with writing():
        row = db.session.get_one(WhatsAppSession, wa_session.id)
        for name, value in columns.items():
            setattr(row, name, value)


@pytest.fixture
def waiting(make_session):
    return make_session(**showing())


def link_page(client, wa_session, **query):
    return read(client.get(f"/sessions/{wa_session.id}/link", query_string=query).text)


def panel(page):
    return page.one("div", id="link-panel")


def poll(client, page):
    return client.get(panel(page)["hx-get"], headers=HTMX)


def test_linking_shows_the_code_with_its_real_life_and_place_in_the_set(stub, admin, unlinked):
    stub.state = "close"
    answer = admin.post(f"/sessions/{unlinked.id}/link", headers=HTMX)
    shown = panel(read(answer.text))
    assert shown.one("svg", class_="qr-code")["aria-label"].startswith("QR code for linking, valid until")
    assert shown.one("progress")["max"] == "60"
    assert "1 of 6" in shown.one("div", class_="countdown").text


def test_a_code_is_a_picture_and_never_text_and_never_kept(admin, waiting):
    answer = admin.get(f"/sessions/{waiting.id}/link")
    assert "2@code" not in answer.text
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_countdown_is_silent(admin, waiting):
    shown = panel(link_page(admin, waiting))
    assert shown.one("div", class_="countdown")["aria-hidden"] == "true"
    assert "aria-live" not in admin.get(f"/sessions/{waiting.id}/link/panel", headers=HTMX).text


def test_an_unchanged_panel_is_204(admin, waiting):
    assert poll(admin, link_page(admin, waiting)).status_code == 204


def test_the_next_code_comes_by_itself_and_is_announced(admin, waiting):
    page = link_page(admin, waiting)
    change(waiting, **showing(sequence=2))
    fragment = read(poll(admin, page).text)
    assert "2 of 6" in fragment.text
    assert fragment.one("p", id="status").text == "Code 2 of 6 is ready to scan."


def test_after_six_codes_it_stops(admin, waiting):
    page = link_page(admin, waiting)
    change(waiting, status=Status.DISCONNECTED, reason=Reason.QR_EXPIRED)
    shown = panel(read(poll(admin, page).text))
    assert "The code expired to protect your account." in shown.text
    assert [button.text for button in shown.all("button")] == ["Show a new code"]
    assert "hx-trigger" not in shown


def test_a_scanned_code_is_followed_every_second_and_cannot_be_cancelled(admin, waiting):
    page = link_page(admin, waiting)
    change(waiting, is_scanned=True)
    shown = panel(read(poll(admin, page).text))
    assert shown["hx-trigger"].startswith("every 1s,")
    assert "Finishing on the phone" in shown.text and not shown.all("form")


def test_success_names_the_number_ends_the_polls_and_closes(admin, waiting):
    page = link_page(admin, waiting)
    change(waiting, status=Status.CONNECTED, linked_number="6281234567890", profile_name="Toko Sari")
    fragment = read(poll(admin, page).text)
    assert "+62 812-3456-7890 · Toko Sari" in panel(fragment).text
    assert "data-done" in panel(fragment) and "hx-trigger" not in panel(fragment)
    assert fragment.one("p", id="status").text == "WhatsApp is connected as +62 812-3456-7890."


def test_another_number_than_expected_stays_open_and_warns(admin, make_session):
    make_session(phone_number="6281399998888")
    shown = panel(link_page(admin, db.session.query(WhatsAppSession).one()))
    assert "You expected +62 813-9999-8888" in shown.text and "data-done" not in shown
    assert "Unlink +62 812-3456-7890 and link again" in shown.text


def test_a_passkey_demand_is_explained(admin, make_session):
    shown = panel(link_page(admin, make_session(**OFF | {"reason": Reason.PASSKEY_REQUIRED})))
    assert "The gateway of this session cannot use a passkey." in shown.text
    assert "WAHA with its engine GOWS (2026.7.1 or later)" in shown.text


@pytest.mark.parametrize("reason", [Reason.BANNED, Reason.OUTDATED, Reason.REPLACED])
def test_what_linking_cannot_mend_leads_back(admin, make_session, reason):
    shown = panel(link_page(admin, make_session(status=Status.DISCONNECTED, reason=reason)))
    assert [link.text for link in shown.all("a")] == ["Back to the session"]


def test_a_slow_gateway_is_not_hidden(admin, make_session):
    late = clock.now() - timedelta(seconds=31)
    wa_session = make_session(status=Status.CONNECTING, reason=None, status_at=late, linked_at=None)
    assert "longer than usual" in panel(link_page(admin, wa_session)).text


def test_a_gateway_out_of_reach_is_said_in_the_panel_with_one_way_on(admin, unlinked):
    answer = admin.post(f"/sessions/{unlinked.id}/link", headers=HTMX)
    shown = panel(read(answer.text))
    assert answer.status_code == 502
    assert "The gateway cannot be reached." in shown.text
    assert [button.text for button in shown.all("button")] == ["Try again"]


def test_a_connected_session_is_not_linked_over(stub, admin, connected):
    answer = admin.post(f"/sessions/{connected.id}/link", headers=HTMX)
    assert answer.status_code == 409 and "connected already" in panel(read(answer.text)).text


@pytest.mark.parametrize(
    ("kind", "hint", "countdown"),
    [
        ("bundled", "After 6 codes it stops", "1 of 6"),
        ("waha", "After 6 codes it stops", "1 of 6"),
        ("evolution", "until the gateway shows no more", "New code in"),
        ("wwebjs", "until the gateway shows no more", "New code in"),
        ("gowa", "shows one code at a time", "Valid for"),
        ("wa_gateway", "shows one code at a time", "Valid for"),
        ("webhook", "shows one code at a time", "Valid for"),
    ],
)
def test_each_kind_of_gateway_has_its_own_codes(admin, waiting, kind, hint, countdown):
    with writing():
        db.session.get_one(Gateway, waiting.gateway_id).kind = kind
    page = link_page(admin, waiting)
    assert hint in page.text
    assert countdown in panel(page).one("div", class_="countdown").text


# --- by phone number -----------------------------------------------------------------------------


def test_a_pairing_code_comes_in_two_groups_to_copy_whole(admin, make_session):
    wa_session = make_session(**showing(sealed_pairing_code=vault().seal("ABCD1234")))
    shown = panel(link_page(admin, wa_session, by="phone"))
    code = shown.one("p", class_="pairing-code")
    assert [part.text for part in code.all("span")] == ["ABCD", "-", "1234"]
    assert code["data-value"] == "ABCD1234"


def test_the_number_that_is_expected_is_filled_in(admin, make_session):
    wa_session = make_session(**showing(phone_number="6281399998888"))
    assert link_page(admin, wa_session, by="phone").one("input", id="phone")["value"] == "+62 813-9999-8888"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter a phone number."),
        ("hello", "not a phone number"),
        ("120363023456789012", "id of a group"),
        ("0812\x00", "not a phone number"),
        ("9" * 300, "not a phone number"),
        ("<b>1</b>", "not a phone number"),
        ("☎️☎️☎️", "not a phone number"),
    ],
)
def test_a_number_that_cannot_be_is_refused_beside_the_field(admin, waiting, typed, sentence):
    answer = admin.post(
        f"/sessions/{waiting.id}/link/phone", data={"phone": typed, "by": "phone"}, headers=HTMX
    )
    page = read(answer.text)
    assert 400 <= answer.status_code < 500
    assert sentence in page.one("p", id="phone-error").text
    assert page.one("input", id="phone")["aria-invalid"] == "true"
    assert page.all("svg", class_="qr-code")


def test_a_pairing_code_is_asked_for_with_the_number_put_right(stub, admin, waiting):
    stub.script["connect"] = lambda asked: (200, {"pairingCode": "WXYZ6789", "code": "2@x", "count": 1})
    answer = admin.post(
        f"/sessions/{waiting.id}/link/phone", data={"phone": "0812-3456-7890", "by": "phone"}, headers=HTMX
    )
    assert "WXYZ - 6789" in panel(read(answer.text)).text


# --- who and how ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["link", "link/panel"])
def test_a_supervisor_sees_no_code(signed_in, waiting, path):
    assert signed_in(Role.SUPERVISOR).get(f"/sessions/{waiting.id}/{path}").status_code == 403


def test_closing_the_dialog_cancels_linking(stub, admin, waiting):
    form = panel(link_page(admin, waiting)).one("form", class_="cancel")
    assert "data-on-close" in form
    admin.post(form["action"], headers=HTMX)
    db.session.rollback()
    db.session.refresh(waiting)
    assert waiting.status == Status.DISCONNECTED


def test_a_second_tab_after_success_shows_no_code(admin, waiting):
    change(waiting, status=Status.CONNECTED, linked_number="6281234567890", sealed_qr=None)
    assert not link_page(admin, waiting).all("svg", class_="qr-code")


def test_without_javascript_linking_leads_to_its_page_which_comes_again(stub, admin, unlinked):
    stub.state = "close"
    answer = admin.post(f"/sessions/{unlinked.id}/link")
    assert answer.status_code == 303
    page = read(admin.get(answer.location).text)
    assert page.one("noscript").one("meta")["content"] == "3"


def test_the_page_does_not_come_again_while_somebody_types_a_number(admin, waiting):
    assert link_page(admin, waiting, by="phone").all("noscript") == []


def test_steps_are_in_whatsapps_words_for_both_kinds_of_phone(admin, waiting):
    page = link_page(admin, waiting)
    android, iphone = page.one("ol", class_="for-android"), page.one("ol", class_="for-iphone")
    assert "Linked devices" in android.text and "Link a device" in android.text
    assert "Settings" in iphone.text


def test_an_unknown_way_of_linking_is_by_code(admin, waiting):
    assert link_page(admin, waiting, by="<x>").all("svg", class_="qr-code")
