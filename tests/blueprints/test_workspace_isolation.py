"""Nothing of one workspace is seen or touched from another: every route, with every number of the other."""

import json

import pytest
from sqlalchemy import update
from two_workspaces import MARKS, THEIRS, ask, furnish_other_workspace, routes, snapshot

from wa_admin.extensions import db, writing
from wa_admin.models import Role, User
from wa_admin.services import api_keys, logins

# these show an owner every workspace, which is what they are for
ONLY_FOR_OWNERS = ("workspaces.",)
SAYS_THE_SAME = ("settings.end_login",)  # whether there was such a log-in or not
LEADS_HOME = ("sessions.status", "sessions.link_panel")  # whose session is gone may have been deleted
# named in the body or the query, where the number in the path does not say it
NAMED = [
    ("GET", "/messages/new?copy_of=777", None),
    ("GET", "/messages/board?shown=777&v=1", None),
    ("GET", "/messages?q=zebr", None),
    ("GET", "/api/v1/messages/?session_id=777", None),
    ("GET", "/api/v1/messages/?cursor=778", None),
    ("POST", "/api/v1/messages/send/", {"recipient": "081234567890", "message": "a", "session_id": "777"}),
    ("PUT", "/api/admin/whatsapp-sessions", {"id": 777, "description": "ours now"}),
    ("DELETE", "/api/admin/whatsapp-sessions?id=777", None),
]


@pytest.fixture
def neighbours(app, make_session, make_message):
    """Our workspace with something in it, and theirs."""
    ours = make_session()
    make_message(ours, body="Our own words")
    furnish_other_workspace()
    return app


def leaks(response):
    told = response.get_data(as_text=True).lower() + str(response.headers).lower()
    squeezed = told.replace(" ", "").replace("-", "")
    return [mark for mark in MARKS if mark in told or mark in squeezed]


@pytest.mark.parametrize("role", Role)
def test_no_route_knows_a_number_of_another_workspace(neighbours, signed_in, role):
    with writing():
        db.session.execute(update(User).values(is_owner=False))
    before, met, wrong, person = snapshot(), 0, [], signed_in(role)
    for method, endpoint, path, asks in routes(neighbours):
        response = ask(person, method, path)
        if leaks(response) or response.status_code == 500:
            wrong.append((method, path, response.status_code, leaks(response)))
        is_theirs = (
            asks and endpoint not in SAYS_THE_SAME and hasattr(neighbours.view_functions[endpoint], "needs")
        )
        if is_theirs and neighbours.view_functions[endpoint].needs.permission is not None:
            met += 1
            home = endpoint in LEADS_HOME and response.location == "/"
            if not home and response.status_code not in (403, 404):
                wrong.append((method, path, response.status_code))
    assert met > 50 and wrong == [] and snapshot() == before
    assert person.get("/").status_code == 200  # nothing has ended the login meanwhile


def test_no_route_shows_an_owner_another_workspace_but_the_list_of_them(neighbours, admin):
    before = snapshot()
    for method, endpoint, path, _asks in routes(neighbours):
        if not endpoint.startswith(ONLY_FOR_OWNERS):
            response = ask(admin, method, path)
            assert not leaks(response), (method, path, leaks(response))
    assert snapshot() == before and admin.get("/").status_code == 200


def test_no_call_knows_a_number_of_another_workspace(neighbours, client):
    headers = {"Authorization": "Bearer " + api_keys.issue(1, "orders-api", actor="cli")[1]}
    before = snapshot()
    for method, _endpoint, path, asks in routes(neighbours):
        if path.startswith("/api/"):
            response = ask(client, method, path, headers=headers)
            assert not leaks(response), (method, path, leaks(response))
            assert not asks or response.status_code in (403, 404), (method, path, response.text)
    assert snapshot() == before


@pytest.mark.parametrize("name", ["zebra_line", "Zebra%20line", "ZEBRA%20LINE"])
def test_no_call_knows_a_session_of_another_workspace_by_name(neighbours, client, name):
    headers = {"Authorization": "Bearer " + api_keys.issue(1, "orders-api", actor="cli")[1]}
    for rule in neighbours.url_map.iter_rules():
        if "<path:id>" in rule.rule:
            path = rule.rule.replace("<path:id>", name)
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                response = ask(client, method, path, headers=headers)
                assert response.status_code == 404, (method, path, response.text)
                assert "89990001" not in response.text and "There are: Support line." in response.text


@pytest.mark.parametrize(("method", "path", "body"), NAMED)
def test_nothing_of_another_workspace_is_named_in_a_query_or_body(neighbours, admin, method, path, body):
    before = snapshot()
    response = admin.open(path, method=method, json=body)
    assert not leaks(response) and snapshot() == before
    assert response.status_code in (200, 404), (response.status_code, response.text)


def test_a_poll_of_a_session_of_another_workspace_leads_home(neighbours, admin):
    response = admin.get(f"/sessions/{THEIRS}/status?v=1", headers={"HX-Request": "true"})
    assert response.headers.get("HX-Redirect") == "/" and not leaks(response)


def test_an_idempotency_key_of_another_workspace_is_free_here(neighbours, client):
    headers = {"Authorization": "Bearer " + api_keys.issue(1, "orders-api", actor="cli")[1]}
    body = {"recipient": "081234567890", "message": "ours"}
    headers |= {"Idempotency-Key": "zebra-order"}
    response = client.post("/api/v1/messages/send/", json=body, headers=headers)
    assert response.status_code == 202 and "crossing" not in json.dumps(response.json)


def test_their_people_see_theirs_and_nothing_of_ours(neighbours, client):
    token = logins.log_in("zebra@zebra.example", "correct horse battery staple", address="::1", agent="")
    with client.session_transaction() as cookie:
        cookie[logins.COOKIE_KEY] = token
    pages = [client.get(path).text for path in ("/", "/messages", "/activity", "/settings/people")]
    assert all("zebra" in page.lower() for page in pages)
    assert not any("Support line" in page or "Our own words" in page for page in pages)
