"""What can be judged by looking at a page: whether it fits, can be touched, and what axe-core finds."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

PHONE, DESKTOP = 390, 1280
WIDTHS = (DESKTOP, 1440, 768, 360, PHONE)  # each change costs a layout: they end where a look begins
# a theme is nothing but colours, and no width has colours of its own: one look sees both
SCREENS = {PHONE: "light", DESKTOP: "dark"}
# for what only one width shows
OTHER_WAY_ROUND = {PHONE: "dark", DESKTOP: "light"}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# the first rows of a table and the first calls of the API stand for those that follow: they wear the same
MORE_OF_THE_SAME = "tbody tr:nth-child(n+13), article.card:nth-of-type(n+5)"
# only what is wrong is handed over: all that passed costs more than to find it
AXE = """async ([rules, without]) => (await axe.run(
  { exclude: without }, { runOnly: rules, resultTypes: ["violations"], selectors: false, preload: false }
)).violations.flatMap(({ id, nodes }) => nodes.map(
  ({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`
))"""
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


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll sideways, at any width."""
    return [f"{width}: {one}" for width in WIDTHS for one in _at(page, width).evaluate(TOO_WIDE)]


def too_small(page: Page, selector: str, least: int) -> list[str]:
    """What a finger would miss on a phone; `least` in pixels."""
    found: list[str] = _at(page, PHONE).evaluate(TOO_SMALL, [selector, least])
    return found


def everywhere(page: Page, except_for: str = "", screens: dict[int, str] = SCREENS) -> list[str]:
    """What axe finds on a phone and on a desktop, which have a theme each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    without = [[selector] for selector in (MORE_OF_THE_SAME, except_for) if selector]
    found: list[str] = []
    for width, theme in screens.items():
        _at(page, width).emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        found += [f"{width} {theme} {one}" for one in page.evaluate(AXE, [RULES, without])]
    return found


def _at(page: Page, width: int) -> Page:
    page.set_viewport_size({"width": width, "height": 900})
    return page
