"""Looking for a message, and the keys that lead about: what needs JavaScript, and what must not."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def here(gallery, window, visitor) -> Page:
    gallery.show("connected")
    page: Page = window(gallery.url, storage_state=visitor).page
    page.goto("/messages")
    return page


def test_what_is_found_shows_while_somebody_types(here):
    search = here.get_by_role("searchbox", name="Text or number")
    search.press_sequentially("pesanan")
    expect(here).to_have_url(re.compile(r"/messages\?q=pesanan$"))
    expect(here.locator("#found .grow").filter(has_not_text=re.compile("pesanan", re.I))).to_have_count(0)
    expect(here.get_by_role("status")).to_contain_text("Found")
    expect(search).to_be_focused()


def test_nothing_found_leads_back_to_all_of_them(here):
    here.get_by_role("searchbox").fill("no such words")
    expect(here.get_by_role("heading", name="Nothing found")).to_be_visible()
    here.get_by_role("link", name="Show all messages").click()
    expect(here.locator(".row-link").first).to_be_visible()


def test_a_state_keeps_what_was_typed(here):
    here.get_by_role("searchbox").fill("pesanan")
    expect(here).to_have_url(re.compile("q=pesanan"))
    here.get_by_role("link", name="Sent", exact=True).click()
    expect(here.get_by_role("searchbox")).to_have_value("pesanan")
    expect(here).to_have_url(re.compile("status=sent"))


def test_searching_needs_no_javascript(gallery, window, visitor):
    page = window(gallery.url, storage_state=visitor, java_script_enabled=False).page
    page.goto("/messages?status=sent")
    page.get_by_role("searchbox").fill("pesanan")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"status=sent&q=pesanan"))
    expect(page.locator(".row-link").first).to_be_visible()
    expect(page.get_by_text("Keyboard shortcuts")).to_have_count(2)
    expect(page.get_by_text("Keyboard shortcuts").first).to_be_hidden()


def test_keys_lead_about(here):
    for keys, heading in (("ga", "Activity"), ("gm", "Messages"), ("gh", "Toko Sari")):
        for key in keys:
            here.keyboard.press(key)
        expect(here.get_by_role("heading", level=1)).to_have_text(heading)
    here.keyboard.press("/")
    expect(here.get_by_role("searchbox")).to_be_focused()


def test_keys_are_letters_where_somebody_types(here):
    here.keyboard.press("/")
    here.keyboard.type("gh?")
    expect(here.get_by_role("searchbox")).to_have_value("gh?")
    expect(here.get_by_role("dialog")).to_be_hidden()


def test_the_help_lists_the_keys_and_switches_them_off(here):
    here.keyboard.press("?")
    asked = here.get_by_role("dialog", name="Keyboard shortcuts")
    expect(asked.get_by_role("link", name="Go to the messages")).to_be_visible()
    asked.get_by_label("Use these keys").uncheck()
    here.keyboard.press("Escape")
    here.reload()
    here.keyboard.press("?")
    expect(asked).to_be_hidden()
    here.get_by_role("button", name="Keyboard shortcuts").click()
    asked.get_by_label("Use these keys").check()
    here.keyboard.press("Escape")
    here.keyboard.press("?")
    expect(asked).to_be_visible()
