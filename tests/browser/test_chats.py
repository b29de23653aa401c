"""Reading and answering what people write, as it happens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from running_gateway import wait_until

SARI = {"sender": "628122233344", "name": "Sari"}


@pytest.fixture
def chat(admin, number):
    """Sari has written, and her chat is open."""
    number.phone.act("inbound", **SARI, text="Halo, masih buka?")
    admin.page.goto("/chats")
    admin.page.locator(".chat-row", has_text="Sari").get_by_role("link").click()
    expect(admin.page.get_by_role("heading", name="Sari")).to_be_visible()
    return admin.page


def test_an_answer_reaches_the_phone_and_what_comes_back_is_shown(chat, number):
    chat.get_by_label("Reply to Sari").fill("Ya, sampai pukul 20")
    chat.get_by_role("button", name="Send reply").click()
    expect(chat.locator("#thread")).to_contain_text("Ya, sampai pukul 20")
    expect(chat.get_by_label("Reply to Sari")).to_have_value("")
    wait_until(lambda: "Ya, sampai pukul 20" in [one["text"] for one in number.phone.received()])
    expect(chat.locator(".said.is-ours").last).to_contain_text("Read")
    chat.get_by_label("Reply to Sari").fill("half a sentence")
    number.phone.act("inbound", **SARI, text="Siap, saya ke sana")
    expect(chat.locator("#thread")).to_contain_text("Siap, saya ke sana")
    expect(chat.get_by_label("Reply to Sari")).to_have_value("half a sentence")
    expect(chat.locator("#status")).to_have_text("New message from Sari")


def test_the_newest_line_is_in_sight_and_what_is_open_counts_as_read(chat, number):
    for count in range(30):
        number.phone.act("inbound", **SARI, text=f"baris nomor {count}")
    expect(chat.get_by_text("baris nomor 29", exact=True).last).to_be_in_viewport()
    expect(chat.locator("form[id^=reading]")).to_have_count(0)  # the page has said that it was read
    chat.goto("/")
    expect(chat.locator("#unread")).to_be_hidden()
    number.phone.act("inbound", sender="628133344455", name="Rina", text="Halo")
    expect(chat.locator("#unread")).to_contain_text("1")
    chat.goto("/chats")
    chat.locator(".chat-row", has_text="Rina").get_by_role("link").click()
    expect(chat.locator("#unread")).to_be_hidden()


def test_a_picture_is_shown_when_it_is_asked_for(chat, number):
    number.phone.act("inbound", **SARI, text="Ini buktinya", picture="1")
    chat.get_by_text("Show the picture").click()
    picture = chat.get_by_alt_text("Picture that was sent")
    expect(picture).to_be_visible()
    wait_until(lambda: picture.evaluate("image => image.naturalWidth") == 160)


def test_what_customers_write_does_nothing(chat, number):
    asked = []
    chat.on("request", lambda request: asked.append(request.url))
    number.phone.act(
        "inbound", **SARI, text='<button hx-get="/evil" hx-trigger="load">x</button><img src=/evil>'
    )
    expect(chat.locator("#thread")).to_contain_text('<button hx-get="/evil"')
    assert not [url for url in asked if "evil" in url]


def test_words_are_found_while_they_are_typed(chat):
    chat.get_by_label("Name, number or words").fill("masih buka")
    expect(chat.locator("#chat-list")).to_contain_text("In what was written")
    chat.locator("#chat-list").get_by_role("link", name="Sari").last.click()
    expect(chat.locator("#thread")).to_contain_text("Halo, masih buka?")
