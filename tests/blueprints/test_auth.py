import threading

import pytest
from people import PASSWORD

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Role, User
from wa_admin.services import logins, throttle, users

WHO = "operator@example.com"
SETUP = {
    "name": "Sari",
    "email": "sari@toko.id",
    "password": "kopi susu di teras",
    "time_zone": "Asia/Jakarta",
}
# what forms get that no person types
ODD = [
    "",
    " ",
    "x" * 5000,
    "a\x00b",
    "a\r\nb",
    "\u202eabc",
    "<script>alert(1)</script>",
    "'; DROP TABLE user; --",
    "🙂" * 500,
]


@pytest.fixture
def nobody(app):
    """A panel that was started for the first time."""
    with writing():
        db.session.query(User).delete()
    return app


def log_in(client, password=PASSWORD, email=WHO, **more):
    return client.post("/login", data={"email": email, "password": password, **more})


def cookie_of(client):
    with client.session_transaction() as cookie:
        return dict(cookie)


def test_somebody_who_logs_in_sees_the_session(client):
    response = log_in(client)
    assert (response.status_code, response.location) == (303, "/")
    assert client.get("/").status_code == 200


def test_the_login_leads_to_the_page_that_asked(client):
    assert log_in(client, next="/messages?status=failed").location == "/messages?status=failed"


def test_the_login_leads_nowhere_else(client):
    assert log_in(client, next="//evil.example").location == "/"


def test_a_wrong_password_is_said_in_one_sentence(client):
    response = log_in(client, "not the password")
    assert response.status_code == 401
    assert "This e-mail and password do not belong together." in response.text
    assert "not the password" not in response.text


def test_what_was_typed_stays_except_the_password(client):
    assert 'value="operator@example.com"' in log_in(client, "not the password").text


def test_too_many_tries_say_how_long_to_wait(client):
    for _ in range(5):
        throttle.enter(WHO, "127.0.0.1", clock.now())
    response = log_in(client)
    assert response.status_code == 429
    assert 50 <= int(response.headers["Retry-After"]) <= 60
    assert "Try again in one minute." in response.text


def guess(client, times, email="admin@example.com"):
    """The answers to wrong passwords."""
    return [
        client.post("/login", data={"email": email, "password": f"wrong {n}"}).status_code
        for n in range(times)
    ]


def test_a_browser_that_was_here_is_not_kept_out_by_the_guesses_of_others(app, client):
    credentials = {"email": "admin@example.com", "password": PASSWORD}
    assert client.post("/login", data=credentials).status_code == 303
    client.post("/logout")
    stranger = app.test_client()
    assert guess(stranger, 6)[-1] == 429 and stranger.post("/login", data=credentials).status_code == 429
    assert client.post("/login", data=credentials).status_code == 303


def test_it_is_by_its_own(client):
    client.post("/login", data={"email": "admin@example.com", "password": PASSWORD})
    client.post("/logout")
    assert guess(client, 6) == [401] * 5 + [429]


@pytest.mark.parametrize("cookie", ["", "made.up.one", None])
def test_a_browser_that_was_here_as_somebody_else_is_a_strangers(app, client, cookie):
    client.post("/login", data={"email": "operator@example.com", "password": PASSWORD})
    client.post("/logout")
    if cookie is not None:
        client.set_cookie("__Host-wa_known", cookie)
    guess(app.test_client(), 6)
    assert guess(client, 1) == [429]


def test_tries_are_counted_across_processes(make_app, client):
    for _ in range(5):
        throttle.enter(WHO, "127.0.0.1", clock.now())
    assert log_in(make_app().test_client()).status_code == 429


def test_a_forwarded_address_is_not_believed(client):
    for number in range(6):
        last = client.post(
            "/login",
            data={"email": f"nobody{number}@example.com", "password": "x"},
            headers={"X-Forwarded-For": f"203.0.113.{number}"},
        )
    assert last.status_code == 401
    place = throttle._place("127.0.0.1")
    assert throttle._attempts(place, clock.now() - throttle.ADDRESS_WINDOW)[0] == 6


def test_of_a_known_proxy_the_address_that_it_saw_itself_counts(app, make_app):
    client = make_app(WA_TRUSTED_PROXIES="1", WA_PUBLIC_URL="https://wa.example").test_client()
    for number in range(2):
        seen = f"198.51.100.7:{5000 + number}"  # with a port, as some do
        said = {"X-Forwarded-For": f"203.0.113.{number}, {seen}", "X-Forwarded-Proto": "https"}
        typed = {"email": f"nobody{number}@example.com", "password": "x"}
        client.post("/login", data=typed, headers={**said, "X-Forwarded-Host": "wa.example"})
    place = throttle._place("198.51.100.7")
    assert throttle._attempts(place, clock.now() - throttle.ADDRESS_WINDOW)[0] == 2


@pytest.mark.parametrize("odd", ODD)
def test_odd_input_is_answered_with_a_sentence(client, odd):
    response = client.post("/login", data={"email": odd, "password": odd})
    assert response.status_code in (401, 422)
    assert "<script>alert" not in response.text
    assert 'class="error"' in response.text or 'class="notice' in response.text


def test_a_file_instead_of_a_text_is_nothing(client):
    response = client.post(
        "/login", data={"email": (__import__("io").BytesIO(b"x"), "x.txt"), "password": "x"}
    )
    assert response.status_code == 422


def test_an_empty_form_says_what_is_missing_beside_each_field(client):
    text = client.post("/login", data={}).text
    assert "Type your e-mail address." in text and "Type the password." in text


def test_the_cookie_before_is_not_the_cookie_after(client):
    with client.session_transaction() as cookie:
        cookie[logins.COOKIE_KEY] = "planted"
        cookie["more"] = "planted too"
    log_in(client)
    assert cookie_of(client)[logins.COOKIE_KEY] != "planted" and "more" not in cookie_of(client)


def test_logging_in_again_ends_the_login_before(app, client):
    log_in(client)
    before = cookie_of(client)[logins.COOKIE_KEY]
    client.get("/logout")
    log_in(client, email="admin@example.com")
    client.post("/logout")
    assert logins.identify(before) is None or client.get("/").status_code == 303


def test_somebody_logged_in_has_no_use_for_the_login_page(admin):
    assert admin.get("/login?next=/messages").location == "/messages"


def test_logging_out_forgets_everything(client):
    log_in(client)
    token = cookie_of(client)[logins.COOKIE_KEY]
    response = client.post("/logout")
    assert response.location == "/login" and '"storage"' in response.headers["Clear-Site-Data"]
    assert logins.identify(token) is None and client.get("/").status_code == 303


def test_a_stolen_cookie_is_useless_after_logging_out(app, client):
    log_in(client)
    stolen = cookie_of(client)
    client.post("/logout")
    thief = app.test_client()
    with thief.session_transaction() as cookie:
        cookie.update(stolen)
    assert thief.get("/").status_code == 303


def test_a_forged_cookie_is_nobody(client):
    with client.session_transaction() as cookie:
        cookie[logins.COOKIE_KEY] = ["a", {"list": 1}]
    assert client.get("/").status_code == 303


def test_looking_at_a_page_never_logs_out(admin):
    assert admin.get("/logout").status_code == 405
    assert admin.get("/").status_code == 200


def test_before_the_first_run_the_login_page_says_what_to_do(nobody):
    response = nobody.test_client().get("/login")
    assert response.status_code == 404 and "wa-admin users add" in response.text


def test_the_first_run_link_asks_who_you_are(nobody):
    page = nobody.test_client().get(f"/setup?token={users.issue_setup_token()}")
    assert page.status_code == 200 and "Who are you?" in page.text


def test_the_first_person_is_logged_in_and_an_admin(nobody):
    client = nobody.test_client()
    response = client.post("/setup", data={**SETUP, "token": users.issue_setup_token()})
    assert (response.status_code, response.location) == (303, "/")
    assert client.get("/settings/people").status_code == 200
    assert users.find(1, "sari@toko.id").user.time_zone == "Asia/Jakarta"


def test_a_used_link_is_gone(nobody):
    token = users.issue_setup_token()
    client = nobody.test_client()
    client.post("/setup", data={**SETUP, "token": token})
    assert nobody.test_client().get(f"/setup?token={token}").status_code == 410
    assert nobody.test_client().post("/setup", data={**SETUP, "token": token}).status_code == 410


@pytest.mark.parametrize("token", ["", "made-up", "x" * 4000, "\x00", "é"])
def test_there_is_no_first_run_without_its_link(nobody, token):
    assert nobody.test_client().get("/setup", query_string={"token": token}).status_code == 404
    assert nobody.test_client().post("/setup", data={**SETUP, "token": token}).status_code == 404


def test_there_is_no_first_run_once_there_is_somebody(client):
    assert client.get("/setup").status_code == 404
    assert client.post("/setup", data={**SETUP, "token": "made-up"}).status_code == 404


def test_of_two_first_runs_at_once_one_wins(nobody):
    token, answers, start = users.issue_setup_token(), [], threading.Barrier(2)

    def run(email):
        client = nobody.test_client()
        start.wait()
        answers.append(client.post("/setup", data={**SETUP, "email": email, "token": token}).status_code)

    racers = [threading.Thread(target=run, args=(f"{name}@toko.id",)) for name in ("sari", "budi")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    db.session.rollback()
    assert sorted(answers) == [303, 410] and db.session.query(User).count() == 1


def test_a_role_in_the_form_changes_nothing(nobody):
    users.issue_setup_token()
    data = {
        **SETUP,
        "token": users.issue_setup_token(),
        "role": "supervisor",
        "workspace_id": "7",
        "is_active": "0",
    }
    nobody.test_client().post("/setup", data=data)
    first = users.find(1, "sari@toko.id")
    assert first.role == Role.ADMIN and first.is_active


@pytest.mark.parametrize(
    ("field", "fine"),
    [("name", 2), ("email", 0), ("password", 2), ("language", 1), ("time_zone", 1)],
)
def test_odd_input_leaves_the_first_run_open(nobody, field, fine):
    """Some of it is fine after all: HTML in a name or password, nothing at all as a preference."""
    token, client, refused = users.issue_setup_token(), nobody.test_client(), 0
    another = {"email": ""} if field == "name" else {"name": ""}
    for odd in ODD:
        response = client.post("/setup", data={**SETUP, **another, field: odd, "token": token})
        assert response.status_code == 422 and "<script>alert" not in response.text
        refused += f'id="{field}-error"' in response.text
    assert refused == len(ODD) - fine
    db.session.rollback()
    assert not User.exists() and users.check_setup_token(token) is None


def test_the_link_appears_in_no_log(nobody, caplog):
    caplog.set_level("DEBUG")
    token = users.issue_setup_token()
    client = nobody.test_client()
    client.get(f"/setup?token={token}")
    client.post("/setup", data={**SETUP, "token": token})
    assert token not in caplog.text and SETUP["password"] not in caplog.text


def test_a_stranger_may_choose_a_language_that_there_is(client):
    response = client.post(
        "/language", data={"language": "en"}, headers={"Referer": "http://localhost/login"}
    )
    cookie = response.headers["Set-Cookie"]
    assert response.location == "/login" and cookie.startswith("__Host-wa_language=en;")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Set-Cookie" not in client.post("/language", data={"language": "xx\r\nSet-Cookie: a=b"}).headers
