from datetime import timedelta

import pytest
from sqlalchemy import select

from wa_admin import clock, plain
from wa_admin.extensions import db, writing
from wa_admin.models import ApiKey, Event
from wa_admin.permissions import KEY_SCOPES, Permission
from wa_admin.services import api_keys, roster


@pytest.fixture
def issued(app):
    """The key of an app, as text."""
    return api_keys.issue(1, "orders-api", actor="sari@toko.id")[1]


def test_a_key_says_which_app_calls(issued):
    assert api_keys.check(issued).actor == "key:orders-api"


def test_a_key_has_256_random_bits(issued):
    assert issued.startswith("wak_") and len(issued) == 4 + 43


def test_the_database_does_not_give_a_key_away(issued):
    row = db.session.execute(select(ApiKey.__table__)).one()
    assert row.last_four == issued[-4:] and issued not in str(row)


@pytest.mark.parametrize(
    "raw", ["", "wak_", "wak_made_up", "Bearer", "wak_" + "x" * 5000, "wak_\x00", "wak_ñ"]
)
def test_what_was_never_issued_is_refused(issued, raw):
    with pytest.raises(api_keys.BadKey):
        api_keys.check(raw)


def test_a_revoked_key_stops_at_once(issued):
    assert api_keys.check(issued)
    api_keys.revoke(1, "orders-api", actor="sari@toko.id")
    with pytest.raises(api_keys.BadKey):
        api_keys.check(issued)


def test_a_name_in_use_is_not_given_twice(issued):
    with pytest.raises(api_keys.NameTaken) as refusal:
        api_keys.issue(1, "orders-api", actor="sari@toko.id")
    assert refusal.value.field == "name"


def test_a_revoked_key_leaves_its_name_to_the_next(issued):
    api_keys.revoke(1, "orders-api", actor="sari@toko.id")
    _key, raw = api_keys.issue(1, "orders-api", actor="sari@toko.id")
    assert api_keys.check(raw) and [key.name for key in api_keys.listed(1)] == ["orders-api"]


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\nb", "\x07"])
def test_a_key_needs_a_name_of_one_line(app, name):
    with pytest.raises(plain.UnfitText):
        api_keys.issue(1, name, actor="cli")


def test_use_is_noted_once_a_minute(issued):
    api_keys.check(issued)
    first = db.session.scalar(select(ApiKey.last_used_at))
    api_keys.check(issued)
    assert db.session.scalar(select(ApiKey.last_used_at)) == first
    with writing():
        db.session.query(ApiKey).update({"last_used_at": first - timedelta(minutes=2)})
    api_keys.check(issued)
    assert db.session.scalar(select(ApiKey.last_used_at)) >= first


def test_a_check_is_one_query(issued, on_statement):
    api_keys.check(issued)
    queries = []
    on_statement(lambda *args: queries.append(args[2]))
    api_keys.check(issued)
    assert [query.split()[0] for query in queries] == ["SELECT"]


def test_keys_of_another_workspace_are_out_of_reach(issued):
    with pytest.raises(api_keys.KeyNotFound):
        api_keys.revoke(2, "orders-api", actor="mallory@else.id")


def test_adding_and_revoking_are_lines_of_the_timeline(issued):
    api_keys.revoke(1, "orders-api", actor="sari@toko.id")
    lines = db.session.scalars(select(Event).order_by(Event.id.desc()).limit(2)).all()
    assert [(line.kind, line.detail) for line in lines] == [
        ("key_revoked", {"name": "orders-api"}),
        ("key_added", {"name": "orders-api"}),
    ]


# --- what a key is limited to --------------------------------------------------------------------


def test_a_key_may_everything_unless_told_otherwise(app):
    _key, raw = api_keys.issue(1, "a", actor="cli")
    assert api_keys.check(raw).scopes == set(KEY_SCOPES) and api_keys.check(raw).sees_all


@pytest.mark.parametrize("scopes", [[], [Permission.OWN], [Permission.PAUSE, Permission.LOOK]])
def test_only_scopes_that_there_are(app, scopes):
    with pytest.raises(api_keys.UnfitScopes):
        api_keys.issue(1, "a", scopes=scopes, actor="cli")


def test_a_key_that_manages_is_for_all_sessions(connected):
    with pytest.raises(api_keys.UnfitScopes):
        api_keys.issue(1, "a", session_ids=[connected.id], actor="cli")


def test_no_session_is_not_all_sessions(app):
    with pytest.raises(api_keys.UnfitScopes):
        api_keys.issue(1, "a", scopes=[Permission.LOOK], session_ids=[], actor="cli")


def test_a_session_that_is_not_there_makes_no_key(app):
    with pytest.raises(roster.SessionNotFound):
        api_keys.issue(1, "a", scopes=[Permission.LOOK], session_ids=[9], actor="cli")
    assert api_keys.listed(1) == []


def test_a_key_ends_by_itself_and_makes_room(app):
    _key, raw = api_keys.issue(1, "a", expires_at=clock.now() + timedelta(seconds=60), actor="cli")
    assert api_keys.check(raw)
    with writing():
        db.session.query(ApiKey).update({"expires_at": clock.now() - timedelta(seconds=1)})
    with pytest.raises(api_keys.BadKey):
        api_keys.check(raw)
    assert api_keys.check(api_keys.issue(1, "a", actor="cli")[1])


def test_a_key_does_not_begin_expired(app):
    with pytest.raises(api_keys.UnfitScopes):
        api_keys.issue(1, "a", expires_at=clock.now(), actor="cli")


def test_a_key_of_a_session_that_is_gone_sees_nothing(connected):
    _key, raw = api_keys.issue(1, "a", scopes=[Permission.LOOK], session_ids=[connected.id], actor="cli")
    with writing():
        db.session.delete(roster.find(1, connected.id))
    assert not api_keys.check(raw).sees_all
