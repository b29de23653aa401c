"""The panel was down while things happened: soon after its start it knows them."""

import time

import pytest
from forked import start
from running_gateway import RunningGateway, wait_until
from running_panel import RunningPanel
from signed import address, bearing

from wa_admin.extensions import db
from wa_admin.models import Reason, Receipt, Status
from wa_admin.services import gateways

SOON_SECONDS = 60  # 15 are promised, on a machine that has nothing else to do
PHONE = "6281234567890"


@pytest.fixture
def gateway(tmp_path):
    with RunningGateway(tmp_path / "gateway", speed=20) as gateway:
        gateway.create("support_line")
        gateway.link("support_line", PHONE)
        yield gateway.named("support_line")


@pytest.fixture
def environ(gateway):
    return {"WA_GATEWAY_PORT": str(gateway.port), "WA_GATEWAY_KEY": gateway.key}


@pytest.fixture
def app(make_app, environ):
    app = make_app(**environ)
    with app.app_context():
        gateways.ensure()
        yield app


@pytest.fixture
def panel(app, data_dir, environ, connected):
    """One that has been stopped."""
    panel = RunningPanel(data_dir, "of-nobody", **environ)
    panel.kill()
    yield panel
    panel.close()


def start_scheduler(panel):
    return start(["-m", "wa_admin.scheduler"], panel.environment())


def look(wa_session):
    db.session.rollback()
    db.session.refresh(wa_session)
    return wa_session.status, wa_session.reason


def report_to(panel, gateway):
    url = f"http://127.0.0.1:{panel.port}{address()}"
    webhook = {"enabled": True, "url": url, "headers": bearing(), "events": []}
    assert gateway.post("webhook/set", json={"webhook": webhook}).status_code == 201


def test_what_the_bundled_gateway_told_meanwhile_is_heard_after_the_start(gateway, panel, connected):
    report_to(panel, gateway)
    sent = gateway.send("Halo").json()["key"]["id"]
    gateway.simulate("receipt", id=sent, type="read")
    gateway.simulate("unlink")
    time.sleep(3)  # it has knocked some times
    panel.start()
    wait_until(lambda: look(connected) == (Status.DISCONNECTED, Reason.LOGGED_OUT), SOON_SECONDS)
    assert "read" in db.session.scalars(db.select(Receipt.kind).filter_by(provider_id=sent)).all()


def test_a_state_that_nobody_told_is_right_soon_after_the_start(gateway, panel, connected):
    gateway.simulate("unlink")
    assert look(connected) == (Status.CONNECTED, None)
    panel.start()
    scheduler = start_scheduler(panel)
    try:
        wait_until(lambda: look(connected) == (Status.DISCONNECTED, Reason.LOGGED_OUT), SOON_SECONDS)
    finally:
        scheduler.terminate()
        scheduler.wait(60)
