import csv
import io

import pytest
from markup import read

from wa_admin.extensions import db, writing
from wa_admin.models import Role, User
from wa_admin.services import api_keys, audit, logins


@pytest.fixture
def done(app):
    api_keys.issue(1, "orders-api", actor="admin@example.com")
    audit.record("login_failed", workspace_id=None, actor="panel")


def test_an_admin_reads_it_in_sentences_with_the_raw_entry_beneath(done, admin):
    page = read(admin.get("/activity/audit?action=key_added").text)
    assert page.one("ol", class_="timeline").one("summary").text == "Admin added the API key orders-api"
    facts = page.one("dl", class_="facts").text
    assert "key_added" in facts and audit.verify().head[:8] in admin.get("/activity/audit").text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
def test_nobody_else_does(signed_in, role):
    for path in ("/activity/audit", "/activity/audit.csv"):
        assert signed_in(role).get(path).status_code == 403
    assert "/activity/audit" not in signed_in(role).get("/activity").text


def test_it_is_filtered_by_act_and_by_person(done, admin):
    assert "orders-api" in admin.get("/activity/audit?actor=admin@example.com").text
    assert "orders-api" not in admin.get("/activity/audit?actor=nobody").text
    assert "Nothing is on record" in admin.get("/activity/audit?action=nonsense").text


def test_what_belongs_to_no_workspace_is_for_owners(done, admin):
    path = "/activity/audit?action=login_failed"
    assert "Somebody failed to log in" in admin.get(path).text
    with writing():
        db.session.query(User).update({"is_owner": False})
    logins.forget_cached()
    assert "Somebody failed to log in" not in admin.get(path).text
    assert "login_failed" not in admin.get("/activity/audit.csv").text


def test_it_is_downloaded_as_filtered(done, admin):
    answer = admin.get("/activity/audit.csv?action=key_added")
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    assert [row["object"] for row in csv.DictReader(io.StringIO(answer.text))] == ["orders-api"]


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=-3", "action=%00", "actor=' OR 1=1", "action=" + "x" * 5000]
)
def test_odd_questions_are_answered(done, admin, query):
    assert admin.get(f"/activity/audit?{query}").status_code == 200


def test_html_in_a_name_is_text(admin):
    api_keys.issue(1, "<script>alert(1)</script>", actor="cli")
    assert "<script>alert" not in admin.get("/activity/audit").text
