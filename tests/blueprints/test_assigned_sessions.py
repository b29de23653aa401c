"""An operator with some of the sessions, an app whose key is for some of them: the others are not there."""

import pytest
from people import PASSWORD
from two_workspaces import ask, routes

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Assignment, Message, MessageStatus, Role
from wa_admin.permissions import Permission
from wa_admin.services import api_keys, health, logins, outbox, roster, scope, timeline, users

MARKS = ("quokka", "89990003", "89990004")


@pytest.fixture
def shown(make_session):
    """The one that is theirs; the default one is not."""
    make_session("Quokka line", id=777, linked_number="6289990003777", description="quokka")
    return make_session("Support line")


@pytest.fixture
def quokka(shown, make_message):
    """A message on the other session, with the same number as its session, and a line about it."""
    other = roster.find(1, 777)
    message = make_message(
        other,
        id=777,
        body="quokka words",
        recipient="6289990004777",
        status=MessageStatus.FAILED,
        idempotency_key="order-1",
    )
    with writing():
        timeline.record(other, "linked", workspace_id=1, actor="phone", number="6289990003777")
        timeline.record(None, "login", workspace_id=1, actor="quokka@example.com")
    return message


@pytest.fixture
def operator(shown, quokka, signed_in):
    users.assign(1, "operator@example.com", [shown.id], actor="cli")
    return signed_in(Role.OPERATOR)


@pytest.fixture
def key(shown, quokka):
    some = {"scopes": [Permission.LOOK, Permission.SEND, Permission.LINK], "session_ids": [shown.id]}
    return {"Authorization": "Bearer " + api_keys.issue(1, "orders-api", actor="cli", **some)[1]}


def leaks(response):
    told = response.get_data(as_text=True).lower() + str(response.headers).lower()
    squeezed = told.replace(" ", "").replace("-", "")
    return [mark for mark in MARKS if mark in told or mark in squeezed]


def test_no_route_shows_another_session(app, operator):
    wrong = []
    for method, endpoint, path, asks in routes(app):
        if endpoint == "settings.password":
            continue
        response = ask(operator, method, path)
        is_open = asks and response.status_code not in (403, 404) and response.location != "/"
        if leaks(response) or response.status_code == 500 or (is_open and "logins" not in path):
            wrong.append((method, path, response.status_code, leaks(response)))
    public = ("/setup", "/join", "/hooks/", "/link/", "/l/")
    assert [one for one in wrong if not one[1].startswith(public)] == []


def test_no_call_shows_another_session(app, client, key):
    wrong = []
    for method, _endpoint, path, asks in routes(app):
        if path.startswith("/api/"):
            response = ask(client, method, path, headers=key)
            if leaks(response) or (asks and response.status_code not in (403, 404)):
                wrong.append((method, path, response.status_code, response.text))
    assert wrong == []


def test_their_own_session_is_the_home_page(operator):
    page = operator.get("/").text
    assert "Support line" in page and "Quokka" not in page


def test_the_other_messages_are_in_no_list_count_search_or_poll(operator, shown, make_message):
    own = make_message(shown, body="own words", status=MessageStatus.FAILED)
    page = operator.get("/messages?status=failed").text
    assert "own words" in page and '<span class="count">1</span>' in page
    assert "quokka words" not in operator.get("/messages?q=words").text
    changes = operator.get(f"/messages/board?shown=777,{own.id}&newest=1", headers={"HX-Request": "true"})
    assert "own words" in changes.text and not leaks(changes)


def test_a_message_without_a_named_session_leaves_on_theirs(operator, shown):
    assert operator.get("/messages/new").text.count("Quokka line") == 0
    operator.post("/messages/new", data={"recipient": "081234567890", "message": "Halo", "once": "1"})
    sent = db.session.scalars(db.select(Message).order_by(Message.created_at.desc()).limit(1)).one()
    assert sent.session_id == shown.id


def test_an_app_sends_from_its_session_and_from_no_other(client, key, shown):
    body = {"recipient": "081234567890", "message": "Halo"}
    response = client.post("/api/v1/messages/send/", json=body, headers=key)
    assert response.status_code == 202 and response.json["data"]["session_id"] == shown.session_id
    for name in ("777", "quokka_line", "Quokka line"):
        refused = client.post("/api/v1/messages/send/", json={**body, "session_id": name}, headers=key)
        assert refused.status_code == 404 and "Quokka" not in refused.text


def test_a_used_idempotency_key_gives_nothing_of_another_session_away(client, key, quokka):
    body = {"recipient": "081234567890", "message": "Halo"}
    response = client.post("/api/v1/messages/send/", json=body, headers={**key, "Idempotency-Key": "order-1"})
    assert response.status_code == 409 and not leaks(response)


def test_a_poll_of_another_session_leads_home(operator):
    for path in ("/sessions/777/status?v=1", "/sessions/777/status"):
        response = operator.get(path, headers={"HX-Request": "true"})
        assert response.headers.get("HX-Redirect") == "/" and not leaks(response)


def test_a_session_taken_away_is_gone_at_once(operator, shown):
    with writing():
        db.session.query(Assignment).delete()
    assert operator.get(f"/messages?session={shown.id}").status_code == 200
    assert "Support line" not in operator.get("/").text


def test_the_activity_tells_of_their_session_only(operator, shown):
    with writing():
        timeline.record(shown, "linked", workspace_id=1, actor="phone", number="6281234567890")
    page = operator.get("/activity").text
    assert "Support line is linked" in page and "quokka" not in page.lower()


def test_who_sees_all_sees_all(signed_in, quokka):
    assert "Quokka line" in signed_in(Role.OPERATOR).get("/messages/new").text


def test_an_operator_limited_here_sees_all_elsewhere(app, operator):
    identity = logins.identify(logins.log_in("operator@example.com", PASSWORD, address="::1", agent=""))
    assert not identity.sees_all
    users.assign(1, "operator@example.com", None, actor="cli")
    identity = logins.identify(logins.log_in("operator@example.com", PASSWORD, address="::1", agent=""))
    assert identity.sees_all


def test_every_query_is_kept_to_the_scope(app, operator, shown):
    """Below the doors: what a new page would ask is limited too."""
    member = users.find(1, "operator@example.com")
    with app.app_context():
        scope.to_assigned(member.user_id)
        assert [one.name for one in roster.listed(1)] == ["Support line"]
        assert roster.default(1).id == shown.id and not scope.holds(777) and not scope.holds(None)
        assert outbox.page(1).items == [] and timeline.page(1).items == []
        assert any("1 of" in check.sentence for check in health.look(1))
    assert len(roster.listed(1)) == 2


def test_a_key_that_has_ended_opens_nothing(client, app):
    _key, raw = api_keys.issue(1, "a", expires_at=clock.now().replace(year=2090), actor="cli")
    headers = {"Authorization": f"Bearer {raw}"}
    assert client.get("/api/v1/sessions/list/", headers=headers).status_code == 200
    with writing():
        db.session.execute(db.text("UPDATE api_key SET expires_at = '2020-01-01 00:00:00.000000'"))
    assert client.get("/api/v1/sessions/list/", headers=headers).status_code == 401


def test_two_people_at_once_see_each_their_own(operator, shown, signed_in):
    """The statement is compiled once for both; what it is limited to is not."""
    users.set_role(1, "supervisor@example.com", Role.OPERATOR, actor="cli")
    users.assign(1, "supervisor@example.com", [777], actor="cli")
    another = signed_in(Role.SUPERVISOR)
    for _ in range(2):
        assert "quokka words" in another.get("/messages?status=failed").text
        assert "quokka words" not in operator.get("/messages?status=failed").text
        assert another.get("/messages/777").status_code == 200
        assert operator.get("/messages/777").status_code == 404
