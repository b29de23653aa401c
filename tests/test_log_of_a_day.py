"""A day of use with what goes wrong in it: no number, secret or word of a message is in the log."""

import io
import logging
import sys
from dataclasses import replace

import pytest
from people import PASSWORD
from signed import address, bearing

from wa_admin import log
from wa_admin.services import api_keys, deliveries

# recognisable wherever they turn up
CUSTOMER, OWN, TEXT, HEARD = (
    "6281277778888",
    "6281234567890",
    "zirkontext to a customer",
    "zirkonheard from them",
)
CODE, TYPED = "2@zirkoncode,AbCdEfGh,IjKl,MnOp", "zirkon password of nobody"
ANSWER = {"status": 500, "error": "boom", "response": {"message": [f"cannot send {TEXT} to {CUSTOMER}"]}}


@pytest.fixture(params=["text", "json"])
def written(request, monkeypatch):
    """What a process writes; with JSON also what it does not usually say."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log.set_up(request.param, logging.DEBUG if request.param == "json" else logging.INFO)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def hook(client, event, data):
    path = address()
    body = {"event": event, "instance": "support_line", "data": data, "date_time": "2026-11-21T02:06:17.499Z"}
    return client.post(path, json=body, headers=bearing()), path


def message(text):
    key = {"remoteJid": f"{CUSTOMER}@s.whatsapp.net", "fromMe": False, "id": "3EB0ZZ"}
    said = {"message": {"conversation": text}, "messageType": "conversation", "messageTimestamp": 1795227139}
    return {"key": key, "pushName": "Zirkon Budi", **said}


@pytest.mark.figure("databases, logs and backups without a secret in plain text")
def test_a_day_leaves_nothing_in_the_log_that_must_not_be_there(
    app, stub, client, admin, connected, unlinked_line, written
):
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    app_headers = {"Authorization": f"Bearer {key}"}
    client.post("/login", data={"email": "admin@example.com", "password": TYPED})
    client.post("/login", data={"email": "admin@example.com", "password": PASSWORD})
    client.get(f"/api/v1/messages/?token={key}")
    stub.script["sendText"] = [(500, ANSWER), (400, ANSWER), None, (200, f"<html>{TEXT}")]
    for number in range(5):
        body = {"recipient": f"{CUSTOMER[:-1]}{number}", "message": TEXT}
        assert client.post("/api/v1/messages/send/", json=body, headers=app_headers).status_code < 300
        deliveries.drain()
    form = {"recipient": CUSTOMER, "message": TEXT, "session_id": connected.id}
    admin.post("/messages", data=form)
    stub.state = "close"
    stub.script["connect"] = [(200, {"code": CODE, "pairingCode": "ZRKN2345", "base64": "", "count": 1})]
    admin.post(f"/sessions/{unlinked_line.id}/link")
    answer, path = hook(client, "messages.upsert", message(HEARD))
    assert answer.status_code == 200
    hook(client, "messages.upsert", {**message(HEARD), "messageTimestamp": {"odd": HEARD}, "key": HEARD})
    hook(client, "qrcode.updated", {"qrcode": {"code": CODE, "base64": "x"}})
    client.post(path[:-4] + "zzzz", json={"text": HEARD})
    admin.get(f"/messages?q={CUSTOMER}")
    admin.get(f"/chats/search?q={HEARD}")
    app.logger.error("a careless line about %s and %s", CUSTOMER, key)
    told = written.getvalue()
    secrets = {
        CUSTOMER,
        OWN,
        key,
        PASSWORD,
        TYPED,
        CODE,
        "zirkon",
        "Zirkon",
        "ZRKN2345",
        path.rsplit("/", 1)[1],
    }
    secrets |= {cookie.value for cookie in client._cookies.values()}
    assert len(told.splitlines()) > 10 and "a careless line" in told
    assert stub.script["sendText"] == []  # it all went wrong
    assert [one for one in secrets if one in told] == []


@pytest.fixture
def unlinked_line(make_session, connected, app):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], max_sessions=5)
    return make_session(
        "Second line", status="disconnected", reason="never_linked", linked_at=None, linked_number=None
    )
