import threading

import pytest
from people import PASSWORD
from sqlalchemy import select

from wa_admin import clock, passwords, plain
from wa_admin.extensions import db, writing
from wa_admin.models import Event, LoginSession, Role, SetupToken, User
from wa_admin.services import logins, roster, users, workspaces

ANOTHER = "kopi susu di teras rumah"


@pytest.fixture
def nobody(app):
    """A panel that was started for the first time."""
    with writing():
        db.session.query(User).delete()
    return app


@pytest.fixture
def sari(app):
    return users.add(1, "sari@toko.id", "Sari", ANOTHER, Role.OPERATOR, actor="cli")


def set_up(token, email="sari@toko.id"):
    return users.set_up(token, email, "Sari", PASSWORD, address="127.0.0.1", agent="test")


def test_somebody_added_can_log_in(sari):
    assert (
        logins.identify(logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="")).role == Role.OPERATOR
    )


def test_the_first_admin_owns_the_panel_and_no_later_one(nobody):
    first = users.add(1, "sari@toko.id", "Sari", ANOTHER, Role.ADMIN, actor="cli")
    second = users.add(1, "budi@toko.id", "Budi", ANOTHER, Role.ADMIN, actor="cli")
    assert (first.user.is_owner, second.user.is_owner) == (True, False)


def test_an_address_is_kept_in_lower_case(app):
    assert (
        users.add(1, "  Sari@Toko.ID ", "Sari", ANOTHER, Role.OPERATOR, actor="cli").email == "sari@toko.id"
    )


def test_an_office_address_nobody_outside_can_reach_is_fine(app):
    assert users.checked_email("sari@kantor.local") == "sari@kantor.local"


def test_the_same_address_is_not_added_twice(sari):
    with pytest.raises(users.EmailTaken) as refusal:
        users.add(1, "SARI@toko.id", "Sari too", ANOTHER, Role.OPERATOR, actor="cli")
    assert refusal.value.field == "email"


@pytest.mark.parametrize(
    "email", ["", "sari", "sari@", "@toko.id", "sa ri@toko.id", "a@b\r\nBcc: c@d.id", "x" * 90]
)
def test_what_is_no_address_is_refused(app, email):
    with pytest.raises(plain.UnfitText) as refusal:
        users.add(1, email, "Sari", ANOTHER, Role.OPERATOR, actor="cli")
    assert refusal.value.field == "email"


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 81, "Sa\x00ri", "Sari\nBudi", "\u202eirsa", "\u200b\u200d"]
)
def test_a_name_is_one_visible_line(app, name):
    with pytest.raises(plain.UnfitText) as refusal:
        users.add(1, "sari@toko.id", name, ANOTHER, Role.OPERATOR, actor="cli")
    assert refusal.value.field == "name"


def test_a_name_may_hold_emoji_and_html(app):
    name = "Sari 👩🏽‍💻 <b>&"
    assert users.add(1, "sari@toko.id", name, ANOTHER, Role.OPERATOR, actor="cli").name == name


def test_adding_somebody_is_one_line_of_the_timeline(sari):
    line = db.session.scalars(
        select(Event).filter_by(kind="user_added", actor="cli").order_by(Event.id.desc())
    ).first()
    assert line.detail == {"email": "sari@toko.id", "role": "operator"}


def test_a_refused_person_leaves_nothing_behind(app):
    before = db.session.query(Event).count(), db.session.query(User).count()
    with pytest.raises(passwords.UnfitPassword):
        users.add(1, "sari@toko.id", "Sari", "password1234", Role.OPERATOR, actor="cli")
    assert (db.session.query(Event).count(), db.session.query(User).count()) == before


def test_the_setup_token_makes_the_first_admin(nobody):
    login = set_up(users.issue_setup_token())
    assert logins.identify(login).role == Role.ADMIN


def test_only_the_hash_of_the_setup_token_is_kept(nobody):
    token = users.issue_setup_token()
    assert token not in db.session.scalars(select(SetupToken.token_hash)).all()


def test_a_used_setup_token_is_over(nobody):
    token = users.issue_setup_token()
    set_up(token)
    with pytest.raises(users.SetupOver):
        set_up(token, "budi@toko.id")


def test_a_newer_setup_token_replaces_the_older_one(nobody):
    older = users.issue_setup_token()
    users.issue_setup_token()
    with pytest.raises(users.SetupOver):
        users.check_setup_token(older)


def test_a_setup_token_runs_out(nobody):
    token = users.issue_setup_token()
    with writing():
        row = db.session.scalars(select(SetupToken)).one()
        row.expires_at -= users.SETUP_LASTS
    with pytest.raises(users.SetupOver):
        set_up(token)


def test_no_setup_token_is_issued_once_there_is_somebody(app):
    with pytest.raises(users.NoSetup):
        users.issue_setup_token()


def test_a_refused_setup_leaves_the_token_usable(nobody):
    token = users.issue_setup_token()
    with pytest.raises(plain.UnfitText):
        set_up(token, "no address")
    assert logins.identify(set_up(token))


def test_of_two_setups_at_once_one_wins(nobody):
    token, outcomes, start = users.issue_setup_token(), [], threading.Barrier(2)

    def try_it(email):
        with nobody.app_context():
            start.wait()
            try:
                outcomes.append(set_up(token, email))
            except users.SetupOver as refusal:
                outcomes.append(refusal)

    racers = [threading.Thread(target=try_it, args=(f"{name}@toko.id",)) for name in ("sari", "budi")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SetupOver", "str"]
    db.session.rollback()
    assert db.session.query(User).count() == 1


def test_another_role_ends_the_logins(sari):
    token = logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="")
    users.set_role(1, "sari@toko.id", Role.SUPERVISOR, actor="cli")
    assert logins.identify(token) is None


def test_the_last_admin_stays_one(app):
    with pytest.raises(users.LastAdmin):
        users.set_role(1, "admin@example.com", Role.OPERATOR, actor="cli")


def test_the_last_admin_is_not_kept_out(app):
    with pytest.raises(users.LastAdmin):
        users.set_active(1, "admin@example.com", False, actor="cli")


def test_of_two_admins_one_may_leave(sari):
    users.set_role(1, sari.id, Role.ADMIN, actor="cli")
    users.set_active(1, "admin@example.com", False, actor="cli")
    assert not users.find(1, "admin@example.com").is_active


def test_two_admins_demoting_each_other_leave_one(app, sari):
    users.set_role(1, sari.id, Role.ADMIN, actor="cli")
    start, refused = threading.Barrier(2), []

    def demote(email):
        with app.app_context():
            start.wait()
            try:
                users.set_role(1, email, Role.OPERATOR, actor="cli")
            except users.LastAdmin as refusal:
                refused.append(refusal)

    racers = [
        threading.Thread(target=demote, args=(email,)) for email in ("sari@toko.id", "admin@example.com")
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(refused) == 1


def test_a_new_password_ends_the_other_logins(sari):
    here, elsewhere = (logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="") for _ in range(2))
    users.set_password(
        1, sari.id, PASSWORD, keep_login_id=logins.identify(here).login_id, actor="sari@toko.id"
    )
    assert logins.identify(here) and not logins.identify(elsewhere)


def test_the_old_password_no_longer_works(sari):
    users.set_password(1, sari.id, PASSWORD, actor="cli")
    with pytest.raises(logins.WrongPassword):
        logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="")


def test_people_of_another_workspace_are_not_found(sari):
    with pytest.raises(users.UserNotFound):
        users.find(2, "sari@toko.id")


@pytest.mark.parametrize(
    ("field", "value"),
    [("theme", "pink"), ("language", "xx"), ("time_zone", "Asia/Nowhere"), ("time_zone", "../x")],
)
def test_a_preference_is_one_of_the_list(sari, field, value):
    wished = {"name": "Sari", "language": None, "time_zone": None, "theme": "dark", field: value}
    with pytest.raises(users.UnfitPreference) as refusal:
        users.edit_profile(1, sari.id, **wished, actor="sari@toko.id")
    assert refusal.value.field == field


def test_a_profile_is_changed_at_once_for_a_login(sari):
    token = logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="")
    assert logins.identify(token).theme == "system"
    users.edit_profile(
        1, sari.id, name="Sari W", language="en", time_zone="Asia/Jakarta", theme="dark", actor="x"
    )
    assert (logins.identify(token).name, logins.identify(token).theme) == ("Sari W", "dark")


def test_a_made_password_may_be_used(app):
    assert passwords.checked(users.new_password())


def test_who_only_knows_the_password_was_not_seen(sari):
    with writing():
        logins.start("t", sari.id, 1, address="::1", agent="", now=clock.now(), awaits_second_factor=True)
    assert users.last_seen(1) == {}


def test_last_seen_names_who_is_logged_in(sari):
    logins.log_in("sari@toko.id", ANOTHER, address="::1", agent="")
    row = db.session.scalars(select(LoginSession).filter_by(user_id=sari.id)).one()
    assert users.last_seen(1) == {sari.id: row.seen_at}


# --- more than one workspace, and only some of the sessions --------------------------------------


@pytest.fixture
def elsewhere(app):
    """Another workspace, which Operator belongs to as well."""
    made = workspaces.add("Toko Sari", actor="cli")
    for email in ("operator@example.com", "admin@example.com"):
        users.add_known(made.id, email, Role.ADMIN, actor="cli")
    return made


def test_an_admin_gets_no_hold_of_an_account_that_opens_another_workspace(elsewhere):
    with pytest.raises(users.BelongsElsewhere):
        users.reset_password(1, "operator@example.com", ANOTHER, by_owner=False, actor="cli")
    assert logins.log_in("operator@example.com", PASSWORD, address="::1", agent="")


def test_an_admin_gets_no_hold_of_an_owners_account(app):
    with pytest.raises(users.BelongsElsewhere):
        users.reset_password(1, "admin@example.com", ANOTHER, by_owner=False, actor="cli")


def test_an_owner_may_reset_any_password(elsewhere):
    users.reset_password(1, "operator@example.com", ANOTHER, by_owner=True, actor="cli")
    assert logins.log_in("operator@example.com", ANOTHER, address="::1", agent="")


def test_an_admin_may_reset_who_belongs_here_alone(app):
    users.reset_password(1, "supervisor@example.com", ANOTHER, by_owner=False, actor="cli")
    assert logins.log_in("supervisor@example.com", ANOTHER, address="::1", agent="")


def test_who_is_kept_out_here_is_not_kept_out_elsewhere(elsewhere):
    users.set_active(1, "operator@example.com", False, actor="cli")
    token = logins.log_in("operator@example.com", PASSWORD, address="::1", agent="")
    assert logins.identify(token).workspace_id == elsewhere.id


def test_a_role_here_is_none_elsewhere(elsewhere):
    assert users.find(1, "operator@example.com").role == Role.OPERATOR
    assert users.find(elsewhere.id, "operator@example.com").role == Role.ADMIN


def test_an_operator_is_given_sessions_and_gets_all_back(make_session):
    one, _two = make_session("One"), make_session("Two")
    users.assign(1, "operator@example.com", [one.id], actor="cli")
    member = users.find(1, "operator@example.com")
    assert not member.sees_all and users.assigned(1) == {member.id: {one.id: "One"}}
    users.assign(1, "operator@example.com", None, actor="cli")
    assert users.assigned(1) == {}


def test_a_session_of_another_workspace_is_not_assigned(make_session, elsewhere):
    theirs = make_session("Theirs", workspace_id=elsewhere.id, is_default=True)
    with pytest.raises(roster.SessionNotFound):
        users.assign(1, "operator@example.com", [theirs.id], actor="cli")
    assert users.find(1, "operator@example.com").sees_all


def test_assigned_here_changes_nothing_elsewhere(make_session, elsewhere):
    users.set_role(elsewhere.id, "operator@example.com", Role.OPERATOR, actor="cli")
    one, theirs = make_session("One"), make_session("Theirs", workspace_id=elsewhere.id, is_default=True)
    users.assign(elsewhere.id, "operator@example.com", [theirs.id], actor="cli")
    users.assign(1, "operator@example.com", [one.id], actor="cli")
    users.assign(1, "operator@example.com", None, actor="cli")
    assert list(users.assigned(elsewhere.id).values()) == [{theirs.id: "Theirs"}]


def test_only_an_operator_is_limited(connected):
    with pytest.raises(users.SeesAll):
        users.assign(1, "supervisor@example.com", [connected.id], actor="cli")


def test_another_role_sees_all_again(connected):
    users.assign(1, "operator@example.com", [connected.id], actor="cli")
    users.set_role(1, "operator@example.com", Role.SUPERVISOR, actor="cli")
    assert users.find(1, "operator@example.com").sees_all
