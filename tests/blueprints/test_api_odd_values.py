"""Every field of every call, fed with what nobody meant: a documented refusal, and nothing half done."""

import json
from dataclasses import replace
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from wa_admin.api import schemas
from wa_admin.extensions import db
from wa_admin.models import Event, Message, Subscription, WhatsAppSession
from wa_admin.services import subscriptions

TEXTS = [
    "",
    " \t",
    "x" * 5000,
    "a\x00b",
    "\x1b[31mred",
    "😀",
    "<img src=x onerror=alert(1)>",
    "\ud800",
    "\u202e\u200b\u2800",
    "١",
    "9" * 40,
    "../../etc/passwd",
    "120363023456789012@g.us",
    "nan",
    "%00%s{{7*7}}",
]
DEEP = json.loads("[" * 500 + "]" * 500)
VALUES = [*TEXTS, None, True, 0, -1, 1.5, 2**63, 10**300, 1e308, [], ["x"], {}, {"a": {"b": []}}, DEEP]
CALLS = [
    ("POST", "/api/v1/sessions/init/", "NewSession"),
    ("POST", "/api/v1/sessions/connect/1/", "LinkCall"),
    ("POST", "/api/v1/sessions/refresh-qr/1/", "LinkCall"),
    ("POST", "/api/v1/sessions/move/1/", "MoveCall"),
    ("POST", "/api/v1/sessions/sync/", "SyncCall"),
    ("POST", "/api/v1/sessions/passkey/answer/1/", "PasskeyAnswer"),
    ("POST", "/api/v1/sessions/passkey/confirm/1/", "PasskeyComparison"),
    ("POST", "/api/v1/messages/send/", "NewMessage"),
    ("POST", "/api/v1/webhooks/", "NewWebhook"),
    ("PATCH", "/api/v1/webhooks/1/", "WebhookEdit"),
    ("POST", "/api/admin/whatsapp-sessions", "NewAdminSession"),
    ("PUT", "/api/admin/whatsapp-sessions", "AdminSessionEdit"),
]
QUERIES = [
    ("GET", "/api/v1/sessions/qr/1/", "QrQuery"),
    ("GET", "/api/v1/messages/", "MessagesQuery"),
    ("GET", "/api/v1/webhooks/1/calls/", "WebhookCallsQuery"),
    ("GET", "/api/v1/chats/", "ChatsQuery"),
    ("GET", "/api/v1/chats/1/messages/", "ChatMessagesQuery"),
    ("DELETE", "/api/v1/sessions/delete/1/", "DeleteQuery"),
    ("DELETE", "/api/admin/whatsapp-sessions", "AdminDeleteQuery"),
]
WEBHOOK = {"name": "orders-app", "url": "https://93.184.216.34/hook", "events": ["message.status"]}
GOOD = {
    "NewSession": {"instance_name": "New"},
    "LinkCall": {},
    "MoveCall": {"gateway": "nowhere"},
    "SyncCall": {},
    "PasskeyAnswer": {"assertion": {}},
    "PasskeyComparison": {"is_same": True},
    "NewMessage": {"recipient": "081299998888", "message": "x"},
    "NewWebhook": WEBHOOK,
    "WebhookEdit": {},
    "NewAdminSession": {"name": "New"},
    "AdminSessionEdit": {"id": 1},
}
COUNTED = select(
    *(
        select(func.count()).select_from(one).scalar_subquery()
        for one in (Event, Message, Subscription, WhatsAppSession)
    )
)


def fields_of(calls):
    return [
        pytest.param(method, path, schema, field.data_key or name, id=f"{method} {path} {name}")
        for method, path, schema in calls
        for name, field in schemas.of(schema).fields.items()
    ]


def rows():
    db.session.rollback()
    return db.session.execute(COUNTED).one()


@pytest.fixture
def roomy(app, connected):
    """So that no limit refuses before a field does."""
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], max_sessions=1000)
    subscriptions.add(1, **WEBHOOK, actor="cli")


@pytest.fixture
def holds(api, roomy):
    """Make a call: what is refused left no row behind. The caller itself checks the answer's shape."""
    before = rows()

    def call(method, path, **more):
        nonlocal before
        response = api.call(method, path, **more)
        after = rows()
        assert response.status_code != 500
        assert response.status_code not in (400, 404, 413, 415, 422) or after == before
        before = after

    return call


def test_every_body_and_query_is_fed(described):
    told = [one for methods in described["paths"].values() for one in methods.values() if "tags" in one]
    bodies = [one for one in told if "requestBody" in one]
    queries = [
        one for one in told if any(isinstance(p, dict) and p.get("in") == "query" for p in one["parameters"])
    ]
    assert (len(bodies), len(queries)) == (len(CALLS), len(QUERIES))


@pytest.mark.parametrize(("method", "path", "schema", "field"), fields_of(CALLS))
def test_a_field_of_a_body_takes_no_harm(holds, method, path, schema, field):
    for value in VALUES:
        holds(method, path, json={**GOOD[schema], field: value})


@pytest.mark.parametrize("field", ["kind", "filename", "mimetype", "data"])
def test_a_field_of_a_file_takes_no_harm(holds, field):
    file = {"kind": "document", "filename": "a.txt", "mimetype": "text/plain", "data": "aGFsbw=="}
    for value in VALUES:
        holds("POST", "/api/v1/messages/send/", json={**GOOD["NewMessage"], "media": {**file, field: value}})


@pytest.mark.parametrize(("method", "path", "schema", "field"), fields_of(QUERIES))
def test_a_field_of_a_query_takes_no_harm(holds, method, path, schema, field):
    for text in (*TEXTS, "true", "1e3", "-0", "0x10"):
        holds(method, f"{path}?{field}={quote(text, errors='surrogatepass')}")


@pytest.mark.parametrize(
    "path",
    [
        "GET sessions/status", "GET sessions/qr", "POST sessions/connect", "POST sessions/set-primary",
        "DELETE sessions/delete", "GET messages", "POST messages",
    ],
)  # fmt: skip
def test_an_address_takes_no_harm(holds, path):
    method, _, where = path.partition(" ")
    for text in TEXTS:
        tail = "/cancel/" if path == "POST messages" else "/"
        holds(method, f"/api/v1/{where}/{quote(text, safe='', errors='surrogatepass')}{tail}")


@pytest.mark.parametrize("value", [*VALUES[:3], None, 1, [], DEEP])
def test_a_body_that_is_no_object_takes_no_harm(holds, value):
    for method, path, _schema in CALLS:
        holds(method, path, json=value)


@pytest.mark.parametrize("header", ["Idempotency-Key", "Accept-Language", "Authorization", "X-CSRFToken"])
def test_a_header_takes_no_harm(holds, header):
    for text in TEXTS:
        odd = text.encode("utf-8", "replace").decode("latin-1").replace("\x00", "").replace("\x1b", "")
        holds("POST", "/api/v1/messages/send/", json=GOOD["NewMessage"], headers={header: odd.strip()})
