from datetime import timedelta

import pytest
from sqlalchemy import event

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import WhatsAppSession
from wa_admin.services import logins


@pytest.fixture
def queries():
    """The statements that reach the database."""
    seen = []

    def note(_connection, _cursor, statement, *_):
        if not statement.startswith(("BEGIN", "PRAGMA", "ROLLBACK")):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("path", ["status", "link/panel"])
def test_a_poll_costs_one_query_even_when_nobody_is_remembered(connected, admin, queries, path):
    url = f"/sessions/{connected.id}/{path}"
    logins.forget_cached()
    queries.clear()
    assert admin.get(url).status_code == 200
    assert len(queries) == 1


def test_an_unchanged_poll_is_204(connected, admin):
    page = admin.get(f"/sessions/{connected.id}/status").text
    version = page.split("v=")[1].split('"')[0].split("&")[0]
    assert admin.get(f"/sessions/{connected.id}/status?v={version}").status_code == 204


def test_a_poll_of_a_login_that_timed_out_is_sent_to_the_login_page(connected, admin):
    logins.forget_cached()
    with writing():
        db.session.execute(
            db.text("UPDATE login_session SET seen_at = :then"),
            {"then": (clock.now() - timedelta(hours=13)).replace(tzinfo=None).isoformat(" ")},
        )
    answer = admin.get(f"/sessions/{connected.id}/status", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert "/login" in answer.headers["HX-Redirect"]


def test_a_proof_of_life_is_news_at_once(connected, admin):
    version = admin.get(f"/sessions/{connected.id}/status").text.split("v=")[1].split("&")[0]
    with writing():
        values = {"last_proof_at": clock.now(), "last_proof": "message"}
        db.session.execute(db.update(WhatsAppSession).values(**values))
    changed = admin.get(f"/sessions/{connected.id}/status?v={version}")
    assert "wa:card" in changed.headers["HX-Trigger"]
    assert "a message came in" in admin.get(f"/sessions/{connected.id}/card").text
