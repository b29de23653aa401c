"""Webhooks are on disk before they are answered, and each has one effect, whatever happens in between."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from signed import address, bearing, proof
from sqlalchemy.exc import SQLAlchemyError
from waiting import wait_until

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.extensions import db, writing
from wa_admin.models import Event, HookCall, Reason, Status
from wa_admin.services import gateways, health, inbox

AT = "2026-11-21T02:06:17.499Z"


def state(word, at=AT, **more):
    data = {"instance": "support_line", "state": word, **more}
    return {"event": "connection.update", "instance": "support_line", "data": data, "date_time": at}


def keep(said, now=None):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return inbox.keep(gateways.of_workspace(), body, now or clock.now())


def read():
    inbox.read(gateways.of_workspace().id)


def rows():
    db.session.rollback()
    return db.session.scalars(db.select(HookCall).order_by(HookCall.id)).all()


def make_due():
    with writing():
        db.session.query(HookCall).update({"next_at": clock.now() - timedelta(seconds=1)})


@pytest.fixture
def poison(connected):
    """A webhook that nobody can open, and a good one behind it."""
    keep(state("open"))
    with writing():
        db.session.query(HookCall).update({"sealed_body": "rubbish"})
    keep(state("close", at="2026-11-21T02:06:18.000Z", statusReason=401))


def test_what_is_kept_is_sealed_and_what_is_read_is_dropped(connected):
    keep(state("close", statusReason=401))
    (kept,) = rows()
    assert "support_line" not in kept.sealed_body
    read()
    (kept,) = rows()
    assert (kept.sealed_body, len(kept.digest)) == (None, 64)
    assert (connected.status, connected.reason) == (Status.DISCONNECTED, Reason.LOGGED_OUT)


def test_it_is_answered_and_then_read(connected, client):
    answer = client.post(address(), json=state("close", statusReason=401), headers=bearing())
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert len(rows()) == 1
    db.session.refresh(connected)
    assert connected.status == Status.DISCONNECTED


def test_a_repetition_has_no_second_effect(connected):
    assert keep(state("close", statusReason=401))
    read()
    assert not keep(state("close", statusReason=401))
    assert len(rows()) == 1


def test_a_state_that_comes_true_again_is_no_repetition(connected):
    for second, word in enumerate(("connecting", "open", "connecting")):
        assert keep(state(word, at=f"2026-11-21T02:06:1{second}.000Z"))
    read()
    assert connected.status == Status.CONNECTING


def test_two_that_tell_no_time_are_two(connected):
    said = state("connecting", at=None)
    assert keep(said)
    assert keep(said)
    read()
    assert rows() == []  # nothing to know them by


def test_one_that_cannot_be_read_holds_up_nothing(poison, connected):
    read()
    assert connected.status == Status.DISCONNECTED
    (bad, _good) = rows()
    assert (bad.tries, bad.error_code, bad.parked_at) == (1, "WrongEncryptionKey", None)
    assert bad.next_at > clock.now()


def test_after_three_tries_it_is_put_aside(poison):
    for _ in range(4):
        inbox.read_left_over()
        make_due()
    (bad, _good) = rows()
    assert (bad.tries, bad.error_code) == (3, "WrongEncryptionKey")
    assert bad.parked_at is not None
    (parked,) = inbox.parked()
    assert (parked.gateway, parked.count) == ("bundled", 1)
    check = next(one for one in health.look(1) if one.name == "Events put aside")
    assert check.ok is False
    assert check.sentence.startswith("1 could not be read") and "--retry" in check.next_step


def test_one_that_ended_the_process_three_times_is_put_aside_too(connected):
    keep(state("open"))
    with writing():
        db.session.query(HookCall).update({"tries": 3, "next_at": clock.now() - timedelta(seconds=1)})
    inbox.read_left_over()
    assert rows()[0].error_code == "interrupted"


def test_what_was_put_aside_can_be_tried_again(connected):
    keep(state("close", statusReason=401))
    with writing():
        db.session.query(HookCall).update({"tries": 3, "parked_at": clock.now(), "error_code": "KeyError"})
    assert inbox.retry(clock.now()) == 1
    inbox.read_left_over()
    assert connected.status == Status.DISCONNECTED
    assert inbox.parked() == []


def test_nobody_reads_what_somebody_is_at(connected):
    keep(state("close", statusReason=401))
    with writing():
        db.session.query(HookCall).update({"tries": 1, "next_at": clock.now() + inbox.LEASE})
    keep(state("open", at="2026-11-21T02:06:18.000Z"))
    inbox.read_left_over()
    assert [one.sealed_body is None for one in rows()] == [False, False]
    make_due()  # the lease is over
    inbox.read_left_over()
    assert [one.sealed_body is None for one in rows()] == [True, True]


@pytest.mark.sqlite
def test_what_another_process_has_just_read_holds_up_nothing_behind_it(data_dir, connected, on_statement):
    keep(state("open"))
    keep(state("close", at="2026-11-21T02:06:18.000Z", statusReason=401))

    def is_quicker(_connection, _cursor, sql, *_):
        if sql == "BEGIN IMMEDIATE":
            with closing(sqlite3.connect(data_dir / "wa-admin.db")) as other, other:
                other.execute("UPDATE hook_call SET sealed_body = NULL WHERE id = 1")

    on_statement(is_quicker)
    read()
    assert [one.sealed_body for one in rows()] == [None, None]
    assert connected.status == Status.DISCONNECTED


def test_no_words_of_a_customer_come_into_the_log(connected, caplog):
    said = {"event": "messages.upsert", "instance": "support_line", "data": {"key": 3}, "date_time": AT}
    keep(said | {"data": {"message": {"conversation": "secret words"}}})
    read()
    assert "secret words" not in caplog.text


def test_an_error_of_the_database_quotes_nothing(app):
    with pytest.raises(SQLAlchemyError) as caught:
        db.session.execute(db.text("SELECT :said FROM nowhere"), {"said": "secret words"})
    assert "secret words" not in str(caught.value)


def test_digests_are_forgotten_after_two_days(connected):
    then = clock.now() - inbox.KEEP_DIGEST - timedelta(minutes=1)
    keep(state("open"), then)
    inbox.forget_old(clock.now())
    assert len(rows()) == 1  # nobody has read it
    read()
    inbox.forget_old(clock.now())
    assert rows() == []


def test_what_is_read_late_is_dated_when_it_came(connected):
    then = clock.now() - timedelta(minutes=2)
    keep(state("open"), then)
    read()
    db.session.refresh(connected)
    assert connected.last_event_at == then


def test_a_gateway_that_is_removed_takes_its_webhooks_along(connected):
    keep(state("open"))
    with writing():
        db.session.query(Event).delete()
        db.session.delete(connected)
        db.session.flush()
        db.session.delete(gateways.of_workspace())
    assert rows() == []


@pytest.fixture
def begun(app):
    """The requests that got as far as Flask."""
    seen = []
    app.before_request_funcs.setdefault(None, []).append(lambda: seen.append(1))
    yield seen
    app.before_request_funcs[None].pop()


def test_a_gateway_removed_this_moment_takes_the_webhooks_of_no_other_along(app, connected, begun):
    with writing():
        sealed = vault().seal("key")
        gone = gateways.new(
            kind="evolution", name="Gone", base_url="http://127.0.0.1:1", sealed_key=sealed, capabilities=""
        )
        db.session.add(gone)

    def post(number, kind):
        body = json.dumps(state("open", at=f"2026-11-21T02:06:1{number}.000Z")).encode()
        path = urlsplit(gateways.hook_url(kind)).path
        return posting.submit(app.test_client().post, path, data=body, headers=proof(kind, body))

    here = gateways.of_workspace()
    with ThreadPoolExecutor(4) as posting, writing():  # they gather, and are kept together
        posted = [post(number, one) for number, one in enumerate([here, gone, here, gone])]
        wait_until(lambda: len(begun) == 4)
        db.session.delete(gone)
    assert [answer.result().status_code for answer in posted] == [200, 404, 200, 404]
    assert len(rows()) == 2
