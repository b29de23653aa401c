"""The helper for app code, asked in both ways: what it gives and raises must be the same."""

import io
import subprocess
import sys
import threading
from datetime import UTC, datetime

import flask
import httpx
import pytest
from running_panel import RunningPanel

from wa_admin import whatsapp
from wa_admin.api import schemas
from wa_admin.extensions import db
from wa_admin.models import Message, MessageStatus, Reason, Status
from wa_admin.services import api_keys, deliveries, roster
from wa_admin.whatsapp import linking
from wa_admin.whatsapp.in_process import InProcess
from wa_admin.whatsapp.over_http import OverHttp, shared
from wa_admin.whatsapp.values import LinkCode, SentMessage, Session, SessionStatus

NO_WAIT = {"key": None, "wait_seconds": 0, "valid_for_seconds": None}


class Served(httpx.WSGITransport):
    """The panel on the other end of the wire, each request in a context of its own."""

    def handle_request(self, request):
        with self.app.app_context():
            return super().handle_request(request)


@pytest.fixture(params=["in process", "over http"])
def panel(request, app):
    if request.param == "in process":
        return InProcess()
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    return OverHttp("http://127.0.0.1:8000", key, transport=Served(app))


def over_http(handler, key="wak_x"):
    return OverHttp("http://panel.test", key, transport=httpx.MockTransport(handler))


def test_a_message_comes_back_with_what_became_of_it(panel, connected):
    sent = panel.send("0812-9999-8888", "Halo 😀", None, **NO_WAIT)
    assert (sent.status, sent.to, sent.session_name) == ("queued", "6281299998888", "Support line")
    assert sent.created_at.tzinfo is not None and sent.error is None


def test_a_key_sends_once(panel, connected):
    more = {**NO_WAIT, "key": "order-1042"}
    assert panel.send("081299998888", "x", None, **more) == panel.send("081299998888", "x", None, **more)


def test_waiting_ends_when_the_message_has_left(stub, panel, connected, app):
    def scheduler():
        with app.app_context():
            while not deliveries.drain():
                pass

    thread = threading.Thread(target=scheduler)
    thread.start()
    sent = panel.send("081299998888", "x", None, key=None, wait_seconds=20, valid_for_seconds=None)
    thread.join()
    assert sent.status == "sent" and sent.provider_id.startswith("3EB0")


def test_a_failure_is_told_with_code_and_sentence(app, connected, make_message):
    failed = make_message(connected, status=MessageStatus.FAILED, error_code="not_on_whatsapp")
    error = SentMessage.read(schemas.dump("Message", failed)).error
    assert error.code == "not_on_whatsapp" and str(error).endswith(".")


REFUSED = [
    (("nobody", "x", None), whatsapp.BadRecipient, "bad_number"),
    (("", "x", None), whatsapp.BadRecipient, None),
    (("081299998888", "", None), whatsapp.BadMessage, "message_missing"),
    (("081299998888", "x" * 5000, None), whatsapp.BadMessage, None),
    (("081299998888", "x", "Marketing"), whatsapp.UnknownSession, "session_not_found"),
    (("081299998888", "x", "Old"), whatsapp.SessionInactive, "session_inactive"),
    (("081299998888", "x", ""), whatsapp.Refused, "empty"),
    ((6281299998888, "x", None), whatsapp.BadRecipient, "wrong_type"),
    (("081299998888", None, None), whatsapp.BadMessage, "wrong_type"),
    (("081299998888", b"x", None), whatsapp.BadMessage, "wrong_type"),
    (("081299998888", "x\ud800", None), whatsapp.BadMessage, "bad_characters"),
]


@pytest.mark.parametrize(("call", "family", "code"), REFUSED)
def test_a_refusal_is_the_same_error_either_way(panel, make_session, call, family, code):
    make_session("Support line")
    make_session("Old", is_active=False)
    with pytest.raises(family) as caught:
        panel.send(*call, **NO_WAIT)
    assert code in (None, caught.value.code)
    assert isinstance(caught.value, whatsapp.Refused)


@pytest.mark.parametrize("key", ["", " ", "a\n", "a ", "x" * 256, "café", "\ud800"])
def test_a_key_that_is_none_is_refused(panel, connected, key):
    with pytest.raises(whatsapp.Refused) as caught:
        panel.send("081299998888", "x", None, **NO_WAIT | {"key": key})
    assert (caught.value.code, caught.value.field) == ("key_bad", "key")


@pytest.mark.parametrize("seconds", [0, 0.5, -1, 1e9, float("nan"), float("inf"), "60", True])
def test_a_time_that_is_none_is_refused(panel, connected, seconds):
    with pytest.raises(whatsapp.Refused):
        panel.send("081299998888", "x", None, **NO_WAIT | {"valid_for_seconds": seconds})


def test_a_time_need_not_be_whole(panel, connected):
    sent = panel.send("081299998888", "x", None, **NO_WAIT | {"valid_for_seconds": 90.5})
    assert sent.status == "queued"


@pytest.mark.parametrize("name", ["Marketing", "Old"])
def test_a_wrong_session_name_lists_the_names_there_are(panel, make_session, name):
    make_session("Support line")
    make_session("Old", is_active=False)
    with pytest.raises(whatsapp.WhatsAppError, match="Support line"):
        panel.send("081299998888", "x", name, **NO_WAIT)


def test_without_a_session_there_is_nothing_to_send_from(panel):
    for name in (None, "Marketing"):
        with pytest.raises(whatsapp.NoSession, match="Add one first") as caught:
            panel.send("081299998888", "x", name, **NO_WAIT)
        assert caught.value.code == "no_session"


@pytest.mark.parametrize("field", ["wait_seconds", "valid_for_seconds"])
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf"), "10", True])
def test_a_wait_without_end_is_refused_before_anything_is_sent(app, connected, field, seconds):
    with pytest.raises(whatsapp.Refused, match="number of seconds") as caught:
        whatsapp.send_whatsapp_message("081299998888", "x", **{field: seconds})
    assert caught.value.field == field and db.session.query(Message).count() == 0


@pytest.mark.parametrize("odd", [None, 1, b"support_line", ["support_line"]])
def test_a_session_is_named_by_text(app, connected, odd):
    for ask in (
        whatsapp.get_session_status,
        whatsapp.is_session_connected,
        whatsapp.start_whatsapp_session,
    ):
        with pytest.raises(whatsapp.Refused, match="as text"):
            ask(odd)


@pytest.mark.parametrize("odd", [5, b"order-1", ("order", 1)])
def test_a_key_is_text(app, connected, odd):
    with pytest.raises(whatsapp.Refused, match="as text") as caught:
        whatsapp.send_whatsapp_message("081299998888", "x", key=odd)
    assert caught.value.code == "key_bad"


def test_a_name_that_fits_two_sessions_is_refused(panel, make_session):
    make_session("Support", session_id="one")
    make_session("Other", session_id="support")
    with pytest.raises(whatsapp.UnknownSession, match=r"Support .*; Other") as caught:
        panel.send("081299998888", "x", "support", **NO_WAIT)
    assert caught.value.code == "session_ambiguous"


def test_sessions_are_described_alike(panel, connected):
    (one,) = panel.sessions()
    assert one == panel.session("support line") == panel.session("support_line") == panel.session("1")
    assert one.is_connected and one.is_default and one.phone_number == "6281234567890"


@pytest.mark.parametrize("name", ["Totale Bot", "a/b", "100%", "a?b#c"])
def test_a_name_may_hold_what_an_address_may_not(panel, make_session, name):
    make_session(name, session_id="plain")
    assert panel.session(name).name == name


@pytest.mark.parametrize("name", ["", " ", "nobody", "../list", "-", "\ud800", "\x00"])
def test_a_session_that_is_not_there_is_unknown(panel, connected, name):
    with pytest.raises(whatsapp.UnknownSession):
        panel.session(name)


def test_the_code_to_scan_is_there_while_it_waits(stub, panel, unlinked):
    assert panel.link_code("support_line") is None
    stub.state = "close"
    panel.connect("support_line")
    assert panel.link_code("support_line").qr == "2@a,b,c,d"


def test_a_code_is_not_shown_by_accident(stub, panel, unlinked):
    stub.state = "close"
    panel.connect("support_line")
    assert "2@" not in repr(panel.link_code("support_line"))


# --- which way is taken --------------------------------------------------------------------------


def test_inside_the_panel_the_services_are_asked(app, connected):
    assert whatsapp.get_active_session_ids() == ["support_line"]
    assert whatsapp.is_session_connected("support_line")
    assert whatsapp.get_default_whatsapp_session().name == "Support line"
    assert whatsapp.get_session_status("Support line").status == "connected"


def test_another_flask_app_speaks_http(monkeypatch):
    monkeypatch.delenv("WA_API_KEY", raising=False)
    with flask.Flask("shop").app_context(), pytest.raises(whatsapp.NotConfigured, match="WA_API_KEY"):
        whatsapp.get_active_session_ids()


def test_all_sessions_with_a_login_are_brought_online(stub, app, make_session):
    make_session("One", status=Status.DISCONNECTED, reason=Reason.NETWORK)
    make_session("Never", status=Status.DISCONNECTED, reason=Reason.NEVER_LINKED, linked_at=None)
    whatsapp.initialize_all_sessions()
    assert roster.find(1, "One").is_connected
    assert not any("never" in route for route in stub.routes_asked())


def test_importing_the_helper_loads_neither_flask_nor_sqlalchemy():
    code = (
        "import sys, wa_admin\n"
        "from wa_admin import send_whatsapp_message\n"
        "from wa_admin.whatsapp import *\n"
        "print([m for m in ('flask', 'sqlalchemy', 'marshmallow', 'httpx') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_an_app_elsewhere_sends_with_two_settings(app, data_dir, connected, tmp_path):
    _, key = api_keys.issue(1, "shop", actor="cli")
    panel = RunningPanel(data_dir, key)
    code = (
        "from wa_admin import send_whatsapp_message\n"
        "print(send_whatsapp_message('0812-9999-8888', 'Halo', wait_seconds=0).status)"
    )
    environ = {"WA_PANEL_URL": f"http://127.0.0.1:{panel.port}", "WA_API_KEY": key, "PATH": ""}
    environ["http_proxy"] = "http://127.0.0.1:9"  # which leads to the world, not to this machine
    try:
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environ, cwd=tmp_path
        )
    finally:
        panel.close()
    assert told.stdout.strip() == "queued", told.stderr


# --- trouble on the way --------------------------------------------------------------------------

MESSAGE = {
    "id": 1,
    "status": "sent",
    "recipient": "6281299998888",
    "session_name": "Support line",
    "provider_id": "3EB0",
    "created_at": "2026-01-31T09:00:00.000Z",
    "error": None,
}


def test_a_lost_answer_is_asked_for_again_with_the_same_key():
    keys = []

    def handler(request):
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < 3:
            raise httpx.ReadTimeout("lost")
        return httpx.Response(202, json={"success": True, "data": MESSAGE})

    sent = over_http(handler).send("1", "x", None, key=None, wait_seconds=5, valid_for_seconds=None)
    assert sent.id == 1 and len(keys) == 3 and len(set(keys)) == 1


def test_a_panel_that_stays_away_is_an_error_with_a_next_step_and_the_key():
    def handler(request):
        raise httpx.ConnectError("refused")

    with pytest.raises(whatsapp.PanelUnreachable, match="Is it running") as caught:
        over_http(handler).send("1", "x", None, key=None, wait_seconds=0.3, valid_for_seconds=None)
    assert caught.value.key and caught.value.code == "panel_unreachable"


def test_an_accepted_message_is_no_error_when_the_panel_goes_away():
    def handler(request):
        if request.method == "GET":
            raise httpx.ConnectError("refused")
        return httpx.Response(202, json={"success": True, "data": {**MESSAGE, "status": "queued"}})

    sent = over_http(handler).send("1", "x", None, key=None, wait_seconds=0.3, valid_for_seconds=None)
    assert sent.status == "queued"


def test_a_busy_panel_is_asked_again():
    answers = [
        httpx.Response(503, json={"success": False, "error": {"code": "database_busy", "message": "Busy."}}),
        httpx.Response(202, json={"success": True, "data": MESSAGE}),
    ]
    panel = over_http(lambda request: answers.pop(0))
    assert panel.send("1", "x", None, key=None, wait_seconds=5, valid_for_seconds=None).id == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>router</html>"),
        httpx.Response(200, json=None),
        httpx.Response(200, json=[]),
        httpx.Response(502, text="Bad Gateway"),
        httpx.Response(200, json={"success": False}),
        httpx.Response(301, headers={"Location": "https://elsewhere.test/"}),
    ],
)
def test_what_is_not_wa_admin_is_told_apart(answer):
    with pytest.raises(whatsapp.BadAnswer, match="WA_PANEL_URL"):
        over_http(lambda request: answer).sessions()


def test_a_wrong_key_is_its_own_error(app):
    with pytest.raises(whatsapp.NotAllowed, match="unknown, was revoked or has expired"):
        OverHttp("http://127.0.0.1:8000", "wak_nope", transport=Served(app)).sessions()


@pytest.mark.parametrize("url", ["ftp://x", "panel.example.com", "http://[bad"])
def test_a_bad_address_is_named(monkeypatch, url):
    monkeypatch.setenv("WA_PANEL_URL", url)
    monkeypatch.setenv("WA_API_KEY", "wak_x")
    with pytest.raises(whatsapp.NotConfigured, match="WA_PANEL_URL"):
        shared().sessions()


def test_the_key_may_lie_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("wak_from_file\n")
    monkeypatch.delenv("WA_API_KEY", raising=False)
    monkeypatch.setenv("WA_API_KEY_FILE", str(tmp_path / "key"))
    assert shared().client.headers["Authorization"] == "Bearer wak_from_file"


def test_threads_share_one_client(monkeypatch):
    monkeypatch.setenv("WA_API_KEY", "wak_x")
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


def test_every_error_belongs_to_the_family_and_is_drawn_in_its_tree():
    names = [name for name in whatsapp.__all__ if isinstance(getattr(whatsapp, name), type)]
    errors = [name for name in names if issubclass(getattr(whatsapp, name), Exception)]
    assert len(errors) == 15
    assert all(issubclass(getattr(whatsapp, name), whatsapp.WhatsAppError) for name in errors)
    assert all(name in whatsapp.WhatsAppError.__doc__ for name in errors)


# --- linking from a terminal ---------------------------------------------------------------------


def seen(status, reason=None):
    at = datetime(2026, 1, 31, tzinfo=UTC)
    state = SessionStatus("Support line", "support_line", status, reason, at, at)
    return Session(1, "Support line", "support_line", "6281234567890", True, True, state)


def follow(looks, codes=(), **more):
    """What was printed, and the session at the end."""
    out, looks, codes = io.StringIO(), iter(looks), iter(codes)
    ended = linking.follow(lambda: next(looks), lambda: next(codes), out=out, sleep=lambda _: None, **more)
    return out.getvalue(), ended


def code(text, sequence=1):
    return LinkCode(text, "WZYEH1YY", sequence, None, codes=6)


def test_each_code_is_drawn_once_until_the_phone_is_linked():
    looks = [seen("connecting"), *[seen("qr_pending")] * 3, seen("connecting"), seen("connected")]
    printed, ended = follow(looks, [code("one"), code("one"), code("two", 2)])
    assert printed.count("Code 1 of 6") == 1 and printed.count("Code 2 of 6") == 1
    assert "█" in printed and "Finishing" in printed and printed.endswith("is +6281234567890.\n")
    assert ended.is_connected


def test_a_passkey_is_waited_for_and_explained_once():
    asked = seen("connecting", "passkey_required")
    printed, ended = follow([seen("qr_pending"), asked, asked, seen("connected")], [code("one")])
    assert printed.count("asks for the passkey of this account") == 1 and ended.is_connected


def test_a_pairing_code_is_shown_in_two_groups():
    printed, _ = follow([seen("qr_pending"), seen("connected")], [code("one")], by_phone=True)
    assert "WZYE-H1YY" in printed and "█" not in printed


@pytest.mark.parametrize("reason", sorted(linking.ENDINGS))
def test_an_end_without_a_link_is_an_error_with_its_reason(reason):
    with pytest.raises(whatsapp.LinkFailed) as caught:
        follow([seen("qr_pending"), seen("disconnected", reason)], [code("one")])
    assert caught.value.code == reason and str(caught.value).endswith(".")


def test_a_gateway_that_is_away_is_said_once():
    printed, _ = follow([seen("disconnected", "gateway_unreachable")] * 3 + [seen("connected")])
    assert printed.count("does not answer") == 1


def test_waiting_has_an_end():
    with pytest.raises(whatsapp.LinkFailed, match="not connected yet"):
        follow([seen("connecting")] * 9, patience_seconds=3)


def test_every_reason_that_needs_a_person_ends_the_wait_and_stops_the_start():
    from wa_admin.models import NEEDS_A_PERSON

    assert set(linking.ENDINGS) == {str(reason) for reason in NEEDS_A_PERSON} == set(linking.NEEDS_A_PERSON)
