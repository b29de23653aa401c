"""What the home page says when something breaks, and that it comes back by itself when it can."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from running_gateway import wait_until
from simulation import Number


@pytest.fixture
def home(admin, number: Number) -> Page:
    admin.page.goto("/")
    expect(word(admin.page)).to_have_text("Connected")
    return admin.page


def word(page: Page):
    return page.locator(".state-word")


def test_a_dead_gateway_looks_unlike_an_unlinked_phone_and_comes_back(home, up, number):
    up.kill_gateway()
    expect(word(home)).to_have_text("Gateway unreachable")
    expect(home.locator(".pulse")).to_have_class("card pulse tone-mute")
    waiting = number.send("I wait")
    expect(home.locator(".sentence")).to_contain_text("1 message waits safely.")
    up.revive_gateway()
    expect(word(home)).to_have_text("Connected")
    home.goto(f"/messages/{waiting}")
    expect(home.locator(".badge")).to_have_text("Read")


def test_a_broken_line_comes_back_by_itself(home, number):
    number.phone.act("mode", network="down")
    expect(word(home)).not_to_have_text("Connected")
    expect(home.locator(".pulse")).to_have_class("card pulse tone-warn")
    number.phone.act("mode", network="up")
    expect(word(home)).to_have_text("Connected")


@pytest.mark.parametrize(
    ("act", "said", "step"),
    [
        ("replace", "Opened somewhere else", "Connect here again"),
        ("outdated", "Too old for WhatsApp", "Connect again"),
        ("ban", "Blocked by WhatsApp", "Try to connect"),
    ],
)
def test_what_needs_a_person_waits_for_one(home, number, act, said, step):
    number.phone.act(act, **({"seconds": 20} if act == "ban" else {}))
    expect(word(home)).to_have_text(said)
    number.phone.act("mode", outdated=False)
    home.wait_for_timeout(1500)  # a check of its health and a poll
    expect(word(home)).to_have_text(said)
    if act == "ban":
        number.phone.act("ban", seconds=0)
    home.get_by_role("button", name=step).click()
    expect(word(home)).to_have_text("Connected")


def test_disconnecting_asks_first_keeps_the_login_and_connects_again(home, number):
    home.locator("details.menu summary").click()
    home.get_by_role("link", name="Disconnect").click()
    asked = home.get_by_role("dialog")
    expect(asked.get_by_role("link", name="Keep it as it is")).to_be_focused()
    asked.get_by_role("button", name="Disconnect Main number").click()
    expect(asked).to_be_hidden()
    expect(word(home)).to_have_text("Disconnected")
    home.get_by_role("button", name="Connect Main number").click()
    expect(word(home)).to_have_text("Connected")


def test_deleting_wants_the_name_typed(admin, home):
    admin.expect_complaints("422")
    home.locator("details.menu summary").click()
    home.get_by_role("link", name="Delete session").click()
    asked = home.get_by_role("dialog")
    asked.get_by_label("Type Main number to go on").fill("main")
    asked.get_by_role("button", name="Delete Main number").click()
    expect(home.get_by_text("This is not its name. Nothing was deleted.")).to_be_visible()


def test_linking_without_a_gateway_is_told_in_the_dialog(admin, up, unlinked):
    admin.expect_complaints("502", "503")
    admin.page.goto("/")
    up.kill_gateway()
    admin.page.locator("button[data-opens=link-dialog]").click()
    dialog = admin.page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="The gateway could not do it")).to_be_visible()
    up.revive_gateway()
    wait_until(up.is_ready)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.locator("svg.qr-code")).to_be_visible()
