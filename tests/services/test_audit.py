import csv
import dataclasses
import io
import json

import pytest
from people import PASSWORD
from sqlalchemy.exc import DatabaseError

from wa_admin.extensions import db, writing
from wa_admin.models import AuditEntry, Role
from wa_admin.permissions import Permission
from wa_admin.services import api_keys, audit, logins, second_factor, sessions, timeline, users


def entries(action=None):
    db.session.rollback()
    query = db.select(AuditEntry).order_by(AuditEntry.id)
    return list(db.session.scalars(query.filter_by(action=action) if action else query))


def tamper(statement, **values):
    """As somebody would who has the file and no respect for triggers."""
    with writing():
        if db.engine.dialect.name == "postgresql":
            db.session.execute(db.text("SET LOCAL session_replication_role = replica"))
        else:
            for act in ("update", "delete"):
                db.session.execute(db.text(f"DROP TRIGGER IF EXISTS audit_entry_no_{act}"))
        db.session.execute(db.text(statement), values)


@pytest.fixture
def three(app):
    """The numbers of three entries in a row."""
    for name in ("one", "two", "three"):
        api_keys.issue(1, name, actor="admin@example.com")
    return [entry.id for entry in entries("key_added")]


def test_an_act_leaves_one_entry_with_who_did_what_to_whom(app):
    users.set_role(1, "operator@example.com", Role.SUPERVISOR, actor="admin@example.com")
    [entry] = entries("role_changed")
    assert (entry.actor, entry.object, entry.workspace_id) == (
        "admin@example.com",
        "operator@example.com",
        1,
    )
    assert (entry.detail["was"], entry.detail["role"]) == ("operator", "supervisor")


def test_what_a_page_did_is_kept_with_role_address_and_request(admin):
    answer = admin.post("/settings/account", data={"name": "Sari", "theme": "dark"})
    [entry] = entries("user_edited")
    assert (entry.role, entry.address) == ("admin", "127.0.0.1")
    assert entry.request_id == answer.headers["X-Request-ID"]


def test_an_act_that_failed_leaves_nothing(app):
    before = len(entries())
    with pytest.raises(ZeroDivisionError), writing():
        audit.record("try", workspace_id=1, actor="cli")
        _ = 1 / 0
    with writing():
        timeline.record(None, "status", workspace_id=1, actor="gateway")
    assert len(entries()) == before


def test_what_gateways_and_checks_report_stays_out(connected):
    before = len(entries())
    with writing():
        for actor in ("gateway", "check", "scheduler", "phone"):
            timeline.record(connected, "status", workspace_id=1, actor=actor)
    assert len(entries()) == before


def test_the_chain_holds(three):
    verdict = audit.verify()
    assert verdict.broken_id is None and verdict.count == len(entries())
    assert verdict.head == entries()[-1].hash


@pytest.mark.parametrize(
    "column", ["actor", "action", "object", "role", "address", "detail", "at", "request_id", "hash"]
)
def test_a_changed_entry_is_found(three, column):
    value = {"detail": '{"name": "x"}', "at": "2026-01-01 00:00:00.000000"}.get(column, "x")
    tamper(f"UPDATE audit_entry SET {column} = :value WHERE id = :id", value=value, id=three[1])
    assert audit.verify().broken_id == three[1]


def test_a_removed_entry_is_found_at_the_next_one(three):
    tamper("DELETE FROM audit_entry WHERE id = :id", id=three[1])
    assert audit.verify().broken_id == three[2]


def test_entries_that_changed_places_are_found(three):
    tamper("UPDATE audit_entry SET id = 999999 WHERE id = :id", id=three[1])
    assert audit.verify().broken_id == three[2]


def test_a_log_that_was_cut_off_lacks_the_hash_that_was_noted(three):
    head = audit.verify().head
    assert audit.verify(head).knows_hash
    tamper("DELETE FROM audit_entry WHERE id = :id", id=three[2])
    verdict = audit.verify(head)
    assert verdict.broken_id is None and not verdict.knows_hash


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"])
def test_the_schema_refuses_to_change_or_remove(three, statement):
    before = audit.verify()
    with pytest.raises(DatabaseError, match="append-only"), writing():
        db.session.execute(db.text(statement))
    assert audit.verify() == before


def test_logins_that_fail_are_kept_for_unknown_people_too(client):
    for email in ("operator@example.com", "nobody@example.com"):
        client.post("/login", data={"email": email, "password": "not the password"})
    known, unknown = entries("login_failed")
    assert (known.object, known.workspace_id) == ("operator@example.com", 1)
    assert (unknown.object, unknown.workspace_id, unknown.address) == ("", None, "127.0.0.1")


def test_a_refused_permission_is_kept(signed_in):
    signed_in(Role.OPERATOR).get("/settings/people")
    [entry] = entries("permission_denied")
    assert (entry.actor, entry.role, entry.object) == (
        "operator@example.com",
        "operator",
        "people.index",
    )


def test_no_secret_gets_into_it(app):
    _, raw = api_keys.issue(1, "orders-api", actor="cli")
    users.set_password(1, "operator@example.com", "a quiet harbour at dawn", actor="cli")
    logins.log_in("admin@example.com", PASSWORD, address="::1", agent="x")
    kept = json.dumps([[entry.detail, entry.object, entry.actor] for entry in entries()])
    assert all(secret not in kept for secret in (raw, raw[-4:], "a quiet harbour", PASSWORD))


def test_another_workspace_is_not_seen(app):
    audit.record("elsewhere", workspace_id=2, actor="cli")
    audit.record("nowhere", workspace_id=None, actor="panel")
    assert {"elsewhere", "nowhere"}.isdisjoint(audit.actions(1))
    assert "nowhere" in audit.actions(1, all_of_it=True)


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_takes_nothing_for_a_formula(app, begins):
    audit.record("odd", workspace_id=1, actor=f"{begins}cmd|' /C calc'!A0", object=f"{begins}1+1")
    rows = list(csv.DictReader(io.StringIO("".join(audit.export(1, action="odd")), newline="")))
    assert rows[0]["object"] == f"'{begins}1+1" and rows[0]["actor"].startswith("'")


def test_the_export_holds_every_entry_once(app):
    with writing():
        for number in range(audit.AT_A_TIME + 3):
            audit.record("many", workspace_id=1, actor="cli", object=str(number))
    rows = list(csv.DictReader(io.StringIO("".join(audit.export(1, action="many")))))
    assert [int(row["object"]) for row in rows] == [*range(audit.AT_A_TIME + 3)]


def test_a_page_of_it_goes_on(app):
    sessions.create(1, "Support", actor="cli")
    first = audit.page(1, limit=1)
    assert first.items[0].action == "session_created" and first.next_cursor is not None
    assert audit.page(1, cursor=first.next_cursor, limit=1).items[0].id < first.items[0].id


def test_a_key_that_may_not_is_kept_once_a_minute(client):
    _, raw = api_keys.issue(1, "orders-api", actor="cli", scopes=[Permission.LOOK])
    headers = {"Authorization": f"Bearer {raw}"}
    for _ in range(3):
        assert client.post("/api/v1/messages/send/", json={}, headers=headers).status_code == 403
    [entry] = entries("permission_denied")
    assert (entry.actor, entry.object) == ("key:orders-api", "api_v1.send")


def test_a_change_says_what_was_and_what_is(connected):
    sessions.edit(1, connected.id, name="Sales", phone_number="+62 812-3456-7890", actor="admin@example.com")
    [entry] = entries("session_edited")
    assert entry.detail["was"]["name"] == "Support line" and entry.detail["now"]["name"] == "Sales"
    assert entry.detail["now"].get("phone_number", "+62***890") == "+62***890"


def test_a_change_of_a_sealed_column_tells_nothing_of_it(connected):
    told = audit.difference(connected, {"sealed_token": "gAAAAA-new", "description": None})
    assert told["now"]["sealed_token"] == "[secret]" and "gAAAAA" not in str(told)


ACTS = {
    "session_created": lambda: sessions.create(1, "Sales", actor="cli"),
    "paused": lambda: sessions.pause(1, 1, actor="cli"),
    "key_added": lambda: api_keys.issue(1, "app", actor="cli"),
    "user_added": lambda: users.add(1, "a@toko.id", "A", "kopi susu di teras", Role.OPERATOR, actor="cli"),
    "password_changed": lambda: users.set_password(
        1, "operator@example.com", "kopi susu di teras", actor="cli"
    ),
    "login": lambda: logins.log_in("operator@example.com", PASSWORD, address="::1", agent=""),
    "second_factor_reset": lambda: second_factor.reset(1, "operator@example.com", by=None, actor="cli"),
}


@pytest.mark.parametrize("action", ACTS)
def test_each_act_leaves_exactly_one_entry(app, make_session, action):
    app.config["SETTINGS"] = dataclasses.replace(app.config["SETTINGS"], max_sessions=5)
    make_session()
    before = {entry.id for entry in entries()}
    ACTS[action]()
    assert [entry.action for entry in entries() if entry.id not in before] == [action]
