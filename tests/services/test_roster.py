import pytest

from wa_admin.extensions import db, writing
from wa_admin.services import outbox, roster, sessions


def create():
    return sessions.create(1, "Support line", actor="cli")


def test_an_unknown_name_lists_the_names_there_are(app):
    create()
    with pytest.raises(roster.SessionNotFound, match="There are: Support line"):
        roster.find(1, "marketing")


def test_a_session_is_found_by_number_id_or_name(app):
    wa_session = create()
    for key in (wa_session.id, str(wa_session.id), "support_line", "SUPPORT line"):
        assert roster.find(1, key) is wa_session


@pytest.mark.parametrize("key", ["١", "1²", "01", "+1", "", " ", "\ud800", "1\x00", "9" * 30])
def test_what_only_looks_like_a_number_is_none(app, key):
    create()
    with pytest.raises(roster.SessionNotFound):
        roster.find(1, key)


@pytest.mark.parametrize("held", [{"session_id": "1"}, {"name": "1"}])
def test_a_number_that_another_session_is_called_by_is_refused(make_session, held):
    first, second = make_session("One"), make_session(**{"name": "Two", **held})
    with pytest.raises(roster.AmbiguousSession, match=rf"One \(1, one\); {second.name} \(2, ") as refusal:
        roster.find(1, "1")
    assert (refusal.value.status, roster.find(1, 1), roster.find(1, "2")) == (409, first, second)


def test_a_name_that_is_the_id_of_another_session_is_refused(make_session):
    make_session("Main", session_id="main_2")
    make_session("Old", session_id="main")
    with pytest.raises(roster.AmbiguousSession):
        roster.to_send_from(1, "main")


def test_a_session_may_be_called_by_its_own_number(make_session):
    only = make_session("1", session_id="1")
    assert roster.find(1, "1") is only


def test_a_session_of_another_workspace_is_not_found(app):
    create()
    with pytest.raises(roster.SessionNotFound):
        roster.find(2, 1)


def test_an_inactive_session_refuses_to_send(connected):
    with writing():
        connected.is_active = False
    with pytest.raises(roster.SessionInactive, match="switched off"):
        outbox.send(1, "0812-9999-8888", "Halo", source="cli")


def test_the_default_one_is_whole_whether_it_was_known_before_or_not(connected):
    db.session.expunge_all()
    for _ in range(2):
        with writing():
            found = roster.to_send_from(1, None)
            assert (found.id, found.name, found.linked_number) == (1, "Support line", "6281234567890")
            assert found.gateway.kind == "bundled"


def test_a_default_that_is_changed_in_this_transaction_is_seen(connected, make_session):
    other = make_session("Other")
    with writing():
        for id, is_default in ((connected.id, False), (other.id, True)):
            row = f"UPDATE whatsapp_session SET is_default = {is_default} WHERE id = {id}"
            db.session.execute(db.text(row))
        assert roster.to_send_from(1, None).name == "Other"
