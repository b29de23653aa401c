"""What nobody can type, in every field of every form and in every question of an address."""

from urllib.parse import urlsplit

import pytest
from chatting import hear
from markup import read
from two_workspaces import routes

from wa_admin.models import Role
from wa_admin.services import api_keys, subscriptions

pytestmark = pytest.mark.postgresql  # which keeps less than SQLite: no text with a NUL in it
ODD = "a\0b"
ASKED = ("action", "actor", "cursor", "ids", "next", "q", "session", "status", "text", "topic", "v", "was")


@pytest.fixture
def furnished(app, stub, connected, make_message):
    make_message(connected, status="failed", error_code="rejected")
    hear(connected, "1")
    api_keys.issue(1, "orders-api", actor="cli")
    subscriptions.add(1, "orders-app", "https://93.184.216.34/hook", ["message.status"], actor="cli")
    return app


def addresses(app):
    """Of pages and fragments."""
    found = ((method, path) for method, _, path, _ in routes(app, 1))
    return [path for method, path in found if method == "GET" and not path.startswith(("/api/", "/static/"))]


def forms(client, paths):
    """(method, address, fields with what is in them) of each form that differs from the others."""
    found = {}
    for path in paths:
        answer = client.get(path, headers={"Accept": "text/html"})
        for form in read(answer.text).all("form") if answer.status_code == 200 else ():
            address = urlsplit(form.attributes.get("action") or path).path
            named = [one for tag in ("input", "textarea", "select") for one in form.all(tag) if "name" in one]
            fields = {one["name"]: one.attributes.get("value") or "" for one in named}
            method = (form.attributes.get("method") or "get").upper()
            found[method, address, frozenset(fields)] = fields
    return [(method, address, fields) for (method, address, _), fields in found.items()]


def test_no_form_falls_over(furnished, signed_in):
    fallen, count = [], 0
    for method, address, fields in forms(signed_in(Role.ADMIN), addresses(furnished)):
        client = signed_in(Role.ADMIN)  # some forms end the log-in
        for name in fields:
            where = "query_string" if method == "GET" else "data"
            answer = client.open(address, method=method, **{where: fields | {name: ODD}})
            fallen += [(method, address, name)] * (answer.status_code == 500)
            count += 1
    assert fallen == [] and count > 100, count


def test_no_login_falls_over(client):
    typed = {"email": "a@example.com", "password": "x"}
    for name in typed:
        assert client.post("/login", data=typed | {name: ODD}).status_code == 401


def test_no_question_falls_over(furnished, signed_in):
    client = signed_in(Role.ADMIN)
    asked = [(path, name) for path in addresses(furnished) for name in ASKED]
    answers = (client.get(path, query_string={name: ODD}) for path, name in asked)
    assert [one for one, answer in zip(asked, answers, strict=True) if answer.status_code == 500] == []
