"""What the doctor finds at a gateway, tried on servers that speak its contract."""

from dataclasses import replace
from inspect import signature
from time import sleep

import pytest
from fake_evolution import FakeEvolution
from fake_gowa import FakeGowa
from fake_waha import FakeWaha
from fake_webhook import FakeWebhook

from wa_admin.drivers import DRIVERS
from wa_admin.services import gateway_check

DEFAULT_KEYS = "429683C4C977415CAAFCCE10F7D57E11", "429683c4c977415caafcce10f7d57e11", "Mude-Me"

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def fake(request):
    with getattr(request, "param", FakeEvolution)() as running:
        yield running


def found(fake, access=None, **more):
    """By name and level, the findings."""
    access = access or fake.access()
    made = DRIVERS[fake.kind]
    driver = made(access, pause=brief) if "pause" in signature(made).parameters else made(access)
    try:
        return list(gateway_check.look(driver, access, pause=brief, **more))
    finally:
        driver.close()


def brief(seconds):
    """Shorter than it asked for."""
    sleep(min(seconds, 0.01))


def levels(findings, name):
    return [finding.level for finding in findings if finding.name == name]


def test_a_gateway_that_fits_says_what_it_can_and_what_not(fake):
    findings = found(fake)
    assert [one.level for one in findings if one.level == "fail"] == []
    fits = next(one.sentence for one in findings if one.name == "Fits")
    assert "pairing code" in fits and "passkeys" not in fits
    assert [one.sentence.split(".")[0] for one in findings if one.name == "Missing"] == [
        "safe repeats",
        "passkeys",
    ]


def test_no_session_is_touched_or_made_unless_it_is_asked_for(fake):
    fake.lines.clear()
    found(fake)
    assert {asked.method for asked in fake.asked if asked.path not in ("/verify-creds",)} == {"GET"}
    assert not fake.lines


@pytest.mark.parametrize("fake", [FakeEvolution, FakeWaha, FakeGowa], indirect=True)
def test_a_trial_session_is_made_and_deleted(fake):
    findings = found(fake, throw_away=True)
    assert levels(findings, "Trial session") == ["ok", "ok"]
    assert levels(findings, "QR code") == ["ok"]
    assert levels(findings, "Webhook") == ["ok"]
    assert not fake.lines and not fake.sent


def test_a_trial_session_that_cannot_be_deleted_is_named(fake):
    fake.fail((500, {"message": "disk full"}), on="DELETE ")
    findings = found(fake, throw_away=True)
    (left,) = fake.lines
    assert findings[-1].level == "fail" and left in findings[-1].next_step


def test_a_trial_session_is_deleted_even_when_its_webhook_cannot_be_set(fake):
    fake.fail((500, {"message": "no"}), on="/webhook/set/", times=1)
    findings = found(fake, throw_away=True)
    assert levels(findings, "Trial session") == ["ok", "fail", "ok"]
    assert not fake.lines


def test_a_code_that_does_not_come_is_found(fake):
    fake.fail((200, {"count": 0}), on="/instance/connect/")
    assert levels(found(fake, throw_away=True), "QR code") == ["warn"]


@pytest.mark.parametrize("fake", [FakeWebhook], indirect=True)
def test_where_nothing_can_be_deleted_nothing_is_tried(fake):
    findings = found(fake, throw_away=True)
    assert levels(findings, "Trial session") == ["warn"]
    assert not fake.lines


def test_a_gateway_that_is_away_is_not_asked_further(fake):
    findings = found(fake, fake.access(base_url="http://127.0.0.1:9"), throw_away=True)
    assert [(one.level, one.name) for one in findings] == [("fail", "Gateway")]
    assert findings[0].next_step


def test_a_wrong_key_is_told(fake):
    assert levels(found(fake, fake.of_stranger()), "Gateway") == ["fail"]


@pytest.mark.parametrize(
    "key", ["429683C4C977415CAAFCCE10F7D57E11", "429683c4c977415caafcce10f7d57e11", "Mude-Me"]
)
def test_a_key_out_of_the_documentation_is_found_and_not_repeated(fake, key):
    fake.key = key
    findings = found(fake)
    assert levels(findings, "Key") == ["fail"]
    assert not any(key in one.sentence + one.next_step for one in findings)


@pytest.mark.parametrize("fake", [FakeGowa], indirect=True)
def test_a_signing_key_that_is_the_default_is_found(fake):
    assert levels(found(fake, fake.access(sign_keys=("secret",))), "Signing key") == ["fail"]


def test_a_short_key_is_found(fake):
    fake.key = "hunter22"
    assert levels(found(fake), "Key") == ["warn"]


def test_a_gateway_that_lets_strangers_in_is_found(fake):
    fake.refuse = lambda asked: ""
    assert levels(found(fake), "Strangers") == ["fail"]


def test_a_gateway_that_turns_strangers_away_is_fine(fake):
    assert levels(found(fake), "Strangers") == ["ok"]


@pytest.mark.parametrize("fake", [FakeWebhook], indirect=True)
def test_urls_without_any_header_are_open_to_everybody(fake):
    fake.refuse = lambda asked: ""
    findings = found(fake, fake.access(extra_header=None))
    assert levels(findings, "Strangers") == ["fail"]


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("http://gateway.example.com", True),
        ("http://8.8.8.8:8080", True),
        ("https://gateway.example.com", False),
        ("http://127.0.0.1:8080", False),
        ("http://10.0.0.7", False),
        ("http://evolution:8080", False),
    ],
)
def test_http_across_the_internet_is_found(fake, url, is_open):
    access = replace(fake.access(), base_url=url)
    driver = DRIVERS["evolution"](fake.of_stranger())
    findings = list(gateway_check.look(driver, access))
    driver.close()
    assert levels(findings, "Address") == (["warn"] if is_open else [])


def test_a_state_of_what_does_not_exist_is_found(fake):
    fake.fail((200, {"instance": {"instanceName": "x", "state": "open"}}), on="/instance/connectionState/")
    assert "fail" in levels(found(fake), "Sessions")
