import json
import threading

import pytest
from running_gateway import RunningGateway

from wa_admin.extensions import db, writing
from wa_admin.models import Reason, Status, WhatsAppSession
from wa_admin.services import gateways, links, roster


def test_a_session_is_added_and_listed(run):
    assert "sessions link support_line" in run("sessions", "add", "Support line").output
    (heading, row) = run("sessions", "list").output.splitlines()
    assert heading.split()[0] == "ID" and "Support line" in row and "Not linked yet" in row


def test_the_list_can_be_json(run, connected):
    (told,) = json.loads(run("sessions", "list", "--json").output)
    assert (told["session_id"], told["status"], told["is_primary"]) == ("support_line", "connected", True)


@pytest.mark.parametrize("name", ["", "x" * 81, "a\x1b[31mb"])
def test_a_bad_name_is_refused_in_one_sentence(run, name):
    result = run("sessions", "add", name)
    assert result.exit_code == 1 and result.output.startswith("Error: ")
    assert WhatsAppSession.count(1) == 0


def test_the_limit_is_told(run, connected):
    result = run("sessions", "add", "Second")
    assert result.exit_code == 1 and "WA_MAX_SESSIONS" in result.output


def test_status_speaks_by_its_exit_code(run, make_session):
    make_session("Up")
    make_session("Down", status=Status.DISCONNECTED, reason=Reason.BANNED)
    assert [run("sessions", "status", name).exit_code for name in ("up", "down")] == [0, 1]


def test_status_can_ask_the_gateway(stub, run, connected):
    stub.state = "close"
    assert run("sessions", "status", "--refresh").exit_code == 1


def test_an_unknown_session_lists_the_names(run, connected):
    result = run("sessions", "status", "nope")
    assert result.exit_code == 1 and "Support line" in result.output


def test_the_default_is_shown_and_changed(run, make_session):
    make_session("One")
    make_session("Two")
    run("sessions", "default", "two")
    assert run("sessions", "default").output == "Two\n"


def test_only_a_connected_session_becomes_the_default(run, make_session):
    make_session("One")
    make_session("Two", status=Status.DISCONNECTED, reason=Reason.NETWORK)
    assert run("sessions", "default", "two").exit_code == 1


def test_a_gateway_that_is_down_is_a_sentence(run, connected):
    result = run("sessions", "disconnect")
    assert result.exit_code == 1 and "gateway cannot be reached" in result.output


def test_disconnect_and_reconnect(stub, run, connected):
    assert "is disconnected" in run("sessions", "disconnect").output
    stub.state = "open"
    assert run("sessions", "reconnect").exit_code == 0
    assert roster.find(1, "support_line").is_connected


def test_reconnecting_without_a_login_says_how_to_link(run, unlinked):
    result = run("sessions", "reconnect")
    assert result.exit_code == 1 and "sessions link support_line" in result.output


def test_init_brings_back_what_has_a_login(stub, run, make_session):
    make_session(status=Status.DISCONNECTED, reason=Reason.NETWORK)
    assert "Connected" in run("sessions", "init").output


def test_deleting_asks_first(stub, run, connected):
    assert run("sessions", "delete", "support_line", "--force", stdin="n\n").exit_code == 1
    assert WhatsAppSession.count(1) == 1
    assert run("sessions", "delete", "support_line", "--force", stdin="y\n").exit_code == 0
    assert WhatsAppSession.count(1) == 0


def test_the_default_session_is_deleted_only_by_force(stub, run, connected):
    assert run("sessions", "delete", "support_line", "--yes").exit_code == 1
    assert WhatsAppSession.count(1) == 1


@pytest.mark.parametrize("command", [["sessions", "cleanup"], ["cleanup"]])
def test_cleanup_keeps_the_oldest(stub, run, make_session, command):
    for name in ("Oldest", "Second", "Third"):
        make_session(name, is_default=name == "Third")
    assert "Would remove: Second (second)" in run(*command, "--dry-run").output
    assert WhatsAppSession.count(1) == 3
    printed = run(*command, "--yes").output
    assert "Kept: Oldest (oldest)" in printed and "Removed: Third (third)" in printed
    (left,) = roster.listed(1)
    assert (left.name, left.is_default, left.is_active) == ("Oldest", True, True)


def test_cleanup_of_nothing_is_no_error(run):
    assert run("cleanup", "--yes").exit_code == 0


# --- with a real gateway, and no panel to receive its events -------------------------------------


@pytest.fixture
def gateway(data_dir, app):
    """The simulator on a free port, known to the application."""
    key = app.config["SETTINGS"].gateway_key
    with RunningGateway(data_dir, key=key, speed=10) as gateway:
        known = gateways.of_workspace()
        with writing():
            known.base_url = gateway.url
        yield gateway.named("support_line")


def link_soon(app, gateway, number, part="code"):
    """Somebody waits for what the panel shows: a faster phone would be linked before it is asked."""

    def wait_and_link():
        with app.app_context():
            while not (shown := links.qr_of(roster.find(1, "support_line"))) or not getattr(shown, part):
                threading.Event().wait(0.1)
                db.session.rollback()
                db.session.expire_all()
        typed = {"code": shown.pairing_code} if part == "pairing_code" else {}
        gateway.simulate("scan", phone=number, **typed)

    thread = threading.Thread(target=wait_and_link, daemon=True)
    thread.start()
    return thread


def test_link_draws_the_code_and_ends_when_the_phone_is_linked(run, app, gateway, unlinked):
    phone = link_soon(app, gateway, "6281234567890")
    result = run("sessions", "link", "support_line")
    phone.join()
    assert result.exit_code == 0 and "Code 1 of 6" in result.output
    assert "Connected: Support line is +6281234567890." in result.output


def test_link_warns_of_another_number(run, app, gateway, make_session):
    make_session(
        status=Status.DISCONNECTED,
        reason=Reason.NEVER_LINKED,
        linked_at=None,
        linked_number=None,
        phone_number="6281111111111",
    )
    phone = link_soon(app, gateway, "6281234567890")
    result = run("sessions", "link")
    phone.join()
    assert "not the number that was expected" in result.output


def test_link_shows_the_code_to_type(run, app, gateway, unlinked):
    phone = link_soon(app, gateway, "6281234567890", "pairing_code")
    result = run("sessions", "link", "--phone", "0812-3456-7890")
    phone.join()
    assert result.exit_code == 0, result.output
