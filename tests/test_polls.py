import re
from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Membership, Role, User, WhatsAppSession, Workspace
from wa_admin.services import logins

POLL = {"HX-Request": "true"}


@pytest.fixture
def url(connected):
    return f"/sessions/{connected.id}/status"


@pytest.fixture
def requests(app):
    """The requests that got as far as Flask."""
    seen = []
    app.before_request_funcs.setdefault(None, []).append(lambda: seen.append(1))
    yield seen
    app.before_request_funcs[None].pop()


def change(model, **values):
    with writing():
        db.session.execute(db.update(model).values(**values))
    logins.forget_cached()


def parts(answer):
    return answer.status_code, answer.text, answer.headers["HX-Trigger"], answer.headers["Cache-Control"]


def test_news_is_told_without_flask_and_just_as_by_the_view(admin, url, requests):
    told = admin.get(url, headers=POLL)
    assert requests == []
    assert parts(told) == parts(admin.get(url))
    assert len(requests) == 1


@pytest.mark.parametrize("role", Role)
def test_everybody_may_see_how_it_is(signed_in, url, role):
    assert "Connected" in signed_in(role).get(url, headers=POLL).text


def test_a_poll_shows_what_is_true_now(admin, url):
    admin.get(url, headers=POLL)
    change(WhatsAppSession, paused_at=clock.now())
    told = admin.get(f"{url}?was=connected", headers=POLL)
    assert "Sending is paused" in told.text and "wa:changed" in told.headers["HX-Trigger"]


def test_times_are_in_the_zone_of_the_account_then_of_the_browser(admin, connected, url):
    change(WhatsAppSession, connected_at=clock.now().replace(hour=0, minute=30))
    admin.set_cookie("__Host-wa_time_zone", "Asia%2FKolkata")  # 5 h 30 min ahead
    assert re.search(r"\b06:00\b", admin.get(url, headers=POLL).text)
    change(User, time_zone="Asia/Kathmandu")  # 5 h 45 min ahead
    assert re.search(r"\b06:15\b", admin.get(url, headers=POLL).text)


@pytest.mark.parametrize("ending", ["revoked", "idle", "inactive"])
def test_a_login_that_is_over_is_told_nothing(app, admin, url, ending):
    assert admin.get(url, headers=POLL).status_code == 200
    if ending == "revoked":
        with writing():
            db.session.execute(db.text("DELETE FROM login_session"))
        logins.forget_cached()
    elif ending == "idle":
        with writing():
            old = (clock.now() - timedelta(hours=13)).replace(tzinfo=None).isoformat(" ")
            db.session.execute(db.text("UPDATE login_session SET seen_at = :old"), {"old": old})
        logins.forget_cached()
    else:
        change(Membership, is_active=False)
    assert admin.get(url, headers=POLL).status_code == 401


def test_a_session_of_another_workspace_is_not_seen(admin, connected, url):
    with writing():
        other = Workspace(name="Elsewhere", created_at=clock.now())
        db.session.add(other)
        db.session.flush()
        db.session.execute(db.update(WhatsAppSession).values(workspace_id=other.id))
    told = admin.get(url, headers=POLL)
    assert told.status_code == 204 and told.headers["HX-Redirect"] == "/"


@pytest.mark.parametrize("page", ["status", "link/panel"])
def test_another_host_and_a_doubtful_question_are_refused(admin, connected, page):
    path = f"/sessions/{connected.id}/{page}"
    assert admin.get(path, headers={**POLL, "Host": "evil.example"}).status_code == 400
    assert admin.get(f"{path}?v=1&v=2", headers=POLL).status_code == 400


def test_a_forged_cookie_is_nobodys(client, url):
    client.set_cookie("wa", "eyJsb2dpbiI6IngifQ.Zz8a2Q.AAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert client.get(url, headers=POLL).status_code == 401


def test_a_code_is_told_by_the_view_only(admin, unlinked, requests):
    admin.get(f"/sessions/{unlinked.id}/link/panel", headers=POLL)
    assert len(requests) == 1
