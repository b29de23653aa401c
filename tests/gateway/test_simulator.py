"""The simulator as programs and people use it: JSON, the page with the phone, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest
from running_gateway import RunningGateway, wait_until
from webhook_receiver import WebhookReceiver

from wa_admin.gateway.engines.simulated_phone import ACTS
from wa_admin.gateway.engines.world import MODES


@pytest.fixture
def browser(shared_gateway: RunningGateway) -> Iterator[httpx.Client]:
    """Without a key, as a browser comes."""
    with httpx.Client(
        base_url=shared_gateway.url, trust_env=False, verify=False, follow_redirects=True
    ) as client:
        yield client


@pytest.fixture
def person(browser: httpx.Client, shared_gateway: RunningGateway) -> httpx.Client:
    """Someone who gave the key."""
    answer = browser.post("/simulator", data={"key": shared_gateway.key}, headers=from_page(shared_gateway))
    assert answer.status_code == 200
    return browser


def from_page(gateway: RunningGateway) -> dict[str, str]:
    return {"Origin": gateway.url}


def press(person: httpx.Client, gateway: RunningGateway, act: str, **fields: str) -> None:
    """Send one of the page's forms."""
    answer = person.post(f"/simulator/{gateway.name}/{act}", data=fields, headers=from_page(gateway))
    assert answer.status_code == 200, answer.text


class Page(HTMLParser):
    """What a page would load or run, where its forms go, and what can be chosen in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.acts: set[str] = set()
        self.choices: dict[str, list[str]] = {}
        self._select = ""
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action") and value]
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        if tag == "form":
            self.acts.add((named["action"] or "").rpartition("/")[2])
        elif tag == "select":
            self._select = named["name"] or ""
        elif tag == "option":
            self.choices.setdefault(self._select, []).append(named.get("value") or "")
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


# Who may


def test_the_page_asks_for_the_key(browser: httpx.Client, shared_gateway: RunningGateway) -> None:
    asked = browser.get("/simulator")
    assert asked.status_code == 401
    assert 'type="password"' in asked.text and shared_gateway.key not in asked.text


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_hides_the_key(
    browser: httpx.Client, shared_gateway: RunningGateway
) -> None:
    data = {"key": shared_gateway.key}
    answer = browser.post("/simulator", data=data, headers=from_page(shared_gateway), follow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and shared_gateway.key not in cookie


def test_a_wrong_key_is_told_so(browser: httpx.Client, shared_gateway: RunningGateway) -> None:
    answer = browser.post("/simulator", data={"key": "wrong"}, headers=from_page(shared_gateway))
    assert answer.status_code == 401
    assert "does not work" in answer.text
    assert not browser.cookies


def test_a_token_opens_the_page_once(browser: httpx.Client, shared_gateway: RunningGateway) -> None:
    path = shared_gateway.client.post("/simulator/token").json()["path"]
    assert browser.get(path).status_code == 200
    browser.cookies.clear()
    assert browser.get(path).status_code == 401


def test_a_token_needs_the_key(browser: httpx.Client) -> None:
    assert browser.post("/simulator/token").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_the_cookie_counts_for_the_page_itself_only(
    person: httpx.Client, fresh: RunningGateway, headers: dict[str, str]
) -> None:
    answer = person.post(f"/simulator/{fresh.name}/ban", headers=headers)
    assert answer.status_code == 403


def test_another_engine_has_no_simulator(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with RunningGateway(tmp_path, engine="neonize") as gateway:
        assert gateway.client.get("/simulator").status_code == 404
        assert gateway.client.get("/").json()["engine"] == "neonize"


# The page


def test_a_person_scans_reads_and_replies_without_javascript(
    person: httpx.Client, fresh: RunningGateway
) -> None:
    fresh.get("instance/connect")
    base, headers = f"/simulator/{fresh.name}", from_page(fresh)
    assert "A code is waiting" in person.get("/simulator", params={"session": fresh.name}).text
    person.post(f"{base}/scan", data={"phone": "+62 812 3456 7890", "code": ""}, headers=headers)
    fresh.wait_for_state("open")
    fresh.send("<b>hello</b>")
    shown = person.get("/simulator", params={"session": fresh.name}).text
    assert "+6281234567890" in shown and "&lt;b&gt;hello&lt;/b&gt;" in shown
    assert person.post(
        f"{base}/inbound", data={"from": "628111222333", "text": "hi"}, headers=headers
    ).is_success
    assert person.post(f"{base}/mode", data={"send": "fail", "passkey": "True"}, headers=headers).is_success
    assert fresh.send("x").json()["code"] == "REJECTED"


def test_the_page_says_why_something_cannot_be_done(person: httpx.Client, fresh: RunningGateway) -> None:
    answer = person.post(
        f"/simulator/{fresh.name}/scan", data={"phone": "6281234567890"}, headers=from_page(fresh)
    )
    assert answer.status_code == 409
    assert "The session is not running: connect it first." in answer.text


def test_the_page_loads_only_from_here_and_runs_nothing_inline(
    person: httpx.Client, fresh: RunningGateway
) -> None:
    answer = person.get("/simulator", params={"session": fresh.name})
    page = Page(answer.text)
    assert page.inline == []
    assert {address for address in page.addresses if not address.startswith("/simulator")} == set()
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_page_has_a_control_for_each_act_and_each_switch(
    person: httpx.Client, linked: RunningGateway
) -> None:
    linked.send("hi")
    page = Page(person.get("/simulator", params={"session": linked.name}).text)
    assert page.acts >= {*ACTS}
    assert {name: page.choices[name] for name in MODES} == {
        name: [str(value) for value in values] for name, values in MODES.items()
    }


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in MODES for value in MODES[name]])
def test_each_switch_turns_by_page_and_by_json(
    person: httpx.Client, fresh: RunningGateway, name: str, value: object
) -> None:
    other = next(one for one in MODES[name] if one != value)
    fresh.simulate("mode", **{name: other})
    press(person, fresh, "mode", **{name: str(value)})
    assert fresh.simulate("mode").json()[name] == value
    assert fresh.simulate("mode", **{name: other}).json()[name] == other


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("unlink", "logged_out"),
        ("replace", "replaced"),
        ("ban", "banned"),
        ("outdated", "outdated"),
    ],
)
def test_the_page_can_end_a_session_in_each_way(
    person: httpx.Client, linked: RunningGateway, act: str, reason: str
) -> None:
    press(person, linked, act)
    assert linked.wait_for_state("close")["reason"] == reason


@pytest.mark.parametrize("act", ["drop", "crash"])
def test_the_page_can_disturb_a_session_that_comes_back(
    person: httpx.Client, linked: RunningGateway, receiver: WebhookReceiver, act: str
) -> None:
    linked.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    press(person, linked, act)
    wait_until(lambda: [data["state"] for data in receiver.data("connection.update")][-1:] == ["open"])
    assert receiver.data("connection.update")[0]["state"] == "connecting"


def test_the_page_can_tell_a_receipt(
    person: httpx.Client, linked: RunningGateway, receiver: WebhookReceiver
) -> None:
    linked.simulate("mode", receipts="none")
    sent = linked.send("hi").json()["key"]["id"]
    linked.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    press(person, linked, "receipt", id=sent, type="played")
    wait_until(lambda: receiver.requests)
    assert [(data["keyId"], data["status"]) for data in receiver.data("messages.update")] == [
        (sent, "PLAYED")
    ]


@pytest.mark.parametrize("file", ["simulator.css", "simulator.js", "pulse.svg"])
def test_what_the_page_needs_is_served(browser: httpx.Client, file: str) -> None:
    assert browser.get(f"/simulator/assets/{file}").status_code == 200


@pytest.mark.parametrize("file", ["../server.py", "..%2Fserver.py", "nothing.css"])
def test_nothing_else_is_served(browser: httpx.Client, file: str) -> None:
    assert browser.get(f"/simulator/assets/{file}").status_code in (401, 404)


# The routes


@pytest.mark.parametrize(
    ("act", "details"),
    [
        ("mode", {"send": "sometimes"}),
        ("mode", {"weather": "rain"}),
        ("mode", {"strangers": "628"}),
        ("scan", {}),
        ("scan", {"phone": "12"}),
        ("drop", {"seconds": "soon"}),
        ("receipt", {"id": "3EB0", "type": "eaten"}),
        ("inbound", {"from": "628111222333"}),
        ("dance", {}),
    ],
)
def test_an_act_that_makes_no_sense_is_refused(
    linked: RunningGateway, act: str, details: dict[str, object]
) -> None:
    answer = linked.post_act(act, **details)
    assert answer.status_code == answer.json()["status"] == 400


@pytest.mark.parametrize("act", ["unlink", "replace", "ban", "outdated", "crash"])
def test_an_act_that_ends_the_child_is_no_failure(linked: RunningGateway, act: str) -> None:
    assert linked.post_act(act).status_code == 200


def test_a_mode_is_kept_while_nothing_runs(fresh: RunningGateway) -> None:
    fresh.simulate("mode", passkey=True)
    fresh.get("instance/connect")
    fresh.simulate("scan", phone="6281234567890")
    assert fresh.wait_for_state("close")["reason"] == "passkey_required"


def test_what_arrived_and_the_login_survive_a_kill(alone: RunningGateway) -> None:
    sent = alone.send("before").json()["key"]["id"]
    alone.kill()
    alone.start()
    alone.wait_for_state("open")
    alone.send("after")
    assert [(one["text"], one["id"] == sent) for one in alone.received()] == [
        ("before", True),
        ("after", False),
    ]


def test_what_arrived_can_be_read_while_nothing_runs(linked: RunningGateway) -> None:
    linked.send("hi")
    linked.post("instance/stop")
    assert [one["text"] for one in linked.received()] == ["hi"]


@pytest.mark.parametrize(
    ("kind", "status"), [("played", "PLAYED"), ("failed", "ERROR"), ("read", "READ"), ("sent", "SERVER_ACK")]
)
def test_the_phone_may_send_any_receipt(
    linked: RunningGateway, receiver: WebhookReceiver, kind: str, status: str
) -> None:
    linked.simulate("mode", receipts="none")
    sent = linked.send("hi").json()["key"]["id"]
    linked.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    linked.simulate("receipt", id=sent, type=kind)
    wait_until(lambda: receiver.requests)
    assert [(data["keyId"], data["status"]) for data in receiver.data("messages.update")] == [(sent, status)]
