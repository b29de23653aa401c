"""A form or call takes the fields that it has, whatever else somebody adds."""

import pytest
from sqlalchemy import select
from two_workspaces import FORM, NEEDED, THEIRS, furnish_other_workspace, routes

from wa_admin.extensions import Base, db
from wa_admin.models import Membership, Role, User
from wa_admin.services import api_keys

MORE = {
    "id": str(THEIRS), "user_id": str(THEIRS), "workspace_id": str(THEIRS), "is_owner": "1", "is_admin": "1",
    "password_hash": "x",
    "sealed_key": "x", "created_at": "2020-01-01T00:00:00Z", "sees_all": "1", "actor": "cli", "source": "cli",
    "status": "connected", "linked_number": "628999", "awaits_second_factor": "0", "proved_at": "2099-01-01",
}  # fmt: skip
ALL_ROLES = {"role": "admin", "is_active": "1"}


@pytest.fixture
def furnished(app, stub, connected, make_message):
    make_message(connected)
    furnish_other_workspace()
    return app


def standing():
    """Who is what, and whose each row is."""
    db.session.rollback()
    whose = {
        table.name: sorted(map(tuple, db.session.execute(select(table.c.id, table.c.workspace_id))))
        for table in Base.metadata.sorted_tables
        if {"id", "workspace_id"} <= set(table.c.keys())
    }
    people = sorted(map(tuple, db.session.execute(select(User.id, User.is_owner, User.password_hash))))
    roles = sorted(
        map(tuple, db.session.execute(select(Membership.user_id, Membership.role, Membership.sees_all)))
    )
    return whose, people, roles


@pytest.fixture
def unmoved(furnished):
    """That nobody became more, and no row of the other workspace came or went."""

    def theirs(whose):
        return {name: [row for row in rows if row[1] == THEIRS] for name, rows in whose.items()}

    whose, *people = standing()

    def check():
        whose_now, *people_now = standing()
        assert theirs(whose_now) == theirs(whose) and people_now == people

    return check


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPERATOR])
def test_nobody_makes_themselves_more_than_they_are(furnished, signed_in, unmoved, role):
    client = signed_in(role)
    for method, _endpoint, path, _asks in routes(furnished, 1):
        if method != "GET" and not path.startswith("/api/"):
            client.open(path, method=method, data={**FORM, **MORE, **ALL_ROLES})
    unmoved()


def test_no_call_takes_more_than_is_written_in_its_schema(furnished, client, unmoved):
    headers = {"Authorization": f"Bearer {api_keys.issue(1, 'orders-api', actor='cli')[1]}"}
    refused = 0
    for method, _endpoint, path, _asks in routes(furnished, 1):
        if path.startswith("/api/") and method in ("POST", "PUT", "PATCH"):
            needed = next((one for start, one in NEEDED.items() if path.startswith(start)), {})
            answer = client.open(path, method=method, json={**needed, **MORE}, headers=headers)
            refused += answer.status_code == 400 and "unknown_field" in answer.text
    unmoved()
    assert refused > 8
