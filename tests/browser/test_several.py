"""Several sessions side by side, as a person meets them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from eyes import everywhere, too_small, too_wide
from gallery import Gallery, states
from playwright.sync_api import expect

from wa_admin.extensions import db
from wa_admin.models import WhatsAppSession

LOOKS = ("connected", "unlinked", "paused", "never_linked", "reconnecting", "inactive", "stopped")


class Several(Gallery):
    def fill(self, count: int) -> None:
        """So many sessions, each in another state."""
        with self._changing():
            first = db.session.get_one(WhatsAppSession, 1)
            columns = {one.key: getattr(first, one.key) for one in WhatsAppSession.__table__.columns}
            db.session.query(WhatsAppSession).filter(WhatsAppSession.id > 1).delete()
            for number in range(2, count + 1):
                name = f"line_{number}"
                own = {"id": number, "name": name, "name_key": name, "session_id": name, "instance": name}
                state = states()[LOOKS[number % len(LOOKS)]]
                db.session.add(WhatsAppSession(**columns | own | {"is_default": False} | state))

    def change(self, number: int, **columns: Any) -> None:
        with self._changing():
            for name, value in columns.items():
                setattr(db.session.get_one(WhatsAppSession, number), name, value)


@pytest.fixture(scope="module")
def several(migrated, tmp_path_factory) -> Iterator[Several]:
    data_dir = shutil.copytree(migrated, tmp_path_factory.mktemp("several") / "data")
    with closing(Several(data_dir, WA_MAX_SESSIONS="10")) as several:
        yield several


@pytest.fixture(scope="module")
def cookies(several, enter) -> Any:
    return enter(several.url)


@pytest.mark.parametrize("count", [3, 10, 30])
def test_nothing_is_wrong_with_a_list_of(count, several, window, cookies):
    several.fill(count)
    page = window(several.url, storage_state=cookies).page
    page.goto("/")
    assert too_wide(page) == []
    assert too_small(page, "a, button, summary, input", 24) == []
    assert everywhere(page) == []


def test_nothing_is_wrong_with_the_question_what_to_remove(several, window, cookies):
    several.fill(12)
    page = window(several.url, storage_state=cookies).page
    page.goto("/sessions/cleanup")
    if page.get_by_label("Password").count():
        page.get_by_label("Password").first.fill("correct horse battery staple")
        page.get_by_role("button").last.click()
        page.wait_for_url("**/sessions/cleanup")
    assert everywhere(page) + too_wide(page) == []


def test_a_change_elsewhere_shows_without_moving_the_focus_or_closing_a_menu(several, window, cookies):
    several.fill(3)
    page = window(several.url, storage_state=cookies).page
    page.goto("/")
    summary = page.locator("#line-1 details.menu summary")
    summary.click()
    summary.focus()
    several.change(3, paused_at=None, name="Renamed")
    expect(page.locator("#line-3 h2")).to_have_text("Renamed")
    expect(summary).to_be_focused()
    expect(page.locator("#line-1 details.menu")).to_have_attribute("open", "")


def test_a_row_of_a_table_is_news_too(several, window, cookies):
    several.fill(30)
    page = window(several.url, storage_state=cookies).page
    page.goto("/")
    several.change(7, name="Renamed")
    expect(page.locator("#line-7 .row-link")).to_have_text("Renamed")
    assert page.locator("table.lines tbody tr").count() == 30


def test_pausing_on_a_card_shows_on_that_card(several, window, cookies):
    several.fill(3)
    several.show("connected")
    page = window(several.url, storage_state=cookies).page
    several.fill(3)
    page.goto("/")
    page.locator("#line-1 details.menu summary").click()
    page.locator("#line-1").get_by_role("button", name="Pause sending").click()
    expect(page.locator("#line-1 .state-word")).to_have_text("Sending is paused")
