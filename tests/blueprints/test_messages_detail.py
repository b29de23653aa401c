from datetime import timedelta

import pytest
from markup import read

from wa_admin import clock, words
from wa_admin.drivers import contract
from wa_admin.extensions import db, writing
from wa_admin.models import Delivery, Message, MessageStatus, Outcome, Reason, Receipt, Role, Status
from wa_admin.services import outbox, sessions

HTMX = {"HX-Request": "true"}


def show(client, message):
    return read(client.get(f"/messages/{message.id}").text)


def steps(page):
    return [step.text for step in page.one("ol", class_="timeline").all("li")]


def fresh(message):
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Message, message.id)


def add(*rows):
    with writing():
        db.session.add_all(rows)


def attempt(message, outcome, number=1, **columns):
    at = message.created_at + timedelta(seconds=number)
    columns |= {"message_id": message.id, "attempt": number, "outcome": outcome}
    add(Delivery(started_at=at, finished_at=at if outcome else None, **columns))


def receipt(message, kind, seconds):
    at = message.created_at + timedelta(seconds=seconds)
    columns = {"session_id": message.session_id, "message_id": message.id, "provider_id": "3EB0"}
    add(Receipt(kind=kind, at=at, **columns))


def test_the_story_begins_with_who_asked_and_how_the_number_was_read(admin, connected, make_message):
    page = show(admin, make_message(connected, typed="0812 9999 8888"))
    assert "Accepted from the key orders-api" in steps(page)[0]
    assert "“0812 9999 8888” was read as +62 812-9999-8888" in steps(page)[0]


def test_a_number_typed_as_it_is_used_is_not_explained(admin, connected, make_message):
    page = show(admin, make_message(connected, typed="+62 812-9999-8888"))
    assert "was read as" not in steps(page)[0]


def test_steps_come_in_the_order_in_which_they_happened(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.READ)
    receipt(message, "read", 9)
    receipt(message, "delivered", 5)
    attempt(message, Outcome.RETRY, 1, error_code="gateway_unreachable", error_detail="refused")
    attempt(message, Outcome.SENT, 2)
    told = steps(show(admin, message))
    begins = ("Accepted", "Attempt 1 did not leave", "WhatsApp took it", "Delivered to their phone", "Read")
    assert len(told) == len(begins)
    assert all(step.startswith(begin) for step, begin in zip(told, begins, strict=True)), told


def test_an_attempt_tells_its_cause_and_keeps_the_gateways_words(admin, connected, make_message):
    message = make_message(connected)
    attempt(message, Outcome.RETRY, error_code="gateway_unreachable", error_detail="<b>refused</b>")
    step = show(admin, message).one("ol", class_="timeline").all("li")[1]
    assert "The gateway cannot be reached." in step.one("small").text
    assert step.one("details").one("code").text == "<b>refused</b>"


@pytest.mark.parametrize(
    "columns, sentence",
    [
        ({"paused_at": clock.now()}, "Sending is paused on Support line."),
        ({"status": Status.DISCONNECTED, "reason": Reason.NETWORK}, "Support line is not connected."),
        ({}, "It is in line and leaves in a moment."),
    ],
)
def test_a_waiting_message_says_what_it_waits_for(admin, make_session, make_message, columns, sentence):
    message = make_message(make_session(**columns))
    assert sentence in steps(show(admin, message))[-1]


def test_a_message_without_a_session_says_so(admin, connected, make_message):
    message = make_message(connected, session_id=None)
    assert "Its session is gone." in steps(show(admin, message))[-1]


def test_what_people_did_is_told_with_their_names(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.FAILED)
    admin.post(f"/messages/{message.id}/deliveries")
    admin.post(f"/messages/{message.id}/cancellation")
    told = steps(show(admin, message))
    assert told[-2].startswith("Sent again by Admin") and told[-1].startswith("Cancelled by Admin")


def test_a_cancelled_one_that_may_have_left_does_not_deny_it(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.CANCELLED)
    attempt(message, Outcome.UNCERTAIN, error_code="gateway_timeout")
    assert "may have arrived all the same" in show(admin, message).one("div", class_="notice").text


def test_cancelling_one_that_may_have_left_says_so(admin, connected, make_message):
    message = make_message(connected)
    attempt(message, Outcome.UNCERTAIN, error_code="gateway_timeout")
    assert "may have arrived" in show(admin, message).one("div", class_="notice").text
    admin.post(f"/messages/{message.id}/cancellation")
    page = show(admin, message)
    assert "We do not know whether this left." in page.one("div", class_="notice").text
    assert any(step.startswith("Cancelled by Admin, but an attempt before may") for step in steps(page))


def test_every_error_of_a_gateway_has_a_cause_and_a_next_step():
    families = [contract.GatewayError]
    for family in families:
        families += family.__subclasses__()
    codes = {family.code for family in families[1:]} | {"expired", "interrupted", "refused_by_whatsapp"}
    assert codes - set(words.ERRORS) == set()


def test_a_failure_says_why_and_what_to_do(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.FAILED, error_code="not_on_whatsapp")
    why = show(admin, message).one("section", aria_labelledby="why")
    assert "This number is not on WhatsApp. Check the number" in why.text
    assert why.one("a", class_="is-primary")["href"] == f"/messages/new?copy_of={message.id}"


def test_an_unknown_error_still_has_a_sentence(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.FAILED, error_code="never_seen_before")
    why = show(admin, message).one("section", aria_labelledby="why").text
    assert "never_seen_before" not in why and len(why) > 40


def test_customer_text_stays_text(admin, connected, make_message):
    page = show(admin, make_message(connected, body="<script>alert(1)</script>\nTwo"))
    assert page.one("p", class_="bubble").text == "<script>alert(1)</script> Two"


def test_cancelling_takes_it_back_and_says_so(admin, connected, make_message):
    message = make_message(connected)
    answer = admin.post(f"/messages/{message.id}/cancellation", headers=HTMX)
    page = read(answer.text)
    assert fresh(message).status == MessageStatus.CANCELLED
    assert "Nothing was sent." in page.text and page.one("p", id="status").text == "Cancelled"


def test_without_javascript_an_act_leads_back_to_the_page(admin, connected, make_message):
    message = make_message(connected)
    answer = admin.post(f"/messages/{message.id}/cancellation")
    assert (answer.status_code, answer.location) == (303, f"/messages/{message.id}")


def test_what_has_left_cannot_be_cancelled(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.SENT)
    answer = admin.post(f"/messages/{message.id}/cancellation", headers=HTMX)
    assert answer.status_code == 409 and "Sent" in read(answer.text).text


def test_a_failed_message_is_tried_again(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.FAILED, error_code="rejected")
    admin.post(f"/messages/{message.id}/deliveries")
    assert fresh(message).status == MessageStatus.QUEUED


def test_the_doubtful_one_offers_both_truths(admin, connected, make_message):
    page = show(admin, make_message(connected, status=MessageStatus.UNCERTAIN))
    notice = page.one("div", class_="tone-warn")
    assert "We do not know whether this left. It may have arrived." in notice.text
    assert [button.text for button in (*notice.all("button"), *notice.all("a"))] == [
        "It arrived",
        "Send it again…",
    ]


def test_it_arrived_settles_the_doubt(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.UNCERTAIN)
    admin.post(f"/messages/{message.id}/arrival")
    assert fresh(message).status == MessageStatus.SENT


def test_sending_a_doubtful_one_again_warns_of_a_duplicate(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.UNCERTAIN)
    page = read(admin.get(f"/messages/{message.id}/deliveries").text).one("main")
    assert "gets the same message twice" in page.text
    admin.post(page.one("form")["action"])
    assert fresh(message).status == MessageStatus.QUEUED


def test_a_copy_is_a_message_of_its_own(admin, connected, make_message):
    message = make_message(connected, status=MessageStatus.CANCELLED)
    answer = admin.post(f"/messages/{message.id}/copies")
    copy = db.session.get_one(Message, int(answer.location.rpartition("/")[2]))
    assert copy.id != message.id
    assert (copy.body, copy.recipient, copy.source) == (message.body, message.recipient, "admin@example.com")


def test_an_unchanged_story_is_empty(admin, connected, make_message):
    url = show(admin, make_message(connected)).one("div", id="story")["hx-get"]
    assert admin.get(url, headers=HTMX).status_code == 204


def test_a_changed_story_is_told_and_read_out(admin, connected, make_message):
    message = make_message(connected)
    url = show(admin, message).one("div", id="story")["hx-get"]
    outbox.cancel(1, message.id, actor="cli")
    fragment = read(admin.get(url, headers=HTMX).text)
    assert fragment.one("p", id="status").text == "Cancelled"
    assert "hx-get" not in fragment.one("div", id="story")


def test_a_waiting_story_changes_with_its_session(admin, connected, make_message):
    url = show(admin, make_message(connected)).one("div", id="story")["hx-get"]
    sessions.pause(1, connected.id, actor="cli")
    fragment = read(admin.get(url, headers=HTMX).text)
    assert "Sending is paused" in fragment.text and not fragment.all("p", id="status")


@pytest.mark.parametrize(
    "status, polls",
    [
        ("queued", "every 2s"),
        ("sent", "every 2s"),
        ("delivered", "every 10s"),
        ("read", None),
        ("failed", None),
    ],
)
def test_polling_ends_with_the_story(admin, connected, make_message, status, polls):
    story = show(admin, make_message(connected, status=status)).one("div", id="story")
    assert story.attributes.get("hx-trigger", "").partition(",")[0] == (polls or "")


@pytest.mark.parametrize("act", ["cancellation", "deliveries", "copies", "arrival"])
def test_a_supervisor_changes_nothing(signed_in, connected, make_message, act):
    message = make_message(connected, status=MessageStatus.UNCERTAIN)
    client = signed_in(Role.SUPERVISOR)
    assert client.post(f"/messages/{message.id}/{act}").status_code == 403
    assert fresh(message).status == MessageStatus.UNCERTAIN
    assert not show(client, message).one("main").all("form")


@pytest.mark.parametrize("path", ["", "/steps", "/deliveries"])
def test_a_message_that_is_not_there_is_not_found(admin, path):
    assert admin.get(f"/messages/4711{path}").status_code == 404


def test_the_message_of_another_workspace_is_not_found(admin, connected, make_message):
    from wa_admin.models import Workspace

    add(Workspace(id=2, name="Other", created_at=clock.now()))
    message = make_message(connected, workspace_id=2)
    assert admin.get(f"/messages/{message.id}").status_code == 404
    assert admin.post(f"/messages/{message.id}/cancellation").status_code == 404
