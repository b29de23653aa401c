"""A link that asks for a passkey, with a WAHA that speaks its contract and a stand-in for its extension."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from eyes import everywhere, too_small, too_wide
from playwright.sync_api import Page, expect
from running_gateway import wait_until
from simulation import Simulation

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_waha import CHALLENGE, FakeWaha

PRIMARY = ".button.is-primary"
HANDSET = {"width": 390, "height": 844}
SIGNED = '{ id: "AX8bTgH2", type: "public-key", response: { signature: message.challenge.challenge } }'
CHROMES = """
Object.defineProperty(window, "chrome", { value: { runtime: { sendMessage(id, message, answer) {
  if (id !== "ghpdcgnjffaaekflfpcgkgpbafmjldcp") return answer(undefined);
  const said = message.type === "waha-passkey-sign" ? { ok: true, assertion: %s } : { ok: true };
  setTimeout(answer, 300, said);
} } } });
"""
FIREFOXES = """
addEventListener("message", ({ source, origin, data: message }) => {
  if (source !== window || origin !== location.origin || message?.source !== "waha-passkey-page") return;
  const said = message.type === "waha-passkey-sign" ? { assertion: %s } : {};
  postMessage({ source: "waha-passkey-extension", requestId: message.requestId, ok: true, ...said }, origin);
});
"""
WITH_EXTENSION = {"chrome": CHROMES % SIGNED, "firefox": FIREFOXES % SIGNED}
UNWILLING = WITH_EXTENSION["chrome"].replace(
    "setTimeout(answer, 300, said)",
    'setTimeout(answer, 0, message.type === "waha-passkey-sign" ? { ok: false, error: "NotAllowed" } : said)',
)


@pytest.fixture(scope="module")
def waha() -> Iterator[FakeWaha]:
    with FakeWaha() as running:
        yield running


@pytest.fixture(scope="module")
def panel(
    waha: FakeWaha, start_up: Callable[..., AbstractContextManager[Simulation]]
) -> Iterator[Simulation]:
    """Everything but the bundled gateway, in whose place WAHA stands."""
    with start_up(WA_GATEWAY_URL=waha.url, WA_GATEWAY_KIND="waha", WA_GATEWAY_KEY=waha.key) as panel:
        yield panel


@pytest.fixture(scope="module")
def cookies(panel: Simulation, enter: Callable[..., Any]) -> Any:
    return enter(panel.url)


@pytest.fixture
def asked(panel: Simulation, waha: FakeWaha) -> Simulation:
    """The phone has scanned the code, and WhatsApp wants the passkey."""
    number = panel.number

    def has_begun() -> bool:
        """What the test before ended with may still come in from the gateway."""
        number._ask("POST", "/sessions/logout/main/")
        return number.api.post("/sessions/refresh-qr/main/").is_success

    wait_until(has_begun)
    wait_until(lambda: number.status == "qr_pending")
    waha.ask_passkey("main")
    wait_until(lambda: number._ask("GET", "/sessions/passkey/main/")["is_asked"])
    return panel


@pytest.fixture
def page(asked: Simulation, window: Callable[..., Any], cookies: Any) -> Page:
    found: Page = window(asked.url, storage_state=cookies).page
    return found


def sign(page: Page) -> None:
    page.get_by_role("button", name="Use the passkey").click()
    expect(page.get_by_role("heading", name="Does the phone show this code?")).to_be_visible()
    expect(page.locator(".pairing-code")).to_have_text("1234")


@pytest.mark.parametrize("browser_kind", WITH_EXTENSION)
def test_the_extension_signs_and_a_person_compares_the_code(page, waha, browser_kind):
    page.add_init_script(WITH_EXTENSION[browser_kind])
    page.goto("/sessions/1/link")
    sign(page)
    answer = waha.lines["main"].more["assertion"]
    assert answer["response"]["signature"] == CHALLENGE["challenge"]
    assert everywhere(page) + too_wide(page) + too_small(page, PRIMARY, 44) == []
    page.get_by_role("button", name="Yes, the same code").click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()


def test_it_goes_on_in_the_dialog_of_the_home_page(page):
    page.add_init_script(WITH_EXTENSION["chrome"])
    page.goto("/")
    expect(page.locator(".state-word")).to_have_text("WhatsApp asks for a passkey")
    page.get_by_role("link", name="Finish linking").click()
    sign(page)
    page.get_by_role("button", name="Yes, the same code").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".state-word")).to_have_text("Connected")


def test_another_code_on_the_phone_stops_it(page, waha):
    page.add_init_script(WITH_EXTENSION["chrome"])
    page.goto("/sessions/1/link")
    sign(page)
    page.get_by_role("button", name="No, stop linking").click()
    expect(page.get_by_role("heading", name="Linking has ended")).to_be_visible()
    assert waha.word(waha.lines["main"]) == "STOPPED"


def test_without_the_extension_it_says_how_to_get_it(page):
    page.goto("/sessions/1/link")
    expect(page.get_by_text("Install the extension")).to_be_visible()
    expect(page.get_by_role("link", name="For Chrome, Edge, Brave")).to_have_attribute(
        "href", re.compile("^https://chromewebstore.google.com/")
    )
    page.wait_for_timeout(1200)  # two calls that nobody answers
    expect(page.get_by_role("button", name="Use the passkey")).to_be_hidden()
    assert everywhere(page) + too_wide(page) + too_small(page, PRIMARY, 44) == []


def test_a_passkey_that_is_not_at_hand_can_be_tried_again(page):
    page.add_init_script(UNWILLING)
    page.goto("/sessions/1/link")
    page.get_by_role("button", name="Use the passkey").click()
    expect(page.get_by_text("The passkey was not used.")).to_be_visible()
    expect(page.get_by_role("button", name="Use the passkey")).to_be_enabled()


def test_the_owner_of_the_phone_does_it_on_their_page(asked, window, cookies):
    admin = window(asked.url, storage_state=cookies).page
    admin.goto("/sessions/1/link/pass")
    admin.get_by_role("button", name="Make a link").click()
    guest = window(asked.url, viewport=HANDSET).page
    guest.add_init_script(WITH_EXTENSION["firefox"])
    guest.goto(admin.locator(".code code").inner_text())
    sign(guest)
    assert everywhere(guest) + too_wide(guest) == []
    guest.get_by_role("button", name="Yes, the same code").click()
    expect(guest.get_by_role("heading", name="Connected")).to_be_visible()


def test_without_javascript_it_says_what_is_needed(asked, window, cookies):
    page = window(asked.url, storage_state=cookies, java_script_enabled=False).page
    page.goto("/sessions/1/link")
    expect(page.get_by_text("Install the extension")).to_be_visible()
    expect(page.get_by_role("button", name="Use the passkey")).to_be_hidden()
    assert "This browser runs no JavaScript" in page.content()
