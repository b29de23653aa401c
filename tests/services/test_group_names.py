"""Groups go by their names once their gateway has said them; it is asked seldom, and need not know."""

from datetime import timedelta

import pytest
from chatting import hear
from sqlalchemy import select

from wa_admin import clock
from wa_admin.extensions import db
from wa_admin.models import Chat
from wa_admin.services import group_names

GROUP = "120363000000000001@g.us"


@pytest.fixture
def group(app, stub, connected):
    return hear(connected, chat=GROUP)


def name():
    db.session.rollback()
    return db.session.scalars(select(Chat.name)).one()


def test_a_group_is_called_what_its_gateway_says(group, stub):
    stub.script["findGroupInfos"] = [(200, {"id": GROUP, "subject": "Tim\nToko Sari"})]
    assert group_names.ask() == 1 and name() == "Tim Toko Sari"
    assert group_names.ask() == 0 and len(stub.asked) == 1


@pytest.mark.parametrize(
    "answer", [(404, {"status": 404}), (200, {}), (200, []), (500, {}), (200, {"subject": 7})]
)
def test_a_gateway_that_does_not_know_is_asked_again_in_some_hours(group, stub, answer):
    stub.script["findGroupInfos"] = [answer] * 3 + [(200, {"subject": "Tim"})] * 2
    assert group_names.ask() == 0 and name() == ""
    asked = len(stub.asked)
    assert group_names.ask() == 0 and len(stub.asked) == asked
    stub.script["findGroupInfos"] = [(200, {"subject": "Tim"})]
    assert group_names.ask(clock.now() + timedelta(hours=13)) == 1 and name() == "Tim"


def test_a_name_that_came_with_the_message_is_not_asked_for(app, stub, connected):
    hear(connected, chat=GROUP, group_name="Tim")
    assert group_names.ask() == 0 and not stub.asked


def test_people_are_not_asked_for(app, stub, connected):
    hear(connected)
    assert group_names.ask() == 0 and not stub.asked
