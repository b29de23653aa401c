import json

import pytest

from wa_admin.extensions import db, writing
from wa_admin.models import Role, User
from wa_admin.services import api_keys, logins, users

PASSWORD = "a quiet harbour at dawn"


def test_somebody_is_let_in_with_a_password_from_stdin(run):
    result = run("users", "add", "sari@toko.id", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    assert result.exit_code == 0 and PASSWORD not in result.output
    assert users.find(1, "sari@toko.id").role == Role.ADMIN
    assert logins.log_in("sari@toko.id", PASSWORD, address="127.0.0.1", agent="test")


def test_a_password_is_typed_twice(run):
    assert run("users", "add", "sari@toko.id", stdin=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0


@pytest.mark.parametrize(
    ("email", "password"), [("no address", PASSWORD), ("sari@toko.id", "short"), ("sari@toko.id", "")]
)
def test_bad_input_lets_nobody_in(run, email, password):
    before = len(users.listed(1))
    result = run("users", "add", email, "--password-stdin", stdin=password + "\n")
    assert result.exit_code == 1 and result.output.startswith("Error: ")
    assert len(users.listed(1)) == before


def test_everybody_is_listed(run):
    assert {one["role"] for one in json.loads(run("users", "list", "--json").output)} == {*Role}
    assert "operator@example.com" in run("users", "list").output


def test_a_role_is_changed(run):
    run("users", "role", "operator@example.com", "supervisor")
    assert users.find(1, "operator@example.com").role == Role.SUPERVISOR


def test_the_last_admin_stays(run):
    result = run("users", "role", "admin@example.com", "operator")
    assert result.exit_code == 1 and "only admin" in result.output


def test_a_new_password_is_set(run):
    run("users", "password", "operator@example.com", "--password-stdin", stdin=PASSWORD + "\n")
    assert logins.log_in("operator@example.com", PASSWORD, address="127.0.0.1", agent="test")


def test_nobody_types_a_password_for_nobody(run):
    result = run("users", "password", "nobody@example.com")
    assert result.exit_code == 1 and "Password" not in result.output


def test_a_key_is_shown_once_and_works(run):
    raw = run("keys", "add", "orders-api").stdout.strip()
    assert api_keys.check(raw).name == "orders-api"
    assert raw not in run("keys", "list").output


def test_a_revoked_key_stops_working(run):
    raw = run("keys", "add", "orders-api").stdout.strip()
    run("keys", "revoke", "orders-api")
    with pytest.raises(api_keys.BadKey):
        api_keys.check(raw)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 61])
def test_a_bad_name_makes_no_key(run, name):
    assert run("keys", "add", name).exit_code == 1
    assert api_keys.listed(1) == []


def test_a_lost_second_factor_is_taken_away(run):
    with writing():
        db.session.query(User).update({"sealed_totp_secret": "sealed", "totp_counter": 7})
    assert run("users", "reset-second-factor", "operator@example.com").exit_code == 0
    db.session.rollback()
    left = dict(db.session.execute(db.select(User.email, User.sealed_totp_secret)).all())
    assert left["operator@example.com"] is None and left["admin@example.com"]
