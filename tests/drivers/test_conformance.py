"""What every driver keeps to, tried over the wire on a server that speaks its gateway's contract.

A new kind joins with a line in FAKES. What a driver does not declare it must refuse as Unsupported. The table
at the end of the run (`conformance_table`) tells which driver showed what.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import signature
from typing import Any
from uuid import uuid4

import pytest
from fake_bundled import FakeBundled
from fake_evolution import FakeEvolution
from fake_gateway import ANNA, PHONE, STRANGER, FakeGateway, Panel
from fake_gowa import FakeGowa
from fake_wa_gateway import FakeWaGateway
from fake_waha import FakeWaha
from fake_webhook import FakeWebhook
from fake_wwebjs import FakeWwebjs
from running_gateway import wait_until

from wa_admin import clock
from wa_admin.drivers import DRIVERS, picture
from wa_admin.drivers.contract import (
    CAPABILITIES,
    Access,
    Attached,
    BadAnswer,
    BadKey,
    Checked,
    Code,
    Driver,
    GatewayError,
    InstanceNotFound,
    MessageSeen,
    RateLimited,
    ReceiptSeen,
    State,
    StateSeen,
    TimedOut,
    Unreachable,
    Unsupported,
)
from wa_admin.drivers.deadline import deadline


class FakeGows(FakeWaha):
    """The engine of WAHA that can do most."""

    engine = "GOWS"


FAKES: dict[str, type[FakeGateway]] = {
    fake.kind: fake
    for fake in (FakeBundled, FakeEvolution, FakeGowa, FakeGows, FakeWaGateway, FakeWebhook, FakeWwebjs)
}
HASTY_SECONDS = 0.4
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
IMAGE = Attached("image", PNG, "image/png", "dot.png")
TEXT = "Halo dari panel"


@pytest.fixture(scope="module", params=sorted(FAKES))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def running(kind):
    with FAKES[kind]() as running:
        yield running


@pytest.fixture
def fake(running):
    running.heal()
    yield running
    running.heal()


@pytest.fixture(autouse=True)
def cell(request, kind, record_property):
    """Where in the table this test belongs."""
    record_property("conformance", [request.node.get_closest_marker("ability").args[0], kind])


def drive(kind: str, access: Access) -> Driver:
    """A driver that waits shorter for what is slow."""
    takes_pause = "pause" in signature(DRIVERS[kind]).parameters
    more: dict[str, Any] = {"pause": lambda seconds: time.sleep(min(seconds, 0.01))} if takes_pause else {}
    return DRIVERS[kind](access, **more)


@pytest.fixture
def driver(kind, fake):
    driver = drive(kind, fake.access())
    yield driver
    driver.close()


@pytest.fixture
def refuses(driver, record_property):
    """Whether the driver does not declare this ability; then the call must say so."""

    def check(ability, call):
        assert ability in CAPABILITIES
        if ability in driver.offers():
            return False
        record_property("refused", True)
        with pytest.raises(Unsupported) as caught:
            call()
        assert caught.value.detail
        return True

    return check


@dataclass
class Session:
    """One session at the gateway, and what its phone does."""

    driver: Driver
    fake: FakeGateway
    instance: str = field(default_factory=lambda: f"conf-{uuid4().hex[:8]}")
    texts_before: int = 0

    @property
    def texts(self) -> list[str]:
        """What left in this test."""
        return self.fake.texts(self.instance)[self.texts_before :]

    def create(self) -> None:
        made = self.driver.create(self.instance)
        self.instance = made.instance if made else self.instance

    def link(self) -> None:
        self.driver.connect(self.instance)
        self.fake.scan(self.instance)
        self.wait_for("connected")

    def wait_for(self, status: str) -> None:
        wait_until(lambda: self.driver.state(self.instance).status == status, 5)

    def status(self) -> str | None:
        """What a gateway that forgets what was unlinked says, counts as disconnected."""
        try:
            return self.driver.state(self.instance).status
        except InstanceNotFound:
            return "disconnected"

    def send(self, to: str = ANNA, reference: str = "") -> str:
        return self.driver.send_text(self.instance, to, TEXT, reference or uuid4().hex)


@pytest.fixture
def created(driver, fake):
    session = Session(driver, fake)
    session.create()
    yield session
    fake.heal()
    driver.delete(session.instance)


@pytest.fixture(scope="module")
def standing(kind):
    """The session that the last test left connected, if it did: linking costs a process where it is real."""
    return []


@pytest.fixture
def linked(driver, fake, standing):
    driver.version()  # some drivers learn from it what the gateway can
    session = Session(driver, fake, *standing)
    if not standing or session.status() != "connected":
        session = Session(driver, fake)
        session.create()
        session.link()
    session.texts_before = len(fake.texts(session.instance))
    yield session
    standing[:] = [session.instance]


@pytest.fixture
def heard(driver, fake, linked):
    """What came in by webhook since the session was linked, understood; and the raw requests."""
    with Panel() as panel:
        if "set_webhook" in driver.offers():
            driver.set_webhook(linked.instance, panel.url)
            linked.wait_for("connected")
        raw = panel.hooks if "set_webhook" in driver.offers() else fake.told
        begin = len(raw)

        def read(kind_of_event):
            fake.flush()
            found = [one for _, body in raw[begin:] for one in driver.read_events(body)]
            return [one for one in found if isinstance(one, kind_of_event)]

        read.raw = lambda: raw[begin:]
        yield read


def reports_nothing(driver: Driver) -> bool:
    """A gateway that has to be asked; whatever comes in then is nobody's."""
    if type(driver).read_events is not DRIVERS["webhook"].read_events:
        return False
    assert not driver.is_genuine({}, b"{}")
    with pytest.raises(BadAnswer):
        driver.read_events(b"{}")
    return True


# --- to reach it ---


@pytest.mark.ability("reach")
def test_it_is_reached_without_touching_a_session(driver):
    assert sorted(FAKES) == sorted(DRIVERS), "a kind is missing here"
    assert isinstance(driver.version(), str)
    assert driver.offers() <= driver.capabilities <= set(CAPABILITIES)


@pytest.mark.ability("wrong key")
def test_a_wrong_key_is_told_as_such(kind, fake):
    stranger = drive(kind, fake.of_stranger())
    with pytest.raises(BadKey) as caught:
        stranger.version()
    assert caught.value.permanent
    stranger.close()


@pytest.mark.ability("reach")
def test_where_nobody_listens_it_is_unreachable(kind, fake):
    access = fake.access()
    port = re.search(r":(\d+)", access.base_url)[1]
    nowhere = {name: url.replace(f":{port}", ":9") for name, url in access.urls.items()}
    driver = drive(kind, fake.access(base_url="http://127.0.0.1:9", urls=nowhere))
    with pytest.raises(Unreachable) as caught:
        driver.version()
    assert not caught.value.may_have_left
    driver.close()


# --- to create, link and end ---


@pytest.mark.ability("create")
def test_a_new_session_is_not_connected(created):
    assert created.status() == "disconnected"


@pytest.mark.ability("create")
def test_creating_it_again_is_fine(created):
    again = created.driver.create(created.instance)
    if again:  # a gateway that gives names gives another one
        assert again.instance != created.instance
        created.driver.delete(again.instance)
    assert created.status() == "disconnected"


@pytest.mark.ability("create")
def test_a_session_that_is_not_there_is_not_found_or_nothing_is_concluded(driver):
    try:
        assert driver.state("nobody-at-all").status is None
    except InstanceNotFound as error:
        assert not error.may_have_left


@pytest.mark.ability("qr")
def test_connecting_shows_a_code(created):
    code = created.driver.connect(created.instance)
    assert isinstance(code, Code)
    assert bool(code.qr) != bool(code.image)
    assert code.image is None or picture.mimetype(code.image)
    assert code.qr is None or ("2@" in code.qr and code.qr not in repr(code))


@pytest.mark.ability("qr")
def test_a_scan_connects_and_the_number_is_known(linked):
    state = linked.driver.state(linked.instance)
    assert state.status == "connected"
    if state.number is None:
        remotes = {remote.instance: remote.number for remote in linked.driver.list()}
        assert remotes[linked.instance] == PHONE
    else:
        assert state.number == PHONE


@pytest.mark.ability("qr")
def test_what_is_connected_needs_no_code(linked):
    state = linked.driver.connect(linked.instance)
    assert isinstance(state, State)
    assert state.status in ("connected", "connecting")


@pytest.mark.ability("code on demand")
def test_a_code_can_be_asked_for_exactly_where_none_is_told(created, record_property):
    created.driver.connect(created.instance)
    if created.driver.tells_codes:
        record_property("refused", True)
        with pytest.raises(Unsupported):
            created.driver.code(created.instance)
        return
    assert isinstance(created.driver.code(created.instance), Code | State)
    created.fake.scan(created.instance)
    wait_until(lambda: created.driver.code(created.instance).status == "connected", 5)


@pytest.mark.ability("pairing_code")
def test_a_number_gets_a_code_to_type(created, refuses):
    if refuses("pairing_code", lambda: created.driver.pair(created.instance, PHONE)):
        return
    code = created.driver.pair(created.instance, PHONE)
    assert re.fullmatch(r"[0-9A-Z]{8}", code.pairing_code)
    assert code.pairing_code not in repr(code)


@pytest.mark.ability("passkey")
def test_a_passkey_is_confirmed_by_a_person(created, refuses):
    created.driver.version()
    created.driver.connect(created.instance)
    if refuses("passkey", lambda: created.driver.confirm_passkey(created.instance)):
        return
    created.fake.ask_passkey(created.instance)
    created.driver.answer_passkey(created.instance, {"id": "AX8bTgH2", "type": "public-key"})
    assert created.driver.state(created.instance).passkey_code
    created.driver.confirm_passkey(created.instance)
    created.wait_for("connected")


@pytest.mark.ability("state")
def test_an_unlink_on_the_phone_is_seen(linked):
    linked.fake.unlink(linked.instance)
    wait_until(lambda: linked.status() == "disconnected", 5)


@pytest.mark.ability("state")
def test_a_lost_network_is_not_called_connected(linked):
    linked.fake.drop(linked.instance)
    assert linked.driver.state(linked.instance).status != "connected"


@pytest.mark.ability("stop")
def test_going_offline_keeps_the_login_or_is_refused(linked, record_property):
    try:
        linked.driver.stop(linked.instance)
    except Unsupported as error:
        record_property("refused", True)
        assert error.detail
        assert linked.status() == "connected"
        return
    assert linked.status() == "disconnected"
    linked.driver.connect(linked.instance)
    linked.wait_for("connected")


@pytest.mark.ability("restart")
def test_a_restart_brings_it_back(linked, refuses):
    if refuses("restart", lambda: linked.driver.restart(linked.instance)):
        return
    linked.driver.restart(linked.instance)
    linked.wait_for("connected")


@pytest.mark.ability("logout")
def test_unlinking_ends_the_login_and_may_be_repeated(linked):
    linked.driver.logout(linked.instance)
    wait_until(lambda: linked.status() in ("disconnected", "qr_pending"), 5)
    with pytest.raises(GatewayError) as caught:
        linked.send()
    assert not caught.value.may_have_left
    try:
        linked.driver.logout(linked.instance)
    except InstanceNotFound:  # which is as good as unlinked
        assert linked.status() == "disconnected"


@pytest.mark.ability("logout")
def test_what_was_unlinked_can_be_linked_again(linked):
    linked.driver.logout(linked.instance)
    linked.create()
    linked.link()
    assert linked.send()


@pytest.mark.ability("delete")
def test_a_deleted_session_is_gone_and_may_be_deleted_again(driver, fake, record_property):
    session = Session(driver, fake)
    session.create()
    driver.delete(session.instance)
    driver.delete(session.instance)
    if "delete" not in driver.offers():  # it is disconnected, at least
        record_property("refused", True)
        assert session.status() == "disconnected"
        return
    with pytest.raises(InstanceNotFound):
        driver.state(session.instance)


@pytest.mark.ability("list")
def test_sessions_are_listed(linked, refuses):
    if refuses("list", linked.driver.list):
        return
    remotes = {remote.instance: remote.number for remote in linked.driver.list()}
    assert remotes[linked.instance] == PHONE


# --- to send ---


@pytest.mark.ability("send text")
def test_a_text_leaves_once_and_has_an_id(linked):
    assert linked.send()
    assert linked.texts == [TEXT]


@pytest.mark.ability("ids_in_advance")
def test_the_same_reference_never_leaves_twice(linked, record_property):
    reference = uuid4().hex
    first = linked.send(reference=reference)
    if "ids_in_advance" not in linked.driver.offers():
        record_property("refused", True)
        return
    assert linked.send(reference=reference) == first
    assert linked.texts == [TEXT]


@pytest.mark.ability("send_media")
def test_a_picture_leaves(linked, refuses):
    def send():
        return linked.driver.send_media(linked.instance, ANNA, "caption", IMAGE, uuid4().hex)

    if refuses("send_media", send):
        return
    assert send()
    assert linked.texts == ["caption"]


def a_moment_ago() -> datetime:
    return clock.now() - timedelta(seconds=30)


@pytest.mark.ability("look_up_sent")
def test_what_left_without_an_answer_is_found(linked, refuses):
    def find():
        return linked.driver.find_sent(linked.instance, ANNA, a_moment_ago())

    if refuses("look_up_sent", find):
        return
    known = {one.provider_id for one in find()}
    unlucky(linked, "hang_after", linked.send)
    linked.fake.heal()
    (left,) = [one for one in find() if one.provider_id not in known]
    assert (left.instance, left.text, left.is_file) == (linked.instance, TEXT, False)
    assert left.recipient.partition("@")[0] == ANNA
    assert TEXT not in repr(left)
    assert linked.driver.find_sent(linked.instance, STRANGER[:-1] + "7", a_moment_ago()) == []


@pytest.mark.ability("look_up_sent")
def test_what_is_found_has_the_id_that_the_answer_gave(linked, refuses):
    if refuses("look_up_sent", lambda: linked.driver.find_sent(linked.instance, ANNA, a_moment_ago())):
        return
    text = linked.send()
    file = linked.driver.send_media(linked.instance, ANNA, "caption", IMAGE, uuid4().hex)
    found = {one.provider_id: one for one in linked.driver.find_sent(linked.instance, ANNA, a_moment_ago())}
    assert (found[text].text, found[text].is_file) == (TEXT, False)
    assert (found[file].text, found[file].is_file) == ("caption", True)


@pytest.mark.ability("look_up_sent")
def test_what_left_before_is_not_among_it(linked, refuses):
    later = clock.now() + timedelta(seconds=30)
    if refuses("look_up_sent", lambda: linked.driver.find_sent(linked.instance, ANNA, later)):
        return
    linked.send()
    assert linked.driver.find_sent(linked.instance, ANNA, later) == []


@pytest.mark.ability("check_number")
def test_numbers_are_looked_up_in_the_order_asked(linked, refuses):
    def check():
        return linked.driver.check_numbers(linked.instance, [STRANGER, ANNA])

    if refuses("check_number", check):
        return
    assert [(one.number, one.exists) for one in check()] == [(STRANGER, False), (ANNA, True)]
    assert all(isinstance(one, Checked) for one in check())


@pytest.mark.ability("not on WhatsApp")
def test_to_somebody_without_whatsapp_nothing_leaves(linked):
    with pytest.raises(GatewayError) as caught:
        linked.send(to=STRANGER)
    assert caught.value.permanent
    assert not caught.value.may_have_left
    assert linked.texts == []


@pytest.mark.ability("not connected")
def test_from_what_was_never_linked_nothing_leaves(created):
    with pytest.raises(GatewayError) as caught:
        created.send()
    assert not caught.value.may_have_left


@pytest.mark.ability("not connected")
def test_from_what_lost_its_network_nothing_leaves(linked):
    linked.fake.drop(linked.instance)
    with pytest.raises(GatewayError) as caught:
        linked.send()
    assert not caught.value.may_have_left
    assert linked.texts == []


# --- webhooks ---


@pytest.mark.ability("set_webhook")
def test_the_webhook_is_set_and_read_back(linked, refuses):
    url = "http://127.0.0.1:9/hooks/1/secret"
    if refuses("set_webhook", lambda: linked.driver.set_webhook(linked.instance, url)):
        return
    linked.driver.set_webhook(linked.instance, url)
    hook = linked.driver.webhook(linked.instance)
    assert (hook.url, hook.is_enabled) == (url, True)
    assert not hook.events or hook.events >= linked.driver.hook_events
    newer = type(linked.driver)(linked.fake.access(sign_keys=("newer", linked.fake.sign_key)))
    newer.version()
    assert not newer.webhook(linked.instance).is_enabled  # it proves itself by the old key
    newer.close()


@pytest.mark.ability("messages in")
def test_a_message_comes_in(linked, heard, record_property):
    if reports_nothing(linked.driver):
        record_property("refused", True)
        return
    linked.fake.write(linked.instance, "Halo juga")
    wait_until(lambda: heard(MessageSeen), 5)
    (seen,) = heard(MessageSeen)
    assert (seen.instance, seen.text, seen.sender_number) == (linked.instance, "Halo juga", ANNA)
    assert "Halo juga" not in repr(seen)


@pytest.mark.ability("signature")
def test_what_the_gateway_sent_is_genuine_and_what_is_forged_is_not(linked, heard, record_property):
    if reports_nothing(linked.driver):
        record_property("refused", True)
        return
    linked.fake.write(linked.instance, "Halo juga")
    wait_until(lambda: heard(MessageSeen), 5)
    assert all(linked.driver.is_genuine(headers, body) for headers, body in heard.raw())
    headers, body = heard.raw()[0]
    assert not linked.driver.is_genuine({}, body)
    if linked.driver.hook_proof != "key":
        of_another = body.replace(linked.instance.encode(), b"another")
        assert of_another != body and not linked.driver.is_genuine(headers, of_another)


@pytest.mark.ability("receipts")
def test_what_became_of_a_message_comes_in(linked, heard, record_property):
    if "receipts" not in linked.driver.offers():
        record_property("refused", True)
        return
    provider_id = linked.send()
    linked.fake.acknowledge(linked.instance, provider_id, "read")
    wait_until(
        lambda: "read" in [one.kind for one in heard(ReceiptSeen) if one.provider_id == provider_id], 5
    )


@pytest.mark.ability("states in")
def test_an_unlink_comes_in_where_states_are_told(linked, heard, record_property):
    linked.fake.unlink(linked.instance)
    linked.fake.flush()
    if not linked.driver.tells_codes and not heard(StateSeen):
        record_property("refused", True)  # it has to be asked
        wait_until(lambda: linked.status() == "disconnected", 5)
        return
    wait_until(lambda: "disconnected" in [one.state.status for one in heard(StateSeen)], 5)


@pytest.mark.ability("foreign webhooks")
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"event": 7}', b"\xff"])
def test_what_is_not_this_gateways_is_a_bad_answer_or_nothing(driver, body):
    try:
        assert driver.read_events(body) == []
    except BadAnswer as error:
        assert error.detail


# --- bad luck ---


def unlucky(session: Session, how: Any, call: Any) -> GatewayError:
    session.fake.fail(how, on=session.fake.send_paths)
    with deadline(HASTY_SECONDS), pytest.raises(GatewayError) as caught:
        call()
    assert session.fake.key not in caught.value.detail
    assert TEXT not in caught.value.detail
    return caught.value


@pytest.mark.ability("bad luck")
@pytest.mark.parametrize("how", ["hang", "hang_after", "drop", "html", "redirect", "nonsense"])
def test_a_send_whose_answer_is_lost_may_have_left(linked, how):
    error = unlucky(linked, how, linked.send)
    assert error.may_have_left
    assert not error.permanent


@pytest.mark.ability("bad luck")
def test_a_send_that_was_not_answered_has_left_once(linked):
    unlucky(linked, "hang_after", linked.send)
    assert linked.texts == [TEXT]


@pytest.mark.ability("bad luck")
def test_an_error_page_of_a_proxy_may_have_let_it_through(linked):
    page = (502, "<h1>Bad Gateway</h1>", {"Content-Type": "text/html"})
    assert unlucky(linked, page, linked.send).may_have_left


@pytest.mark.ability("bad luck")
def test_told_to_wait_it_says_how_long(linked):
    error = unlucky(linked, (429, {"message": "slow down"}, {"Retry-After": "7"}), linked.send)
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == 7
    assert not error.may_have_left


@pytest.mark.ability("bad luck")
@pytest.mark.parametrize(
    ("how", "error"),
    [("hang", TimedOut), ("html", BadAnswer), ("redirect", BadAnswer), ("nonsense", BadAnswer)],
)
def test_a_state_that_cannot_be_read_is_no_state(linked, how, error):
    linked.fake.fail(how)
    with deadline(HASTY_SECONDS), pytest.raises(error):
        linked.driver.state(linked.instance)
