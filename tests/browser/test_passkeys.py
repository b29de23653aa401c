"""Passkeys in a real browser, with a virtual authenticator in the place of a fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from eyes import everywhere, too_wide
from gallery import Gallery
from playwright.sync_api import CDPSession, Page, expect

from wa_admin.extensions import db, writing
from wa_admin.models import Passkey, RecoveryCode, User, Workspace


@pytest.fixture(scope="module")
def panel(own_gallery: Callable[[], Gallery]) -> Iterator[Gallery]:
    with closing(own_gallery()) as gallery:
        gallery.show("connected")
        yield gallery


@pytest.fixture(autouse=True)
def as_before(panel: Gallery) -> Iterator[None]:
    """Nobody has a second factor."""
    yield
    with panel.app.app_context(), writing():
        for table in (Passkey, RecoveryCode):
            db.session.query(table).delete()
        db.session.query(User).update({"sealed_totp_secret": None})
        db.session.query(Workspace).update({"requires_second_factor": False})


class Device:
    """A window with a built-in authenticator, whose owner does not object until told to."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        found = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return found["credentials"]

    def objects(self) -> None:
        """The owner's finger does not fit."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": False})

    def forget(self) -> None:
        self.cdp.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})


@pytest.fixture
def by_name(panel: Gallery) -> str:
    """The panel under a name: browsers give no passkey to an address of digits."""
    return panel.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def device(window: Callable[..., Any], by_name: str, fill_login: Callable[..., None]) -> Device:
    """Logged in as an admin."""
    here = window(by_name)
    here.expect_complaints("status of 4")
    here.page.goto("/login")
    fill_login(here.page)
    here.page.wait_for_url(f"{by_name}/")
    return Device(here.page)


def add_passkey(device: Device, name: str = "my phone") -> None:
    page = device.page
    page.goto("/settings/second-factor")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add a passkey").click()


def set_up(device: Device) -> None:
    add_passkey(device)
    kept = device.page.get_by_role("link", name="I have kept them")
    kept.click()
    expect(kept).to_be_hidden()  # else what is clicked next may be of the page before
    expect(device.page.get_by_text("my phone", exact=True)).to_be_visible()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").first.click()
    page.wait_for_url("**/login")


def test_a_passkey_is_added_and_recovery_codes_are_shown(device: Device) -> None:
    add_passkey(device)
    page = device.page
    expect(page.get_by_role("heading", name="Keep these where you will find them")).to_be_visible()
    assert len(page.locator("pre code").inner_text().split()) == 10
    assert everywhere(page) + too_wide(page) == []
    [credential] = device.credentials()
    assert credential["isResidentCredential"] and credential["rpId"] == "localhost"


def test_the_passkey_alone_logs_in(device: Device, by_name: str) -> None:
    set_up(device)
    log_out(device.page)
    device.page.goto("/login?next=/messages")
    device.page.get_by_role("button", name="Use a passkey").click()
    device.page.wait_for_url(f"{by_name}/messages")


def test_the_passkey_is_offered_first_where_one_was_used(device: Device) -> None:
    set_up(device)
    log_out(device.page)
    buttons = device.page.locator("main .card button.is-primary")
    expect(buttons.first).to_have_text("Use a passkey")


def test_a_password_asks_for_the_passkey_too(
    device: Device, by_name: str, fill_login: Callable[..., None]
) -> None:
    set_up(device)
    log_out(device.page)
    fill_login(device.page)
    device.page.wait_for_url("**/login/second-step**")
    assert everywhere(device.page) + too_wide(device.page) == []
    device.page.get_by_role("button", name="Use a passkey").click()
    device.page.wait_for_url(f"{by_name}/")


def test_a_finger_that_does_not_fit_opens_nothing(device: Device) -> None:
    set_up(device)
    log_out(device.page)
    device.objects()
    device.page.get_by_role("button", name="Use a passkey").click()
    expect(device.page.get_by_role("alert").filter(has_text="No passkey was used")).to_be_visible()
    assert device.page.url.endswith("/login")


def test_a_removed_passkey_opens_nothing(device: Device) -> None:
    set_up(device)
    page = device.page
    page.get_by_role("link", name="Remove").first.click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("This passkey opens nothing any more.")).to_be_visible()
    log_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("This passkey was not accepted")).to_be_visible()


def test_the_same_device_is_not_added_twice(device: Device) -> None:
    set_up(device)
    add_passkey(device, "again")
    expect(device.page.get_by_text("This device has a passkey for you already.")).to_be_visible()


def test_it_proves_that_it_is_still_you(device: Device, by_name: str) -> None:
    set_up(device)
    device.page.goto("/confirm?next=/settings/keys")
    device.page.get_by_role("button", name="Use a passkey").click()
    device.page.wait_for_url(f"{by_name}/settings/keys")


def test_opened_by_number_the_login_page_leads_to_the_name(
    window: Callable[..., Any], panel: Gallery, by_name: str
) -> None:
    here = window(panel.url)
    here.page.goto("/login")
    expect(here.page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    assert here.page.get_by_role("link", name="localhost").get_attribute("href") == f"{by_name}/login"


def test_without_javascript_no_passkey_is_offered(window: Callable[..., Any], by_name: str) -> None:
    page = window(by_name, java_script_enabled=False).page
    page.goto("/login")
    expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    expect(page.get_by_text("Use a passkey")).to_be_hidden()
