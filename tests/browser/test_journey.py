"""The main job as a stranger does it: first run, link, send, unlinked on the phone, linked again."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from simulation import Phone

NUMBER = "+62 812-3456-7890"
CODE = re.compile("QR code for linking")


def test_from_the_first_run_link_to_a_read_message_and_back_after_an_unlink(window, fresh_up):
    page = window(fresh_up.url).page
    set_up(page, fresh_up.first_run_link)
    add_the_session(page)
    phone = fresh_up.phone("main_number")
    see_codes_change(page)
    link_by_qr(page, phone)
    send(page, phone, "Halo from the panel")
    see_proof_of_life(page, phone)
    be_unlinked(page, phone)
    link_by_code(page, phone)


def set_up(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_label("Your name").fill("Sari Dewi")
    page.get_by_label("E-mail").fill("sari@example.com")
    page.get_by_label("Password", exact=True).fill("seven quiet rivers at dusk")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Link your WhatsApp")


def add_the_session(page: Page) -> None:
    """Two clicks and 3 s from the login to the code: ux.md counts them."""
    page.get_by_role("button", name="Link your WhatsApp").click()
    expect(page.get_by_role("img", name=CODE)).to_be_visible()
    expect(page.get_by_text("1 of 6", exact=True)).to_be_visible()


def see_codes_change(page: Page) -> None:
    first = page.get_by_role("img", name=CODE).inner_html()
    expect(page.locator("[data-countdown] time")).to_have_text(re.compile(r"^\d+ s$"))
    expect(page.get_by_text(re.compile("^[2-6] of 6$"))).to_be_visible()
    assert page.get_by_role("img", name=CODE).inner_html() != first


def link_by_qr(page: Page, phone: Phone) -> None:
    phone.scan(name="Toko Sari")
    page.get_by_text(f"{NUMBER} · Toko Sari").wait_for()  # it is there for 1.5 s
    page.wait_for_url("**/")  # by itself
    expect(page.locator(".state-word")).to_have_text("Connected")
    expect(page.locator(".facts")).to_contain_text(NUMBER)


def send(page: Page, phone: Phone, text: str) -> None:
    page.get_by_role("link", name="Send a test").click()
    page.get_by_label("To", exact=True).fill("0812 9999 8888")
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send message").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Message to +62 812-9999-8888")
    for state in ("Delivered to their phone", "Read"):
        expect(page.locator(".timeline")).to_contain_text(state)
    expect(page.locator(".badge")).to_have_text("Read")
    assert [(one["to"], one["text"]) for one in phone.received()] == [("6281299998888", text)]


def see_proof_of_life(page: Page, phone: Phone) -> None:
    page.get_by_role("link", name="Session").click()
    proof = page.locator(".facts div", has_text="Last proof of life")
    expect(proof).to_contain_text("a delivery")
    phone.act("inbound", sender="6281299998888", text="Terima kasih")
    expect(proof).to_contain_text("a message came in")
    expect(page.locator(".tile").first).to_contain_text("1")


def be_unlinked(page: Page, phone: Phone) -> None:
    phone.act("unlink")
    expect(page.locator(".state-word")).to_have_text("Unlinked on the phone")
    expect(page.locator(".sentence")).to_contain_text("WhatsApp removed this device at")
    expect(page.get_by_role("status")).to_contain_text("Unlinked on the phone")
    expect(page.get_by_role("button", name="Link again")).to_be_visible()


def link_by_code(page: Page, phone: Phone) -> None:
    page.get_by_role("button", name="Link again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name=CODE)).to_be_visible()
    dialog.get_by_role("link", name="Use the phone number instead").click()
    expect(dialog.get_by_label("Phone number of the WhatsApp account")).to_have_value(NUMBER)
    dialog.get_by_role("button", name="Get a code to type").click()
    code = dialog.locator(".pairing-code")
    expect(code).to_have_text(re.compile(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$"))
    phone.scan(code=code.inner_text().replace("-", "").replace("\n", ""))
    dialog.get_by_role("heading", name="Connected").wait_for()
    expect(dialog).to_be_hidden()
    expect(page.locator(".state-word")).to_have_text("Connected")
    expect(page.get_by_role("status")).to_contain_text(f"connected as {NUMBER}")
