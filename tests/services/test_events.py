from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.drivers.contract import (
    Code,
    CodeShown,
    InstanceGone,
    MessageSeen,
    ReceiptSeen,
    SentSeen,
    State,
    StateSeen,
)
from wa_admin.extensions import db
from wa_admin.models import Event, Look, Message, MessageStatus, Reason, Receipt, Status
from wa_admin.services import events, gateways, links

NAME = "support_line"


def take_in(*seen):
    events.take_in(gateways.of_workspace(), list(seen))


def says(status, reason=None, at=None, **more):
    return StateSeen(NAME, State(status, reason, "word", **more), at)


def test_a_code_is_shown_until_it_expires(unlinked):
    take_in(CodeShown(NAME, Code("2@x", sequence=1, lifetime_seconds=60)))
    assert unlinked.look == Look.WAITING_FOR_SCAN
    assert links.qr_of(unlinked).code == "2@x"


def test_a_code_that_has_died_already_is_not_shown(unlinked):
    take_in(CodeShown(NAME, Code("2@x", expires_at=clock.now() - timedelta(seconds=1))))
    assert unlinked.look == Look.NEVER_LINKED


def test_connecting_while_a_code_waits_means_that_it_was_scanned(unlinked):
    take_in(CodeShown(NAME, Code("2@x", sequence=1, lifetime_seconds=60)), says("connecting"))
    assert unlinked.look == Look.FINISHING


def test_after_linking_was_called_off_an_older_unlink_is_no_news(unlinked):
    take_in(says("disconnected", "logged_out"))
    assert unlinked.look == Look.NEVER_LINKED


def test_success_takes_the_code_away(unlinked):
    take_in(CodeShown(NAME, Code("2@x", pairing_code="ABCD1234", lifetime_seconds=60)))
    take_in(says("connected", number="6281234567890", profile_name="Toko"))
    assert (unlinked.look, unlinked.linked_number) == (Look.CONNECTED, "6281234567890")
    assert (unlinked.sealed_qr, unlinked.sealed_pairing_code) == (None, None)


def test_a_number_that_comes_later_is_no_second_link(unlinked):
    take_in(says("connected"), says("connected", number="6281234567890"))
    assert unlinked.linked_number == "6281234567890"
    assert [event.kind for event in db.session.query(Event)].count("linked") == 1


def test_another_number_than_expected_is_noticed(make_session):
    wa_session = make_session(phone_number="628111111111", status=Status.CONNECTING, linked_at=None)
    take_in(says("connected", number="628222222222"))
    assert wa_session.has_wrong_number
    linked = db.session.query(Event).filter_by(kind="linked").one()
    assert linked.detail["wrong_number"]


@pytest.mark.parametrize(
    "reason", ["logged_out", "replaced", "banned", "outdated", "auth_failure", "passkey_required"]
)
def test_each_end_has_its_own_reason(connected, reason):
    take_in(says("disconnected", reason))
    assert (connected.status, connected.reason) == (Status.DISCONNECTED, Reason(reason))


def test_an_unknown_word_changes_nothing(connected):
    take_in(says(None))
    assert connected.look == Look.CONNECTED
    assert connected.gateway_word == "word"


def test_an_older_state_does_not_undo_a_newer_one(connected):
    now = clock.now()
    take_in(says("connected", at=now), says("disconnected", "network", at=now - timedelta(seconds=5)))
    assert connected.look == Look.CONNECTED


def test_a_gateway_whose_clock_is_ahead_is_heard_all_the_same(connected):
    later = clock.now() + timedelta(days=3000)
    take_in(says("connecting", at=later))
    take_in(says("disconnected", "logged_out", at=clock.now()))
    assert connected.reason == Reason.LOGGED_OUT


def test_a_close_without_a_reason_keeps_the_better_one(connected):
    take_in(says("disconnected", "logged_out"), says("disconnected"))
    assert connected.reason == Reason.LOGGED_OUT


def test_our_own_disconnect_is_not_mistaken_for_an_unlink(stub, connected):
    links.logout(1, connected.id, actor="cli")
    take_in(says("disconnected", "logged_out"))
    assert connected.reason == Reason.STOPPED


def test_a_session_deleted_at_the_gateway_is_unlinked(connected):
    take_in(InstanceGone(NAME))
    assert connected.look == Look.UNLINKED


def test_events_of_sessions_we_do_not_know_are_dropped(app):
    take_in(StateSeen("somebody_else", State("connected")), InstanceGone("x"))
    assert db.session.query(Event).count() == 0


def test_a_message_that_came_in_is_a_proof_of_life(connected):
    take_in(MessageSeen(NAME, "A1", "62811@s.whatsapp.net", "62811", None, "Ani", text="secret words"))
    db.session.refresh(connected)
    assert connected.last_proof == "message"


def test_no_words_of_a_customer_are_kept(connected, caplog):
    take_in(MessageSeen(NAME, "A1", "62811@s.whatsapp.net", "62811", None, "Ani", text="secret words"))
    everything = "".join(str(row) for row in db.session.execute(db.text("SELECT * FROM event")).all())
    assert "secret words" not in everything + caplog.text


def test_one_change_of_status_is_one_line(connected):
    take_in(says("disconnected", "logged_out"), says("disconnected", "logged_out"))
    assert db.session.query(Event).filter_by(kind="status").count() == 1


def test_every_event_five_times_has_one_effect(connected, make_message):
    message = make_message(connected, status=MessageStatus.SENT, provider_id="3EB0")
    for _ in range(5):
        take_in(ReceiptSeen(NAME, "3EB0", "delivered"), SentSeen(NAME, "3EB0", "62@s.whatsapp.net"))
    assert db.session.query(Receipt).count() == 2
    assert db.session.get(Message, message.id).status == MessageStatus.DELIVERED
