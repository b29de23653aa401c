"""What people write is kept once, in the right chat, and counted; whoever answers goes through the outbox."""

from datetime import timedelta

import pytest
from chatting import BUDI, tell
from sqlalchemy import func, select, update

from wa_admin import clock
from wa_admin.extensions import db, writing
from wa_admin.models import Chat, Contact, Line, MessageStatus, Role
from wa_admin.services import chats, conversation, outbox, scope, users, workspaces


@pytest.fixture
def hear(app, connected):
    """A message comes in; Budi's, unless something else is said."""

    def hear(provider_id="3EB0AA", wa_session=connected, **more):
        tell(wa_session, provider_id, **more)

    return hear


def only(model):
    return db.session.scalars(select(model)).one()


def count(model):
    return db.session.scalar(select(func.count()).select_from(model))


def test_a_message_that_comes_in_opens_a_chat_with_its_sender(hear):
    hear()
    chat = only(Chat)
    assert (chat.address, chat.contact.name, chat.unread_count) == (BUDI, "Budi", 1)
    assert (chat.last_text, only(Line).text) == ("Halo, masih buka?",) * 2


def test_a_message_that_is_told_five_times_is_kept_once(hear):
    for _ in range(5):
        hear()
    assert count(Line) == 1 and only(Chat).unread_count == 1


def test_messages_without_an_id_are_all_kept(hear):
    for _ in range(2):
        hear(provider_id="")
    assert count(Line) == 2


def test_number_and_lid_of_one_person_are_one_contact(hear):
    hear("1", sender_lid="91052@lid")
    hear("2", chat="91052@lid", sender_number=None, sender_lid="91052@lid")
    assert (only(Contact).phone, only(Contact).lid, only(Chat).unread_count) == (BUDI, "91052@lid", 2)


def test_a_chat_known_by_its_lid_goes_by_the_number_once_that_is_told(hear):
    hear("1", chat="91052@lid", sender_number=None, sender_lid="91052@lid")
    assert only(Chat).address == "91052@lid" and only(Chat).phone is None
    hear("2", chat="91052@lid", sender_lid="91052@lid")
    assert only(Chat).address == BUDI and count(Line) == 2


def test_two_chats_that_turn_out_to_be_one_are_joined(hear):
    hear("1", text="by number")
    hear("2", chat="91052@lid", sender_number=None, sender_lid="91052@lid", text="by LID")
    assert count(Chat) == 2
    hear("3", sender_lid="91052@lid", text="by both")
    found = conversation.page(only(Chat)).entries
    assert [entry.text for entry in found] == ["by number", "by LID", "by both"]
    assert only(Chat).unread_count == 3 and only(Contact).lid == "91052@lid"


def test_chats_whose_sessions_are_gone_stay_where_they_are(hear, connected, make_session):
    other = workspaces.add("Other", actor="cli")
    theirs = make_session("Theirs", workspace_id=other.id, is_default=False)
    hear("1", wa_session=theirs, text="theirs")
    hear("2", chat="91052@lid", sender_number=None, sender_lid="91052@lid", text="ours")
    with writing():
        db.session.execute(update(Chat).values(session_id=None))
    hear("3", sender_lid="91052@lid")
    kept = select(Chat.workspace_id).join(Line, Line.chat_id == Chat.id).where(Line.text == "ours")
    assert db.session.scalar(kept) == 1


def test_a_lid_follows_whoever_changes_the_number(hear):
    hear("1", sender_lid="91052@lid")
    hear("2", chat="628999@s.whatsapp.net", sender_number="628999", sender_lid="91052@lid")
    by_phone = {one.phone: one.lid for one in db.session.scalars(select(Contact))}
    assert by_phone == {BUDI: None, "628999": "91052@lid"} and count(Chat) == 2


def test_in_a_group_each_line_has_its_sender(hear):
    hear("1", chat="120363000000000000@g.us")
    hear("2", chat="120363000000000000@g.us", sender_number="628777", push_name="Sari")
    entries = conversation.page(only(Chat)).entries
    assert only(Chat).is_group and [entry.sender for entry in entries] == ["Budi", "Sari"]


def test_what_is_written_on_the_phone_is_ours_and_means_that_all_was_read(hear):
    hear("1")
    hear("2", from_me=True, sender_number="6281234567890", push_name="Toko", text="Ya, sampai pukul 20")
    chat = only(Chat)
    assert chat.unread_count == 0 and chat.last_from_me and chat.contact.name == "Budi"
    assert [entry.is_ours for entry in conversation.page(chat).entries] == [False, True]


def test_what_we_sent_is_no_line_when_the_gateway_tells_of_it(hear, connected, make_message):
    hear("1")
    make_message(connected, recipient=BUDI, provider_id="3EB0OURS", status=MessageStatus.SENT)
    hear("3EB0OURS", from_me=True, text="Halo!")
    assert count(Line) == 1


def test_an_echo_that_comes_before_the_answer_to_its_sending_is_shown_once(hear, connected, make_message):
    hear("1")
    message = make_message(connected, recipient=BUDI, status=MessageStatus.SENDING)
    hear("3EB0OURS", from_me=True, text="Halo!")
    with writing():
        db.session.merge(message).provider_id = "3EB0OURS"
    assert len(conversation.page(only(Chat)).entries) == 2


def test_a_late_message_does_not_become_the_last_one(hear):
    hear("1", text="new")
    hear("2", text="old", at=clock.now() - timedelta(hours=1))
    assert only(Chat).last_text == "new" and only(Chat).unread_count == 2


def test_a_reaction_asks_nobody_to_look(hear):
    hear("1", kind="reaction", text="👍")
    assert only(Chat).unread_count == 0


def test_a_name_is_one_short_line(hear):
    hear(push_name="Budi\n\u202egnp.exe" + "x" * 300)
    name = only(Contact).name
    assert len(name) == 120 and name.startswith("Budi gnp")


def test_a_chat_that_was_read_has_nothing_unread(hear):
    hear()
    before = only(Chat).rev
    chats.mark_read(1, only(Chat).id)
    assert only(Chat).unread_count == 0 and only(Chat).rev > before and chats.unread(1) == 0


def test_a_reply_leaves_from_the_number_that_was_written_to(hear, make_session):
    second = make_session("Second line", session_id="second")
    hear(wa_session=second)
    message = chats.reply(1, only(Chat).id, "Ya", source="operator@example.com")
    assert (message.session_id, message.recipient, message.status) == (second.id, BUDI, "queued")
    assert only(Chat).last_text == "Ya" and only(Chat).last_from_me


def test_a_message_of_an_app_is_in_the_chat_too(hear):
    hear()
    outbox.send(1, BUDI, "Your order is on its way", source="key:orders-api")
    assert [entry.text for entry in conversation.page(only(Chat)).entries][-1] == "Your order is on its way"


def test_a_message_to_somebody_who_never_wrote_opens_no_chat(connected):
    outbox.send(1, "0812-9999-8888", "Halo", source="cli")
    assert count(Chat) == 0


def test_pages_of_a_chat_hold_every_entry_once_and_in_order(hear, connected, make_message):
    begin = clock.now() - timedelta(hours=1)
    for number in range(20):
        hear(str(number), at=begin + timedelta(minutes=2 * number), text=f"in {number}")
        created = begin + timedelta(minutes=2 * number + 1)
        make_message(connected, recipient=BUDI, body=f"out {number}", created_at=created)
    chat, cursor, seen = only(Chat), None, []
    for _ in range(9):
        page = conversation.page(chat, cursor, limit=7)
        seen, cursor = [entry.text for entry in page.entries] + seen, page.older
        if cursor is None:
            break
    assert seen == [f"{way} {number}" for number in range(20) for way in ("in", "out")]


def test_the_version_of_a_chat_changes_with_lines_and_with_what_we_sent(hear, connected, make_message):
    hear("1")
    chat = only(Chat)
    seen = {conversation.version(1, chat.id)}
    hear("2")
    seen.add(conversation.version(1, chat.id))
    message = make_message(connected, recipient=BUDI)
    seen.add(conversation.version(1, chat.id))
    outbox.cancel(1, message.id, actor="cli")
    seen.add(conversation.version(1, chat.id))
    assert len(seen) == 4 and conversation.version(1, 999) is None


def test_pages_of_the_list_hold_every_chat_once(hear):
    for number in range(7):
        phone = f"62811100{number}"
        hear(f"{number}", chat=f"{phone}@s.whatsapp.net", sender_number=phone)
    first = chats.listed(1, limit=4)
    rest = chats.listed(1, cursor=first.older, limit=4)
    found = [one.address for one in (*first.items, *rest.items)]
    assert found == [f"62811100{number}" for number in reversed(range(7))] and rest.older is None


def test_only_unread_ones_are_listed_when_asked_for(hear):
    hear("1")
    hear("2", chat="628999@s.whatsapp.net", sender_number="628999")
    chats.mark_read(1, chats.listed(1).items[0].id)
    assert [one.address for one in chats.listed(1, unread=True).items] == [BUDI]


def test_chats_of_other_sessions_are_not_there_for_who_is_assigned_to_some(app, hear, make_session):
    second = make_session("Second line", session_id="second")
    hear("1")
    hear("2", wa_session=second, chat="628999@s.whatsapp.net", sender_number="628999")
    operator = users.find(1, f"{Role.OPERATOR}@example.com")
    users.assign(1, operator.id, [second.id], actor="cli")
    with app.app_context():
        scope.to_assigned(operator.id)
        assert [one.address for one in chats.listed(1).items] == ["628999"] and chats.unread(1) == 1
        with pytest.raises(chats.ChatNotFound):
            chats.find(1, chats_of(BUDI))


def chats_of(address):
    query = select(Chat.id).where(Chat.address == address)
    return db.session.scalar(query, execution_options=scope.EVERYWHERE)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", ".1", "-1.2", "1.2.3", "9" * 30 + ".1"])
def test_a_cursor_that_is_none_is_refused(app, hear, cursor):
    hear()
    with pytest.raises(ValueError, match="cursor"):
        chats.read_cursor(cursor)
    if cursor:
        with pytest.raises(ValueError, match="cursor"):
            conversation.page(only(Chat), cursor)


def test_the_version_of_a_page_is_the_one_that_a_poll_asks_for(hear, connected, make_message):
    hear("1")
    for number in range(60):
        make_message(connected, recipient=BUDI, rev=number + 1)
    chat = only(Chat)
    assert conversation.page(chat).version == conversation.version(1, chat.id)
