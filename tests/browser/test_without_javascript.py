"""The main job in a browser without JavaScript: forms, links, and pages that load themselves anew."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from simulation import Phone

NUMBER = "+62 812-3456-7890"


def test_the_main_job_needs_no_javascript(window, fresh_up):
    here = window(fresh_up.url, java_script_enabled=False)
    here.expect_complaints("422")
    page = here.page
    set_up(page, fresh_up.first_run_link)
    phone = fresh_up.phone("main_number")
    link_by_qr(page, phone)
    send(page, phone)
    pause_and_resume(page)
    be_unlinked(page, phone)
    link_by_code(page, phone)
    unlink(page)


def set_up(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Your name").fill("Sari Dewi")
    page.get_by_label("E-mail").fill("sari@example.com")
    page.get_by_label("Password", exact=True).fill("seven quiet rivers at dusk")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Link your WhatsApp")


def link_by_qr(page: Page, phone: Phone) -> None:
    page.get_by_role("button", name="Link your WhatsApp").click()
    expect(page.locator("svg.qr-code")).to_be_visible()
    expect(page.get_by_text("1 of 6", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile("^[2-6] of 6$"))).to_be_visible()
    phone.scan()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    page.get_by_role("link", name="Close").click()
    expect(page.locator(".state-word")).to_have_text("Connected")


def send(page: Page, phone: Phone) -> None:
    page.get_by_role("link", name="Send a test").click()
    page.get_by_label("To", exact=True).fill("12")
    page.get_by_label("Message", exact=True).fill("Halo without JavaScript")
    page.get_by_role("button", name="Send message").click()
    expect(page.locator("#recipient-error")).to_be_visible()
    page.get_by_label("To", exact=True).fill("0812 9999 8888")
    page.get_by_role("button", name="Send message").click()
    expect(page.locator(".badge")).to_have_text("Read")
    assert [one["text"] for one in phone.received()] == ["Halo without JavaScript"]


def pause_and_resume(page: Page) -> None:
    page.get_by_role("link", name="Session").click()
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator(".state-word")).to_have_text("Sending is paused")
    page.get_by_role("button", name="Resume sending").click()
    expect(page.locator(".state-word")).to_have_text("Connected")


def be_unlinked(page: Page, phone: Phone) -> None:
    phone.act("unlink")
    expect(page.locator(".state-word")).to_have_text("Unlinked on the phone")


def link_by_code(page: Page, phone: Phone) -> None:
    page.get_by_role("button", name="Link again").click()
    page.get_by_role("link", name="Use the phone number instead").click()
    page.get_by_label("Phone number of the WhatsApp account").fill(NUMBER)
    page.get_by_role("button", name="Get a code to type").click()
    code = page.locator(".pairing-code")
    expect(code).to_have_text(re.compile(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$"))
    phone.scan(code=re.sub(r"\W", "", code.inner_text()))
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    page.get_by_role("link", name="Close").click()


def unlink(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("link", name=f"Unlink {NUMBER}").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("button", name=f"Unlink {NUMBER}").click()
    expect(page.get_by_role("button", name="Link your WhatsApp")).to_be_visible()
