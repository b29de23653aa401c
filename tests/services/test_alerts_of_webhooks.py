"""A webhook that nobody takes calls for: switched off, told once, and told again when it is back."""

from datetime import timedelta

import pytest
from app_receiver import NO_TLS, AppReceiver
from webhook_receiver import WebhookReceiver

from wa_admin import clock
from wa_admin.drivers.outbound import Outbound
from wa_admin.extensions import db, writing
from wa_admin.models import Event, Outage, Subscription
from wa_admin.services import alert_urls, calls, notices, outages, subscriptions, tidings


@pytest.fixture
def app(make_app):
    app = make_app(WA_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8,::1/128")
    with app.app_context():
        yield app


@pytest.fixture
def told(make_channel):
    """Whom alerts go to."""
    receiver = WebhookReceiver()
    make_channel(alert_urls.webhook(receiver.url))
    yield receiver
    receiver.stop()


@pytest.fixture
def app_receiver():
    receiver = AppReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def webhook(app, app_receiver):
    return subscriptions.add(1, "orders-app", app_receiver.url, tidings.KINDS, actor="cli")[0]


@pytest.fixture
def call(app, webhook, app_receiver):
    """Call the app, which answers so."""
    outbound = Outbound(app.config["SETTINGS"].webhook_allow_cidrs, tls=NO_TLS)

    def run(answer):
        app_receiver.answers = [answer]
        subscriptions.test(1, webhook.id)
        assert calls.deliver_next(webhook.id, outbound)
        db.session.rollback()

    yield run
    outbound.close()


def look_and_tell():
    for _ in range(3):
        outages.look()
        notices.tell()


def fail_for(webhook, **span):
    with writing():
        db.session.get_one(Subscription, webhook.id).failing_since = clock.now() - timedelta(**span)


def titles(told):
    return [body["title"] for body in told.bodies]


def test_five_days_of_failure_are_told_once_and_once_when_it_is_resumed(told, webhook, call):
    fail_for(webhook, days=5, minutes=1)
    call(500)
    look_and_tell()
    subscriptions.resume(1, webhook.id, actor="cli")
    look_and_tell()
    assert titles(told) == [
        "wa-admin: Webhook orders-app was switched off",
        "wa-admin: Webhook orders-app is switched on again",
    ]
    assert db.session.query(Event).filter_by(kind="webhook_alert_told").count() == 2


def test_less_is_no_news(told, webhook, call):
    fail_for(webhook, days=4, hours=23)
    call(500)
    look_and_tell()
    assert titles(told) == []


def test_the_alert_says_why_what_was_lost_the_next_step_and_where_to_go(told, webhook, call):
    fail_for(webhook, days=6)
    call(500)
    look_and_tell()
    said = told.bodies[0]["message"]
    assert "taken no call for five days" in said and "1 call did not arrive." in said
    assert "resume the webhook" in said and f"/settings/webhooks/{webhook.id}" in said
    assert "App: 127.0.0.1" in said and webhook.sealed_url not in said


def test_an_app_that_says_it_is_gone_is_told_of_as_such(told, webhook, call):
    call(410)
    look_and_tell()
    assert "answered that it is gone" in told.bodies[0]["message"]


def test_a_webhook_that_a_person_paused_is_no_news(told, webhook):
    subscriptions.pause(1, webhook.id, actor="cli")
    look_and_tell()
    assert titles(told) == []


def test_one_that_fails_again_is_told_of_again(told, webhook, call):
    for _ in range(2):
        call(410)
        look_and_tell()
        subscriptions.resume(1, webhook.id, actor="cli")
        look_and_tell()
    assert len(titles(told)) == 4


def test_one_that_is_removed_takes_its_outage_along(told, webhook, call):
    call(410)
    outages.look()
    subscriptions.remove(1, webhook.id, actor="cli")
    look_and_tell()
    assert db.session.query(Outage).count() == 0 and titles(told) == []
