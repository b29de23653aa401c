import socket

import pytest
from sqlalchemy import select

from wa_admin import clock
from wa_admin.extensions import db
from wa_admin.models import Message, MessageStatus
from wa_admin.services import roster, stats, timeline

EVERY_ENDING = set(MessageStatus) - {MessageStatus.SENDING}


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_holds_a_message_in_every_state(make_app):
    app = make_app(WA_ENGINE="neonize")
    with app.app_context():
        assert app.test_cli_runner().invoke(args=["sample"]).exit_code == 0
        assert set(db.session.scalars(select(Message.status))) == EVERY_ENDING


def test_its_counters_agree_with_its_messages(make_app):
    app = make_app(WA_ENGINE="neonize")
    with app.app_context():
        app.test_cli_runner().invoke(args=["sample"])
        toko = roster.find(1, "toko_sari")
        assert (toko.waiting_count, toko.uncertain_count) == (1, 1)
        assert len([day for day in stats.days(toko, clock.now()) if day.sent]) >= 13


def test_on_the_simulator_a_phone_is_linked(make_app, port):
    app = make_app(WA_GATEWAY_PORT=str(port))
    with app.app_context():
        result = app.test_cli_runner().invoke(args=["sample"])
        assert result.exit_code == 0, result.output
        toko = roster.find(1, "toko_sari")
        assert toko.is_connected and toko.waiting_count == 0
        assert timeline.strip(toko, clock.now()).interruptions == 1


def test_it_does_not_mix_with_what_is_there(run, connected):
    result = run("sample")
    assert result.exit_code == 1 and "already" in result.output
    assert db.session.scalar(select(Message.id)) is None


def test_force_mixes_it_in(run, connected):
    assert run("sample", "--force").exit_code == 0
    assert db.session.scalar(select(Message.id)) is not None
