"""Chromium, a running panel, and a watch on every page: no broken policy, no errors, no foreign requests."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from chromium import SWITCHES
from chromium import path as find_chromium
from gallery import Gallery
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    WebError,
    expect,
    sync_playwright,
)
from simulation import Number, Simulation

from wa_admin import create_app
from wa_admin.extensions import db
from wa_admin.services import api_keys, sessions

DESKTOP = {"width": 1280, "height": 900}
HANDSET = {"width": 390, "height": 844}
READER: Any = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "Asia/Jakarta"}
SPEED = 10  # six codes are over after 16 s, and nobody waits for an acknowledgement for longer than 7.5 s
PASSWORD = "correct horse battery staple"  # of every role: tests/conftest.py
WAIT_SECONDS = 40  # with a machine that has much else to do

# kept in the page: what a policy forbade, and by how much things moved unasked
WATCH = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
});
window.moved = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });
"""

expect.set_options(timeout=WAIT_SECONDS * 1000)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        chromium = Chromium(playwright, find_chromium())
        yield chromium
        chromium.end()


class Chromium:
    """Rarely it closes a window for ever: then it is ended, which is told, and begun anew for the next."""

    def __init__(self, playwright: Playwright, path: str) -> None:
        self._start = partial(playwright.chromium.launch, executable_path=path, args=SWITCHES)
        self._browser: Browser = self._start()

    def new_context(self, **options: Any) -> BrowserContext:
        if not self._browser.is_connected():
            self._browser = self._start()
        return self._browser.new_context(**options)

    def end(self, one: BrowserContext | None = None) -> None:
        """That window, or the whole of it."""
        has_hung = threading.Event()
        patience = threading.Timer(WAIT_SECONDS, lambda: (has_hung.set(), _kill_chromium()))
        patience.start()
        try:
            (one or self._browser).close()
        except Error:
            if not has_hung.is_set():
                raise
        finally:
            patience.cancel()
        if has_hung.is_set():
            warnings.warn("Chromium hung in closing a window, and was begun anew", stacklevel=2)


def _kill_chromium() -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith("chrom"):
                child.kill()


class Watched:
    """A browser window of its own that remembers everything that must never happen."""

    def __init__(self, chromium: Chromium, url: str, **options: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.context: BrowserContext = chromium.new_context(base_url=url, **READER | options)
        self._chromium = chromium
        self.context.set_default_timeout(WAIT_SECONDS * 1000)
        self.context.add_init_script(WATCH)
        self.context.on("request", self._on_request)
        self.context.on("console", self._on_console)
        self.context.on("weberror", self._on_error)
        self.page: Page = self.context.new_page()
        self.expected: tuple[str, ...] = ()

    def expect_complaints(self, *parts: str) -> None:
        """The browser itself reports every 4xx and 5xx: those that the test provokes."""
        self.expected += parts

    def close(self) -> None:
        self._chromium.end(self.context)
        self.judge()

    def judge(self) -> None:
        """Nothing that must never happen has happened since the last time; what was expected is no more."""
        said, expected = self.complaints, self.expected
        self.complaints, self.expected = [], ()
        unexpected = [one for one in said if not any(part in one for part in expected)]
        assert not unexpected, unexpected

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:")):
            self._note(f"a request left the panel: {request.url}")

    def _on_console(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self._note(f"{said.text} {said.location.get('url', '')}")

    def _on_error(self, thrown: WebError) -> None:
        self._note(str(thrown.error))

    def _note(self, complaint: str) -> None:
        self.complaints.append(complaint)


@pytest.fixture
def window(chromium: Chromium) -> Iterator[Callable[..., Watched]]:
    """Opens watched windows; what they saw is judged at the end of the test."""
    yield from _opener(chromium)


@pytest.fixture(scope="module")
def watch(chromium: Chromium) -> Iterator[Callable[..., Watched]]:
    """The same for windows that several tests share: each of them judges."""
    yield from _opener(chromium)


def _opener(chromium: Chromium) -> Iterator[Callable[..., Watched]]:
    opened: list[Watched] = []

    def open_window(url: str, **options: Any) -> Watched:
        opened.append(Watched(chromium, url, **options))
        return opened[-1]

    yield open_window
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def fresh_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    """A first start: no account, no session."""
    up = Simulation(tmp_path_factory.mktemp("fresh"), speed=SPEED)
    yield up
    up.stop()


@pytest.fixture(scope="package")
def start_up(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Simulation]]:
    """A panel with one account of each role and the session `main`, and everything behind it."""

    @contextmanager
    def started(**environ: str) -> Iterator[Simulation]:
        data_dir = _copy(migrated, tmp_path_factory)
        key = _furnish(data_dir)
        up = Simulation(data_dir, speed=SPEED, **environ)
        with closing(Number(up, key)) as up.number:
            yield up
        up.stop()

    return started


@pytest.fixture(scope="package")
def up(start_up: Callable[..., AbstractContextManager[Simulation]]) -> Iterator[Simulation]:
    """`number` and `unlinked` put it right."""
    with start_up() as up:
        yield up


def _furnish(data_dir: Path) -> str:
    """A session that was never linked, and a key for the apps; the key."""
    app = create_app({"WA_DATA_DIR": str(data_dir), "WA_ENGINE": "simulator"})
    with app.app_context():
        sessions.create(1, "Main number", session_id="main", actor="cli")
        _, key = api_keys.issue(1, "tests", actor="cli")
        db.session.remove()
        db.engine.dispose()
    return key


def _copy(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(migrated, tmp_path_factory.mktemp("panel") / "data"))


@pytest.fixture(scope="package")
def enter(chromium: Chromium, fill_login: Callable[..., None]) -> Callable[..., Any]:
    """Logs somebody in; the cookies, for windows that start logged in."""

    def log_in(url: str, role: str = "admin") -> Any:
        context = chromium.new_context(base_url=url, **READER)
        page = context.new_page()
        page.goto("/login")
        fill_login(page, role)
        page.wait_for_url(f"{url}/")
        state = context.storage_state()
        chromium.end(context)
        return state

    return log_in


@pytest.fixture(scope="package")
def logged_in(enter: Callable[..., Any], up: Simulation) -> Any:
    """The cookies of an admin."""
    return enter(up.url)


@pytest.fixture(scope="package")
def fill_login() -> Callable[..., None]:
    def fill(page: Page, role: str = "admin") -> None:
        page.get_by_label("E-mail").fill(f"{role}@example.com")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()

    return fill


@pytest.fixture(scope="module")
def window_of_admin(watch: Callable[..., Watched], up: Simulation, logged_in: Any) -> Watched:
    return watch(up.url, storage_state=logged_in)


@pytest.fixture
def admin(window_of_admin: Watched) -> Iterator[Watched]:
    """At the beginning of the test there is nothing in it: to open one costs as much as two pages."""
    yield window_of_admin
    window_of_admin.page.goto("/healthz")
    window_of_admin.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    window_of_admin.judge()


@pytest.fixture
def number(up: Simulation) -> Number:
    """The session `main`, connected when the test begins."""
    up.revive_gateway()
    up.number.link()
    return up.number


@pytest.fixture
def unlinked(up: Simulation) -> Number:
    """The session `main`, waiting to be linked when the test begins."""
    up.revive_gateway()
    up.number.unlink()
    return up.number


@pytest.fixture(scope="package")
def gallery(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with closing(Gallery(_copy(migrated, tmp_path_factory))) as gallery:
        yield gallery


@pytest.fixture(scope="package")
def own_gallery(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Gallery]:
    """Makes one that nobody else looks at."""
    return lambda: Gallery(_copy(migrated, tmp_path_factory))


@pytest.fixture(scope="module")
def bare_gallery(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Before there is anything."""
    with closing(Gallery(_copy(migrated, tmp_path_factory))) as gallery:
        gallery.forget_everything()
        yield gallery


@pytest.fixture(scope="package")
def visitor(enter: Callable[..., Any], gallery: Gallery) -> Any:
    """The cookies of an admin of the gallery."""
    return enter(gallery.url)
