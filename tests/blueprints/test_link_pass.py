"""The link page: one session, nobody else's business, and nothing after its end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from markup import read

from wa_admin import clock, log
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import AuditEntry, Event, LinkPass, Reason, Role, Status, WhatsAppSession
from wa_admin.services import link_passes, links
from wa_admin.services.throttle import ADDRESS_TRIES

HTMX = {"HX-Request": "true"}


@pytest.fixture
def token(unlinked):
    return link_passes.make(1, unlinked.id, actor="admin@example.com")[1]


def change(row, **columns):
    with writing():
        current = db.session.get_one(type(row), row.id)
        for name, value in columns.items():
            setattr(current, name, value)


def show_code(wa_session):
    change(
        wa_session,
        status=Status.QR_PENDING,
        reason=None,
        sealed_qr=vault().seal("2@code"),
        qr_sequence=1,
        qr_expires_at=clock.now() + timedelta(seconds=48),
        qr_lifetime_seconds=60,
    )


def panel(page):
    return page.one("div", id="link-panel")


def linked(wa_session):
    change(wa_session, status=Status.CONNECTED, reason=None, linked_number="6281234567890", sealed_qr=None)


def kinds():
    return [one.kind for one in db.session.query(Event).order_by(Event.id)]


def test_opening_the_link_starts_nothing_by_itself(client, unlinked, token):
    page = read(client.get(f"/l/{token}").text)
    assert [button.text for button in panel(page).all("button")] == ["Show the code"]
    assert "link_started" not in kinds()


def test_asking_shows_the_code_of_this_session(stub, client, unlinked, token):
    stub.state = "close"
    answer = client.post(f"/l/{token}/code", headers=HTMX)
    assert panel(read(answer.text)).one("svg", class_="qr-code")
    assert "link_started" in kinds()


def test_a_number_gets_a_code_to_type(stub, client, unlinked, token):
    stub.script["connect"] = lambda asked: (200, {"pairingCode": "WXYZ6789", "code": "2@x", "count": 1})
    answer = client.post(f"/l/{token}/phone", data={"phone": "0812-3456-7890", "by": "phone"}, headers=HTMX)
    assert "WXYZ - 6789" in panel(read(answer.text)).text


def test_a_number_that_cannot_be_is_refused_beside_its_field(client, unlinked, token):
    answer = client.post(f"/l/{token}/phone", data={"phone": "12ab", "by": "phone"}, headers=HTMX)
    assert answer.status_code == 422 or answer.status_code == 400
    assert read(answer.text).one("p", id="phone-error").text


def test_an_unchanged_panel_is_204(client, unlinked, token):
    show_code(unlinked)
    page = read(client.get(f"/l/{token}").text)
    assert panel(page)["hx-trigger"].startswith("every 2s,")
    assert client.get(panel(page)["hx-get"], headers=HTMX).status_code == 204


def test_success_is_shown_once_and_then_the_link_has_ended(client, unlinked, token):
    show_code(unlinked)
    page = read(client.get(f"/l/{token}").text)
    linked(unlinked)
    shown = panel(read(client.get(panel(page)["hx-get"], headers=HTMX).text))
    assert "+62 812-3456-7890" in shown.text and "hx-trigger" not in shown
    answer = client.get(f"/l/{token}")
    assert answer.status_code == 410 and "The phone is linked." in answer.text
    assert kinds()[-2:] == ["link_pass_opened", "link_pass_used"]


def test_it_ends_after_a_quarter_of_an_hour(client, unlinked, token):
    change(db.session.query(LinkPass).one(), expires_at=clock.now())
    answer = client.get(f"/l/{token}")
    assert answer.status_code == 410 and "good for 15 minutes" in answer.text


def test_it_ends_when_somebody_takes_it_back(client, admin, unlinked, token):
    show_code(unlinked)
    page = read(client.get(f"/l/{token}").text)
    admin.post(f"/sessions/{unlinked.id}/link/pass/revocation")
    fragment = client.get(panel(page)["hx-get"], headers=HTMX)
    assert fragment.status_code == 200 and "taken back" in fragment.text
    assert "hx-get" not in fragment.text and "qr-code" not in fragment.text
    assert client.post(f"/l/{token}/code").status_code == 410


def test_a_new_link_ends_the_one_before(client, unlinked, token):
    _made, newer = link_passes.make(1, unlinked.id, actor="cli")
    assert client.get(f"/l/{token}").status_code == 410
    assert client.get(f"/l/{newer}").status_code == 200


@pytest.mark.parametrize("path", ["", "/panel"])
def test_an_unknown_link_opens_nothing(client, token, path):
    answer = client.get(f"/l/{token[:-1]}x{path}")
    assert answer.status_code == 404 and "does not exist" in answer.text


def test_guessing_is_slowed_down(client, token):
    for _ in range(ADDRESS_TRIES):
        client.get("/l/guess")
    assert client.get("/l/guess").status_code == 429
    assert client.get(f"/l/{token}").status_code == 200


def test_codes_are_not_asked_for_without_end(client, token):
    answers = [client.post(f"/l/{token}/code", headers=HTMX) for _ in range(6)]
    assert answers[-1].status_code == 429 and "Too many attempts" in answers[-1].text


def test_it_opens_no_other_session_and_no_other_page(client, make_session, unlinked, token):
    other = make_session("Secret line")
    page = client.get(f"/l/{token}").text
    assert "Secret line" not in page
    for path in ("/", f"/sessions/{other.id}/link", f"/sessions/{unlinked.id}/link", "/settings/account"):
        assert client.get(path).status_code == 303
    hrefs = {link["href"] for link in read(page).all("a")}
    assert all(href.startswith((f"/l/{token}", "#")) for href in hrefs)


def test_nobody_hears_where_it_was_read_and_nothing_keeps_it(client, token):
    for path in (f"/l/{token}", "/l/unknown"):
        headers = client.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"] and "no-store" in headers["Cache-Control"]


def test_its_token_is_in_no_log_and_not_in_the_database(client, token, caplog, unlinked):
    with caplog.at_level("DEBUG"):
        client.get(f"/l/{token}")
    assert any("/l/" in record.getMessage() for record in caplog.records)
    assert not any(token in log.redact(record.getMessage()) for record in caplog.records)
    assert token not in str([vars(one) for one in db.session.query(LinkPass)])


def test_a_form_of_a_page_that_tells_nobody_where_it_is_is_taken(stub, client, unlinked, token):
    stub.state = "close"
    assert client.post(f"/l/{token}/code", headers={"Origin": "null"}).status_code == 303
    foreign = {"Origin": "https://evil.example"}
    assert client.post(f"/l/{token}/code", headers=foreign).status_code == 403


def test_the_page_of_the_admin_shows_the_link_once(admin, unlinked):
    answer = admin.post(f"/sessions/{unlinked.id}/link/pass")
    assert answer.status_code == 201 and "/l/" in read(answer.text).one("div", class_="code").text
    assert "/l/" not in admin.get(f"/sessions/{unlinked.id}/link/pass").text
    assert db.session.query(AuditEntry).filter_by(action="link_pass_made").count() == 1


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR])
def test_only_who_may_link_may_make_one(signed_in, unlinked, role):
    assert signed_in(role).post(f"/sessions/{unlinked.id}/link/pass").status_code == 403


def test_a_connected_session_needs_none(connected):
    with pytest.raises(links.AlreadyConnected):
        link_passes.make(1, connected.id, actor="cli")


def test_a_banned_number_is_told_so_without_a_button(client, unlinked, token):
    change(unlinked, reason=Reason.BANNED)
    shown = panel(read(client.get(f"/l/{token}").text))
    assert "Blocked by WhatsApp" in shown.text and shown.all("button") == []


def test_a_session_that_is_deleted_takes_its_link_along(client, unlinked, token):
    with writing():
        db.session.delete(db.session.get_one(WhatsAppSession, unlinked.id))
    assert client.get(f"/l/{token}").status_code == 404
