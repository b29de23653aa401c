"""The link dialog: codes that come and go, and everything that can happen while somebody links."""

from __future__ import annotations

import io
import re
from typing import Any

import png
import pytest
import qrcode
from playwright.sync_api import Locator, Page, expect
from running_gateway import wait_until
from simulation import Number

LINK = re.compile("^(Link your WhatsApp|Link again|Show a new code)$")
CODE = re.compile("QR code for linking")
EXPECTED, OTHER = "+62 812-3456-7890", "+62 812-9876-5432"


@pytest.fixture
def dialog(admin, unlinked: Number) -> Locator:
    """The dialog with its first code."""
    admin.page.goto("/")
    admin.page.get_by_role("button", name=LINK).click()
    found: Locator = admin.page.get_by_role("dialog")
    expect(found.get_by_role("img", name=CODE)).to_be_visible()
    return found


def test_after_six_codes_it_stops_until_somebody_asks(dialog):
    expect(dialog.get_by_role("heading", name="Nobody scanned the code")).to_be_visible()
    dialog.get_by_role("button", name="Show a new code").click()
    expect(dialog.get_by_text("1 of 6", exact=True)).to_be_visible()


def test_the_picture_is_the_code_of_the_gateway(dialog, unlinked):
    picture = dialog.locator("svg.qr-code")
    wait_until(lambda: _modules(picture) == _drawn(unlinked.phone.code()))


def test_success_is_told_once_and_the_focus_goes_back(admin, dialog, unlinked):
    told = _announcements(admin.page)
    unlinked.phone.scan()
    dialog.get_by_role("heading", name="Connected").wait_for()  # it is there for 1.5 s
    expect(dialog).to_be_hidden()
    expect(admin.page.locator(".state-word")).to_have_text("Connected")
    expect(admin.page.locator(":focus")).to_have_count(1)
    assert [one for one in told() if "connected as" in one] == [f"WhatsApp is connected as {EXPECTED}."]


def test_another_number_than_expected_is_warned_of_before_the_dialog_closes(admin, dialog, unlinked):
    unlinked.expect_phone(EXPECTED)
    unlinked.phone.scan(OTHER)
    expect(dialog.get_by_text(f"You expected {EXPECTED}.")).to_be_visible()
    admin.page.wait_for_timeout(2000)
    expect(dialog).to_be_visible()
    dialog.get_by_role("link", name="Keep this number").click()
    expect(dialog).to_be_hidden()
    expect(admin.page.get_by_text(f"{OTHER} is linked, but {EXPECTED} was expected.")).to_be_visible()


def test_a_number_that_cannot_be_is_refused_where_it_was_typed(admin, dialog):
    admin.expect_complaints("422", "400")
    dialog.get_by_role("link", name="Use the phone number instead").click()
    number = dialog.get_by_label("Phone number of the WhatsApp account")
    number.fill("12ab")
    dialog.get_by_role("button", name="Get a code to type").click()
    expect(dialog.locator(".error")).to_be_visible()
    expect(number).to_have_value("12ab")


def test_closing_the_dialog_ends_the_linking(admin, dialog, unlinked):
    admin.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    wait_until(lambda: unlinked.status == "disconnected")
    expect(admin.page.get_by_role("button", name="Link your WhatsApp")).to_be_visible()


def test_a_passkey_is_explained(dialog, unlinked):
    unlinked.phone.act("mode", passkey=True)
    try:
        unlinked.phone.scan()
        expect(dialog.get_by_role("heading", name="WhatsApp asks for a passkey")).to_be_visible()
        expect(dialog).to_contain_text("The gateway of this session cannot use a passkey.")
    finally:
        unlinked.phone.act("mode", passkey=False)
    dialog.get_by_role("button", name="Show a new code").click()
    expect(dialog.get_by_role("img", name=CODE)).to_be_visible()


def test_a_pairing_code_can_be_copied(window, up, logged_in, unlinked):
    page = window(up.url, storage_state=logged_in, permissions=["clipboard-read", "clipboard-write"]).page
    page.goto("/")
    page.get_by_role("button", name=LINK).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("link", name="Use the phone number instead").click()
    dialog.get_by_label("Phone number of the WhatsApp account").fill("0812 3456 7890")
    dialog.get_by_role("button", name="Get a code to type").click()
    dialog.get_by_role("button", name="Copy code").click()
    shown = dialog.locator(".pairing-code").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == re.sub(r"\W", "", shown)


def _announcements(page: Page) -> Any:
    """What the live region says from now on."""
    page.evaluate("""() => {
      window.told = [];
      const status = document.getElementById("status");
      new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
    }""")
    return lambda: page.evaluate("window.told")


def _drawn(code: str) -> list[list[bool]]:
    drawing = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=4)
    drawing.add_data(code)
    drawing.make(fit=True)
    return [[bool(module) for module in row] for row in drawing.get_matrix()]


def _modules(picture: Locator) -> list[list[bool]]:
    """Dark or light in the middle of each module, as a camera would see it on the screen."""
    size = int((picture.get_attribute("viewBox") or "").split()[2])
    width, _height, rows, info = png.Reader(file=io.BytesIO(picture.screenshot())).read()
    pixels, step = list(rows), width / size
    middles = [int((n + 0.5) * step) for n in range(size)]
    return [[pixels[y][x * info["planes"]] < 128 for x in middles] for y in middles]
