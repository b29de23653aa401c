"""What apps are told: in the transaction of what happened, once, and as the OpenAPI document says."""

import json
from datetime import UTC, datetime

import pytest
from jsonschema import Draft202012Validator

from wa_admin import clock
from wa_admin.api.document import document
from wa_admin.drivers.contract import MessageSeen
from wa_admin.extensions import db, writing
from wa_admin.models import (
    Call,
    Chat,
    Message,
    MessageStatus,
    Reason,
    Status,
    Subscription,
    WhatsAppSession,
    Workspace,
)
from wa_admin.services import deliveries, events, outbox, progress, status, subscriptions, tidings

AT = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SENDER = "6281299998888"


@pytest.fixture
def listen(app):
    """Subscribe to some kinds of events."""

    def subscribe(*kinds, name="orders-app"):
        return subscriptions.add(1, name, "https://93.184.216.34/", kinds or tidings.KINDS, actor="cli")[0]

    return subscribe


@pytest.fixture
def seen(connected):
    def take_in(**more):
        values = {"provider_id": "A1", "chat": f"{SENDER}@s.whatsapp.net", "sender_number": SENDER}
        values |= {"sender_lid": None, "push_name": "Ani", "text": "secret words", "at": AT}
        events.take_in(connected.gateway, [MessageSeen(connected.instance, **{**values, **more})])

    return take_in


def told(kind=None):
    """The bodies that wait, the oldest first; each fits the document."""
    db.session.rollback()
    query = db.session.query(Call).order_by(Call.id)
    found = [json.loads(one.payload) for one in (query.filter_by(kind=kind) if kind else query)]
    described = document()
    for one in found:
        content = described["webhooks"][one["type"]]["post"]["requestBody"]["content"]
        schema = content["application/json"]["schema"] | {"components": described["components"]}
        Draft202012Validator(schema).validate(one)
    return found


def move(message, to, error_code=None):
    with writing():
        message = db.session.merge(message)
        message.error_code = error_code
        progress.move(message, to, clock.now())


def test_a_message_that_comes_in_is_told(listen, seen):
    listen()
    seen()
    (one,) = told()
    assert (one["type"], one["timestamp"]) == ("message.received", "2026-01-31T09:00:00.000Z")
    assert one["data"] == {
        "provider_id": "A1",
        "session_id": "support_line",
        "session_name": "Support line",
        "chat_id": db.session.query(Chat).one().id,
        "is_group": False,
        "chat": f"{SENDER}@s.whatsapp.net",
        "sender_number": SENDER,
        "sender_lid": None,
        "push_name": "Ani",
        "kind": "text",
        "text": "secret words",
    }


def test_a_message_in_a_group_says_so(listen, seen):
    listen()
    seen(chat="120363000000000001@g.us")
    group = db.session.query(Chat).one()
    assert (told()[0]["data"]["is_group"], told()[0]["data"]["chat_id"]) == (True, group.id)


def test_a_sender_without_a_number_is_told_by_the_hidden_id(listen, seen):
    listen()
    seen(sender_number=None, sender_lid="91052067847739@lid", push_name=None)
    assert told()[0]["data"]["sender_lid"] == "91052067847739@lid"


def test_odd_text_is_told_as_it_came(listen, seen):
    listen()
    seen(text="🙂\x00\ud83d\u2028")
    assert told()[0]["data"]["text"] == "🙂\x00\ud83d\u2028"


def test_a_message_that_is_reported_again_is_told_once_to_each(listen, seen):
    listen(), listen(name="other")
    for _ in range(5):
        seen()
    assert len(told()) == 2


def test_messages_without_an_id_are_all_told(listen, seen):
    listen()
    seen(provider_id="")
    seen(provider_id="")
    assert [one["data"]["provider_id"] for one in told()] == [None, None]


def test_what_the_owner_writes_is_not_told(listen, seen):
    listen()
    seen(from_me=True)
    assert told() == []


def test_every_step_of_a_message_is_told_under_the_id_of_the_api(listen, connected, make_message):
    listen()
    message = make_message(connected)
    for to in (MessageStatus.SENDING, MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.SENT):
        move(message, to)
    move(message, MessageStatus.DELIVERED)
    move(message, MessageStatus.DELIVERED)
    steps = [one["data"] for one in told()]
    assert [(one["id"], one["status"]) for one in steps] == [(message.id, "sent"), (message.id, "delivered")]
    assert steps[0]["source"] == "key:orders-api"


def test_what_a_gateway_took_is_told(stub, listen, connected):
    listen()
    message = outbox.send(1, SENDER, "Halo", source="key:orders-api")
    deliveries.drain()
    (step,) = (one["data"] for one in told())
    assert (step["id"], step["status"], step["recipient"]) == (message.id, "sent", SENDER)
    assert step["provider_id"] == db.session.get(Message, message.id).provider_id


def test_a_failure_is_told_with_its_reason(listen, connected, make_message):
    listen()
    move(make_message(connected), MessageStatus.FAILED, "not_on_whatsapp")
    assert told()[0]["data"]["error_code"] == "not_on_whatsapp"


def test_a_message_whose_session_is_gone_is_told(listen, connected, make_message):
    listen()
    move(make_message(connected, session_id=None), MessageStatus.CANCELLED)
    assert told()[0]["data"]["session_id"] is None


def test_a_cancelled_message_is_told_by_the_service(listen, connected, make_message):
    listen()
    outbox.cancel(1, make_message(connected).id, actor="cli")
    assert told()[0]["data"]["status"] == "cancelled"


def test_those_that_are_cancelled_at_once_are_told_one_by_one(listen, connected, make_message):
    listen(), listen("message.received", name="other")
    waiting = [make_message(connected).id for _ in range(2)]
    with writing():
        outbox.cancel_all(db.session.get_one(WhatsAppSession, connected.id), actor="cli")
    assert [(one["data"]["id"], one["data"]["status"]) for one in told()] == [
        (id, "cancelled") for id in waiting
    ]
    assert told()[0]["data"]["session_id"] == connected.session_id


def test_how_a_session_is_is_told(listen, connected):
    listen()
    with writing():
        wa_session = db.session.merge(connected)
        status.move(wa_session, Status.DISCONNECTED, Reason.LOGGED_OUT, actor="gateway", now=AT)
        status.move(wa_session, Status.DISCONNECTED, Reason.LOGGED_OUT, actor="gateway", now=AT)
    (one,) = told()
    assert (one["type"], one["data"]["id"], one["data"]["reason"]) == ("session.status", 1, "logged_out")


def test_what_is_undone_is_not_told(listen, connected, make_message):
    listen()
    with pytest.raises(RuntimeError), writing():
        progress.move(db.session.merge(make_message(connected)), MessageStatus.SENT, clock.now())
        raise RuntimeError
    assert told() == []


@pytest.mark.parametrize("kind", tidings.KINDS)
def test_each_hears_only_what_it_asked_for(listen, seen, connected, make_message, kind):
    listen(kind)
    seen()
    move(make_message(connected), MessageStatus.SENT)
    with writing():
        status.move(db.session.merge(connected), Status.CONNECTING, None, actor="cli", now=AT)
    assert [one["type"] for one in told()] == [kind]


def test_a_paused_one_and_another_workspace_hear_nothing(listen, seen):
    paused = listen()
    other = listen(name="other")
    subscriptions.pause(1, paused.id, actor="cli")
    with writing():
        workspace = Workspace(name="Other", created_at=clock.now())
        db.session.add(workspace)
        db.session.flush()
        db.session.get(Subscription, other.id).workspace_id = workspace.id
    seen()
    assert told() == []


def test_without_webhooks_a_message_costs_one_small_query(connected, make_message, on_statement):
    message, asked = make_message(connected), []
    on_statement(lambda *given: asked.append(given[2]) if "subscription" in given[2] else None)
    move(message, MessageStatus.SENT)
    assert len(asked) == 1 and "sealed" not in asked[0]


@pytest.mark.sqlite
def test_what_is_due_is_found_by_index(listen, app):
    from wa_admin.services import calls

    subscriptions.test(1, listen().id)
    query = db.select(Call.id).where(Call.subscription_id == 1, calls._is_due(AT))
    sql = str(query.compile(db.engine, compile_kwargs={"literal_binds": True, "render_postcompile": True}))
    with db.engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all())
    assert "ix_call_due" in plan
