"""The gateway that the environment names, whatever its kind."""

import pytest

from wa_admin.config import GATEWAY_KINDS, BadSetting
from wa_admin.drivers import DRIVERS
from wa_admin.services import gateway_settings, gateways


@pytest.mark.parametrize("kind", GATEWAY_KINDS)
def test_every_kind_can_be_the_one_of_the_settings(make_app, kind):
    with make_app(WA_GATEWAY_URL="http://10.1.2.3:3000", WA_GATEWAY_KIND=kind).app_context():
        gateway = gateways.ensure()
        assert (gateway.kind, gateway.name, gateway.allow_private) == (kind, kind, True)
        assert gateways.driver(gateway).kind == kind


def test_there_is_a_driver_for_each_kind_and_no_other():
    assert set(DRIVERS) == {*GATEWAY_KINDS, "bundled"} == {*gateway_settings.KINDS, "bundled"}


def test_an_unknown_kind_stops_the_start(make_app):
    with pytest.raises(BadSetting, match="WA_GATEWAY_KIND must be one of evolution, gowa"):
        make_app(WA_GATEWAY_KIND="telegram")


def test_a_name_that_is_taken_gets_a_number(make_app):
    with make_app().app_context():
        gateways.ensure()
        gateway_settings.add(1, kind="waha", name="waha", base_url="https://93.184.216.34", actor="cli")
    with make_app(WA_GATEWAY_URL="http://10.1.2.3:3000", WA_GATEWAY_KIND="waha").app_context():
        assert gateways.ensure().name == "waha 2"
