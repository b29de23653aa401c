"""What is kept of a person is given out as a whole, and erased so that nothing of it is found again."""

import json
from pathlib import Path

import pytest
from chatting import BUDI, hear
from sqlalchemy import select, update

from wa_admin import clock
from wa_admin.app import vault
from wa_admin.drivers.contract import FileSeen
from wa_admin.extensions import Base, db, writing
from wa_admin.models import (
    Attachment,
    Call,
    Chat,
    Contact,
    DailyCount,
    HookCall,
    Line,
    Message,
    MessageStatus,
)
from wa_admin.services import (
    chat_search,
    deliveries,
    inbox,
    outbox,
    privacy,
    progress,
    sessions,
    subscriptions,
    workspaces,
)
from wa_admin.services.attachments import NewAttachment

PNG = b"\x89PNG\r\n\x1a\nzirkonfile" + b"0" * 600
LID = "91052067847739@lid"
# what stands for Budi in whatever is kept: number, LID, name and words that only he and we to him wrote
MARKS = (BUDI, "91052067847739", "Budi Zirkon", "zirkontext", "zirkonreply", "zirkonfile")


@pytest.fixture
def known(connected):
    """Budi wrote here and in a group, with a file; was answered, was not, and waits for more."""
    hear(connected, "1", sender_lid=LID, push_name="Budi Zirkon", text="zirkontext eins")
    hear(
        connected,
        "2",
        push_name="Budi Zirkon",
        kind="image",
        file=FileSeen("image/png", "a.png", content=PNG),
    )
    hear(connected, "3", chat="120363000000000001@g.us", push_name="Budi Zirkon", text="zirkontext zwei")
    hear(connected, "4", chat="120363000000000001@g.us", sender_number="6281377788899", text="somebody else")
    hear(
        connected,
        "5",
        chat="6281377788899@s.whatsapp.net",
        sender_number="6281377788899",
        push_name="Sari",
        text="Halo",
    )
    attached = NewAttachment("image", "zirkonfile.png", "image/png", PNG)
    outbox.send(1, BUDI, "zirkonreply", attached=attached, key=f"order {BUDI}", source="cli")
    outbox.send(1, LID, "zirkonreply", source="cli")
    outbox.send(1, "6281377788899", "Halo Sari", source="cli")
    with writing():
        done = db.session.scalars(select(Message).order_by(Message.id)).first()
        done.error_detail = f"no such number: {BUDI}"
        progress.move(done, MessageStatus.SENT, clock.now())
    return connected


def everything():
    db.session.rollback()
    return "\n".join(
        str(row) for table in Base.metadata.sorted_tables for row in db.session.execute(select(table))
    )


def erase():
    return privacy.erase(privacy.find(1, "0811-1000-222"), actor="cli")


def test_nothing_of_a_person_is_left_in_any_table(known):
    assert all(mark in everything() for mark in MARKS)
    erased = erase()
    assert [mark for mark in MARKS if mark in everything()] == []
    assert (erased.lines, erased.messages, erased.files) == (3, 2, 2)


def test_what_belongs_to_others_stays(known):
    erase()
    db.session.rollback()
    assert sorted(line.text for line in db.session.scalars(select(Line))) == ["Halo", "somebody else"]
    assert "Halo Sari" in everything() and db.session.query(Contact).count() == 1
    assert db.session.query(Attachment).count() == 0 and db.session.query(Chat).count() == 2


def test_what_was_erased_is_not_found(known):
    erase()
    for sought in ("zirkontext", "budi", "0811-1000-222"):
        found = chat_search.look_for(1, sought)
        assert not found.lines and not found.chats


def test_counts_stay_and_what_waited_is_cancelled(known):
    erase()
    db.session.rollback()
    statuses = [one.status for one in db.session.scalars(select(Message).order_by(Message.id))]
    assert statuses == ["sent", "cancelled", "queued"]
    assert db.session.query(DailyCount).one().sent == 1


def test_no_byte_of_it_is_left_in_the_file(known, app):
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL frees its pages by itself")
    erase()
    db.session.remove()
    db.engine.dispose()
    folder = Path(app.instance_path)
    left = b"".join(path.read_bytes() for path in folder.glob("wa-admin.db*"))
    assert [mark for mark in MARKS if mark.encode() in left] == []


def test_calls_of_webhooks_that_told_of_them_go_too(known):
    subscriptions.add(1, "orders", "https://app.example.com/x", ["message.received"], actor="cli")
    hear(known, "9", push_name="Budi Zirkon", text="zirkontext drei")
    assert "zirkontext drei" in everything()
    hear(known, "10", chat=f"{BUDI}9@s.whatsapp.net", sender_number=f"{BUDI}9", push_name="Sari")
    erase()
    assert [call.payload.count(f"{BUDI}9") for call in db.session.scalars(select(Call))] == [2]


def test_what_a_gateway_posted_and_nobody_could_read_goes_too(known):
    about = '{"event":"messages.upsert","instance":"%s","data":{"id":"%s","remoteJid":"%s@s.whatsapp.net"}}'
    other = workspaces.add("Other", actor="cli")
    theirs = sessions.create(other.id, "Theirs", session_id="theirs", actor="cli")
    bodies = [
        about % (known.instance, "1", BUDI),
        about % (known.instance, "2", f"{BUDI}9"),
        about % (theirs.instance, "3", BUDI),
    ]
    for body in bodies:
        inbox.keep(known.gateway, body.encode(), clock.now())
    with writing():
        db.session.execute(update(HookCall).values(parked_at=clock.now(), tries=3))
    erase()
    left = db.session.execute(select(HookCall.sealed_body, HookCall.parked_at).order_by(HookCall.id)).all()
    assert left[0] == (None, None)
    assert [vault().open(sealed) for sealed, _at in left[1:]] == bodies[1:]


def test_somebody_who_never_wrote_is_erased_from_the_messages(connected):
    outbox.send(1, "0812-9999-8888", "zirkonreply", source="cli")
    hear(connected, "4", chat="120363000000000001@g.us", sender_number="6281377788899", text="somebody else")
    privacy.erase(privacy.find(1, "0812-9999-8888"), actor="cli")
    assert "zirkonreply" not in everything() and "somebody else" in everything()


def test_an_erased_message_is_not_sent_again(known):
    erase()
    with writing():
        message = db.session.scalars(select(Message).order_by(Message.id)).first()
        message.status = MessageStatus.UNCERTAIN
    with pytest.raises(outbox.WrongState):
        outbox.retry(1, message.id, actor="cli")


def test_what_is_erased_while_it_is_sent_is_not_tried_again(stub, known, app):
    def is_busy(_):
        with app.app_context():
            erase()
        return 429, {}

    stub.script["sendText"] = is_busy
    assert deliveries.deliver_next(known.id)
    waiting = outbox.page(1, status=MessageStatus.QUEUED).items
    assert [one.recipient for one in waiting] == ["6281377788899"]


def test_what_is_given_out_is_all_of_it_and_nothing_of_others(known):
    told = json.dumps(privacy.export(privacy.find(1, BUDI), actor="cli"))
    assert all(mark in told for mark in MARKS[:5]) and "Sari" not in told and "somebody else" not in told


@pytest.mark.parametrize("typed", ["0812-0000-0000", "6281377788899", "+1 202 555 0100"])
def test_nobody_is_erased_for_somebody_else(connected, typed):
    hear(connected)
    with pytest.raises(privacy.NobodyThere):
        privacy.find(1, typed)


def test_a_person_of_another_workspace_is_nobody_here(known):
    with pytest.raises(privacy.NobodyThere):
        privacy.find(2, BUDI)


def test_the_timeline_says_that_it_was_done_and_not_to_whom(known):
    erase()
    told = everything()
    assert "contact_erased" in told and BUDI not in told
