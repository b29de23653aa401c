import pytest

from wa_admin.extensions import writing
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


def test_a_session_of_another_workspace_is_not_found(app):
    create()
    with pytest.raises(roster.SessionNotFound):
        roster.find(2, 1)


def test_an_inactive_session_refuses_to_send(connected):
    with writing():
        connected.is_active = False
    with pytest.raises(roster.SessionInactive, match="switched off"):
        outbox.send(1, "0812-9999-8888", "Halo", source="cli")
