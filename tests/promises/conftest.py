import pytest
from running_gateway import RunningGateway
from running_panel import RunningPanel

from wa_admin.services import api_keys


@pytest.fixture
def panel(app, data_dir, connected):
    """A running panel with one connected session and a key to its API."""
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    panel = RunningPanel(data_dir, key)
    yield panel
    panel.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with RunningGateway(tmp_path_factory.mktemp("gateway"), speed=20) as gateway:
        gateway.create("support_line")
        gateway.link("support_line")
        yield gateway.named("support_line")
