"""axe-core finds nothing on any page, in any state, in light and dark, on phones and desktops."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from gallery import VIEWS
from playwright.sync_api import Page

WIDTHS = (390, 1280)
# the dark theme differs in nothing but colours
RULES: dict[str, Any] = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_has_nothing_against(view, gallery, window, visitor):
    here = window(gallery.url, storage_state=visitor)
    here.expect_complaints("404")
    here.page.goto(gallery.prepare(view))
    assert everywhere(here.page) == []


@pytest.mark.parametrize("path", ["/login", "/setup?token=worn-out", "/nowhere"])
def test_axe_has_nothing_against_what_strangers_see(path, gallery, window):
    here = window(gallery.url)
    here.expect_complaints("404", "410", "status of 4")
    here.page.goto(path)
    assert everywhere(here.page) == []


def test_axe_has_nothing_against_pages_with_nothing_on_them(bare_gallery, window, enter):
    page = window(bare_gallery.url, storage_state=enter(bare_gallery.url)).page
    for path in ("/", "/messages", "/messages/new", "/activity"):
        page.goto(path)
        assert everywhere(page) == []


@pytest.mark.parametrize("path", ["/sessions/new", "/settings/people", "/messages/new", "/settings/keys"])
def test_axe_has_nothing_against_forms_filled_in_wrongly(path, gallery, window, visitor):
    here = window(gallery.url, storage_state=visitor)
    here.expect_complaints("422")
    here.page.goto(path)
    here.page.evaluate("for (const form of document.forms) form.noValidate = true")
    here.page.locator("form.form:visible").last.locator("button[type=submit]").click()
    here.page.locator(".error").first.wait_for()
    assert everywhere(here.page) == []


@pytest.mark.parametrize("role", ["supervisor", "operator"])
def test_axe_has_nothing_against_what_others_see(role, gallery, window, enter):
    here = window(gallery.url, storage_state=enter(gallery.url, role))
    here.expect_complaints("403")
    gallery.show("connected")
    for path in ("/", "/messages", "/settings/people"):
        here.page.goto(path)
        assert everywhere(here.page) == []


def test_axe_has_nothing_against_open_menus_and_dialogs(gallery, window, visitor):
    page = window(gallery.url, storage_state=visitor).page
    gallery.show("connected")
    page.goto("/")
    page.locator("details.menu summary").click()
    assert everywhere(page) == []
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("dialog").wait_for()
    assert everywhere(page) == []


def everywhere(page: Page) -> list[str]:
    """What axe finds in both themes at both widths."""
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme, rules in RULES.items():
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            found += [f"{width} {theme} {one}" for one in violations(page, rules)]
    return found


def violations(page: Page, rules: Any) -> list[str]:
    results: Any = page.evaluate("rules => axe.run({ runOnly: rules, resultTypes: ['violations'] })", rules)
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}"
        for one in results["violations"]
        for node in one["nodes"]
    ]
