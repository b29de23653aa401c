"""The owner of a phone, who has no account, on the page that somebody sent a link to."""

from __future__ import annotations

import re

import pytest
from eyes import everywhere, too_wide
from playwright.sync_api import Page, expect
from simulation import Number

CODE = re.compile("QR code for linking")
NUMBER = "+62 812-3456-7890"
HANDSET = {"width": 390, "height": 844}


@pytest.fixture
def link(admin, unlinked: Number) -> str:
    """Made by an admin as everybody would: from the link dialog's page."""
    admin.page.goto("/sessions/1/link")
    admin.page.get_by_role("link", name="The phone is somewhere else? Send a link").click()
    admin.page.get_by_role("button", name=re.compile("Make a (new )?link")).click()
    text: str = admin.page.locator(".code code").inner_text()
    return text


@pytest.fixture(params=[True, False], ids=["with-javascript", "without-javascript"])
def guest(request, window, up) -> Page:
    """A phone that has never been here."""
    page: Page = window(up.url, viewport=HANDSET, java_script_enabled=request.param).page
    return page


def test_a_phone_is_linked_by_somebody_without_an_account(guest, link, unlinked):
    guest.goto(link)
    guest.get_by_role("button", name="Show the code").click()
    expect(guest.get_by_role("img", name=CODE)).to_be_visible()
    unlinked.phone.scan()
    expect(guest.get_by_role("heading", name="Connected")).to_be_visible()
    expect(guest.get_by_text("You can close this page.")).to_be_visible()


def test_a_number_is_typed_when_this_is_the_phone(guest, link, unlinked):
    guest.goto(link)
    guest.get_by_role("link", name="This is the phone? Use its number instead").click()
    guest.get_by_label("Phone number of the WhatsApp account").fill(NUMBER)
    guest.get_by_role("button", name="Get a code to type").click()
    code = guest.locator(".pairing-code")
    expect(code).to_have_text(re.compile(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$"))
    unlinked.phone.scan(code=re.sub(r"\W", "", code.inner_text()))
    expect(guest.get_by_role("heading", name="Connected")).to_be_visible()


def test_a_link_that_is_taken_back_ends_before_the_eyes_of_its_reader(admin, window, up, link):
    here = window(up.url, viewport=HANDSET)
    here.page.goto(link)
    admin.page.get_by_role("button", name="Take the link back").click()
    expect(here.page.get_by_text("This link was taken back.")).to_be_visible()
    here.expect_complaints("410")
    here.page.reload()
    expect(here.page.get_by_role("heading", level=1)).to_have_text("This link has ended")


def test_nothing_is_wrong_with_the_link_as_it_is_shown(admin, link):
    assert everywhere(admin.page) + too_wide(admin.page) == []


def test_nothing_is_wrong_with_what_the_owner_of_the_phone_sees(window, up, link):
    here = window(up.url)
    here.page.goto(link)
    assert everywhere(here.page) + too_wide(here.page) == []
    here.page.get_by_role("link", name="This is the phone? Use its number instead").click()
    here.page.get_by_label("Phone number of the WhatsApp account").wait_for()
    assert everywhere(here.page) + too_wide(here.page) == []
    here.page.goto(link)
    here.page.get_by_role("button", name="Show the code").click()
    expect(here.page.get_by_role("img", name=CODE)).to_be_visible()
    assert everywhere(here.page) + too_wide(here.page) == []
    here.expect_complaints("404")
    here.page.goto("/l/unknown")
    assert everywhere(here.page) + too_wide(here.page) == []
