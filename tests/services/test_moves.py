import sys
from pathlib import Path

import pytest

from wa_admin.extensions import db
from wa_admin.models import Look, Message, MessageStatus, WhatsAppSession
from wa_admin.services import deliveries, gateway_settings, gateways, links, moves, outbox, sessions, watch

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_gowa import FakeGowa
from fake_waha import FakeWaha


def add(fake, name):
    how = {"base_url": fake.url, "key": fake.key, "allow_private": True}
    return gateway_settings.add(1, kind=fake.kind, name=name, **how, actor="cli")


@pytest.fixture
def gowa(app):
    with FakeGowa() as fake:
        add(fake, "new")
        yield fake


@pytest.fixture
def waha(app):
    with FakeWaha() as fake:
        add(fake, "old")
        yield fake


@pytest.fixture
def linked(waha, gowa):
    wa_session = sessions.create(1, "Support line", gateway="old", actor="cli")
    link(waha, wa_session)
    return wa_session


def link(fake, wa_session):
    links.link(1, wa_session.id, actor="cli")
    watch.poll_links()
    fake.scan(wa_session.instance)
    watch.poll_links()


def test_name_id_and_history_stay_and_the_phone_must_be_linked_anew(linked, waha):
    id, sent = linked.id, outbox.send(1, "0812-9999-8888", "Halo", source="cli")
    deliveries.drain()
    moved = moves.move(1, linked.id, "new", actor="cli")
    assert (moved.wa_session.id, moved.wa_session.name, moved.wa_session.look) == (
        id,
        "Support line",
        Look.NEVER_LINKED,
    )
    assert db.session.get(Message, sent.id).session_id == id
    assert (moved.left_behind, list(waha.lines)) == ("", [])


def test_after_a_new_link_it_sends_from_there_what_waited(linked, gowa):
    moves.move(1, linked.id, "new", actor="cli")
    outbox.send(1, "0812-9999-8888", "Halo", source="cli")
    link(gowa, linked)
    deliveries.drain()
    assert gowa.texts("support_line") == ["Halo"]


def test_what_the_old_gateway_may_keep_is_said(linked, waha):
    waha.fail((500, {"message": "no"}), on="DELETE")
    assert moves.move(1, linked.id, "new", actor="cli").left_behind == "gateway_bad_answer"


def test_what_may_have_left_is_not_asked_for_again_elsewhere(linked, make_message):
    message = make_message(linked, status=MessageStatus.SENDING)
    moves.move(1, linked.id, "new", actor="cli")
    assert db.session.get(Message, message.id).status == MessageStatus.UNCERTAIN


def test_an_id_that_is_taken_there_is_refused_before_anything_ends(linked, waha, make_session):
    make_session("Other", session_id="support_line", gateway_id=gateways.named("new").id)
    with pytest.raises(moves.TakenThere):
        moves.move(1, linked.id, "new", actor="cli")
    assert "support_line" in waha.lines


def test_the_expected_number_is_the_one_that_was_linked(linked):
    assert moves.move(1, linked.id, "new", actor="cli").wa_session.phone_number == "6281234567890"


def test_a_gateway_is_removed_once_its_sessions_moved(linked):
    old = gateways.named("old")
    with pytest.raises(gateway_settings.GatewayHasSessions):
        gateway_settings.remove(1, old.id, actor="cli")
    moves.move_all(old.id, "new", actor="cli")
    gateway_settings.remove(1, old.id, actor="cli")
    assert [one.name for one in gateways.listed()] == ["bundled", "new"]
    assert db.session.query(WhatsAppSession).one().gateway.name == "new"
