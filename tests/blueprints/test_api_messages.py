import base64
import json
import threading
from datetime import datetime, timedelta

import pytest
from documented import Caller, error
from sqlalchemy import func, select

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Role, Workspace
from wa_admin.services import api_keys, deliveries

SEND = "/api/v1/messages/send/"
PNG = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
).decode()


def rows():
    return db.session.scalar(select(func.count(Message.id)))


def test_a_message_is_accepted_and_waits(api, connected):
    response = api.send("Halo 😀 <b>&amp;</b>")
    told = response.get_json()["data"]
    assert (response.status_code, told["status"], told["recipient"]) == (202, "queued", "6281299998888")
    assert db.session.get(Message, told["id"]).body == "Halo 😀 <b>&amp;</b>"


def test_the_timeline_knows_which_app_sent(api, connected):
    assert api.send().get_json()["data"]["source"] == "key:orders-api"


def test_the_same_key_gives_the_same_message(api, connected):
    first, second = (api.send(key="order-1042").get_json()["data"]["id"] for _ in range(2))
    assert first == second and rows() == 1


def test_a_repeat_of_what_has_left_says_so(stub, api, connected):
    api.send(key="order-1042")
    deliveries.drain()
    response = api.send(key="order-1042")
    assert response.status_code == 201 and response.get_json()["data"]["status"] == "sent"


def test_a_key_cannot_name_two_messages(api, connected):
    api.send("one", key="order-1042")
    assert error(api.send("two", key="order-1042")) == (409, "idempotency_key_reused", "key")


def test_fifty_calls_at_once_with_one_key_make_one_message(app, api, connected):
    answers, start = [], threading.Barrier(50)

    def call():
        client = app.test_client()
        start.wait()
        body = {"recipient": "081299998888", "message": "once"}
        answers.append(client.post(SEND, json=body, headers={**api.headers, "Idempotency-Key": "k"}))

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.get_json()["data"]["id"] for answer in answers} == {1}
    assert rows() == 1


def test_a_key_is_remembered_by_the_next_start(api, connected, make_app):
    id = api.send(key="order-1042").get_json()["data"]["id"]
    body = {"recipient": "0812-9999-8888", "message": "Halo!"}
    headers = {**api.headers, "Idempotency-Key": "order-1042"}
    again = make_app().test_client().post(SEND, json=body, headers=headers)
    assert again.get_json()["data"]["id"] == id


ABSENT = object()
GOOD = {"recipient": "081299998888", "message": "x"}
BAD = [
    ({"recipient": ABSENT}, "missing", "recipient"),
    ({"recipient": ""}, "empty", "recipient"),
    ({"recipient": "   "}, "empty", "recipient"),
    ({"recipient": None}, "wrong_type", "recipient"),
    ({"recipient": 81299998888}, "wrong_type", "recipient"),
    ({"recipient": ["081299998888"]}, "wrong_type", "recipient"),
    ({"recipient": {"to": "x"}}, "wrong_type", "recipient"),
    ({"recipient": "nobody"}, "bad_number", "recipient"),
    ({"recipient": "<script>alert(1)</script>"}, "bad_number", "recipient"),
    ({"recipient": "😀"}, "bad_number", "recipient"),
    ({"recipient": "0812\u0000"}, "bad_characters", "recipient"),
    ({"recipient": "1" * 200}, "too_long", "recipient"),
    ({"message": ABSENT}, "message_missing", "message"),
    ({"message": ""}, "message_missing", "message"),
    ({"message": "  \n"}, "message_missing", "message"),
    ({"message": "\u200b\u200d\ufe0f"}, "message_missing", "message"),
    ({"message": "\u2800 \u3164\u00ad"}, "message_missing", "message"),
    ({"message": 5}, "wrong_type", "message"),
    ({"message": True}, "wrong_type", "message"),
    ({"message": "x" * 4097}, "too_long", "message"),
    ({"message": "a\u0000b"}, "bad_characters", "message"),
    ({"message": "a\u001bb"}, "bad_characters", "message"),
    ({"message": "a\ud800b"}, "bad_characters", "message"),
    ({"session_id": 1}, "wrong_type", "session_id"),
    ({"session_id": ""}, "empty", "session_id"),
    ({"valid_for_seconds": "60"}, "wrong_type", "valid_for_seconds"),
    ({"valid_for_seconds": True}, "wrong_type", "valid_for_seconds"),
    ({"valid_for_seconds": 0}, "out_of_range", "valid_for_seconds"),
    ({"valid_for_seconds": 10**30}, "out_of_range", "valid_for_seconds"),
    ({"role": "admin"}, "unknown_field", "role"),
    ({"media": "file"}, "wrong_type", "media"),
    ({"media": {"kind": "image"}}, "missing", "media.filename"),
]


@pytest.mark.parametrize(("change", "code", "field"), BAD)
def test_what_cannot_be_sent_is_refused_with_a_code(api, connected, change, code, field):
    body = {name: value for name, value in {**GOOD, **change}.items() if value is not ABSENT}
    assert error(api.post(SEND, body)) == (400, code, field)
    assert rows() == 0


RAW = [
    (b"{", "bad_json"),
    (b"null", "wrong_type"),
    (b"[]", "wrong_type"),
    (b'"text"', "wrong_type"),
    (b'{"recipient": NaN}', "bad_json"),
    (b'{"recipient": "1", "recipient": "2"}', "duplicate_name"),
    (b'{"message": "\xff"}', "bad_json"),
    (b"[" * 100_000, "bad_json"),
    (b'{"valid_for_seconds": ' + b"9" * 5000 + b"}", "bad_json"),
]


@pytest.mark.parametrize(("body", "code"), RAW)
def test_what_is_not_json_is_refused_with_a_code(api, connected, body, code):
    response = api.post(SEND, data=body, content_type="application/json")
    assert error(response)[:2] == (400, code)


def test_a_form_is_no_json(api, connected):
    assert error(api.post(SEND, data={"recipient": "1"}))[:2] == (415, "unsupported_media_type")


def test_a_huge_body_is_refused(api):
    response = api.post("/api/v1/sessions/init/", {"instance_name": "x", "description": "x" * 70_000})
    assert error(response)[:2] == (413, "too_large")


@pytest.mark.parametrize("key", ["x" * 256, "a\tb", "café", "pedido-ñ".encode().decode("latin-1")])
def test_a_bad_idempotency_key_is_refused(api, connected, key):
    assert error(api.send(key=key))[:2] == (400, "key_bad")


def test_a_picture_is_stored_with_its_caption(api, connected):
    media = {"kind": "image", "filename": "../../etc/<b>.png", "mimetype": "image/png", "data": PNG}
    told = api.send("Struk", media=media).get_json()["data"]
    assert told["media"]["mimetype"] == "image/png" and told["media"]["kind"] == "image"
    assert db.session.get(Message, told["id"]).attachment.content == base64.b64decode(PNG)


def test_a_document_needs_no_text(api, connected):
    data = base64.b64encode(b"%PDF-1.7 ...").decode()
    media = {"kind": "document", "filename": "invoice.pdf", "mimetype": "application/pdf", "data": data}
    response = api.post(SEND, {"recipient": "081299998888", "media": media})
    assert response.status_code == 202


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"data": "%%%"}, "bad_base64"),
        ({"data": "YQ"}, "bad_base64"),
        ({"data": ""}, "empty"),
        ({"data": base64.b64encode(b"plain text").decode()}, "media_not_image"),
        ({"data": base64.b64encode(b"<svg onload=x>").decode()}, "media_refused"),
        ({"kind": "video"}, "not_a_choice"),
        ({"path": "/etc/passwd"}, "unknown_field"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused(api, connected, change, code):
    media = {"kind": "image", "filename": "a.png", "mimetype": "image/png", "data": PNG, **change}
    assert error(api.send("x", media=media))[1] == code
    assert rows() == 0


def test_an_unknown_session_lists_the_names_there_are(api, make_session):
    make_session("Support line")
    make_session("Toko Sari")
    response = api.send(session_id="Marketing")
    assert "Support line, Toko Sari" in response.get_json()["error"]["message"]


def test_an_inactive_session_lists_the_active_names(api, make_session):
    make_session("Support line")
    make_session("Old", is_active=False)
    response = api.send(session_id="old")
    assert error(response)[:2] == (409, "session_inactive")
    assert "Support line" in response.get_json()["error"]["message"]


def test_without_any_session_there_is_nothing_to_send_from(api):
    assert error(api.send())[:2] == (409, "no_session")
    assert error(api.send(session_id="Marketing"))[:2] == (409, "no_session")


def test_auto_is_refused_until_it_is_switched_on(api, connected):
    refused = api.send(session_id="auto")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (409, "spread_off")


def test_one_message_tells_the_steps_of_its_delivery(stub, api, connected):
    id = api.send().get_json()["data"]["id"]
    deliveries.drain()
    told = api.get(f"/api/v1/messages/{id}/").get_json()["data"]
    assert [(step["kind"], step["outcome"]) for step in told["steps"]] == [
        ("accepted", None),
        ("attempt", "sent"),
    ]


def test_a_failure_says_why(api, connected, make_message):
    failed = make_message(connected, status=MessageStatus.FAILED, error_code="not_on_whatsapp")
    told = api.get(f"/api/v1/messages/{failed.id}/").get_json()["data"]["error"]
    assert told["code"] == "not_on_whatsapp" and len(told["message"]) > 20


def test_the_list_goes_back_page_by_page(api, connected, make_message):
    for number in range(5):
        make_message(connected, body=str(number))
    first = api.get("/api/v1/messages/?limit=3").get_json()["data"]
    rest = api.get(f"/api/v1/messages/?limit=3&cursor={first['next_cursor']}").get_json()["data"]
    assert [one["message"] for one in first["messages"] + rest["messages"]] == ["4", "3", "2", "1", "0"]
    assert rest["next_cursor"] is None and rest["previous_cursor"] is not None


def test_the_list_can_be_filtered(api, connected, make_message):
    make_message(connected)
    make_message(connected, status=MessageStatus.FAILED)
    found = api.get("/api/v1/messages/?status=failed&session_id=support_line").get_json()["data"]["messages"]
    assert [one["status"] for one in found] == ["failed"]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("status=nope", "not_a_choice", "status"),
        ("status=sent&status=failed", "duplicate_name", "status"),
        ("cursor=x", "wrong_type", "cursor"),
        ("cursor=99999999999999999999", "out_of_range", "cursor"),
        ("limit=0", "out_of_range", "limit"),
        ("limit=101", "out_of_range", "limit"),
        ("page=2", "unknown_field", "page"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api, query, code, field):
    assert error(api.get(f"/api/v1/messages/?{query}")) == (400, code, field)


def test_a_waiting_message_can_be_cancelled_once(api, connected):
    id = api.send().get_json()["data"]["id"]
    cancelled = api.post(f"/api/v1/messages/{id}/cancel/").get_json()["data"]
    assert cancelled["status"] == "cancelled"
    assert error(api.post(f"/api/v1/messages/{id}/cancel/"))[:2] == (409, "wrong_state")


def test_a_failed_message_can_be_sent_again(api, connected, make_message):
    failed = make_message(connected, status=MessageStatus.FAILED, error_code="rejected")
    response = api.post(f"/api/v1/messages/{failed.id}/retry/")
    assert response.status_code == 202 and response.get_json()["data"]["status"] == "queued"


def test_a_message_of_another_workspace_is_not_there(api, connected, make_message):
    with writing():
        db.session.add(Workspace(id=2, name="Other", created_at=clock.now()))
    theirs = make_message(connected, workspace_id=2, session_id=None)
    for path in ("", "cancel/", "retry/"):
        method = "POST" if path else "GET"
        assert error(api.call(method, f"/api/v1/messages/{theirs.id}/{path}"))[:2] == (
            404,
            "message_not_found",
        )


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wak_nope"}, {"Authorization": "Basic YTpi"}]
)
def test_without_a_good_key_nothing_is_done(api, connected, headers):
    api.headers = {}
    response = api.post(SEND, {"recipient": "081299998888", "message": "x"}, headers=headers)
    assert error(response)[:2] == (401, "unauthorized")
    assert rows() == 0


def test_a_revoked_key_is_refused_at_once(api, connected):
    api.send()
    api_keys.revoke(1, "orders-api", actor="cli")
    assert api.send().status_code == 401


def test_a_key_that_calls_too_often_is_told_to_wait(make_app, described):
    app = make_app(WA_API_CALLS_PER_MINUTE="2")
    with app.app_context():
        keys = [api_keys.issue(1, name, actor="cli")[1] for name in ("loop", "other")]
    loop, other = (Caller(app.test_client(), described, key) for key in keys)
    answers = [loop.get("/api/v1/messages/") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert error(answers[2])[1] == "too_many_requests" and 25 <= int(answers[2].headers["Retry-After"]) <= 30
    assert other.get("/api/v1/messages/").status_code == 200


def test_a_person_may_call_with_the_role_for_it(signed_in, connected):
    body = GOOD
    statuses = [
        signed_in(role).post(SEND, json=body).status_code for role in (Role.SUPERVISOR, Role.OPERATOR)
    ]
    assert statuses == [403, 202]


def test_a_cookie_alone_needs_the_csrf_token(signed_in, connected, app):
    app.config["WTF_CSRF_ENABLED"] = True
    response = signed_in(Role.ADMIN).post(SEND, json=GOOD)
    assert error(response)[:2] == (400, "csrf")


def test_the_wrong_method_is_told_the_right_ones(api):
    response = api.client.get(SEND, headers=api.headers)
    assert error(response)[:2] == (405, "method_not_allowed") and "POST" in response.headers["Allow"]


def test_an_address_that_is_none_answers_in_json(api):
    assert error(api.client.get("/api/v1/nothing/", headers=api.headers))[:2] == (404, "not_found")


def test_answers_are_not_kept_by_caches(api, connected):
    assert api.send().headers["Cache-Control"] == "no-store"


def test_times_are_utc_with_a_z(api, connected):
    at = api.send().get_json()["data"]["created_at"]
    assert at.endswith("Z") and abs(clock.now() - datetime.fromisoformat(at)) < timedelta(seconds=10)


def test_a_body_is_read_as_utf_8_whatever_it_holds(api, connected):
    body = json.dumps({"recipient": "081299998888", "message": "日本 ‮ \u200b"}, ensure_ascii=False).encode()
    response = api.post(SEND, data=body, content_type="application/json; charset=utf-8")
    assert response.get_json()["data"]["message"] == "日本 ‮ \u200b"
