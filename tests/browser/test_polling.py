"""Polls: silent while nothing changes, never in the way, honest when they fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

CARD = "/sessions/1/status"
HIDEABLE = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
window.causes = [];
addEventListener("htmx:config:request", (event) => causes.push(event.detail.ctx.sourceEvent?.type));
"""


@pytest.fixture
def here(gallery, window, visitor) -> Any:
    gallery.show("connected")
    window = window(gallery.url, storage_state=visitor)
    window.context.add_init_script(HIDEABLE)
    window.page.goto("/")
    return window


@pytest.fixture
def polls(here) -> Callable[[int], list[int]]:
    """Waits for so many more polls of the card; their statuses."""
    answers: list[int] = []
    here.page.on("response", lambda answer: answers.append(answer.status) if CARD in answer.url else None)

    def wait_for(count: int) -> list[int]:
        answers.clear()
        for _ in range(count):
            with here.page.expect_response(lambda answer: CARD in answer.url):
                pass
        return answers

    return wait_for


def test_ten_polls_of_what_does_not_change_are_204_and_move_nothing(here, polls):
    here.page.evaluate("moved.length = 0")  # what moved while the page loaded is not the polls' doing
    assert set(polls(10)) == {204}
    assert here.page.evaluate("moved") == []


def test_a_change_shows_within_one_poll_and_is_read_out_once(here, polls, gallery):
    here.page.evaluate("""() => {
      window.told = [];
      const status = document.getElementById("status");
      new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
    }""")
    gallery.show("unlinked")
    assert 200 in polls(2)  # the first may have been on its way already
    expect(here.page.locator(".state-word")).to_have_text("Unlinked on the phone")
    here.page.wait_for_timeout(2500)
    assert [one for one in here.page.evaluate("told") if one] == [here.page.locator("#status").inner_text()]


def test_a_hidden_tab_rests_and_catches_up_at_once(here, polls, gallery):
    polls(1)
    here.page.evaluate("hide(true)")
    asked: list[str] = []
    here.page.on("request", lambda request: asked.append(request.url))
    gallery.show("paused")
    here.page.wait_for_timeout(2500)
    assert asked == []
    here.page.evaluate("causes.length = 0, hide(false)")
    expect(here.page.locator(".state-word")).to_have_text("Sending is paused")
    assert here.page.evaluate("causes[0]") == "wa:visible"  # and not that it was time again


def test_two_missed_polls_are_admitted_and_the_next_good_one_forgotten(here, gallery):
    here.expect_complaints("ERR_CONNECTION_REFUSED", "Failed to load resource", "Failed to fetch")
    gallery.panel.stop()
    late = here.page.locator("[data-late]")
    expect(late).to_have_attribute("data-late", re.compile(r"^Not updated since \d\d:\d\d, retrying$"))
    expect(late.locator(".state-word")).to_have_text("Connected")
    gallery.panel.start()
    expect(late).to_have_count(0)


def test_a_login_that_ran_out_leads_to_the_login_page_and_back(gallery, window, enter, fill_login):
    here = window(gallery.url, storage_state=enter(gallery.url, "operator"))
    here.expect_complaints("401")
    here.page.goto("/messages")
    gallery.end_logins("operator")
    here.page.wait_for_url(re.compile("/login"))
    fill_login(here.page, "operator")
    here.page.wait_for_url(f"{gallery.url}/messages")


def test_a_number_typed_in_the_dialog_survives_new_codes(here, gallery):
    gallery.show("waiting_for_scan")
    here.page.locator("a.button", has_text="Open the code").click()
    dialog = here.page.get_by_role("dialog")
    dialog.get_by_role("link", name="Use the phone number instead").click()
    number = dialog.get_by_label("Phone number of the WhatsApp account")
    number.fill("0812 33")
    gallery.show("waiting_for_scan", qr_sequence=3)
    expect(dialog.get_by_text("3 of 6", exact=True)).to_be_visible()
    expect(number).to_have_value("0812 33")
    expect(number).to_be_focused()


def test_an_open_dialog_and_an_open_menu_survive_changes(here, gallery):
    here.page.locator("details.menu summary").click()
    gallery.show("connected", description="changed once")
    expect(here.page.get_by_text("changed once")).to_be_visible()
    here.page.get_by_role("link", name="Disconnect").click()
    gallery.show("connected", description="changed twice")
    expect(here.page.get_by_text("changed twice")).to_be_visible()
    expect(here.page.get_by_role("dialog", name="Disconnect Toko Sari?")).to_be_visible()


def test_words_of_the_gateway_that_somebody_opened_stay_open(here, gallery):
    here.page.locator(".as-table summary").click()
    gallery.show("paused")
    expect(here.page.locator(".state-word")).to_have_text("Sending is paused")
    expect(here.page.locator(".as-table table")).to_be_visible()


def test_new_messages_are_announced_and_never_inserted(here, gallery):
    here.page.goto("/messages")
    first = here.page.locator(".row-link").first.inner_text()
    gallery.add_message()
    expect(here.page.get_by_role("link", name=re.compile("1 new"))).to_be_visible()
    assert here.page.locator(".row-link").first.inner_text() == first
    assert here.page.evaluate("moved") == []
