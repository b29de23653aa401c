"""The disk is full, or the database read-only: everything is refused in one clear sentence, and goes on
by itself once that is mended."""

import resource

import pytest
from signed import address, bearing
from sqlalchemy import event

from wa_admin import storage
from wa_admin.extensions import db
from wa_admin.models import HookCall, Message
from wa_admin.services import api_keys

MESSAGE = {"recipient": "081299998888", "message": "Halo! " * 200}
RECEIPT = {
    "event": "messages.update",
    "instance": "support_line",
    "data": {"keyId": "3EB1", "status": "READ"},
}
UNTIL_FULL = 8  # some pages of the file are free
SQLITE_SAYS = {"max_page_count = 1": storage.FULL, "query_only = ON": storage.READ_ONLY}

pytestmark = pytest.mark.sqlite


@pytest.fixture
def report(admin):
    """What the gateway posts."""
    path, headers = address(), bearing()
    return lambda said: admin.post(path, json=said, headers=headers)


@pytest.fixture
def send(admin):
    """Ask the API for one."""
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    headers = {"Authorization": f"Bearer {key}"}
    return lambda: admin.post("/api/v1/messages/send/", json=MESSAGE, headers=headers)


@pytest.fixture
def forget():
    yield
    storage.note(None)


@pytest.fixture
def only(app, forget):
    """From now on every connection has this pragma; `heal()` ends that."""
    heard = []

    def set_pragma(pragma):
        def on_connect(connection, _):
            connection.execute(f"PRAGMA {pragma}")

        heard.append(on_connect)
        event.listen(db.engine, "connect", on_connect)
        db.session.remove()
        db.engine.dispose()

    def heal():
        while heard:
            event.remove(db.engine, "connect", heard.pop())
        db.session.remove()
        db.engine.dispose()

    set_pragma.heal = heal
    yield set_pragma
    heal()


@pytest.mark.parametrize("pragma", SQLITE_SAYS)
def test_nothing_is_accepted_and_everybody_is_told_why(only, admin, send, report, connected, pragma):
    only(pragma)
    answers = [send() for _ in range(UNTIL_FULL)]
    hooks = [report(RECEIPT | {"event": "x" * 9000}) for _ in range(UNTIL_FULL)]
    said = admin.get("/readyz").json["problems"]
    only.heal()
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {answer.status_code for answer in refused} == {503} == {hooks[-1].status_code}
    assert {answer.json["error"]["code"] for answer in refused} == {SQLITE_SAYS[pragma]}
    assert int(refused[0].headers["Retry-After"]) > 0
    assert "Nothing was stored" in refused[0].json["error"]["message"]
    assert said["database"] in ("has no room", "is read-only")
    kept = [db.session.query(Message).count(), db.session.query(HookCall).count()]
    assert kept == [len(answers) - len(refused), [hook.status_code for hook in hooks].count(200)]


def test_what_is_there_can_be_read_meanwhile(only, admin):
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    only("query_only = ON")  # so that its use cannot be noted either
    answer = admin.get("/api/v1/messages/", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("pragma", SQLITE_SAYS)
def test_it_goes_on_once_that_is_mended(only, admin, send, connected, pragma):
    only(pragma)
    for _ in range(UNTIL_FULL):
        send()
    assert "refused" in admin.get("/health").text
    only.heal()
    assert send().status_code == 202
    assert storage.trouble_now() is None


def test_a_running_panel_that_may_write_no_more_accepts_nothing(panel):
    limits = resource.prlimit(panel.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(panel.process.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    refused = [panel.send("Halo! " * 200) for _ in range(3)]
    ready = panel.client.get("/readyz")
    resource.prlimit(panel.process.pid, resource.RLIMIT_FSIZE, limits)
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in refused} == {
        (503, storage.FULL)
    }
    assert ready.json()["problems"]["database"] == "has no room"
    assert panel.send().status_code == 202
