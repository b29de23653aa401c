import re
from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Call, CallStatus, Role, Subscription
from wa_admin.services import subscriptions, tidings

TYPED = {"name": "orders-app", "url": "https://93.184.216.34/hook?token=hush", "events": list(tidings.KINDS)}
PAGES = ["", "/1", "/1/edit", "/1/rotation", "/1/removal"]
ACTS = ["", "/1/edit", "/1/pause", "/1/resume", "/1/test", "/1/rotation", "/1/removal", "/1/calls/resend",
        "/calls/1/resend"]  # fmt: skip
HERE = "/settings/webhooks"


@pytest.fixture
def webhook(app):
    return subscriptions.add(1, TYPED["name"], TYPED["url"], TYPED["events"], actor="cli")[0]


@pytest.fixture
def calls_of(webhook):
    def make(count, **columns):
        with writing():
            for number in range(count):
                values = {"uid": f"msg_{number}", "kind": tidings.RECEIVED, "payload": "{}"}
                values |= {"created_at": clock.now(), "status": CallStatus.FAILED, "attempts": 10}
                db.session.add(Call(subscription_id=webhook.id, **{**values, **columns}))

    return make


def statuses():
    db.session.rollback()
    return list(db.session.scalars(db.select(Call.status)))


def test_a_webhook_is_added_and_its_secret_shown_once(admin):
    page = admin.post(HERE, data=TYPED)
    (secret,) = re.findall(r"<code>(whsec_[^<]+)</code>", page.text)
    assert page.status_code == 201 and len(secret) == 50
    assert secret not in admin.get(f"{HERE}/1").text and "hush" not in admin.get(f"{HERE}/1").text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
def test_only_an_admin_may(signed_in, webhook, role):
    client = signed_in(role)
    assert {client.get(HERE + path).status_code for path in PAGES} == {403}
    assert {client.post(HERE + path, data=TYPED).status_code for path in ACTS} == {403}
    assert HERE not in client.get("/settings/account").text


def test_one_that_is_not_there_is_not_found(admin):
    assert {admin.get(HERE + path).status_code for path in PAGES[1:]} == {404}
    assert {admin.post(HERE + path, data=TYPED).status_code for path in ACTS[1:]} == {404}


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""), ("name", "a\x00b"), ("name", "x" * 81), ("url", ""), ("url", "http://93.184.216.34/"),
        ("url", "https://127.0.0.1/"), ("url", "x" * 3000), ("events", []), ("events", ["no.such"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_beside_the_field(admin, field, typed):
    page = admin.post(HERE, data={**TYPED, field: typed})
    assert page.status_code == 422 and f'id="{field}-error"' in page.text
    assert db.session.query(Subscription).count() == 0


def test_an_empty_address_keeps_the_old_one(admin, webhook):
    sealed = webhook.sealed_url
    assert (
        admin.post(f"{HERE}/1/edit", data={"name": "other", "events": ["session.status"]}).status_code == 303
    )
    db.session.refresh(webhook)
    assert (webhook.name, webhook.events, webhook.sealed_url) == ("other", "session.status", sealed)


def test_a_test_event_waits_in_the_log(admin, webhook):
    page = admin.post(f"{HERE}/1/test", follow_redirects=True)
    assert statuses() == [CallStatus.WAITING] and "msg_" in page.text


def test_a_paused_one_offers_to_be_resumed(admin, webhook):
    page = admin.post(f"{HERE}/1/pause", follow_redirects=True)
    assert f"{HERE}/1/resume" in page.text and f"{HERE}/1/test" not in page.text
    assert f"{HERE}/1/pause" in admin.post(f"{HERE}/1/resume", follow_redirects=True).text


def test_a_new_secret_is_shown_once_after_a_question(admin, webhook):
    before = webhook.sealed_secret
    assert "24 hours" in admin.get(f"{HERE}/1/rotation").text
    assert "whsec_" in admin.post(f"{HERE}/1/rotation").text
    db.session.refresh(webhook)
    assert webhook.sealed_old_secret == before


def test_it_is_removed_after_a_question(admin, webhook):
    assert "pause it instead" in admin.get(f"{HERE}/1/removal").text
    page = admin.post(f"{HERE}/1/removal", follow_redirects=True)
    assert "orders-app is removed" in page.text and db.session.query(Subscription).count() == 0


def test_the_log_says_why_and_when_again(admin, calls_of):
    calls_of(1, status=CallStatus.WAITING, attempts=2, error="timeout", next_at=clock.now())
    page = admin.get(f"{HERE}/1").text
    assert "did not answer within 15 seconds" in page and "2 tries" in page and "next try" in page


def test_one_that_was_switched_off_says_why_and_what_to_do(admin, webhook):
    with writing():
        now = clock.now()
        current = db.session.get_one(Subscription, webhook.id)
        current.is_active, current.failing_since, current.disabled_at = False, now - timedelta(days=5), now
    for path in (HERE, f"{HERE}/1"):
        page = admin.get(path).text
        assert "taken no call for five days" in page and "resume the webhook" in page


def test_the_log_has_pages(admin, calls_of):
    calls_of(30)
    first = admin.get(f"{HERE}/1").text
    older = re.search(r'rel="next" href="([^"]+)"', first)[1]
    assert (first.count("<code>msg_"), admin.get(older).text.count("<code>msg_")) == (25, 5)


def test_one_call_or_all_that_failed_are_made_again(admin, calls_of):
    calls_of(3)
    admin.post(f"{HERE}/calls/2/resend")
    assert statuses().count(CallStatus.WAITING) == 1
    assert "2 calls are made again" in admin.post(f"{HERE}/1/calls/resend", follow_redirects=True).text
    assert set(statuses()) == {CallStatus.WAITING}


def test_every_kind_and_error_has_words(app):
    from wa_admin.vocabulary import CALLS, TIDINGS

    assert set(CALLS) == set(CallStatus) and set(TIDINGS) == {*tidings.KINDS, tidings.TEST}
