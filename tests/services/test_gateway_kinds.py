"""Each kind of gateway from end to end, against a server that speaks its contract."""

import sys
from pathlib import Path

import pytest

from wa_admin.extensions import db
from wa_admin.models import Look, Message, MessageStatus, Reason, Status
from wa_admin.services import (
    deliveries,
    gateway_settings,
    gateways,
    links,
    outbox,
    sessions,
    watch,
)
from wa_admin.whatsapp.in_process import ASK_AT_EVERY_LOOK, InProcess

sys.path.insert(0, str(Path(__file__).parent.parent / "drivers"))

from fake_gateway import FakeGateway
from fake_gowa import FakeGowa
from fake_wa_gateway import FakeWaGateway
from fake_waha import FakeWaha
from fake_webhook import HEADER, FakeWebhook
from fake_wwebjs import FakeWwebjs

FAKES = {fake.kind: fake for fake in (FakeWaha, FakeGowa, FakeWaGateway, FakeWwebjs, FakeWebhook)}
PHONE = "6281234567890"


def add(fake: FakeGateway, **more):
    how = {"base_url": fake.url, "key": fake.key}
    if fake.kind == "webhook":
        how = {"urls": dict(fake.access().urls), "header": f"{HEADER}: {fake.key}"}
    return gateway_settings.add(
        1, kind=fake.kind, name=f"my {fake.kind}", allow_private=True, **how, **more, actor="cli"
    )


@pytest.fixture(params=FAKES)
def fake(request, app):
    with FAKES[request.param]() as running:
        yield running


@pytest.fixture
def gateway(fake):
    return add(fake)


@pytest.fixture
def created(gateway):
    return sessions.create(1, "Support line", gateway=gateway.name, actor="cli")


def look_again(wa_session):
    db.session.expire_all()
    watch.poll_links()
    return wa_session


@pytest.fixture
def linked(fake, created):
    links.link(1, created.id, actor="cli")
    look_again(created)
    fake.scan(created.instance)
    look_again(created)
    return created


def test_a_new_session_shows_a_code(fake, created):
    links.link(1, created.id, actor="cli")
    look_again(created)
    assert created.look == Look.WAITING_FOR_SCAN
    shown = links.qr_of(created)
    assert shown.code or shown.image_type == "image/png"


def test_asking_again_for_the_same_code_changes_nothing(fake, created):
    links.link(1, created.id, actor="cli")
    rev = look_again(created).rev
    assert look_again(created).rev == rev


def test_a_scan_is_noticed_without_any_webhook(linked):
    assert (linked.status, linked.linked_number) == (Status.CONNECTED, PHONE)
    assert linked.linked_at and linked.sealed_qr is None


def test_a_message_goes_out(fake, linked):
    message = outbox.send(1, "0812-9999-8888", "Halo", source="cli")
    deliveries.drain()
    assert db.session.get(Message, message.id).status == MessageStatus.SENT
    assert fake.texts(linked.instance) == ["Halo"]


def test_the_check_goes_on_calling_it_connected(linked):
    watch.reconcile()
    assert linked.look == Look.CONNECTED


def test_unlinked_on_the_phone_it_needs_a_link(fake, linked):
    fake.unlink(linked.instance)
    watch.refresh(linked)
    assert linked.status == Status.DISCONNECTED
    assert linked.reason in (Reason.LOGGED_OUT, Reason.NETWORK)


def test_unlinking_here_and_linking_again(fake, linked):
    links.logout(1, linked.id, actor="cli")
    assert linked.look == Look.NEVER_LINKED
    links.link(1, linked.id, actor="cli")
    assert look_again(linked).look == Look.WAITING_FOR_SCAN


def test_deleting_it_leaves_nothing_here(fake, linked):
    sessions.delete(1, linked.id, force=True, actor="cli")
    assert db.session.query(type(linked)).count() == 0


def test_what_a_gateway_can_now_is_stored(fake, gateway):
    gateway_settings.tried(gateway)
    assert set(gateway.capabilities.split(",")) == set(gateways.driver(gateway).offers())


def test_without_a_scheduler_a_terminal_gets_the_code_too(fake, created):
    links.link(1, created.id, actor="cli")
    panel = InProcess("cli", 1)
    for _ in range(ASK_AT_EVERY_LOOK):
        panel.look_again(created.id)
    assert panel.link_code(created.id).expires_at
