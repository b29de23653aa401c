from datetime import timedelta

import pytest
from chatting import BUDI, hear
from documented import error

from wa_admin import clock
from wa_admin.drivers.contract import FileSeen
from wa_admin.models import MessageStatus
from wa_admin.services import chats

HERE = "/api/v1/chats/"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 600


def told(response):
    assert response.get_json()["success"], response.text
    return response.get_json()["data"]


def test_chats_are_listed_with_who_writes_and_what_was_last(api, connected):
    hear(connected, sender_lid="91052@lid")
    (chat,) = told(api.get(HERE))["chats"]
    assert (chat["name"], chat["phone_number"], chat["lid"], chat["unread_count"]) == (
        "Budi",
        BUDI,
        "91052@lid",
        1,
    )
    assert chat["last"]["text"] == "Halo, masih buka?" and not chat["is_group"]
    assert (chat["session_id"], chat["recipient"]) == ("support_line", BUDI)


def test_a_lid_is_no_phone_number(api, connected):
    hear(connected, chat="91052@lid", sender_number=None, sender_lid="91052@lid")
    (chat,) = told(api.get(HERE))["chats"]
    assert (chat["phone_number"], chat["recipient"]) == (None, "91052@lid")


def test_pages_of_chats_follow_each_other(api, connected):
    for number in range(5):
        hear(
            connected, str(number), chat=f"62811100{number}@s.whatsapp.net", sender_number=f"62811100{number}"
        )
    first = told(api.get(f"{HERE}?limit=3"))
    rest = told(api.get(f"{HERE}?limit=3&cursor={first['next_cursor']}"))
    numbers = [one["phone_number"][-1] for one in first["chats"] + rest["chats"]]
    assert numbers == ["4", "3", "2", "1", "0"] and rest["next_cursor"] is None


def test_unread_ones_can_be_asked_for(api, connected):
    chats.mark_read(1, hear(connected).id)
    assert told(api.get(f"{HERE}?state=unread"))["chats"] == []


def test_a_chat_is_read_from_its_newest_page_back(api, connected, make_message):
    begin = clock.now() - timedelta(hours=1)
    for number in range(3):
        chat = hear(connected, str(number), at=begin + timedelta(minutes=number), text=f"in {number}")
    make_message(connected, recipient=BUDI, body="out", status=MessageStatus.READ)
    newest = told(api.get(f"{HERE}{chat.id}/messages/?limit=2"))
    assert [one["text"] for one in newest["messages"]] == ["in 2", "out"]
    assert [one["direction"] for one in newest["messages"]] == ["in", "out"]
    assert newest["messages"][1]["status"] == "read" and newest["messages"][1]["message_id"]
    older = told(api.get(f"{HERE}{chat.id}/messages/?cursor={newest['next_cursor']}"))
    assert [one["text"] for one in older["messages"]] == ["in 0", "in 1"] and older["next_cursor"] is None


def test_reading_marks_nothing_as_read(api, connected):
    told(api.get(f"{HERE}{hear(connected).id}/messages/"))
    assert chats.unread(1) == 1


def test_a_file_has_a_link_that_opens_it(api, client, connected):
    chat = hear(connected, kind="image", file=FileSeen("image/png", "a.png", content=PNG))
    (entry,) = told(api.get(f"{HERE}{chat.id}/messages/"))["messages"]
    assert (entry["file"]["state"], entry["file"]["mimetype"]) == ("kept", "image/png")
    assert client.get(entry["file"]["url"].partition("8000")[2]).data == PNG


def test_a_file_that_is_not_there_has_none(api, connected):
    chat = hear(connected, kind="image", file=FileSeen("image/png"))
    (entry,) = told(api.get(f"{HERE}{chat.id}/messages/"))["messages"]
    assert (entry["file"]["state"], entry["file"]["url"]) == ("failed", None)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("999/messages/", (404, "chat_not_found", None)),
        ("?cursor=x", (400, "bad_cursor", "cursor")),
        ("1/messages/?cursor=1", (400, "bad_cursor", "cursor")),
        ("?limit=0", (400, "out_of_range", "limit")),
        ("?state=read", (400, "not_a_choice", "state")),
        ("?unread=1", (400, "unknown_field", "unread")),
    ],
)
def test_what_cannot_be_answered_is_refused(api, connected, path, refusal):
    hear(connected)
    assert error(api.get(HERE + path)) == refusal
