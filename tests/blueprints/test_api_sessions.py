from datetime import timedelta

import pytest
from documented import error

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.models import Role, Status, WhatsAppSession
from wa_admin.services import gateway_settings

API = "/api/v1/sessions"
FIELDS = {
    "id", "instance_name", "session_id", "status", "reason", "phone_number", "is_primary", "connected_at",
    "last_active_at", "qr_expires_at", "created_at",
}  # fmt: skip


def data(response):
    assert response.get_json()["success"], response.get_json()
    return response.get_json()["data"]


@pytest.fixture
def waiting(make_session):
    """A session that shows its third code."""
    return make_session(
        status=Status.QR_PENDING,
        reason=None,
        linked_at=None,
        linked_number=None,
        sealed_qr=vault().seal("2@a,b,c,d"),
        qr_sequence=3,
        qr_expires_at=clock.now() + timedelta(seconds=20),
        qr_lifetime_seconds=20,
    )


def test_a_new_session_begins_to_link(stub, api):
    stub.state = "close"
    response = api.post(f"{API}/init/", {"instance_name": "Support line", "phone_number": "0812-3456-7890"})
    told = data(response)
    assert (response.status_code, told["status"], told["session_id"]) == (201, "qr_pending", "support_line")
    assert told["phone_number"] == "6281234567890" and told["is_primary"]


def test_a_session_has_the_fields_of_the_example(api, connected):
    assert set(data(api.get(f"{API}/status/1/"))) >= FIELDS


def test_a_session_is_stored_even_while_the_gateway_is_down(api):
    response = api.post(f"{API}/init/", {"instance_name": "Support line"})
    assert response.status_code == 201
    assert data(response)["reason"] == "gateway_unreachable"


def test_the_limit_is_told_with_the_way_out(api, connected):
    response = api.post(f"{API}/init/", {"instance_name": "Second"})
    assert error(response)[:2] == (409, "session_limit")
    assert "WA_MAX_SESSIONS" in response.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing", "instance_name"),
        ({"instance_name": ""}, "empty", "instance_name"),
        ({"instance_name": "x" * 81}, "too_long", "instance_name"),
        ({"instance_name": 5}, "wrong_type", "instance_name"),
        ({"instance_name": "a\nb"}, "bad_characters", "instance_name"),
        ({"instance_name": "\u202e"}, "name_bad", "instance_name"),
        ({"instance_name": "A", "session_id": "Has Spaces"}, "session_id_bad", "session_id"),
        ({"instance_name": "A", "session_id": "x" * 65}, "too_long", "session_id"),
        ({"instance_name": "A", "phone_number": "abc"}, "bad_number", "phone_number"),
        ({"instance_name": "A", "description": "x" * 501}, "too_long", "description"),
        ({"instance_name": "A", "gateway": "nope"}, "unknown_gateway", "gateway"),
        ({"instance_name": "A", "is_default": True}, "unknown_field", "is_default"),
    ],
)
def test_a_session_that_cannot_be_is_refused(api, body, code, field):
    assert error(api.post(f"{API}/init/", body)) == (400, code, field)
    assert WhatsAppSession.count(1) == 0


def test_a_name_may_hold_anything_that_can_be_read(stub, api):
    told = data(api.post(f"{API}/init/", {"instance_name": "Toko <b>Sari</b> 😀"}))
    assert told["instance_name"] == "Toko <b>Sari</b> 😀"


def test_the_list_counts(api, make_session):
    make_session("One")
    make_session("Two", status=Status.DISCONNECTED, reason="network")
    told = data(api.get(f"{API}/list/"))
    assert [told[name] for name in ("total_count", "connected_count", "limit")] == [2, 1, 1]
    assert [one["instance_name"] for one in told["sessions"]] == ["One", "Two"]


@pytest.mark.parametrize("key", ["1", "support_line", "Support%20line", "SUPPORT LINE"])
def test_a_session_is_found_by_number_id_or_name(api, connected, key):
    assert data(api.get(f"{API}/status/{key}/"))["id"] == 1


@pytest.mark.parametrize("key", ["2", "nope", "a/b", "..", "%F0%9F%98%80", "x" * 300])
def test_a_session_that_is_not_there_is_404_with_the_names(api, connected, key):
    response = api.get(f"{API}/status/{key}/")
    assert error(response)[:2] == (404, "session_not_found")
    assert "Support line" in response.get_json()["error"]["message"]


def test_the_code_comes_raw_and_as_a_picture(api, waiting):
    told = data(api.get(f"{API}/qr/{waiting.id}/"))
    assert (told["code"], told["sequence"], told["pairing_code"]) == ("2@a,b,c,d", 3, None)
    assert told["svg"].startswith("<svg")


def test_looking_asks_no_gateway(stub, api, waiting):
    for path in ("list/", "status/1/", "qr/1/"):
        api.get(f"{API}/{path}")
    assert stub.asked == []


def test_without_a_waiting_code_there_is_none(api, connected):
    assert error(api.get(f"{API}/qr/1/"))[:2] == (409, "no_code")


def test_a_pairing_code_is_asked_for_first_and_then_read(stub, api, waiting):
    assert error(api.get(f"{API}/qr/1/?phone=0812-3456-7890"))[:2] == (409, "no_code")
    code = {"pairingCode": "WZYEH1YY", "code": "2@a", "base64": "", "count": 1, "lifetimeSeconds": 60}
    stub.state, stub.script = "close", {"connect": lambda _: (200, code)}
    api.post(f"{API}/refresh-qr/1/", {"phone": "0812-3456-7890"})
    assert data(api.get(f"{API}/qr/1/?phone=0812-3456-7890"))["pairing_code"] == "WZYEH1YY"


def test_a_pairing_code_needs_a_number(api, waiting):
    assert error(api.get(f"{API}/qr/1/?phone=abc")) == (400, "bad_number", "phone")
    assert error(api.post(f"{API}/refresh-qr/1/", {"phone": "abc"})) == (400, "bad_number", "phone")


def test_connecting_an_unlinked_session_starts_linking(stub, api, unlinked):
    stub.state = "close"
    assert data(api.post(f"{API}/connect/1/"))["status"] == "qr_pending"


def test_a_new_set_of_codes_can_be_asked_for(stub, api, unlinked):
    stub.state = "close"
    assert data(api.post(f"{API}/refresh-qr/1/", {}))["status"] == "qr_pending"


def test_a_connected_session_needs_no_code(stub, api, connected):
    assert error(api.post(f"{API}/refresh-qr/1/"))[:2] == (409, "already_connected")


def test_disconnecting_keeps_it_off(stub, api, connected):
    told = data(api.post(f"{API}/disconnect/1/"))
    assert (told["status"], told["reason"]) == ("disconnected", "stopped")


def test_the_phone_can_be_unlinked(stub, api, connected):
    assert data(api.post(f"{API}/logout/1/"))["status"] == "disconnected"
    assert any("/instance/logout/" in route for route in stub.routes_asked())


def test_a_session_can_be_restarted(stub, api, connected):
    assert data(api.post(f"{API}/restart/1/"))["id"] == 1
    assert any("/instance/restart/" in route for route in stub.routes_asked())


@pytest.mark.parametrize("act", ["connect", "refresh-qr", "restart", "disconnect", "logout"])
def test_a_gateway_that_is_down_is_said_to_be(api, make_session, act):
    make_session(status=Status.DISCONNECTED, reason="network")
    assert error(api.post(f"{API}/{act}/1/"))[1] == "gateway_unreachable"


def test_only_a_connected_session_becomes_the_default(api, make_session):
    make_session("One")
    make_session("Two", status=Status.DISCONNECTED, reason="network")
    make_session("Three")
    assert error(api.post(f"{API}/set-primary/2/"))[:2] == (409, "not_connected")
    assert data(api.post(f"{API}/set-primary/3/"))["is_primary"]


def test_the_default_session_is_removed_only_by_force(stub, api, connected):
    path = f"{API}/delete/support_line/"
    assert error(api.call("DELETE", path))[:2] == (409, "default_session")
    response = api.call("DELETE", f"{path}?force=true")
    assert data(response) == {"id": 1, "instance_name": "Support line"}
    assert WhatsAppSession.count(1) == 0


@pytest.mark.parametrize("query", ["force=1", "force=yes", "force=true&force=false", "really=true"])
def test_force_is_true_or_false(api, connected, query):
    assert api.call("DELETE", f"{API}/delete/1/?{query}").status_code == 400
    assert WhatsAppSession.count(1) == 1


def test_sync_adopts_what_the_gateway_has(stub, api):
    row = {"name": "Totale Bot", "ownerJid": None, "profileName": None, "connectionStatus": "open"}
    stub.script["fetchInstances"] = lambda _: (200, [row])
    first, again = data(api.post(f"{API}/sync/")), data(api.post(f"{API}/sync/"))
    assert [one["instance_name"] for one in first["synced"]] == ["Totale Bot"]
    assert [one["session_id"] for one in again["existing"]] == ["totale_bot"]
    assert (again["synced"], again["skipped"]) == ([], [])


def test_a_session_moves_only_to_a_gateway_that_is_there(api, connected):
    assert error(api.post(f"{API}/move/1/", {"gateway": "nope"})) == (400, "unknown_gateway", "gateway")


def test_a_session_that_moves_keeps_its_id_and_says_what_stays_behind(api, connected):
    how = {"base_url": "https://93.184.216.34", "key": "k" * 20}
    gateway_settings.add(1, kind="waha", name="office", **how, actor="cli")
    moved = data(api.post(f"{API}/move/1/", {"gateway": "office"}))
    assert (moved["session"]["id"], moved["session"]["reason"]) == (1, "never_linked")
    assert moved["left_behind"] == "gateway_unreachable"


def test_an_act_takes_no_fields_that_it_does_not_know(api, connected):
    assert error(api.post(f"{API}/restart/1/", {"force": True})) == (400, "unknown_field", "force")


def test_roles_may_do_what_is_theirs(signed_in, connected):
    asked = [("GET", "list/"), ("GET", "qr/1/"), ("POST", "set-primary/1/"), ("DELETE", "delete/1/")]
    by_role = {
        role: [
            signed_in(role).open(f"{API}/{path}", method=method).status_code != 403 for method, path in asked
        ]
        for role in Role
    }
    assert by_role == {
        Role.SUPERVISOR: [True, False, False, False],
        Role.OPERATOR: [True, False, False, False],
        Role.ADMIN: [True, True, True, True],
    }


GATEWAY_FAULTS = [
    (None, "gateway_bad_answer", 502),
    (
        (401, {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}}),
        "gateway_auth",
        409,
    ),
    ((500, {"status": 500, "error": "Internal Server Error", "response": {}}), "gateway_bad_answer", 502),
    ((200, b"<html>"), "gateway_bad_answer", 502),
]


@pytest.mark.parametrize(("answer", "code", "status"), GATEWAY_FAULTS)
def test_each_trouble_of_a_gateway_has_its_code(stub, api, connected, answer, code, status):
    stub.script["restart"] = lambda _: answer
    assert error(api.post(f"{API}/restart/1/"))[:2] == (status, code)
