"""Sending from the panel and from code, and what a person does about a message that did not go well."""

from __future__ import annotations

import re
import shlex

import httpx
import pytest
from playwright.sync_api import Page, expect
from running_gateway import wait_until
from simulation import Number


@pytest.fixture
def compose(admin, number: Number) -> Page:
    admin.page.goto("/messages/new")
    return admin.page


def write(page: Page, text: str, to: str = "0812 9999 8888") -> None:
    page.get_by_label("To", exact=True).fill(to)
    page.get_by_label("Message", exact=True).fill(text)


def texts(number: Number) -> list[str]:
    return [one["text"] for one in number.phone.received()]


def test_a_double_click_sends_one_message(compose, number):
    write(compose, "Once only")
    compose.get_by_role("button", name="Send message").dblclick()
    expect(compose.locator(".badge")).to_have_text("Read")
    assert texts(number).count("Once only") == 1


def test_what_is_wrong_is_said_where_it_was_typed_and_nothing_is_lost(admin, compose):
    admin.expect_complaints("422")
    write(compose, "Halo <b>Rina</b> & 😀", to="12")
    compose.get_by_role("button", name="Send message").click()
    expect(compose.locator("#recipient-error")).to_be_visible()
    expect(compose.get_by_label("Message", exact=True)).to_have_value("Halo <b>Rina</b> & 😀")


def test_a_file_goes_along(compose, number):
    write(compose, "The invoice")
    pdf = {
        "name": "invoice.pdf",
        "mimeType": "application/pdf",
        "buffer": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    }
    compose.get_by_label("Image or document").set_input_files(files=[pdf])  # type: ignore[list-item]
    compose.get_by_role("button", name="Send message").click()
    expect(compose.locator(".badge")).to_have_text("Read")
    assert number.phone.received()[-1]["filename"] == "invoice.pdf"


def test_a_failure_says_why_and_can_be_put_right(compose, number):
    number.phone.act("mode", send="not_on_whatsapp")
    write(compose, "Second thoughts")
    compose.get_by_role("button", name="Send message").click()
    expect(compose.get_by_text("This number is not on WhatsApp.").first).to_be_visible()
    number.phone.act("mode", send="ok")
    compose.get_by_role("link", name="Correct it and send").click()
    expect(compose.get_by_label("Message", exact=True)).to_have_value("Second thoughts")
    compose.get_by_label("To", exact=True).fill("0812 7777 6666")
    compose.get_by_role("button", name="Send message").click()
    wait_until(lambda: texts(number).count("Second thoughts") == 1)


def test_nobody_knows_whether_it_left_until_a_person_says_so(compose, number):
    number.phone.act("mode", send="timeout")
    write(compose, "Did you get it?")
    compose.get_by_role("button", name="Send message").click()
    expect(compose.get_by_text("We do not know whether this left.")).to_be_visible()
    number.phone.act("mode", send="ok")
    compose.get_by_role("link", name="Send it again…").click()
    asked = compose.get_by_role("dialog")
    expect(asked).to_contain_text("gets the same message twice")
    expect(asked.get_by_role("link", name="Keep it as it is")).to_be_focused()
    asked.get_by_role("link", name="Keep it as it is").click()
    compose.get_by_role("button", name="It arrived").click()
    expect(compose.locator(".badge")).to_have_text("Sent")


def test_of_several_in_doubt_a_person_says_what_became_of_each(admin, number):
    number.phone.act("mode", send="timeout")
    arrived, lost = number.send("This one arrived"), number.send("This one did not")
    page = admin.page
    for message in (arrived, lost):
        page.goto(f"/messages/{message}")
        expect(page.get_by_text("We do not know whether this left.")).to_be_visible()
    page.goto("/messages?status=uncertain")
    number.phone.act("mode", send="ok")
    page.get_by_role("link", name="Decide about several").click()
    page.get_by_label("This one arrived").check()
    page.get_by_role("button", name="These arrived").click()
    expect(page.get_by_text("You say that 1 message arrived.")).to_be_visible()
    page.get_by_label("This one did not").check()
    page.get_by_role("button", name="Send these again…").click()
    expect(page.locator("main")).to_contain_text("gets the same message twice")
    page.get_by_role("button", name="Send them again").click()
    expect(page.get_by_text("1 message is sent again.")).to_be_visible()
    page.goto(f"/messages/{arrived}")
    expect(page.locator(".badge")).to_have_text("Sent")
    page.goto(f"/messages/{lost}")
    expect(page.locator(".badge")).to_have_text("Read")


def test_while_sending_is_paused_messages_wait_and_can_be_taken_back(admin, number):
    page = admin.page
    page.goto("/")
    page.get_by_role("button", name="Pause sending").click()
    expect(page.locator(".state-word")).to_have_text("Sending is paused")
    kept, dropped = number.send("Keep me"), number.send("Drop me")
    expect(page.locator(".sentence")).to_contain_text("2 messages wait safely")
    page.goto(f"/messages/{dropped}")
    page.get_by_role("button", name="Cancel this message").click()
    expect(page.locator(".badge")).to_have_text("Cancelled")
    page.goto("/")
    page.get_by_role("button", name="Resume sending").click()
    expect(page.locator(".state-word")).to_have_text("Connected")
    page.goto(f"/messages/{kept}")
    expect(page.locator(".badge")).to_have_text("Read")
    assert "Drop me" not in texts(number)


def test_a_key_is_shown_once_and_its_example_works(admin, number):
    page = admin.page
    page.goto("/settings/keys")
    page.get_by_label("Name").fill("orders-api")
    page.get_by_role("button", name="Add key").click()
    command = page.get_by_role("region", name="Command for curl").inner_text()
    answer = run(command)
    assert (answer.status_code, answer.json()["success"]) in ((201, True), (202, True))
    wait_until(lambda: "Halo" in texts(number))
    page.goto("/settings/keys")
    expect(page.get_by_text("orders-api", exact=True)).to_be_visible()
    assert not re.search(r"wak_\w{8}", page.content())


def run(command: str) -> httpx.Response:
    """What curl would do."""
    words = shlex.split(command.replace("\\\n", " "))
    options = [word for before, word in zip(words, words[1:], strict=False) if before == "-H"]
    headers = dict(option.split(": ", 1) for option in options)
    url = next(word for word in words if word.startswith("http"))
    return httpx.post(url, headers=headers, content=words[words.index("-d") + 1], timeout=30, trust_env=False)
