"""Every page, in every state: it fits every width, can be touched, and axe-core has nothing against it."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from eyes import OTHER_WAY_ROUND, PHONE, everywhere, too_small, too_wide
from gallery import VIEWS

SMALLEST_TARGET, PRIMARY_TARGET = 24, 44
TARGETS, PRIMARY = "a, button, summary, input, select, textarea", ".button.is-primary:not(.is-small)"
# the same beneath the card in every state of the session: looked at once, when it is connected
BENEATH = "[id$=-latest]"
# the page that says that a phone is linked leads on after 1.5 s
STAY = """addEventListener("DOMContentLoaded", () => {
  for (const done of document.querySelectorAll("[data-done]")) done.dataset.seen = "1";
});"""
# between them they hold everything that only a phone or only a desktop shows
WEARS_ALL = ("home_connected", "link_waiting_for_scan", "messages", "message_sent", "activity", "account")


@pytest.fixture(scope="module")
def tour(watch, gallery, visitor):
    """One window for all of them, as when somebody walks through the panel."""
    window = watch(gallery.url, storage_state=visitor)
    window.context.add_init_script(STAY)
    window.context.add_init_script(AXE_SCRIPT)  # into each page anew would be dearer
    return window


@pytest.fixture(scope="module")
def stranger(watch, gallery):
    return watch(gallery.url)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wrong_with(view, gallery, tour):
    tour.expect_complaints("status of 404")
    page = tour.page
    page.goto(gallery.prepare(view))
    assert too_wide(page) == []
    assert too_small(page, TARGETS, SMALLEST_TARGET) == []
    assert too_small(page, PRIMARY, PRIMARY_TARGET) == []
    is_repeated = view.startswith("home_") and view != "home_connected"
    assert everywhere(page, except_for=BENEATH if is_repeated else "") == []
    tour.judge()


@pytest.mark.parametrize("view", WEARS_ALL)
def test_nothing_is_wrong_in_the_other_theme_either(view, gallery, tour):
    tour.page.goto(gallery.prepare(view))
    assert everywhere(tour.page, screens=OTHER_WAY_ROUND) == []
    tour.judge()


@pytest.mark.parametrize("path", ["/login", "/setup?token=worn-out", "/nowhere", "/l/unknown"])
def test_nothing_is_wrong_with_what_strangers_see(path, stranger):
    stranger.expect_complaints("404", "410", "status of 4")
    stranger.page.goto(path)
    assert everywhere(stranger.page) + too_wide(stranger.page) == []
    stranger.judge()


def test_nothing_is_wrong_with_pages_with_nothing_on_them(bare_gallery, window, enter):
    page = window(bare_gallery.url, storage_state=enter(bare_gallery.url)).page
    for path in ("/", "/messages", "/messages/new", "/activity"):
        page.goto(path)
        assert everywhere(page) + too_wide(page) == []


def test_nothing_is_wrong_with_joining(gallery, stranger):
    stranger.page.goto(f"/join?token={gallery.invitation}")
    assert everywhere(stranger.page) + too_wide(stranger.page) == []
    assert too_small(stranger.page, TARGETS, SMALLEST_TARGET) == []
    stranger.judge()


def test_nothing_is_wrong_with_the_way_to_another_workspace(bare_gallery, window, enter):
    bare_gallery.add_workspace("Toko Maju Jaya Sejahtera Bersama dan Rekan-Rekan")
    page = window(bare_gallery.url, storage_state=enter(bare_gallery.url)).page
    page.goto("/messages")
    page.click(".switcher summary")
    assert everywhere(page) + too_wide(page) == []
    page.click(".switcher form button")
    page.locator(".switcher summary", has_text="Toko Maju").wait_for()


@pytest.mark.parametrize("path", ["/sessions/new", "/settings/people", "/messages/new", "/settings/keys"])
def test_nothing_is_wrong_with_forms_filled_in_wrongly(path, gallery, tour):
    gallery.show("connected")
    tour.expect_complaints("422")
    tour.page.goto(path)
    tour.page.evaluate("for (const form of document.forms) form.noValidate = true")
    tour.page.locator("form.form:visible").last.locator("button[type=submit]").click()
    tour.page.locator(".error").first.wait_for()
    assert everywhere(tour.page) + too_wide(tour.page) == []
    tour.judge()


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("supervisor", ("/", "/messages", "/settings/people")),
        ("operator", ("/",)),
    ],  # the others are an admin's
)
def test_nothing_is_wrong_with_what_others_see(role, paths, gallery, window, enter):
    here = window(gallery.url, storage_state=enter(gallery.url, role))
    here.expect_complaints("403")
    gallery.show("connected")
    for path in paths:
        here.page.goto(path)
        assert everywhere(here.page, except_for=BENEATH) == []


def test_nothing_is_wrong_with_open_menus_and_dialogs(gallery, tour):
    page = tour.page
    gallery.show("connected")
    page.goto("/")
    page.locator("details.menu summary").click()
    assert everywhere(page, except_for=BENEATH) == []
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("dialog").wait_for()
    assert everywhere(page, except_for=BENEATH) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    assert everywhere(page, except_for=BENEATH) == []
    tour.judge()


@pytest.mark.parametrize("path", ["/", "/sessions/1/link", "/messages", "/sessions/1/edit"])
def test_long_words_and_large_numbers_do_not_break_it(path, gallery, tour):
    gallery.show(
        "connected", name="W" * 80, profile_name="m" * 120, description="l" * 300, waiting_count=123456
    )
    tour.page.goto(path)
    assert too_wide(tour.page) == []
    tour.judge()


def test_a_page_on_a_handset_begins_with_its_heading(gallery, tour):
    gallery.show("connected")
    tour.page.set_viewport_size({"width": PHONE, "height": 844})
    tour.page.goto("/messages")
    assert tour.page.locator("h1").bounding_box()["y"] < 120
    tour.judge()
