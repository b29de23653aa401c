import threading
import time
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from people import PASSWORD
from sqlalchemy import select

from wa_admin import clock, passwords
from wa_admin.crypto import digest
from wa_admin.extensions import db, writing
from wa_admin.models import Event, LoginAttempt, LoginSession, Role, User
from wa_admin.services import logins, throttle, users

WHO = "operator@example.com"
SECOND = timedelta(seconds=1)


def log_in(password=PASSWORD, email=WHO, address="127.0.0.1", now=None):
    return logins.log_in(email, password, address=address, agent="test", now=now)


def fail(times, email=WHO, now=None):
    """Failed tries, without the hash that makes each of them slow."""
    for _ in range(times):
        throttle.enter(email, "127.0.0.1", now or clock.now())


def row_of(token):
    return db.session.scalars(select(LoginSession).filter_by(token_hash=digest(token))).one()


def test_a_login_is_somebody(app):
    identity = logins.identify(log_in())
    assert (identity.email, identity.role, identity.workspace_id) == (WHO, "operator", 1)


def test_only_the_hash_of_the_token_is_kept(app):
    token = log_in()
    assert token not in str(db.session.execute(select(LoginSession.__table__)).all())


def test_the_address_may_be_typed_in_any_case(app):
    assert logins.identify(log_in(email="  Operator@Example.COM "))


def test_an_unknown_person_and_a_wrong_password_read_the_same(app):
    sentences = set()
    for email in (WHO, "nobody@example.com"):
        with pytest.raises(logins.WrongPassword) as refusal:
            log_in("not the password", email)
        sentences.add(str(refusal.value))
    assert len(sentences) == 1


def test_an_unknown_person_costs_a_hash_too(app, monkeypatch):
    verified = []
    monkeypatch.setattr(PasswordHasher, "verify", lambda _self, stored, _typed: verified.append(stored))
    with pytest.raises(logins.WrongPassword):
        log_in("whatever it is", "nobody@example.com")
    assert verified[0].startswith("$argon2id$v=19$m=47104")


def test_an_unknown_person_takes_as_long_as_a_wrong_password(app):
    """In time of the processor, the least of some: what else the machine does must not count."""

    def took(email):
        began = time.thread_time()
        with pytest.raises(logins.WrongPassword):
            log_in("not the password", email)
        return time.thread_time() - began

    passwords.nobodys()  # made once in a process
    emails = [f"{role}@example.com" for role in Role]
    pairs = [(took(known), took(f"nobody-{known}")) for known in emails * 3]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    assert abs(known - unknown) < 0.1 * max(known, unknown)


def test_the_sixth_try_has_to_wait(app):
    for _ in range(5):
        with pytest.raises(logins.WrongPassword):
            log_in("not the password")
    with pytest.raises(throttle.TooManyAttempts) as refusal:
        log_in()
    assert 55 <= refusal.value.retry_after_seconds <= 60
    assert str(refusal.value) == "Too many attempts. Try again in one minute."


def test_each_further_try_waits_twice_as_long_up_to_15_minutes(app):
    now, waits = clock.now(), []
    fail(5, now=now)
    for _ in range(6):
        with pytest.raises(throttle.TooManyAttempts) as refusal:
            log_in(now=now)
        waits.append(refusal.value.retry_after_seconds // 60)
        now += timedelta(seconds=refusal.value.retry_after_seconds)
        fail(1, now=now)
    assert waits == [1, 2, 4, 8, 15, 15]


def test_a_refused_try_does_not_prolong_the_wait(app):
    now = clock.now()
    fail(5, now=now)
    for _ in range(3):
        with pytest.raises(throttle.TooManyAttempts):
            log_in(now=now + 30 * SECOND)
    assert log_in(now=now + 61 * SECOND)


def test_a_success_forgets_the_failures(app):
    fail(4)
    log_in()
    fail(4)
    assert log_in()


def test_many_tries_at_once_do_not_slip_through(app):
    start, outcomes = threading.Barrier(12), []

    def guess():
        with app.app_context():
            start.wait()
            try:
                log_in("not the password")
            except (logins.WrongPassword, throttle.TooManyAttempts) as refusal:
                outcomes.append(type(refusal).__name__)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count("WrongPassword"), outcomes.count("TooManyAttempts")) == (5, 7)


def test_an_address_has_30_tries_for_all_accounts(app):
    now = clock.now()
    with writing():
        place = throttle._place("203.0.113.9")
        db.session.add_all(LoginAttempt(subject=place, at=now - timedelta(minutes=5)) for _ in range(30))
    with pytest.raises(throttle.TooManyAttempts) as refusal:
        log_in(address="203.0.113.9", now=now)
    assert refusal.value.retry_after_seconds == 600
    assert log_in(address="203.0.113.10", now=now)


def test_neighbours_in_one_ipv6_network_count_as_one(app):
    assert throttle._place("2001:db8::1") == throttle._place("2001:db8::ffff")
    assert throttle._place("2001:db8::1") != throttle._place("2001:db8:0:1::1")
    assert throttle._place("::ffff:203.0.113.9") == throttle._place("203.0.113.9")


def test_a_new_password_ends_the_wait(app):
    fail(5)
    users.set_password(1, WHO, "kopi susu di teras", actor="cli")
    assert log_in("kopi susu di teras")


def test_somebody_kept_out_cannot_log_in(app):
    users.set_active(1, WHO, False, actor="cli")
    with pytest.raises(logins.WrongPassword):
        log_in()


def test_keeping_somebody_out_ends_a_login_that_was_just_used(app):
    token = log_in()
    assert logins.identify(token)
    users.set_active(1, WHO, False, actor="cli")
    assert logins.identify(token) is None


def test_an_outdated_hash_is_renewed(app):
    old = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)
    with writing():
        db.session.query(User).filter_by(email=WHO).update({"password_hash": old})
    log_in()
    assert "m=47104,t=1" in db.session.scalar(select(User.password_hash).filter_by(email=WHO))


def test_a_login_idles_out_after_12_hours(app):
    now = clock.now()
    token = log_in(now=now)
    assert logins.identify(token, now + logins.IDLE - SECOND)
    assert logins.identify(token, now + logins.IDLE + SECOND) is None


def test_a_login_in_use_ends_after_14_days(app):
    now = clock.now()
    token = log_in(now=now - logins.ABSOLUTE + timedelta(minutes=1))
    with writing():
        row_of(token).seen_at = now
    logins.forget_cached()
    assert logins.identify(token, now)
    assert logins.identify(token, now + timedelta(minutes=2)) is None


def test_use_is_noted_every_five_minutes_at_most(app):
    now = clock.now()
    token = log_in(now=now)
    logins.touch(logins.identify(token), now + timedelta(minutes=4))
    assert row_of(token).seen_at == now
    logins.touch(logins.identify(token), now + timedelta(minutes=6))
    assert logins.identify(token).seen_at == now + timedelta(minutes=6)


def test_an_identity_is_remembered_for_a_moment(app, on_statement):
    token, queries = log_in(), []
    on_statement(lambda *args: queries.append(args[2]))
    for _ in range(10):
        logins.identify(token)
    assert [query.split()[0] for query in queries if query != "BEGIN"] == ["SELECT"]


def test_an_unknown_token_is_nobody(app):
    assert logins.identify("made up") is None


def test_logging_out_ends_the_login_at_once(app):
    token = log_in()
    assert logins.identify(token)
    logins.log_out(token)
    assert logins.identify(token) is None


def test_one_login_can_be_ended_from_another(app):
    here, elsewhere = log_in(), log_in()
    logins.revoke(logins.identify(here), row_of(elsewhere).id)
    assert logins.identify(here) and logins.identify(elsewhere) is None


def test_nobody_ends_the_login_of_somebody_else(app):
    mine, theirs = log_in(), log_in(email="admin@example.com")
    logins.revoke(logins.identify(mine), row_of(theirs).id)
    assert logins.identify(theirs)


def test_all_other_logins_can_be_ended(app):
    here, one, another = log_in(), log_in(), log_in()
    logins.revoke_others(logins.identify(here))
    assert [bool(logins.identify(token)) for token in (here, one, another)] == [True, False, False]


def test_living_logins_are_listed_the_latest_first(app):
    now = clock.now()
    log_in(now=now - logins.IDLE - SECOND)
    log_in(now=now - timedelta(hours=1))
    log_in(now=now)
    user = users.find(1, WHO)
    assert [one.seen_at for one in logins.sessions_of(user.id, now)] == [now, now - timedelta(hours=1)]


def test_typing_the_password_again_renews_the_proof(app):
    now = clock.now()
    identity = logins.identify(token := log_in(now=now - timedelta(hours=1)))
    assert not identity.proved_lately(now)
    logins.prove(identity, PASSWORD, address="127.0.0.1", now=now)
    assert logins.identify(token).proved_lately(now)


def test_a_wrong_password_proves_nothing(app):
    now = clock.now()
    identity = logins.identify(token := log_in(now=now - timedelta(hours=1)))
    with pytest.raises(logins.WrongPassword):
        logins.prove(identity, "not the password", address="127.0.0.1", now=now)
    assert not logins.identify(token).proved_lately(now)


def test_logging_in_and_failing_to_are_lines_of_the_timeline(app):
    with pytest.raises(logins.WrongPassword):
        log_in("not the password")
    log_in()
    lines = db.session.scalars(select(Event).order_by(Event.id.desc()).limit(2)).all()
    assert [(line.kind, line.actor) for line in lines] == [("login", WHO), ("login_failed", "panel")]


def test_failing_as_nobody_leaves_no_line(app):
    before = db.session.query(Event).count()
    with pytest.raises(logins.WrongPassword):
        log_in(email="<script>@example.com")
    assert db.session.query(Event).count() == before
