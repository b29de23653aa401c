from datetime import timedelta

import pytest
from people import PASSWORD

from wa_admin import clock
from wa_admin.blueprints import access
from wa_admin.extensions import db, writing
from wa_admin.models import LoginSession, Role
from wa_admin.permissions import GRANTS, Permission
from wa_admin.services import api_keys, logins, users

OWN_PATHS = ["/", "/messages?status=failed", "/sessions/3/link", "/%20a"]
FOREIGN_PATHS = [
    "", None, "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "https://evil.example", "https:evil.example",
    "http:/evil.example", "javascript:alert(1)", "evil.example", "/%2f%2fevil.example",
    "/%5cevil.example", "/\tevil",
    "\t//evil.example", "/\n/evil.example", " //evil.example", "/\x00", "//[evil",
]  # fmt: skip


@pytest.fixture
def key(app):
    return api_keys.issue(1, "orders-api", actor="cli")[1]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def with_csrf(app):
    app.config["WTF_CSRF_ENABLED"] = True
    return app


def rules(app, *, unsafe):
    methods = {"POST", "PUT", "PATCH", "DELETE"} if unsafe else {"GET"}
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods & methods):
            any_of = {name: getattr(kind, "items", ["1"]) for name, kind in rule._converters.items()}
            path = rule.build({name: sorted(items)[0] for name, items in any_of.items()}, False)[1]
            yield method, path, getattr(app.view_functions[rule.endpoint], "needs", None), rule.endpoint


@pytest.mark.figure("routes that declare a permission")
def test_a_route_without_a_permission_stops_the_start(make_app, record_property):
    app = make_app()
    record_property("counted", sum(1 for _ in app.url_map.iter_rules()))
    app.add_url_rule("/forgotten", "forgotten", lambda: "")
    with pytest.raises(RuntimeError, match="forgotten"):
        access.register(app)


def test_strangers_see_only_what_is_public(app, client):
    open_to_all = {
        endpoint
        for method, path, needs, endpoint in rules(app, unsafe=False)
        if needs and needs.permission is None
    }
    assert open_to_all <= {
        "auth.login",
        "auth.setup",
        "chats.open_file",  # by a signed address that ends
        "joining.join",
        "second_factor.second_step",
        "probes.healthz",
        "probes.readyz",
        "probes.metrics",
    } | {endpoint for endpoint in open_to_all if endpoint.startswith(("docs.", "link_pass."))}


def test_every_other_page_asks_a_stranger_to_log_in(app, client):
    for method, path, needs, _endpoint in [*rules(app, unsafe=False), *rules(app, unsafe=True)]:
        if needs is None or needs.permission is None:
            continue
        response = client.open(path, method=method)
        expected = 401 if needs.by_key else 303
        assert response.status_code == expected, (method, path)
        assert needs.by_key or response.location.startswith("/login"), (method, path)


def test_every_route_turns_away_each_role_that_may_not(app, signed_in):
    for role in Role:
        client = signed_in(role)
        for method, path, needs, endpoint in [*rules(app, unsafe=False), *rules(app, unsafe=True)]:
            if needs is None or needs.permission in (None, Permission.OWN, *GRANTS[role]):
                continue
            assert client.open(path, method=method).status_code == 403, (role, method, path, endpoint)


def test_a_refusal_says_which_role_may(signed_in):
    assert "Who may do this: Admin." in signed_in(Role.OPERATOR).get("/settings/people").text


def test_a_refused_role_is_in_the_log(signed_in, caplog):
    signed_in(Role.OPERATOR).get("/settings/people")
    assert "(operator) was refused people.index" in caplog.text


@pytest.mark.figure("unsafe routes that want a CSRF token of a person")
def test_no_unsafe_route_works_without_a_csrf_token(app, admin, record_property):
    with_csrf(app)
    record_property("counted", sum(one[3] != "hooks.receive" for one in rules(app, unsafe=True)))
    for method, path, _needs, endpoint in rules(app, unsafe=True):
        if endpoint != "hooks.receive":
            assert admin.open(path, method=method).status_code == 400, (method, path)


def test_a_stranger_without_a_token_is_asked_to_log_in(app, client):
    assert with_csrf(app).test_client().post("/settings/keys").location.startswith("/login")


def test_a_page_of_another_site_posts_nothing(admin):
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:1"},
    ):
        assert admin.post("/settings/account/logins/end", headers=headers).status_code == 403, headers


def test_our_own_pages_post(admin):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert admin.post("/settings/account/logins/end", headers=headers).status_code == 303


def test_an_expired_login_is_asked_again_and_comes_back(app, admin):
    with writing():
        db.session.query(LoginSession).update({"seen_at": clock.now() - logins.IDLE - timedelta(minutes=1)})
    logins.forget_cached()
    assert admin.get("/messages?status=failed").location == "/login?next=/messages?status%3Dfailed"


def test_an_expired_login_ends_a_poll_with_401_and_a_way_on(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/messages"}
    response = client.get("/sessions/1/status?v=1", headers=headers)
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, "/login?next=/messages")


def test_a_poll_of_a_foreign_page_leads_home(client):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://evil.example/messages"}
    assert client.get("/sessions/1/status?v=1", headers=headers).headers["HX-Redirect"] == "/login"


def test_a_poll_does_not_keep_a_login_alive(app, admin):
    before = clock.now() - timedelta(hours=1)
    with writing():
        db.session.query(LoginSession).update({"seen_at": before})
    logins.forget_cached()
    admin.get("/settings/account", headers={"HX-Request": "true"})
    db.session.rollback()
    assert db.session.query(LoginSession.seen_at).scalar() == before
    admin.get("/settings/account")
    db.session.rollback()
    assert db.session.query(LoginSession.seen_at).scalar() > before


def test_a_cookie_of_a_revoked_login_is_useless(app, admin):
    assert admin.get("/settings/account").status_code == 200
    users.add(1, "other@example.com", "Other", "kopi susu di teras", Role.ADMIN, actor="cli")
    users.set_active(1, "admin@example.com", False, actor="cli")
    assert admin.get("/settings/account").status_code == 303


def test_keys_and_people_ask_for_the_password_after_15_minutes(app, admin):
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    assert admin.get("/settings/keys").location == "/confirm?next=/settings/keys"
    assert admin.post("/settings/keys", data={"name": "x"}).location.startswith("/confirm")
    assert api_keys.listed(1) == []


def test_the_password_opens_them_again(app, admin):
    with writing():
        db.session.query(LoginSession).update({"proved_at": clock.now() - timedelta(minutes=16)})
    logins.forget_cached()
    typed = {"password": PASSWORD, "next": "/settings/keys"}
    assert admin.post("/confirm", data=typed).location == "/settings/keys"
    assert admin.get("/settings/keys").status_code == 200


def test_a_key_opens_the_api(client, key):
    assert client.get("/api/v1/sessions/list/", headers=bearer(key)).status_code == 200


def test_a_key_needs_no_csrf_token(app, key):
    client = with_csrf(app).test_client()
    assert client.post("/api/v1/sessions/sync/", headers=bearer(key)).status_code != 400


@pytest.mark.parametrize(
    "header", ["Bearer wak_wrong", "Bearer", "Basic d2FrOng=", "wak_x", "Bearer " + "x" * 9000]
)
def test_a_wrong_key_is_401_even_with_a_good_cookie(admin, header):
    response = admin.get("/api/v1/sessions/list/", headers={"Authorization": header})
    assert response.status_code == 401 and response.json["success"] is False


def test_a_cookie_opens_the_api_too(admin):
    assert admin.get("/api/v1/sessions/list/").status_code == 200


def test_a_cookie_at_the_api_needs_the_csrf_token(app, admin):
    with_csrf(app)
    assert admin.post("/api/v1/sessions/sync/").status_code == 400


def test_a_key_in_the_address_opens_nothing(client, key):
    assert client.get(f"/api/v1/sessions/list/?key={key}&x-api-key={key}&token={key}").status_code == 401


def test_a_key_opens_no_page(client, key):
    assert client.get("/settings/account", headers=bearer(key)).status_code == 303


@pytest.mark.parametrize("path", OWN_PATHS)
def test_a_path_of_ours_may_follow_the_login(path):
    assert access.is_own_path(path)


@pytest.mark.parametrize("path", FOREIGN_PATHS)
def test_nothing_else_may_follow_the_login(path):
    assert not access.is_own_path(path)


def test_a_parameter_given_twice_is_refused(admin):
    assert admin.get("/messages?status=failed&status=sent").status_code == 400
