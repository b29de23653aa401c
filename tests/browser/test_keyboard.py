"""The main job without a mouse: each step is reached by Tab, can be seen, and leaves the focus somewhere."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

TABS = 60
NAME = """one => {
  const label = one.labels?.[0]?.textContent.replace("(optional)", "");
  return one.getAttribute("aria-label") || label || one.innerText || "";
}"""
# the whole of it on the screen, with a ring around it
IS_MARKED = """(focused) => {
  const one = focused.type === "radio" ? focused.closest("label") : focused;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const isShown = box.width > 0 && box.top >= 0 && box.bottom <= innerHeight;
  return isShown && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


def test_the_main_job_needs_no_mouse(window, fresh_up):
    page = window(fresh_up.url).page
    set_up(page, fresh_up.first_run_link)
    link(page, fresh_up)
    send(page)
    unlink(page)


def set_up(page: Page, address: str) -> None:
    page.goto(address)
    page.keyboard.type("Sari Dewi")  # the first field has the focus
    for name, text in (("E-mail", "sari@example.com"), ("Password", "seven quiet rivers at dusk")):
        reach(page, name)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Link your WhatsApp")


def link(page: Page, up) -> None:
    press(page, "Link your WhatsApp")
    expect(page.locator("svg.qr-code")).to_be_visible()
    reach(page, "iPhone", keys=("Tab", "ArrowRight"))
    expect(page.get_by_text("tap Settings and then Linked devices")).to_be_visible()
    up.phone("main_number").scan()
    expect(page.locator(".state-word")).to_have_text("Connected")


def send(page: Page) -> None:
    press(page, "Send a test")
    reach(page, "To")
    page.keyboard.type("0812 9999 8888")
    reach(page, "Message")
    page.keyboard.type("Halo by keyboard")
    press(page, "Send message")
    expect(page.locator(".badge")).to_have_text("Read")


def unlink(page: Page) -> None:
    press(page, "Session")
    expect(page.locator(".state-word")).to_be_visible()
    press(page, "More for Main number")
    press(page, re.compile("^Unlink"))
    asked = page.get_by_role("dialog")
    expect(asked.get_by_role("link", name="Keep it as it is")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_label("More for Main number")).to_be_focused()
    page.keyboard.press("Enter")
    press(page, re.compile("^Unlink"))
    expect(asked.get_by_role("link", name="Keep it as it is")).to_be_focused()
    press(page, re.compile("^Unlink"), keys=("Shift+Tab",))
    expect(page.get_by_role("button", name="Link your WhatsApp")).to_be_visible()


def press(page: Page, name: str | re.Pattern[str], keys: tuple[str, ...] = ("Tab",)) -> None:
    reach(page, name, keys)
    page.keyboard.press("Enter")


def reach(page: Page, name: str | re.Pattern[str], keys: tuple[str, ...] = ("Tab",)) -> None:
    """Go on by keys until something of this name has the focus, which must be seen."""
    for turn in range(TABS):
        page.keyboard.press(keys[turn % len(keys)])
        focused = page.locator(":focus")
        if focused.count() and _is_named(focused, name):
            assert focused.evaluate(IS_MARKED), f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"{name} is out of reach")


def _is_named(focused, name: str | re.Pattern[str]) -> bool:
    words = focused.evaluate(NAME).strip()
    return bool(name.search(words)) if isinstance(name, re.Pattern) else words == name
