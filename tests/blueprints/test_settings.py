import re

import pytest
from people import PASSWORD

from wa_admin.extensions import db
from wa_admin.models import ApiKey, Role, User
from wa_admin.services import api_keys, logins, users

ODD = ["", " ", "x" * 5000, "a\x00b", "a\r\nb", "\u202eabc", "<script>alert(1)</script>", "🙂" * 500]
PROFILE = {"name": "Admin", "time_zone": "Asia/Jakarta", "theme": "dark"}
KEY = {"name": "orders-api", "scopes": ["look", "send"]}
PERSON = {"name": "Budi", "email": "budi@toko.id", "role": "operator"}


@pytest.fixture
def operator(signed_in):
    return signed_in(Role.OPERATOR)


@pytest.fixture
def budi(app):
    return users.add(1, "budi@toko.id", "Budi", "kopi susu di teras", Role.OPERATOR, actor="cli")


def count(model):
    db.session.rollback()
    return db.session.query(model).count()


def test_settings_begin_with_the_account(operator):
    assert operator.get("/settings").location == "/settings/account"


def test_only_an_admin_sees_keys_and_people(operator, admin):
    assert "/settings/keys" not in operator.get("/settings/account").text
    assert "/settings/keys" in admin.get("/settings/account").text


def test_a_profile_is_saved_and_seen_at_once(admin):
    assert admin.post("/settings/account", data=PROFILE).status_code == 303
    page = admin.get("/settings/account").text
    assert 'data-theme="dark"' in page and "Saved." in page


@pytest.mark.parametrize(("field", "fine"), [("name", 1), ("language", 1), ("time_zone", 1), ("theme", 0)])
def test_odd_preferences_are_refused_beside_the_field(admin, field, fine):
    """Some of it is fine after all: HTML in a name, nothing at all as a preference."""
    refused = 0
    for odd in ODD:
        page = admin.post("/settings/account", data={**PROFILE, field: odd}, follow_redirects=True)
        assert page.status_code in (200, 422) and "<script>alert" not in page.text
        refused += page.status_code == 422 and 'class="error"' in page.text
    assert refused == len(ODD) - fine


def test_role_and_address_cannot_be_slipped_in(operator):
    operator.post("/settings/account", data={**PROFILE, "role": "admin", "email": "x@y.id", "is_active": "0"})
    assert users.find(1, "operator@example.com").role == Role.OPERATOR


def test_a_password_is_changed_with_the_old_one(operator):
    elsewhere = logins.log_in("operator@example.com", PASSWORD, address="::1", agent="")
    with operator.session_transaction() as cookie:
        before = cookie[logins.COOKIE_KEY]
    typed = {"password": PASSWORD, "new_password": "kopi susu di teras"}
    assert operator.post("/settings/account/password", data=typed).status_code == 303
    assert operator.get("/settings/account").status_code == 200
    assert logins.identify(elsewhere) is None and logins.identify(before) is None


@pytest.mark.parametrize(
    ("current", "new", "sentence"),
    [
        ("not the password", "kopi susu di teras", "This is not your password."),
        ("", "kopi susu di teras", "Type the password."),
        (PASSWORD, "short", "Use at least 12 characters."),
        (PASSWORD, "password1234", "This one is easy to guess."),
        (PASSWORD, "operator-operator-1", "This one is easy to guess."),
        (PASSWORD, "x7" * 65, "Use at most 128 characters."),
    ],
)
def test_a_password_that_is_not_changed_says_why(operator, current, new, sentence):
    typed = {"password": current, "new_password": new}
    response = operator.post("/settings/account/password", data=typed)
    assert response.status_code == 422 and sentence in response.text
    assert logins.log_in("operator@example.com", PASSWORD, address="::1", agent="")


def test_my_logins_are_listed_and_ended(app, operator):
    agent = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"
    elsewhere = logins.log_in("operator@example.com", PASSWORD, address="::1", agent=agent)
    page = operator.get("/settings/account").text
    assert "Chrome on Android" in page and "This browser" in page
    assert (
        operator.post(re.search(r'action="(/settings/account/logins/\d+/end)"', page)[1]).status_code == 303
    )
    assert logins.identify(elsewhere) is None


def test_a_key_is_shown_once_with_examples_to_copy(admin):
    page = admin.post("/settings/keys", data=KEY)
    raw = re.search(r"wak_[\w-]{43}", page.text)[0]
    assert page.status_code == 201 and api_keys.check(raw).name == "orders-api"
    assert "http://localhost/api/v1/messages/send/" in page.text and "send_whatsapp_message" in page.text
    assert raw not in admin.get("/settings/keys").text


def test_examples_name_the_public_address(make_app):
    app = make_app(WA_PUBLIC_URL="https://wa.example")
    with app.app_context():
        token = logins.log_in("admin@example.com", PASSWORD, address="::1", agent="")
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie[logins.COOKIE_KEY] = token
    assert "curl https://wa.example/api/v1" in client.post("/settings/keys", data=KEY).text


def test_an_odd_name_makes_no_key(admin):
    for odd in ODD:
        page = admin.post("/settings/keys", data={**KEY, "name": odd})
        assert "script" in odd or page.status_code == 422 and 'id="name-error"' in page.text, odd
    assert count(ApiKey) == 1


def test_a_name_with_html_is_shown_as_text(admin):
    page = admin.post("/settings/keys", data={**KEY, "name": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_a_taken_name_is_said_beside_the_field(admin):
    admin.post("/settings/keys", data=KEY)
    response = admin.post("/settings/keys", data=KEY)
    assert response.status_code == 422 and "in use already" in response.text and count(ApiKey) == 1


def test_revoking_a_key_asks_first(admin):
    key, raw = api_keys.issue(1, "orders-api", actor="cli")
    assert "Revoke orders-api" in admin.get(f"/settings/keys/{key.id}/revocation").text
    assert api_keys.check(raw)
    assert admin.post(f"/settings/keys/{key.id}/revocation").status_code == 303
    db.session.rollback()
    with pytest.raises(api_keys.BadKey):
        api_keys.check(raw)


def test_a_key_that_is_not_there_is_404(admin):
    assert admin.get("/settings/keys/99/revocation").status_code == 404
    assert admin.post("/settings/keys/99/revocation").status_code == 404


def test_somebody_is_added_with_a_password_made_here_and_shown_once(admin):
    page = admin.post("/settings/people", data=PERSON)
    made = re.search(r"<code>(\w{4}(?:-\w{4}){3})</code>", page.text)[1]
    assert page.status_code == 201 and logins.log_in("budi@toko.id", made, address="::1", agent="")
    assert made not in admin.get("/settings/people").text


def test_a_password_that_was_typed_is_not_repeated(admin):
    page = admin.post("/settings/people", data={**PERSON, "password": "kopi susu di teras"})
    assert page.status_code == 201 and "kopi susu di teras" not in page.text


@pytest.mark.parametrize(("field", "fine"), [("name", 1), ("email", 0), ("role", 0), ("password", 2)])
def test_odd_input_adds_nobody(admin, field, fine):
    """Some of it is fine after all: HTML in a name or password, and no password means one is made."""
    another, refused = {"email": ""} if field != "email" else {"name": ""}, 0
    for odd in ODD:
        page = admin.post("/settings/people", data={**PERSON, **another, field: odd})
        assert page.status_code == 422 and "<script>alert" not in page.text
        refused += f'id="{field}-error"' in page.text
    assert refused == len(ODD) - fine and count(User) == 3


def test_an_address_that_is_here_is_said_beside_the_field(admin, budi):
    response = admin.post("/settings/people", data=PERSON)
    assert response.status_code == 422 and "is here already" in response.text


def test_a_role_is_changed(admin, budi):
    assert admin.post(f"/settings/people/{budi.id}/role", data={"role": "supervisor"}).status_code == 303
    db.session.expire_all()
    assert users.find(1, budi.id).role == Role.SUPERVISOR


@pytest.mark.parametrize("role", ["", "owner", "ADMIN", "admin\x00"])
def test_only_a_role_that_there_is(admin, budi, role):
    response = admin.post(f"/settings/people/{budi.id}/role", data={"role": role})
    assert response.status_code == 422 and "Choose one of the list." in response.text


def test_the_only_admin_cannot_step_down(admin):
    me = users.find(1, "admin@example.com")
    response = admin.post(f"/settings/people/{me.id}/role", data={"role": "operator"})
    assert response.status_code == 422 and "is the only admin" in response.text
    response = admin.post(f"/settings/people/{me.id}/access/end")
    assert response.status_code == 409 and "is the only admin" in response.text


def test_somebody_kept_out_is_out_and_can_be_let_in(admin, budi):
    token = logins.log_in("budi@toko.id", "kopi susu di teras", address="::1", agent="")
    admin.post(f"/settings/people/{budi.id}/access/end")
    db.session.rollback()
    assert logins.identify(token) is None
    admin.post(f"/settings/people/{budi.id}/access")
    assert logins.log_in("budi@toko.id", "kopi susu di teras", address="::1", agent="")


def test_a_forgotten_password_is_replaced(admin, budi):
    page = admin.post(f"/settings/people/{budi.id}/password").text
    made = re.search(r"<code>(\w{4}(?:-\w{4}){3})</code>", page)[1]
    db.session.rollback()
    assert logins.log_in("budi@toko.id", made, address="::1", agent="")


@pytest.mark.parametrize("path", ["", "/role", "/access", "/access/end", "/password"])
def test_somebody_who_is_not_here_is_404(admin, path):
    response = admin.open(
        f"/settings/people/99{path}", method="POST" if path else "GET", data={"role": "admin"}
    )
    assert response.status_code in (404, 422)
