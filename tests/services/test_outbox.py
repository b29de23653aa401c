import sqlite3
from datetime import timedelta

import pytest

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import DailyCount, Message, MessageStatus, Outcome, Reason, Status
from wa_admin.phone import BadNumber
from wa_admin.refusal import Refusal
from wa_admin.services import deliveries, due, gateways, outbox, progress, retention, sessions, stats
from wa_admin.services.attachments import NewAttachment

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def send(text="Halo!", to="0812-9999-8888", **more):
    return outbox.send(1, to, text, source="key:orders-api", **more)


def fresh(message):
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Message, message.id)


# --- accepting -----------------------------------------------------------------------------------


def test_what_was_typed_and_what_is_used_are_both_kept(connected):
    message = send(to=" 0812-9999-8888 ")
    assert (message.typed, message.recipient) == ("0812-9999-8888", "6281299998888")
    assert message.status == MessageStatus.QUEUED


def test_the_same_key_gives_the_same_message(connected):
    assert send(key="order-1").id == send(key="order-1").id
    assert db.session.query(Message).count() == 1


def test_the_same_key_with_other_words_is_refused(connected):
    send(key="order-1")
    with pytest.raises(outbox.KeyReused):
        send("Other words", key="order-1")


def test_a_key_is_good_for_thirty_days(connected):
    first = send(key="order-1")
    retention.forget_keys(clock.now() + timedelta(days=29))
    assert send(key="order-1").id == first.id
    retention.forget_keys(clock.now() + timedelta(days=31))
    assert send(key="order-1").id != first.id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": "  \n"}, "message_missing"),
        ({"text": "x" * 4097}, "message_too_long"),
        ({"text": "bell\x07"}, "message_bad"),
        ({"key": ""}, "key_bad"),
        ({"key": "k" * 256}, "key_bad"),
        ({"key": "a\nb"}, "key_bad"),
        ({"valid_for_seconds": 0}, "valid_for_bad"),
        ({"valid_for_seconds": 1e9}, "valid_for_bad"),
        ({"session_name": "nobody"}, "session_not_found"),
    ],
)
def test_bad_fields_are_refused_and_nothing_is_written(connected, fields, code):
    with pytest.raises(Refusal) as refusal:
        send(**fields)
    assert refusal.value.code == code
    assert db.session.query(Message).count() == 0


def test_a_bad_number_is_refused(connected):
    with pytest.raises(BadNumber):
        send(to="not a number")


def test_pictures_are_known_by_their_bytes(app):
    assert NewAttachment.read(PNG, "../photo.png").kind == "image"
    with pytest.raises(Refusal, match="no JPEG"):
        NewAttachment.read(b"%PDF-1.7 ...", "photo.png", kind="image")


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='x'/>", b"<!DOCTYPE html><p>", b"", b"x" * (16 * 2**20 + 1)]
)
def test_files_that_must_not_be_sent_are_refused(app, content):
    with pytest.raises(Refusal):
        NewAttachment.read(content, "file.pdf")


def test_a_file_name_is_a_name_and_no_path(app):
    assert NewAttachment.read(PNG, "..\\..\\a/b/<evil>.png").filename == "evil.png"


# --- handing over --------------------------------------------------------------------------------


def test_a_message_goes_out_and_its_attempt_is_on_record(stub, connected):
    message = send()
    assert deliveries.drain() == 1
    sent = fresh(message)
    assert (sent.status, stub.texts) == (MessageStatus.SENT, ["Halo!"])
    assert [delivery.outcome for delivery in sent.deliveries] == [Outcome.SENT]


def test_a_file_goes_out_with_its_caption(stub, connected):
    send("Nota", attached=NewAttachment.read(PNG, "nota.png"))
    deliveries.drain()
    asked = stub.asked[-1]
    assert "sendMedia" in asked.path
    assert (asked.body["mediatype"], asked.body["caption"]) == ("image", "Nota")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (
            (400, {"status": 400, "error": "Bad Request", "response": {"message": ["no"]}}),
            "failed",
            "rejected",
        ),
        (
            (400, {"response": {"message": [{"jid": "6281299998888@s.whatsapp.net", "exists": False}]}}),
            "failed",
            "not_on_whatsapp",
        ),
        ((413, {"message": "too large"}), "failed", "rejected"),
        (
            (404, {"response": {"message": ['The "x" instance does not exist']}}),
            "failed",
            "gateway_not_found",
        ),
        ((429, {"message": "slow"}, {"Retry-After": "30"}), "queued", "rate_limited"),
        ((503, {"message": "later"}, {"Retry-After": "30"}), "queued", "rate_limited"),
        ((401, {"status": 401, "error": "Unauthorized"}), "queued", "gateway_auth"),
        ((500, {"response": {"message": "Connection Closed"}}), "queued", "not_connected"),
    ],
)
def test_each_answer_of_the_gateway_has_its_place(stub, connected, answer, status, code):
    stub.script["sendText"] = [answer]
    message = send()
    deliveries.drain()
    assert (fresh(message).status, fresh(message).error_code) == (MessageStatus(status), code)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, None), (500, {"error": "boom"}), None])
def test_what_may_have_left_is_not_sent_again_by_itself(stub, connected, answer):
    _make_external(connected)
    stub.script["sendText"] = [answer]
    message = send()
    deliveries.drain()
    assert fresh(message).status == MessageStatus.UNCERTAIN
    assert deliveries.drain() == 0
    assert fresh(message).session.uncertain_count == 1


def test_where_the_gateway_knows_our_reference_it_is_asked_again(stub, connected):
    stub.script["sendText"] = [None]
    message = send()
    deliveries.drain()
    assert fresh(message).status == MessageStatus.QUEUED
    _let_time_pass(message)
    deliveries.drain()
    assert fresh(message).status == MessageStatus.SENT
    references = {asked.headers["X-Reference"] for asked in stub.asked if "sendText" in asked.path}
    assert len(references) == 1


def test_a_gateway_that_lost_track_is_not_asked_for_ever(stub, connected):
    stub.script["sendText"] = [
        (409, {"code": "OUTCOME_UNKNOWN", "response": {"message": ["unknown outcome"]}})
    ]
    message = send()
    deliveries.drain()
    assert fresh(message).status == MessageStatus.UNCERTAIN


def test_a_dead_gateway_costs_no_attempt_and_holds_everything(app, connected):
    message = send()
    deliveries.drain()
    held = fresh(message)
    assert (held.status, held.attempts) == (MessageStatus.QUEUED, 0)
    assert held.session.reason == Reason.GATEWAY_UNREACHABLE
    assert deliveries.drain() == 0


def test_what_waited_for_days_is_tried_for_a_day_once_it_can_be(stub, connected, make_message):
    message = make_message(connected, queued_at=clock.now() - timedelta(days=3))
    stub.script["sendText"] = [(429, {}), (429, {})]
    for _ in range(2):
        deliveries.deliver_next(connected.id)
        deliveries.expire()
        assert fresh(message).status == MessageStatus.QUEUED
        _let_time_pass(message)
    assert deliveries.deliver_next(connected.id) and fresh(message).status == MessageStatus.SENT


@pytest.mark.sqlite
def test_what_our_own_database_held_up_did_not_leave(stub, connected, on_statement):
    _make_external(connected)
    message, troubles = send(), [sqlite3.OperationalError("disk I/O error")]

    def is_away(_connection, _cursor, sql, *_):
        if "FROM gateway" in sql and troubles:
            raise troubles.pop()

    on_statement(is_away)
    assert deliveries.deliver_next(connected.id)
    assert (fresh(message).status, message.error_code, stub.texts) == ("queued", "interrupted", [])


def test_nothing_leaves_while_disconnected_and_all_does_afterwards(stub, connected):
    with writing():
        connected.status, connected.reason = Status.DISCONNECTED, Reason.NETWORK
    send()
    assert deliveries.drain() == 0
    with writing():
        connected.status, connected.reason = Status.CONNECTED, None
    assert deliveries.drain() == 1
    assert stub.texts == ["Halo!"]


def test_a_paused_session_sends_nothing(stub, connected):
    with writing():
        connected.paused_at = clock.now()
    send()
    assert deliveries.drain() == 0


def test_the_order_per_recipient_is_kept_over_a_failed_attempt(stub, connected):
    stub.script["sendText"] = [(429, {}, {"Retry-After": "30"})]
    first = send("1")
    send("2")
    send("other", to="0812-0000-1111")
    deliveries.drain()
    assert stub.texts[1:] == ["other"]
    _let_time_pass(first)
    deliveries.drain()
    assert stub.texts[1:] == ["other", "1", "2"]


def test_the_pace_of_a_session_is_kept(stub, make_app, connected):
    with make_app(WA_SEND_INTERVAL_SECONDS="60", WA_GATEWAY_PORT=str(stub.port)).app_context():
        send("1")
        send("2", to="0812-0000-1111")
        assert deliveries.drain() == 1


def test_a_message_expires_when_its_time_runs_out(stub, connected):
    message = send(valid_for_seconds=60)
    with writing():
        message.valid_until = clock.now() - timedelta(seconds=1)
    assert deliveries.drain() == 0
    assert deliveries.expire() == 1
    assert fresh(message).status == MessageStatus.EXPIRED


def test_a_message_is_never_sent_after_its_time(stub, connected):
    message = send(valid_for_seconds=60)
    with writing():
        message.valid_until = clock.now()
    assert not deliveries.deliver_next(connected.id)
    assert stub.texts == []


def test_what_may_have_left_is_not_called_expired(stub, connected):
    stub.script["sendText"] = [None]
    message = send(valid_for_seconds=60)
    deliveries.drain()
    with writing():
        db.session.get_one(Message, message.id).valid_until = clock.now()
    deliveries.expire()
    assert fresh(message).status == MessageStatus.UNCERTAIN


def test_what_breaks_its_own_sending_three_times_is_for_a_person(connected, make_message):
    broken = make_message(connected, reference="•")  # no header can carry this
    for _ in range(3):
        with pytest.raises(UnicodeEncodeError):
            deliveries.deliver_next(connected.id)
        _let_time_pass(broken)
    assert fresh(broken).status == MessageStatus.UNCERTAIN


def test_a_pace_from_before_the_clock_was_set_back_holds_up_nothing(stub, connected):
    with writing():
        connected.next_send_at = clock.now() + timedelta(hours=1)
    send()
    assert deliveries.drain() == 1


@pytest.mark.sqlite
def test_each_question_about_the_queue_has_its_index(connected, on_statement):
    asked = []
    on_statement(lambda _connection, _cursor, statement, given, *_: asked.append((statement, given)))
    due.plan(clock.now())
    due.next_expiry()
    deliveries.deliver_next(connected.id)
    asked = [(text, given) for text, given in asked if "FROM message" in text]
    raw = db.engine.raw_connection()
    steps = [row[3] for one in asked for row in raw.execute("EXPLAIN QUERY PLAN " + one[0], one[1])]
    raw.close()
    assert not [step for step in steps if step.startswith("SCAN message") or "TEMP B-TREE" in step]
    assert sum("ix_message_open" in step for step in steps) == 2
    assert sum("ix_message_expiry" in step for step in steps) == 1


@pytest.mark.sqlite
def test_a_message_leaves_with_eleven_statements(stub, connected, on_statement):
    send()
    asked = []
    on_statement(lambda _connection, _cursor, statement, *_: asked.append(statement))
    deliveries.deliver_next(connected.id)
    assert len([one for one in asked if not one.startswith("BEGIN")]) == 11


def test_what_a_crash_left_in_the_middle_is_taken_up(connected, make_message):
    _make_external(connected)
    past = clock.now() - timedelta(seconds=1)
    message = make_message(connected, status=MessageStatus.SENDING, lease_until=past, attempts=1)
    assert deliveries.settle_leases() == 1
    assert fresh(message).status == MessageStatus.UNCERTAIN


# --- what a person decides -----------------------------------------------------------------------


def test_only_a_waiting_message_can_be_cancelled(connected, make_message):
    waiting, gone = make_message(connected), make_message(connected, status=MessageStatus.SENT)
    assert outbox.cancel(1, waiting.id, actor="cli").status == MessageStatus.CANCELLED
    with pytest.raises(outbox.WrongState, match="Sent"):
        outbox.cancel(1, gone.id, actor="cli")


def test_a_message_that_may_have_left_is_uncertain_when_it_is_cancelled(stub, connected):
    stub.script["sendText"] = [None]
    message = send()
    deliveries.drain()
    assert fresh(message).status == MessageStatus.QUEUED  # to be asked for again
    assert outbox.cancel(1, message.id, actor="cli").status == MessageStatus.UNCERTAIN
    db.session.refresh(connected)
    assert (connected.uncertain_count, connected.waiting_count) == (1, 0)


def test_no_later_attempt_makes_that_known(stub, connected):
    stub.script["sendText"] = [None, (429, {}, {"Retry-After": "30"})]
    message = send()
    for _ in range(2):
        deliveries.drain()
        _let_time_pass(message)
    assert outbox.cancel(1, message.id, actor="cli").status == MessageStatus.UNCERTAIN


def test_sending_again_uses_a_new_reference(stub, connected, make_message):
    message = make_message(connected, status=MessageStatus.UNCERTAIN, reference="old")
    again = outbox.retry(1, message.id, actor="cli")
    assert again.status == MessageStatus.QUEUED
    assert again.reference != "old"


def test_a_file_that_is_no_longer_kept_is_not_sent_empty(connected):
    message = send(attached=NewAttachment.read(b"%PDF-1.4 invoice", "invoice.pdf"))
    with writing():
        progress.fail(db.session.get_one(Message, message.id), clock.now())
    outbox.forget_old(clock.now() + timedelta(days=8))
    with pytest.raises(Refusal, match="no longer kept"):
        outbox.retry(1, message.id, actor="cli")


def test_what_is_under_way_when_its_session_is_removed_does_not_wait_for_ever(app, stub, connected):
    def is_removed(_):
        with app.app_context():
            sessions.delete(1, connected.id, force=True, actor="cli")
        return 429, {}

    message, stub.script["sendText"] = send(), is_removed
    deliveries.deliver_next(connected.id)
    assert fresh(message).status == MessageStatus.CANCELLED


def test_a_person_can_say_that_it_arrived(connected, make_message):
    message = make_message(connected, status=MessageStatus.UNCERTAIN)
    assert outbox.it_arrived(1, message.id, actor="cli").status == MessageStatus.SENT


def test_a_copy_is_a_message_of_its_own(connected, make_message):
    old = make_message(connected, status=MessageStatus.FAILED)
    copy = outbox.resend_as_new(1, old.id, source="sari@example.com")
    assert copy.id != old.id
    assert (copy.body, copy.recipient) == (old.body, old.recipient)


def test_a_message_of_another_workspace_is_not_found(connected, make_message):
    with pytest.raises(outbox.MessageNotFound):
        outbox.find(2, make_message(connected).id)


def test_pages_lead_back_and_forth(connected, make_message):
    ids = [make_message(connected).id for _ in range(5)]
    first = outbox.page(1, limit=2)
    second = outbox.page(1, limit=2, cursor=first.next_cursor)
    back = outbox.page(1, limit=2, cursor=second.previous_cursor)
    assert [message.id for message in second.items] == [ids[2], ids[1]]
    assert [message.id for message in back.items] == [ids[4], ids[3]]
    assert back.previous_cursor is None


# --- receipts and counts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", [("delivered", "read"), ("read", "delivered"), ("read", "sent", "delivered")]
)
def test_receipts_only_move_forward(connected, make_message, order):
    message = make_message(connected, status=MessageStatus.SENT, provider_id="3EB0")
    with writing():
        for kind in order:
            progress.take_receipt(connected, "3EB0", kind, clock.now())
    assert fresh(message).status == MessageStatus.READ


def test_a_receipt_may_come_before_the_answer_of_our_send(stub, connected):
    with writing():
        progress.take_receipt(connected, "3EB0EARLY", "delivered", clock.now())
    stub.script["sendText"] = [(201, {"key": {"id": "3EB0EARLY"}})]
    message = send()
    deliveries.drain()
    assert fresh(message).status == MessageStatus.DELIVERED


def test_a_receipt_is_no_older_than_the_sending_it_answers(connected, make_message):
    message = make_message(connected, status=MessageStatus.SENT, provider_id="3EB0", sent_at=clock.now())
    whole_second = message.sent_at.replace(microsecond=0)
    with writing():
        progress.take_receipt(connected, "3EB0", "delivered", whole_second)
    assert fresh(message).receipts[0].at == message.sent_at


def test_a_refusal_after_a_delivery_changes_nothing(connected, make_message):
    message = make_message(connected, status=MessageStatus.SENT, provider_id="3EB0")
    with writing():
        progress.take_receipt(connected, "3EB0", "delivered", clock.now())
        progress.take_receipt(connected, "3EB0", "failed", clock.now())
    assert fresh(message).status == MessageStatus.DELIVERED


def test_the_counts_of_today_follow_the_messages(stub, connected):
    stub.script["sendText"] = [(400, {"response": {"message": ["no"]}})]
    send("bad")
    send("good", to="0812-0000-1111")
    deliveries.drain()
    db.session.expire_all()
    today = stats.today(connected, clock.now())
    assert (today.sent, today.failed, today.waiting) == (1, 1, 0)
    assert db.session.query(DailyCount).count() == 1


def _let_time_pass(message):
    with writing():
        db.session.get_one(Message, message.id).next_at = clock.now()


def _make_external(wa_session):
    """As if it were somebody else's Evolution API, which knows no references."""
    with writing():
        gateway = gateways.of_workspace()
        gateway.kind, gateway.capabilities = "evolution", "qr"
