"""Every page fits every width, and what is to be touched is large enough."""

from __future__ import annotations

from typing import Any

import pytest
from gallery import VIEWS, Gallery
from playwright.sync_api import Page

WIDTHS = (360, 390, 768, 1280, 1440)
PHONE = 390
SMALLEST_TARGET, PRIMARY_TARGET = 24, 44

# what sticks out, by how it begins; what scrolls inside a box of its own may be wide
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  return [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > room + 1)
    .map((one) => one.outerHTML.slice(0, 120));
}"""
# links inside of sentences are as high as their line: WCAG 2.5.8 exempts them
TOO_SMALL = """([selector, least]) => [...document.querySelectorAll(selector)].filter((one) => {
  if (!one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
  if (one.closest("p, li, td, dd, small, nav.crumbs") && one.matches("a:not(.button)")) return false;
  const touched = (one.matches("input[type=radio], input[type=checkbox]") && one.closest("label")) || one;
  const box = touched.getBoundingClientRect();
  return box.width > 1 && (box.width < least - 0.5 || box.height < least - 0.5);
}).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("view", VIEWS)
def test_fits_every_width(view, gallery, window, visitor):
    here = window(gallery.url, storage_state=visitor)
    here.expect_complaints("404")
    here.page.goto(gallery.prepare(view))
    assert [
        (width, at(here.page, width, TOO_WIDE)) for width in WIDTHS if at(here.page, width, TOO_WIDE)
    ] == []
    targets = ["a, button, summary, input, select, textarea", SMALLEST_TARGET]
    assert at(here.page, PHONE, TOO_SMALL, targets) == []
    assert at(here.page, PHONE, TOO_SMALL, [".button.is-primary:not(.is-small)", PRIMARY_TARGET]) == []


@pytest.mark.parametrize("path", ["/", "/messages", "/messages/new", "/activity"])
def test_fits_every_width_with_nothing_on_it(path, bare_gallery, window, enter):
    page = window(bare_gallery.url, storage_state=enter(bare_gallery.url)).page
    page.goto(path)
    assert [width for width in WIDTHS if at(page, width, TOO_WIDE)] == []


@pytest.mark.parametrize("path", ["/", "/sessions/1/link", "/messages", "/sessions/1/edit"])
def test_long_words_and_large_numbers_do_not_break_it(path, gallery: Gallery, window, visitor):
    gallery.show(
        "connected", name="W" * 80, profile_name="m" * 120, description="l" * 300, waiting_count=123456
    )
    page = window(gallery.url, storage_state=visitor).page
    page.goto(path)
    assert [width for width in WIDTHS if at(page, width, TOO_WIDE)] == []


def at(page: Page, width: int, question: str, about: Any = None) -> list[str]:
    page.set_viewport_size({"width": width, "height": 900})
    found: list[str] = page.evaluate(question, about)
    return found
