import pytest

from wa_admin.models import Reason, Status, WhatsAppSession

PATH = "/api/admin/whatsapp-sessions"
BODY = {
    "name": "Customer Support",
    "sessionId": "customer_support",
    "phoneNumber": "+6285117132297",
    "isActive": True,
    "isDefault": False,
    "description": "Main customer support session",
}


@pytest.fixture
def two(make_session):
    return make_session("One"), make_session("Two")


def refusal(response):
    return response.status_code, response.get_json()["code"]


def test_the_body_of_the_example_makes_a_session(api):
    response = api.post(PATH, BODY)
    told = response.get_json()
    assert response.status_code == 201
    assert (told["sessionId"], told["phoneNumber"], told["isDefault"]) == (
        "customer_support",
        "6285117132297",
        True,
    )


def test_the_list_is_a_plain_list_in_camel_case(api, connected):
    (told,) = api.get(PATH).get_json()
    assert (told["name"], told["isConnected"], told["isActive"]) == ("Support line", True, True)


def test_what_is_not_given_stays_as_it_is(api, connected):
    told = api.call("PUT", PATH, json={"id": 1, "description": "Shop"}).get_json()
    assert (told["name"], told["description"]) == ("Support line", "Shop")


def test_everything_can_be_changed_at_once(api, unlinked):
    told = api.call("PUT", PATH, json={"id": 1, **BODY, "isDefault": True}).get_json()
    assert {name: told[name] for name in ("name", "sessionId", "description")} == {
        name: BODY[name] for name in ("name", "sessionId", "description")
    }


def test_another_session_can_become_the_default(api, two):
    assert api.call("PUT", PATH, json={"id": 2, "isDefault": True}).get_json()["isDefault"]
    assert [one["isDefault"] for one in api.get(PATH).get_json()] == [True, False]


def test_a_default_that_is_refused_leaves_the_rest_unchanged(api, make_session):
    make_session("One")
    make_session("Two", status=Status.DISCONNECTED, reason=Reason.NETWORK)
    response = api.call("PUT", PATH, json={"id": 2, "name": "Renamed", "isDefault": True})
    assert refusal(response) == (409, "not_connected")
    assert [one["name"] for one in api.get(PATH).get_json()] == ["One", "Two"]


def test_one_session_stays_the_default(api, two):
    assert refusal(api.call("PUT", PATH, json={"id": 1, "isDefault": False})) == (409, "default_session")


def test_a_taken_name_is_refused(api, two):
    assert refusal(api.call("PUT", PATH, json={"id": 2, "name": "ONE"})) == (409, "name_taken")


def test_the_default_session_is_not_deleted(api, two):
    assert refusal(api.call("DELETE", f"{PATH}?id=1")) == (409, "default_session")


def test_any_other_session_is(stub, api, two):
    assert api.call("DELETE", f"{PATH}?id=2").status_code == 200
    assert WhatsAppSession.count(1) == 1


@pytest.mark.parametrize(
    ("method", "body", "code", "field"),
    [
        ("POST", {}, "missing", "name"),
        ("POST", {"name": ""}, "empty", "name"),
        ("POST", {"name": "A", "isActive": "yes"}, "wrong_type", "isActive"),
        ("POST", {"name": "A", "isActive": 1}, "wrong_type", "isActive"),
        ("POST", {"name": "A", "session_id": "x"}, "unknown_field", "session_id"),
        ("POST", {"name": "A", "sessionId": "Bad Id"}, "session_id_bad", "sessionId"),
        ("POST", {"name": "A", "phoneNumber": "abc"}, "bad_number", "phoneNumber"),
        ("POST", {"name": "A", "description": "a\u0000"}, "bad_characters", "description"),
        ("PUT", {"name": "A"}, "missing", "id"),
        ("PUT", {"id": "1"}, "wrong_type", "id"),
        ("PUT", {"id": 10**19}, "out_of_range", "id"),
    ],
)
def test_bad_input_is_refused_with_code_and_field(api, method, body, code, field):
    response = api.call(method, PATH, json=body)
    told = response.get_json()
    assert (response.status_code, told["code"], told["field"]) == (400, code, field)
    assert WhatsAppSession.count(1) == 0


def test_a_session_that_is_not_there_is_404(api, connected):
    for response in (api.call("PUT", PATH, json={"id": 9}), api.call("DELETE", f"{PATH}?id=9")):
        assert refusal(response) == (404, "session_not_found")
        assert response.get_json()["field"] == "id"


def test_deleting_needs_an_id(api, connected):
    assert refusal(api.call("DELETE", PATH)) == (400, "missing")


def test_without_a_key_the_shape_is_the_same(client):
    response = client.get(PATH)
    assert response.status_code == 401 and set(response.get_json()) == {"error", "code"}


def test_a_gateway_that_is_down_is_said_to_be(api, two):
    assert refusal(api.call("DELETE", f"{PATH}?id=2")) == (503, "gateway_unreachable")
    assert WhatsAppSession.count(1) == 2


def test_a_switch_off_is_kept_while_the_gateway_is_down(api, two):
    assert api.call("PUT", PATH, json={"id": 1, "isActive": False}).get_json()["isActive"] is False
