"""What may have left is looked up, heard of, or left to a person; and never taken for another message."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from wa_admin import clock
from wa_admin.drivers.contract import ReceiptSeen, SentSeen
from wa_admin.extensions import db, writing
from wa_admin.models import Delivery, Event, Message, MessageStatus, Outcome
from wa_admin.services import deliveries, doubts, events, gateways, outbox

BUDI = "6281299998888"
BUDI_JID = f"{BUDI}@s.whatsapp.net"


@pytest.fixture(autouse=True)
def looks_up(stub, app):
    with writing():
        row = gateways.of_workspace()
        row.kind, row.capabilities = "evolution", "list,look_up_sent"


@pytest.fixture
def doubtful(connected, make_message):
    """A message that is uncertain for so many seconds, and is to be looked up now."""

    def make(seconds=6.0, since=0.0, **columns):
        now = clock.now()
        at = now - timedelta(seconds=seconds)
        message = make_message(
            connected,
            **{
                "status": MessageStatus.UNCERTAIN,
                "error_code": "gateway_timeout",
                "attempts": 1,
                "queued_at": at - timedelta(seconds=since + 1),
                "status_at": at,
                "next_at": now,
                **columns,
            },
        )
        with writing():
            began = at - timedelta(seconds=since)
            uncertain = {"outcome": Outcome.UNCERTAIN, "finished_at": at, "error_code": "gateway_timeout"}
            db.session.add(Delivery(message_id=message.id, attempt=1, started_at=began, **uncertain))
            connected.uncertain_count += message.status == MessageStatus.UNCERTAIN
        return message

    return make


@pytest.fixture
def has(stub):
    """What the gateway says has left, by id: (text, seconds ago)."""

    def tell(**sent):
        now = clock.now().timestamp()
        rows = [
            {
                "key": {"id": id, "fromMe": True, "remoteJid": BUDI_JID},
                "messageType": "conversation",
                "message": {"conversation": text},
                "messageTimestamp": int(now - ago),
                "MessageUpdate": [],
            }
            for id, (text, ago) in sent.items()
        ]
        stub.script["findMessages"] = lambda asked: (200, {"messages": {"records": rows}})

    return tell


def fresh(message):
    db.session.rollback()
    return db.session.get_one(Message, message.id, populate_existing=True)


def kinds():
    return list(db.session.scalars(select(Event.kind).order_by(Event.id)))


def hear(connected, id, text="Halo!", at=None, to=BUDI_JID):
    row = gateways.of_workspace()
    events.take_in(row, [SentSeen(connected.instance, id, to, at, text=text)])


# --- looked up ---


def test_what_the_gateway_has_was_sent(connected, doubtful, has):
    message = doubtful()
    has(A1=("Halo!", 6))
    assert doubts.look() == 1
    found = fresh(message)
    assert (found.status, found.provider_id, found.error_code) == (MessageStatus.SENT, "A1", None)
    assert kinds() == ["found_at_gateway"]
    assert found.session.uncertain_count == 0


def test_what_it_said_before_of_a_message_that_is_found_counts(connected, doubtful, has):
    message = doubtful()
    events.take_in(gateways.of_workspace(), [ReceiptSeen(connected.instance, "A1", "read")])
    has(A1=("Halo!", 6))
    doubts.look()
    assert fresh(message).status == MessageStatus.READ


@pytest.mark.parametrize("sent", [{}, {"A1": ("Something else", 6)}, {"A1": ("Halo!", 60)}])
def test_another_one_is_not_taken_for_it(doubtful, has, sent):
    message = doubtful()
    has(**sent)
    assert doubts.look() == 0
    assert (fresh(message).status, fresh(message).provider_id) == (MessageStatus.UNCERTAIN, None)


def test_the_id_of_another_message_is_not_taken_twice(connected, make_message, doubtful, has):
    make_message(connected, status=MessageStatus.SENT, provider_id="A1")
    message = doubtful()
    has(A1=("Halo!", 6))
    assert doubts.look() == 0
    assert fresh(message).status == MessageStatus.UNCERTAIN


def test_of_two_alike_in_doubt_as_many_are_settled_as_left(doubtful, has):
    twins = [doubtful(), doubtful()]
    has(A1=("Halo!", 6))
    assert doubts.look() == 1
    assert sorted(fresh(one).status for one in twins) == [MessageStatus.SENT, MessageStatus.UNCERTAIN]
    has(A1=("Halo!", 6), A2=("Halo!", 5))
    with writing():
        db.session.query(Message).filter_by(provider_id=None).update({"next_at": clock.now()})
    assert doubts.look() == 1
    assert {fresh(one).provider_id for one in twins} == {"A1", "A2"}


def test_while_one_alike_is_being_sent_nothing_is_settled(connected, make_message, doubtful, has):
    message = doubtful()
    other = make_message(connected, status=MessageStatus.SENDING)
    with writing():
        db.session.add(Delivery(message_id=other.id, attempt=1, started_at=clock.now()))
    has(A1=("Halo!", 0))
    assert doubts.look() == 0
    assert fresh(message).status == MessageStatus.UNCERTAIN


def test_one_that_a_person_saw_arrive_has_its_share(doubtful, has):
    outbox.it_arrived(1, doubtful().id, actor="cli")
    message = doubtful()
    has(A1=("Halo!", 6))
    assert doubts.look() == 0
    has(A1=("Halo!", 6), A2=("Halo!", 5))
    with writing():
        fresh(message).next_at = clock.now()
    assert doubts.look() == 1
    assert fresh(message).provider_id == "A2"


def test_what_was_sent_again_by_a_person_is_not_its_first_attempt(connected, doubtful, has):
    message = doubtful(since=30, queued_at=clock.now() - timedelta(seconds=20))
    has(A1=("Halo!", 36))
    assert doubts.look() == 0
    assert fresh(message).status == MessageStatus.UNCERTAIN


# --- when ---


@pytest.mark.parametrize(("after", "then"), [(6, 20), (21, 60), (61, 120)])
def test_it_is_looked_up_again_for_two_minutes(doubtful, has, after, then):
    message = doubtful(after)
    has()
    doubts.look()
    left = fresh(message).next_at - fresh(message).status_at
    assert left == timedelta(seconds=then)
    assert doubts.is_being_checked(fresh(message), clock.now())


def test_after_two_minutes_it_is_for_a_person(doubtful, has):
    message = doubtful(121)
    has()
    doubts.look()
    assert fresh(message).next_at is None
    assert not doubts.is_being_checked(fresh(message), clock.now())


def test_a_gateway_that_is_away_is_asked_when_it_is_back(doubtful, stub, has):
    message = doubtful(121)
    stub.script["findMessages"] = lambda asked: (502, {"error": "away"})
    doubts.look()
    assert fresh(message).next_at > clock.now() + timedelta(minutes=9)
    assert not doubts.is_being_checked(fresh(message), clock.now())
    with writing():
        fresh(message).next_at = clock.now()
    has(A1=("Halo!", 121))
    assert doubts.look() == 1


def test_a_gateway_that_is_away_is_not_asked_about_each(doubtful, stub):
    for _ in range(3):
        doubtful()
    stub.script["findMessages"] = lambda asked: (502, {"error": "away"})
    doubts.look()
    assert sum("findMessages" in asked.path for asked in stub.asked) == 1


def test_others_write_while_the_gateway_is_asked(app, connected, doubtful, stub):
    message, session_id = doubtful(), connected.id

    def answer(asked):
        with app.app_context(), writing(session_id=session_id):
            db.session.query(Message).update({"error_detail": "written meanwhile"})
        return 200, {"messages": {"records": []}}

    stub.script["findMessages"] = answer
    doubts.look()
    assert fresh(message).error_detail == "written meanwhile"


def test_a_lost_answer_begins_it(connected, stub, has):
    stub.script["sendText"] = [None]
    message = outbox.send(1, BUDI, "Halo!", source="cli")
    deliveries.drain()
    assert fresh(message).status == MessageStatus.UNCERTAIN
    assert doubts.is_being_checked(fresh(message), clock.now())
    assert fresh(message).next_at - fresh(message).status_at == timedelta(seconds=5)


def test_what_nobody_can_look_up_is_for_a_person_at_once(connected, stub):
    with writing():
        gateways.of_workspace().capabilities = "list"
    stub.script["sendText"] = [None]
    message = outbox.send(1, BUDI, "Halo!", source="cli")
    deliveries.drain()
    assert fresh(message).next_at is None


def test_a_file_without_words_is_for_a_person(doubtful, stub):
    message = doubtful(121, body="")
    doubts.look()
    assert (fresh(message).status, fresh(message).next_at) == (MessageStatus.UNCERTAIN, None)
    assert not stub.asked


# --- told ---


def test_an_echo_settles_it(connected, doubtful):
    message = doubtful()
    hear(connected, "A1")
    assert (fresh(message).status, fresh(message).provider_id) == (MessageStatus.SENT, "A1")
    assert kinds() == ["told_by_gateway"]


def test_an_echo_before_the_answer_makes_a_cut_connection_harmless(app, connected, stub):
    instance = connected.instance

    def answer(asked):
        with app.app_context():
            seen = SentSeen(instance, "A1", BUDI_JID, text=asked.body["text"])
            events.take_in(gateways.of_workspace(), [seen])

    stub.script["sendText"] = answer
    message = outbox.send(1, BUDI, "Halo!", source="cli")
    deliveries.drain()
    assert (fresh(message).status, fresh(message).provider_id) == (MessageStatus.SENT, "A1")
    assert [one.outcome for one in fresh(message).deliveries] == [Outcome.SENT]


@pytest.mark.parametrize(
    "echo",
    [
        {"text": "Something else"},
        {"to": "6281100001111@s.whatsapp.net"},
        {"at": clock.now() - timedelta(hours=1)},
    ],
)
def test_an_echo_of_another_one_settles_nothing(connected, doubtful, echo):
    message = doubtful()
    hear(connected, "A1", **echo)
    assert (fresh(message).status, fresh(message).provider_id) == (MessageStatus.UNCERTAIN, None)


def test_an_echo_that_two_could_be_settles_neither(connected, doubtful):
    twins = [doubtful(), doubtful()]
    hear(connected, "A1")
    assert {fresh(one).provider_id for one in twins} == {None}


def test_a_repeated_echo_settles_one(connected, doubtful):
    message = doubtful()
    hear(connected, "A1")
    later = doubtful()
    hear(connected, "A1")
    assert (fresh(message).provider_id, fresh(later).provider_id) == ("A1", None)


# --- sent again by itself ---


@pytest.fixture
def resends(app):
    app.config["SETTINGS"] = app.config["SETTINGS"].__class__(
        **{**vars(app.config["SETTINGS"]), "resend_uncertain": True}
    )


def test_it_is_not_sent_again_by_itself(doubtful, has):
    message = doubtful(121)
    has()
    doubts.look()
    assert fresh(message).status == MessageStatus.UNCERTAIN


def test_where_that_is_set_it_is_sent_again_after_two_minutes(resends, doubtful, has, stub):
    early, late = doubtful(61), doubtful(121)
    has()
    doubts.look()
    assert (fresh(early).status, fresh(late).status) == (MessageStatus.UNCERTAIN, MessageStatus.QUEUED)
    deliveries.drain()
    assert fresh(late).status == MessageStatus.SENT
    assert stub.texts == ["Halo!"]
    assert kinds() == ["resent_in_doubt"]


@pytest.mark.parametrize(
    "why_not", [{"attempts": doubts.SENDS}, {"valid_until": clock.now() - timedelta(seconds=1)}]
)
def test_it_is_not_sent_again_for_ever(resends, doubtful, has, why_not):
    message = doubtful(121, **why_not)
    has()
    doubts.look()
    assert (fresh(message).status, fresh(message).next_at) == (MessageStatus.UNCERTAIN, None)
