"""What the pages say while a message is in doubt, and what a person does about several."""

import re
from datetime import timedelta

import pytest
from markup import read
from two_workspaces import THEIRS, furnish_other_workspace

from wa_admin import clock, words
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Role
from wa_admin.services import api_keys, outbox, timeline

CHECKING = "Checking with the gateway whether it left."


@pytest.fixture
def doubtful(connected, make_message):
    def make(**columns):
        return make_message(connected, **{"status": MessageStatus.UNCERTAIN, **columns})

    return make


def statuses(*messages):
    db.session.rollback()
    db.session.expire_all()
    return [db.session.get_one(Message, one.id).status for one in messages]


def choose(client, act, *messages, **more):
    return client.post(f"/messages/doubts/{act}", data={"ids": [one.id for one in messages], **more})


def test_for_two_minutes_the_page_says_that_it_is_looked_up(admin, doubtful):
    message = doubtful(next_at=clock.now() + timedelta(seconds=5))
    page = read(admin.get(f"/messages/{message.id}").text)
    assert CHECKING in page.text and "It arrived" not in page.one("main").text
    assert "every 2s" in page.one("div", id="story")["hx-trigger"]


def test_then_it_asks_the_person(admin, doubtful):
    past = clock.now() - timedelta(seconds=121)
    page = read(admin.get(f"/messages/{doubtful(next_at=clock.now(), status_at=past).id}").text)
    assert CHECKING not in page.text and "It arrived" in page.one("main").text


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("found_at_gateway", "Looked up: the gateway has it, so it left"),
        ("told_by_gateway", "The gateway told of it by itself: it left"),
        ("resent_in_doubt", "Nobody could say whether it left: sent again, as set"),
    ],
)
def test_the_story_tells_how_a_doubt_ended(admin, connected, doubtful, kind, told):
    message = doubtful()
    with writing():
        timeline.record(connected, kind, workspace_id=1, actor="gateway", message=message.id)
    assert told in read(admin.get(f"/messages/{message.id}").text).one("ol", class_="timeline").text
    assert admin.get("/activity").status_code == 200


def test_the_list_leads_there_when_there_are_several(admin, doubtful):
    doubtful()
    assert "/messages/doubts" not in admin.get("/messages?status=uncertain").text
    doubtful()
    assert "/messages/doubts" in admin.get("/messages?status=uncertain").text


def test_those_chosen_arrived_and_the_others_stay(admin, doubtful):
    first, second, third = doubtful(), doubtful(), doubtful()
    answer = choose(admin, "arrival", first, second)
    assert statuses(first, second, third) == ["sent", "sent", "uncertain"]
    assert "You say that 2 messages arrived." in admin.get(answer.location).text


def test_sending_several_again_warns_first(admin, doubtful):
    both = doubtful(recipient="6281100001111"), doubtful(recipient="6281100002222")
    page = read(choose(admin, "deliveries", *both).text).one("main")
    assert "gets the same message twice" in page.text and words.readable_phone(both[0].recipient) in page.text
    assert statuses(*both) == ["uncertain", "uncertain"]
    choose(admin, "deliveries", *both, is_sure="1")
    assert statuses(*both) == ["queued", "queued"]


def test_one_that_was_settled_meanwhile_is_left_as_it_is(admin, doubtful):
    settled, open_one = doubtful(), doubtful()
    outbox.it_arrived(1, settled.id, actor="cli")
    choose(admin, "deliveries", settled, open_one, is_sure="1")
    assert statuses(settled, open_one) == ["sent", "queued"]


@pytest.mark.parametrize("act", ["arrival", "deliveries"])
def test_without_a_choice_it_asks_for_one(admin, doubtful, act):
    doubtful()
    answer = choose(admin, act)
    assert "Choose at least one message first." in admin.get(answer.location).text


def test_what_is_being_looked_up_cannot_be_chosen(admin, doubtful):
    doubtful(next_at=clock.now() + timedelta(seconds=5))
    doubtful()
    text = admin.get("/messages/doubts?all=1").text
    boxes = re.findall(r'<input type="checkbox" name="ids"[^>]*>', text)
    assert [("disabled" in box, "checked" in box) for box in boxes] == [(False, True), (True, False)]
    assert "Checking with the gateway" in text


def test_one_of_another_workspace_is_not_there(app, admin, doubtful):
    furnish_other_workspace()
    for act in ("arrival", "deliveries"):
        answer = admin.post(f"/messages/doubts/{act}", data={"ids": [doubtful().id, THEIRS], "is_sure": "1"})
        assert answer.status_code == 404


def test_who_may_not_send_decides_nothing(signed_in, doubtful):
    message = doubtful()
    assert choose(signed_in(Role.SUPERVISOR), "arrival", message).status_code == 403
    assert statuses(message) == ["uncertain"]


def test_an_app_says_that_one_arrived(app, client, doubtful):
    headers = {"Authorization": "Bearer " + api_keys.issue(1, "a", actor="cli")[1]}
    path = f"/api/v1/messages/{doubtful().id}/arrived/"
    assert client.post(path, headers=headers).json["data"]["status"] == "sent"
    assert client.post(path, headers=headers).json["error"]["code"] == "wrong_state"
