import threading
from datetime import timedelta

import pytest
from people import PASSWORD

from wa_admin import clock
from wa_admin.crypto import digest
from wa_admin.extensions import db, writing
from wa_admin.models import Invitation, Role, User
from wa_admin.services import invitations, logins, roster, users, workspaces

WORDS = "kopi susu di teras"


@pytest.fixture
def invite(app):
    def issue(email="budi@toko.id", role=Role.OPERATOR, workspace_id=1, **more):
        return invitations.issue(workspace_id, email, role, actor="admin@example.com", **more)[1]

    return issue


@pytest.fixture
def other(app):
    """A workspace of somebody else."""
    made = workspaces.add("Toko Sari", actor="cli")
    users.add(made.id, "sari@toko.id", "Sari", PASSWORD, Role.ADMIN, actor="cli")
    return made


def join(token, name="Budi", password=WORDS):
    return invitations.accept_as_new(token, name, password, address="::1", agent="")


def log_in(email, password=PASSWORD):
    return logins.identify(logins.log_in(email, password, address="::1", agent=""))


def test_somebody_new_joins_and_is_logged_in(invite):
    identity = logins.identify(join(invite()))
    assert (identity.email, identity.role, identity.workspace_id) == ("budi@toko.id", Role.OPERATOR, 1)
    assert log_in("budi@toko.id", WORDS)


def test_only_the_hash_of_the_token_is_kept(invite):
    token = invite()
    assert db.session.scalars(db.select(Invitation.token_hash)).one() == digest(token) != token


def test_an_invitation_works_once(invite):
    token = invite()
    join(token)
    with pytest.raises(invitations.InvitationOver, match="used already"):
        invitations.look_up(token)


def test_an_invitation_lasts_72_hours(invite):
    token = invite()
    with writing():
        db.session.query(Invitation).update({"expires_at": clock.now() - timedelta(seconds=1)})
    with pytest.raises(invitations.InvitationOver, match="72 hours"):
        join(token)
    assert invitations.listed(1) == [] and users.by_email("budi@toko.id") is None


def test_an_invitation_is_taken_back(invite):
    token = invite()
    invitations.revoke(1, invitations.listed(1)[0].id, actor="cli")
    with pytest.raises(invitations.InvitationOver, match="taken back"):
        join(token)


def test_what_is_not_open_is_not_taken_back(invite, other):
    invite(workspace_id=other.id)
    theirs = invitations.listed(other.id)[0].id
    with pytest.raises(invitations.NoInvitation):
        invitations.revoke(1, theirs, actor="cli")
    assert invitations.listed(other.id)


def test_a_newer_invitation_ends_the_older(invite):
    older = invite()
    newer = invite()
    assert len(invitations.listed(1)) == 1 and invitations.look_up(newer)
    with pytest.raises(invitations.InvitationOver):
        invitations.look_up(older)


@pytest.mark.parametrize("token", ["", "x", "a\x00b", "ü" * 500])
def test_a_made_up_token_opens_nothing(app, token):
    with pytest.raises(invitations.NoInvitation):
        invitations.look_up(token)


def test_who_is_here_is_not_invited(invite):
    with pytest.raises(invitations.MemberAlready, match="Operator is here already"):
        invite("operator@example.com")


def test_who_is_kept_out_is_not_invited_but_let_in(invite):
    users.set_active(1, "operator@example.com", False, actor="cli")
    with pytest.raises(invitations.MemberAlready, match="kept out"):
        invite("operator@example.com")


def test_of_two_uses_at_once_one_wins(app, invite):
    token, met = invite(), []

    def use(name):
        with app.app_context():
            try:
                met.append(bool(join(token, name)))
            except (invitations.InvitationOver, users.EmailTaken):
                met.append(False)

    threads = [threading.Thread(target=use, args=(name,)) for name in ("Budi", "Eve")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(met) == [False, True] and len(users.listed(1)) == 4


def test_a_refused_password_leaves_the_invitation_usable(invite):
    token = invite()
    with pytest.raises(Exception, match="12 characters"):
        join(token, password="short")
    assert join(token)


def test_somebody_with_an_account_joins_by_confirming(invite, other):
    identity = log_in("sari@toko.id")
    invitations.accept(invite("sari@toko.id", Role.SUPERVISOR), identity)
    assert users.find(1, "sari@toko.id").role == Role.SUPERVISOR
    assert users.find(other.id, "sari@toko.id").role == Role.ADMIN
    assert db.session.query(User).filter_by(email="sari@toko.id").count() == 1


def test_nobody_else_uses_it(invite, other):
    token = invite("sari@toko.id")
    with pytest.raises(invitations.SomebodyElse):
        invitations.accept(token, log_in("operator@example.com"))
    assert invitations.look_up(token)


def test_an_account_is_not_made_twice(invite, other):
    with pytest.raises(users.EmailTaken):
        join(invite("sari@toko.id"), password="another password of mine")
    assert log_in("sari@toko.id")


def test_who_is_kept_out_everywhere_else_joins_with_the_password(invite, other):
    users.add(other.id, "dewi@toko.id", "Dewi", PASSWORD, Role.ADMIN, actor="cli")
    users.set_active(other.id, "dewi@toko.id", False, actor="cli")
    token = invite("dewi@toko.id")
    with pytest.raises(logins.WrongPassword):
        invitations.accept_with_password(token, "not the password", address="::1")
    invitations.accept_with_password(token, PASSWORD, address="::1")
    assert log_in("dewi@toko.id").workspace_id == 1


def test_an_operator_is_invited_for_some_sessions(invite, make_session):
    kept, gone, _ = make_session("One"), make_session("Two"), make_session("Three")
    token = invite(session_ids=[kept.id, gone.id])
    with writing():
        db.session.delete(roster.find(1, gone.id))
    member = users.find(1, logins.identify(join(token)).email)
    assert not member.sees_all and users.assigned(1)[member.id] == {kept.id: "One"}


def test_who_was_invited_for_sessions_that_are_gone_sees_none(invite, make_session):
    only = make_session("One")
    token = invite(session_ids=[only.id])
    with writing():
        db.session.delete(roster.find(1, only.id))
    assert not logins.identify(join(token)).sees_all


def test_an_admin_sees_all_sessions(invite, connected):
    with pytest.raises(users.SeesAll):
        invite(role=Role.ADMIN, session_ids=[connected.id])


def test_sessions_of_another_workspace_cannot_be_given(invite, other, make_session):
    theirs = make_session("Theirs", workspace_id=other.id, is_default=True)
    with pytest.raises(roster.SessionNotFound):
        invite(session_ids=[theirs.id])
