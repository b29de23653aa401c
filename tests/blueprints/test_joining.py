"""Inviting, joining and going between workspaces, as pages."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from people import PASSWORD
from two_workspaces import routes

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import Invitation, Role, Status
from wa_admin.services import gateways, invitations, logins, users, workspaces

WORDS = "kopi susu di teras"
INVITED = {"email": "budi@toko.id", "role": "operator"}
NEW = {"name": "Budi", "password": WORDS, "language": "", "time_zone": ""}


@pytest.fixture
def link(admin):
    """Of an invitation that was just made: path and token."""
    page = admin.post("/settings/people/invitations", data=INVITED)
    assert page.status_code == 201
    found = re.search(r"<code>http://localhost(/join\?token=([\w-]+))</code>", page.text)
    assert found[2] not in admin.get("/settings/people").text
    return found[1], found[2]


@pytest.fixture
def stranger(app):
    return app.test_client()


@pytest.fixture
def shop(app):
    return workspaces.add("Toko Sari", actor="cli")


def test_an_invitation_opens_a_page_for_somebody_new(stranger, link):
    page = stranger.get(link[0])
    assert page.status_code == 200 and "budi@toko.id" in page.text and 'name="name"' in page.text
    assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] != "unsafe-url"


def test_somebody_new_joins_and_is_in(stranger, link):
    response = stranger.post("/join", data={**NEW, "token": link[1]})
    assert response.location == "/" and stranger.get("/").status_code == 200
    assert users.find(1, "budi@toko.id").role == Role.OPERATOR


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("name", ""),
        ("name", "a\x00b"),
        ("password", "short"),
        ("password", ""),
        ("time_zone", "Nowhere/Land"),
    ],
)
def test_odd_input_lets_nobody_in(stranger, link, field, odd):
    page = stranger.post("/join", data={**NEW, "token": link[1], field: odd})
    assert page.status_code == 422 and 'class="error"' in page.text
    assert users.by_email("budi@toko.id") is None and invitations.listed(1)


def test_role_and_address_cannot_be_slipped_in(stranger, link):
    stranger.post("/join", data={**NEW, "token": link[1], "role": "admin", "email": "eve@evil.example"})
    assert users.find(1, "budi@toko.id").role == Role.OPERATOR and users.by_email("eve@evil.example") is None


@pytest.mark.parametrize("state", ["used", "revoked", "expired", "unknown"])
def test_a_link_that_is_over_says_why(stranger, link, state):
    now = clock.now()
    columns = {"used": "used_at", "revoked": "revoked_at", "expired": "expires_at"}
    sentences = {
        "used": "used already",
        "revoked": "taken back",
        "expired": "older than 72",
        "unknown": "not known",
    }
    if state in columns:
        with writing():
            db.session.query(Invitation).update({columns[state]: now - timedelta(minutes=1)})
    token = "x" if state == "unknown" else link[1]
    posted = stranger.post("/join", data={**NEW, "token": token})
    for response in (stranger.get(f"/join?token={token}"), posted):
        assert response.status_code in (404, 410) and sentences[state] in response.text
    assert users.by_email("budi@toko.id") is None


def test_who_has_an_account_logs_in_comes_back_and_confirms(stranger, admin, shop):
    users.add(shop.id, "sari@toko.id", "Sari", WORDS, Role.ADMIN, actor="cli")
    page = admin.post("/settings/people/invitations", data={**INVITED, "email": "sari@toko.id"}).text
    path = re.search(r"http://localhost(/join\?token=[\w-]+)<", page)[1]
    way = re.search(r'href="(/login\?next=[^"]+)"', stranger.get(path).text)[1].replace("&amp;", "&")
    back = stranger.post(way, data={"email": "sari@toko.id", "password": WORDS}).location
    assert back == path and users.by_email("sari@toko.id")
    assert "Join" in stranger.get(back).text and 'type="password"' not in stranger.get(back).text
    assert stranger.post("/join", data={"token": back.partition("=")[2]}).location == "/"
    db.session.rollback()
    assert users.find(1, "sari@toko.id") and "Toko Sari" in stranger.get("/").text


def test_somebody_else_who_is_logged_in_is_told_so(admin, link):
    assert "for somebody else" in admin.get(link[0]).text
    assert admin.post("/join", data={"token": link[1]}).status_code == 403


def test_who_is_kept_out_elsewhere_joins_with_the_password(stranger, admin, shop):
    for email in ("sari@toko.id", "dewi@toko.id"):
        users.add(shop.id, email, "Sari", WORDS, Role.ADMIN, actor="cli")
    users.set_active(shop.id, "sari@toko.id", False, actor="cli")
    page = admin.post("/settings/people/invitations", data={**INVITED, "email": "sari@toko.id"}).text
    token = re.search(r"token=([\w-]+)<", page)[1]
    assert stranger.post("/join", data={"token": token, "password": "wrong one"}).status_code == 422
    response = stranger.post("/join", data={"token": token, "password": WORDS})
    assert urlsplit(response.location).path == "/login" and users.find(1, "sari@toko.id")


def test_an_open_invitation_is_listed_and_taken_back(admin, stranger, link):
    page = admin.get("/settings/people").text
    assert "budi@toko.id" in page and link[1] not in page
    admin.post(re.search(r'action="(/settings/people/invitations/\d+/revocation)"', page)[1])
    assert stranger.get(link[0]).status_code == 410


def test_who_is_here_is_not_invited(admin):
    response = admin.post("/settings/people/invitations", data={**INVITED, "email": "operator@example.com"})
    assert response.status_code == 422 and "is here already" in response.text


def test_an_operator_is_given_sessions_on_their_page(admin, make_session):
    one, _two = make_session("One"), make_session("Two")
    who = users.find(1, "operator@example.com").id
    admin.post(f"/settings/people/{who}/sessions", data={"sees": "some", "sessions": [one.id]})
    db.session.expire_all()
    assert "Only: One." in admin.get("/settings/people").text
    response = admin.post(f"/settings/people/{who}/sessions", data={"sees": "some"})
    assert response.status_code == 422 and "Choose at least one session" in response.text


def test_an_admin_cannot_make_a_password_for_an_account_that_opens_more(app, signed_in, shop):
    users.add_known(shop.id, "operator@example.com", Role.ADMIN, actor="cli")
    users.set_role(1, "supervisor@example.com", Role.ADMIN, actor="cli")
    who, admin = users.find(1, "operator@example.com").id, signed_in(Role.SUPERVISOR)
    assert "only an owner" in admin.get(f"/settings/people/{who}").text
    assert admin.post(f"/settings/people/{who}/password").status_code == 403
    assert logins.log_in("operator@example.com", PASSWORD, address="::1", agent="")


def test_nobody_reads_of_workspaces_before_there_are_two(admin, signed_in):
    pages = [signed_in(role).get(path).text for role in Role for path in ("/messages", "/settings/account")]
    told = [page.replace("/settings/workspaces", "").lower() for page in pages]
    assert [page for page in told if "workspace" in page.replace("workspaces</a>", "")] == []


def test_one_switches_between_workspaces(admin, shop):
    assert "switcher" not in admin.get("/messages").text
    admin.post(f"/settings/workspaces/{shop.id}/membership")
    page = admin.get("/messages").text
    assert "switcher" in page and 'action="/workspaces/1/entrance"' in page
    assert admin.post("/workspaces/1/entrance").location == "/"
    assert f'action="/workspaces/{shop.id}/entrance"' in admin.get("/messages").text


def test_each_browser_looks_at_its_own_workspace(admin, signed_in, shop):
    admin.post(f"/settings/workspaces/{shop.id}/membership")
    another = signed_in(Role.ADMIN)
    assert 'action="/workspaces/1/entrance"' not in another.get("/messages").text
    assert 'action="/workspaces/1/entrance"' in admin.get("/messages").text


def test_an_owner_adds_renames_and_removes_a_workspace(admin):
    assert admin.post("/settings/workspaces", data={"name": "Toko Sari"}).status_code == 303
    made = workspaces.find("Toko Sari").id
    assert admin.post("/settings/workspaces", data={"name": "toko sari"}).status_code == 422
    assert admin.post(f"/settings/workspaces/{made}", data={"name": "Toko Dewi"}).status_code == 303
    assert "Remove Toko Dewi" in admin.get(f"/settings/workspaces/{made}/removal").text
    assert admin.post(f"/settings/workspaces/{made}/removal").status_code == 303
    db.session.rollback()
    assert len(workspaces.listed()) == 1


@pytest.fixture
def waiting(make_session, app):
    """A session that shows its codes to the phone."""
    return make_session(
        status=Status.QR_PENDING,
        linked_at=None,
        sealed_qr=vault().seal("2@" + "quokka" * 30),
        sealed_pairing_code=vault().seal("QUOKKAQK"),
        qr_sequence=1,
        qr_expires_at=clock.now() + timedelta(minutes=1),
        qr_lifetime_seconds=60,
    )


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR])
def test_who_may_not_link_sees_no_code_token_or_webhook(app, signed_in, waiting, role):
    """Field by field: none of what opens something is in the HTML, whatever page it is."""
    gateway = gateways.of_workspace()
    key = app.config["SETTINGS"].gateway_key
    secrets = ["quokka", '<svg class="qr', "qr-small", gateway.base_url, "/hooks/", key]
    person, seen = signed_in(role), 0
    for method, endpoint, path, _asks in routes(app, waiting.id):
        if method == "GET" and not endpoint.startswith(("docs.", "link_pass.", "probes.", "second_factor.")):
            told = person.get(path).text.lower()
            assert not [secret for secret in secrets if secret.lower() in told], path
            seen += 1
    assert seen > 30


def test_a_supervisor_pauses_and_resumes_and_is_shown_how(signed_in, connected):
    supervisor = signed_in(Role.SUPERVISOR)
    page = supervisor.get("/").text
    assert "/pause" in page and "/confirm/logout" not in page and "messages/new" not in page
    supervisor.post(f"/sessions/{connected.id}/pause")
    assert "/resume" in supervisor.get("/").text


def test_an_operator_sends_and_neither_pauses_nor_links(signed_in, connected):
    page = signed_in(Role.OPERATOR).get("/").text
    assert "messages/new" in page and "/pause" not in page and "/restart" not in page
