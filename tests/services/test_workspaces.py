import threading

import pytest
from chatting import hear
from people import PASSWORD
from two_workspaces import THEIRS, furnish_other_workspace

from wa_admin import plain
from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import db, writing
from wa_admin.models import ApiKey, Attachment, Event, Invitation, LoginSession, Role, WhatsAppSession
from wa_admin.services import api_keys, invitations, logins, roster, sessions, users, workspaces


@pytest.fixture
def owner(app):
    return logins.identify(logins.log_in("admin@example.com", PASSWORD, address="::1", agent=""))


@pytest.fixture
def shop(owner):
    return workspaces.add("Toko Sari", owner=owner, actor=owner.email)


def test_who_adds_a_workspace_becomes_its_admin(owner, shop):
    assert users.find(shop.id, owner.email).role == Role.ADMIN
    assert [one.name for one in workspaces.of_person(owner.user_id)] == [workspaces.find(1).name, "Toko Sari"]


@pytest.mark.parametrize("name", ["Toko Sari", "TOKO SARI", " toko sari "])
def test_two_workspaces_do_not_have_one_name(shop, name):
    with pytest.raises(workspaces.NameTaken):
        workspaces.add(name, actor="cli")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 81])
def test_a_name_is_one_visible_line(app, name):
    with pytest.raises(plain.UnfitText):
        workspaces.add(name, actor="cli")


def test_a_workspace_is_renamed(shop):
    workspaces.rename("toko sari", "Toko Dewi", actor="cli")
    assert workspaces.find(shop.id).name == "Toko Dewi"


def test_it_may_keep_its_name(shop):
    assert workspaces.rename(shop.id, "Toko Sari", actor="cli").name == "Toko Sari"


def test_there_is_no_word_of_workspaces_before_a_second_one(app):
    assert workspaces.name_of(1) is None


def test_each_workspace_has_a_default_session_and_a_limit_of_its_own(app, shop):
    for workspace_id in (1, shop.id):
        sessions.create(workspace_id, "Support line", actor="cli")
        assert roster.default(workspace_id).name == "Support line"
        with pytest.raises(sessions.LimitReached):
            sessions.create(workspace_id, "Another", actor="cli")


def test_the_same_name_may_be_used_in_both(app, shop):
    mine, theirs = (sessions.create(id, "Support line", actor="cli") for id in (1, shop.id))
    assert mine.session_id != theirs.session_id and mine.instance != theirs.instance


def test_one_goes_from_one_to_another(owner, shop):
    workspaces.enter(owner, shop.id)
    row = db.session.get_one(LoginSession, owner.login_id)
    assert row.workspace_id == shop.id


def test_nobody_enters_where_they_do_not_belong(app, shop):
    operator = logins.identify(logins.log_in("operator@example.com", PASSWORD, address="::1", agent=""))
    with pytest.raises(workspaces.WorkspaceNotFound):
        workspaces.enter(operator, shop.id)


def test_nobody_enters_where_they_are_kept_out(owner, shop):
    users.add(shop.id, "sari@toko.id", "Sari", PASSWORD, Role.ADMIN, actor="cli")
    users.set_active(shop.id, owner.email, False, actor="cli")
    with pytest.raises(workspaces.WorkspaceNotFound):
        workspaces.enter(owner, shop.id)
    workspaces.join_as_owner(owner, shop.id)
    assert users.find(shop.id, owner.email).is_active


def test_an_empty_workspace_goes_with_all_that_is_in_it(owner, shop):
    api_keys.issue(shop.id, "orders-api", actor="cli")
    invitations.issue(shop.id, "sari@toko.id", Role.ADMIN, actor="cli")
    workspaces.enter(owner, shop.id)
    assert workspaces.remove(shop.id, actor="cli") == "Toko Sari"
    assert db.session.query(ApiKey).count() == db.session.query(Invitation).count() == 0
    assert db.session.query(Event).filter_by(workspace_id=shop.id).count() == 0
    assert db.session.get_one(LoginSession, owner.login_id).workspace_id == 1


def test_files_of_its_chats_go_with_it(shop, make_session):
    theirs = make_session("Theirs", workspace_id=shop.id)
    hear(theirs, kind="image", file=FileSeen("image/png", "a.png", content=b"\x89PNG\r\n\x1a\n" + b"0" * 90))
    with writing():
        db.session.delete(db.session.merge(theirs))
    workspaces.remove(shop.id, actor="cli")
    assert db.session.query(Attachment).count() == 0


def test_the_only_workspace_stays(app):
    with pytest.raises(workspaces.LastWorkspace):
        workspaces.remove(1, actor="cli")


def test_a_workspace_with_sessions_messages_or_its_own_people_stays(app, make_session):
    furnish_other_workspace()
    for what in ("sessions", "messages", "Zebra Person"):
        with pytest.raises(workspaces.NotEmpty, match=what):
            workspaces.remove(THEIRS, actor="cli")
        with writing():
            if what == "sessions":
                db.session.query(WhatsAppSession).filter_by(workspace_id=THEIRS).delete()
            else:
                db.session.execute(db.text("DELETE FROM message WHERE workspace_id = 777"))


def test_of_two_who_take_one_name_at_once_one_gets_it(app):
    met = []

    def add():
        with app.app_context():
            try:
                met.append(workspaces.add("Toko Sari", actor="cli").name)
            except workspaces.NameTaken:
                met.append(None)

    threads = [threading.Thread(target=add) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(str, met)) == ["None", "None", "None", "Toko Sari"]
