import pytest
from documented import error

from wa_admin.extensions import db, writing
from wa_admin.models import Call, CallStatus, Subscription
from wa_admin.services import subscriptions, tidings

HERE = "/api/v1/webhooks/"
BODY = {"name": "orders-app", "url": "https://93.184.216.34/hook", "events": ["message.received"]}


@pytest.fixture
def webhook(app):
    return subscriptions.add(1, "orders-app", BODY["url"], tidings.KINDS, actor="cli")[0]


def told(response):
    assert response.get_json()["success"]
    return response.get_json()["data"]


def test_a_webhook_is_added_listed_and_removed(api):
    answer = api.post(HERE, BODY)
    added = told(answer)
    assert answer.status_code == 201 and added["secret"].startswith("whsec_")
    (listed,) = told(api.get(HERE))["webhooks"]
    assert listed == {name: value for name, value in added.items() if name != "secret"}
    assert listed["host"] == "93.184.216.34" and "url" not in listed
    assert told(api.call("DELETE", f"{HERE}1/"))["name"] == "orders-app"
    assert told(api.get(HERE)) == {"webhooks": []}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"name": ""}, (400, "empty", "name")),
        ({"name": "a\u202eb"}, (422, "unfit_text", "name")),
        ({"name": 5}, (400, "wrong_type", "name")),
        ({"url": "https://127.0.0.1/"}, (400, "url_bad", "url")),
        ({"url": "nonsense"}, (400, "url_bad", "url")),
        ({"url": None}, (400, "wrong_type", "url")),
        ({"events": []}, (400, "empty", "events")),
        ({"events": "message.received"}, (400, "wrong_type", "events")),
        ({"events": ["x"]}, (400, "not_a_choice", "events.0")),
        ({"secret": "whsec_mine"}, (400, "unknown_field", "secret")),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_field(api, change, refusal):
    assert error(api.post(HERE, {**BODY, **change})) == refusal
    assert db.session.query(Subscription).count() == 0


def test_a_name_is_given_once(api, webhook):
    assert error(api.post(HERE, BODY)) == (409, "webhook_name_taken", "name")


def test_what_is_not_given_stays(api, webhook):
    assert told(api.call("PATCH", f"{HERE}1/", json={"name": "other"}))["events"] == list(tidings.KINDS)
    assert told(api.get(f"{HERE}1/"))["name"] == "other"


def test_it_is_paused_and_resumed(api, webhook):
    assert told(api.call("PATCH", f"{HERE}1/", json={"is_active": False}))["is_active"] is False
    assert error(api.post(f"{HERE}1/test/")) == (409, "webhook_paused", None)
    assert told(api.call("PATCH", f"{HERE}1/", json={"is_active": True}))["is_active"] is True


def test_a_secret_is_rotated(api, webhook):
    rotated = told(api.post(f"{HERE}1/rotate/"))
    assert rotated["secret"].startswith("whsec_") and rotated["old_secret_until"]


def test_a_test_event_is_in_the_log(api, webhook):
    sent = told(api.post(f"{HERE}1/test/"))
    assert (sent["type"], sent["status"]) == ("webhook.test", "waiting")
    assert told(api.get(f"{HERE}1/calls/"))["calls"] == [sent]


def test_what_failed_is_made_again(api, webhook):
    for _ in range(3):
        api.post(f"{HERE}1/test/")
    with writing():
        db.session.query(Call).update({"status": CallStatus.FAILED, "next_at": None})
    assert told(api.post(f"{HERE}calls/1/resend/"))["status"] == "waiting"
    assert told(api.post(f"{HERE}1/resend/")) == {"count": 2}


def test_the_log_has_pages(api, webhook):
    for _ in range(5):
        api.post(f"{HERE}1/test/")
    first = told(api.get(f"{HERE}1/calls/?limit=3"))
    rest = told(api.get(f"{HERE}1/calls/?limit=3&cursor={first['next_cursor']}"))
    assert [one["id"] for one in first["calls"] + rest["calls"]] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "7/", "webhook_not_found"), ("PATCH", "7/", "webhook_not_found"),
        ("DELETE", "7/", "webhook_not_found"), ("POST", "7/test/", "webhook_not_found"),
        ("POST", "7/rotate/", "webhook_not_found"), ("GET", "7/calls/", "webhook_not_found"),
        ("POST", "7/resend/", "webhook_not_found"), ("POST", "calls/7/resend/", "call_not_found"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(api, method, path, code):
    body = None if method in ("GET", "DELETE") else {}
    assert error(api.call(method, HERE + path, json=body))[:2] == (404, code)


def test_nothing_is_told_without_a_key(client, described):
    assert client.get(HERE).status_code == client.post(HERE, json=BODY).status_code == 401


def test_the_document_tells_what_apps_are_told(described):
    assert set(described["webhooks"]) == {*tidings.KINDS, tidings.TEST}
    for kind, path in described["webhooks"].items():
        example = path["post"]["requestBody"]["content"]["application/json"]["example"]
        assert example["type"] == kind and example["data"]
