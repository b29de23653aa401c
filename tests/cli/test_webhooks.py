import json

import pytest
from app_receiver import AppReceiver

from wa_admin.extensions import db
from wa_admin.models import Call, Subscription


@pytest.fixture
def app(make_app):
    app = make_app(WA_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8")
    with app.app_context():
        yield app


@pytest.fixture
def receiver():
    receiver = AppReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def added(run, receiver):
    """The secret of a webhook that was added."""
    return run("webhooks", "add", "orders-app", receiver.url).stdout.strip()


def test_a_webhook_is_added_and_listed_without_its_secret(run, added):
    told = run("webhooks", "list").output
    assert added.startswith("whsec_") and added not in told
    assert "orders-app" in told and "127.0.0.1" in told and "hush" not in told


def test_the_list_can_be_read_by_programs(run, added):
    (told,) = json.loads(run("webhooks", "list", "--json").output)
    assert told["events"] == ["message.received", "message.status", "session.status"]


def test_one_kind_of_event_can_be_chosen(run, receiver):
    run("webhooks", "add", "x", receiver.url, "--event", "session.status")
    assert db.session.query(Subscription).one().events == "session.status"


def test_a_test_says_how_the_app_answered(run, added, receiver):
    assert "HTTP 204" in run("webhooks", "test", "orders-app").output
    assert receiver.verified(added)["type"] == "webhook.test"


def test_a_test_that_fails_says_why(run, added, receiver):
    receiver.answers = [500]
    told = run("webhooks", "test", "1")
    assert (told.exit_code, "HTTP 500" in told.output) == (1, True)


def test_what_failed_is_sent_again(run, added, receiver):
    receiver.answers = [410]
    run("webhooks", "test", "orders-app")
    assert "paused" in run("webhooks", "resend", "orders-app").output
    db.session.execute(db.text("UPDATE subscription SET is_active = true"))
    db.session.commit()
    assert "again: 1." in run("webhooks", "resend", "orders-app").output


def test_a_secret_is_rotated(run, added):
    assert run("webhooks", "rotate", "orders-app").stdout.startswith("whsec_")


def test_one_is_removed_when_that_is_meant(run, added):
    assert run("webhooks", "remove", "orders-app", stdin="n\n").exit_code == 1
    assert run("webhooks", "remove", "orders-app", "--yes").exit_code == 0
    assert db.session.query(Subscription).count() == db.session.query(Call).count() == 0


@pytest.mark.parametrize("command", ["test", "resend", "rotate", "remove"])
def test_one_that_is_not_there_is_said_so(run, command):
    told = run("webhooks", command, "nobody")
    assert (told.exit_code, "no such webhook" in told.output) == (1, True)


def test_a_bad_address_is_said_so(run):
    told = run("webhooks", "add", "x", "ftp://example.com/")
    assert (told.exit_code, "whole address" in told.output) == (1, True)
