"""When somebody with a phone of the middle sees something: Chromium, four times slower than here, on the line
that its developer tools call fast 4G; nothing is cached yet."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
from playwright.sync_api import Browser, sync_playwright

from . import outside, subjects
from .figure import Figure, clock, count

PHONE: Any = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}
SLOWER = 4
LINE = {
    "offline": False,
    "latency": 165,
    "downloadThroughput": 9e6 * 0.9 / 8,
    "uploadThroughput": 1.5e6 * 0.9 / 8,
}
VISITS = 7
PAINTED = """() => new Promise((done) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) done(paint.startTime);
}).observe({ type: "paint", buffered: true }))"""


def figures(place: Path) -> Iterator[Figure]:
    panel = subjects.Panel(place / "data")
    name, value = panel.cookie.split("=", 1)
    with outside.running_panel(place / "data") as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.SWITCHES)
        url = f"http://localhost:{port}/"  # which a browser trusts like https
        cookie = {"name": name, "value": value, "domain": "localhost", "path": "/", "secure": True}
        visits = [_visit(browser, url, cookie) for _ in range(VISITS)]
        browser.close()
    seconds = statistics.median(painted for painted, _ in visits)
    strangers = sum(not one.startswith(url) for _, asked in visits for one in asked)
    yield clock("first_contentful_paint_seconds", seconds, 1.0, 1.8)
    yield count("first_visit_third_party_requests", strangers, 0, 0)


def _visit(browser: Browser, url: str, cookie: Any) -> tuple[float, list[str]]:
    """Seconds until something is to be seen of the first page, and all that was asked for."""
    context = browser.new_context(**PHONE)
    context.add_cookies([cookie])
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.emulateNetworkConditions", LINE)
    tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url)
    painted = page.evaluate(PAINTED) / 1000
    assert page.url == url, f"{page.url} was shown instead"
    context.close()
    return painted, asked
