"""What comes to the door of the gateways and is not theirs changes nothing, and never breaks anything."""

import json

import pytest
from signed import KEY, PROOFS, proof

from wa_admin.drivers import DRIVERS
from wa_admin.extensions import db, writing
from wa_admin.models import Event, HookCall, Status
from wa_admin.services import gateways

AT = "2026-11-21T02:06:17.499Z"
NAME, NUMBER = "support_line", "6281234567890@s.whatsapp.net"
ACK = {"ids": ["3EB0"], "chat_id": NUMBER, "receipt_type": "read"}
BODIES = {
    "bundled": {"event": "logout.instance", "instance": NAME, "data": None, "date_time": AT},
    "evolution": {"event": "logout.instance", "instance": NAME, "data": None, "date_time": AT},
    "gowa": {"event": "message.ack", "session_id": NAME, "timestamp": AT, "payload": ACK},
    "waha": {"id": "evt_1", "event": "session.status", "session": NAME, "timestamp": 1795226777499,
             "payload": {"name": NAME, "status": "FAILED", "statuses": [{"status": "WORKING"}]}},
    "wa_gateway": {"session": NAME, "status": "disconnected"},
    "wwebjs": {"dataType": "disconnected", "data": {"reason": "LOGOUT"}, "sessionId": NAME},
}  # fmt: skip
NO_PROOFS = [
    "",
    "wrong",
    "v1",
    "v1,not base64!",
    "sha256=",
    "sha256=zz",
    "sha512=" + "0" * 128,
    "\xe9\xff",
    "0" * 8000,
]
NO_BODIES = [b"", b"null", b"[]", b"3", b"{", b'{"event"', b"\xff\xfe\xfd", b"[" * 200_000,
             b'{"a":' * 90_000 + b"1" + b"}" * 90_000, b"9" * 5000, b'{"event":1,"session":2,"dataType":{}}',
             json.dumps({"event": {}, "instance": {}, "session": [], "sessionId": 7}).encode()]  # fmt: skip


@pytest.fixture(params=sorted(DRIVERS))
def kind(request):
    return request.param


@pytest.fixture
def gateway(kind, connected):
    """The one gateway there is, as if it were of this kind."""
    with writing():
        found = gateways.of_workspace()
        found.kind, found.sealed_key = kind, gateways.vault().seal(KEY)
        if kind == "webhook":
            found.sealed_urls = gateways.vault().seal(
                json.dumps(dict.fromkeys(gateways.URLS, "http://x.example"))
            )
    return found


@pytest.fixture
def post(gateway, client):
    path = "/hooks/" + gateways.hook_url(gateway).split("/hooks/")[1]
    return lambda body, **headers: client.post(path, data=body, headers=headers)


@pytest.fixture
def untouched(connected):
    """That nothing has been stored."""

    def check():
        db.session.rollback()
        db.session.refresh(connected)
        assert db.session.query(HookCall).count() == 0
        assert db.session.query(Event).count() == 0
        assert (connected.status, connected.last_event_at) == (Status.CONNECTED, None)

    return check


def test_what_the_gateway_says_is_taken_once(kind, gateway, post, connected):
    if kind == "webhook":
        assert post(b"{}").status_code == 401  # nobody was asked to report anything
        return
    body = json.dumps(BODIES[kind]).encode()
    for _ in range(5):
        assert post(body, **proof(gateway, body)).status_code == 200
    db.session.rollback()
    db.session.refresh(connected)
    assert connected.last_event_at is not None
    assert connected.status == (Status.CONNECTED if kind == "gowa" else Status.DISCONNECTED)
    assert db.session.query(Event).filter_by(kind="status").count() == (kind != "gowa")


@pytest.mark.figure("webhooks without a proof, or with a wrong one, refused")
@pytest.mark.parametrize("kind", [*PROOFS, "webhook"])
@pytest.mark.parametrize("forged", NO_PROOFS)
def test_without_its_proof_a_webhook_changes_nothing(kind, post, forged, untouched):
    headers = {PROOFS[kind]: forged} if kind in PROOFS and forged else {}
    assert post(json.dumps(BODIES.get(kind)).encode(), **headers).status_code == 401
    untouched()


@pytest.mark.parametrize("kind", ["bundled", "evolution", "gowa", "waha"])
def test_a_proof_of_another_body_is_none(kind, gateway, post, untouched):
    body = json.dumps(BODIES[kind]).encode()
    assert post(body.replace(NAME.encode(), b"other_line"), **proof(gateway, body)).status_code == 401
    untouched()


@pytest.mark.parametrize("body", NO_BODIES, ids=range(len(NO_BODIES)))
def test_what_cannot_be_read_is_refused_at_once(kind, gateway, post, body, untouched):
    # a token is that of a session, and these name none
    refused = 401 if kind in ("bundled", "evolution", "webhook") else 400
    assert post(body, **proof(gateway, body)).status_code == refused
    untouched()


def test_what_is_too_large_is_not_even_looked_at(post, untouched):
    assert post(b" " * 2 * 1024 * 1024).status_code == 413
    untouched()


@pytest.mark.parametrize("kind", BODIES)
def test_half_a_character_in_a_name_is_a_name_nobody_has(kind, gateway, post, connected):
    body = json.dumps(BODIES[kind]).replace(NAME, "\\ud800\\u0000").encode()
    assert post(body, **proof(gateway, body)).status_code == 200
    db.session.rollback()
    assert db.session.query(HookCall).filter(HookCall.sealed_body.is_not(None)).count() == 0
    assert db.session.get(type(connected), connected.id).status == Status.CONNECTED


@pytest.mark.parametrize("kind", ["waha"])
def test_an_old_one_sent_again_after_its_digest_is_forgotten_turns_nothing_back(gateway, post, connected):
    """WAHA signs no time of its own, so what is in the body decides."""
    news = BODIES["waha"] | {"id": "evt_2", "timestamp": 1795226999000, "payload": {"status": "WORKING"}}
    for said in (BODIES["waha"], news, BODIES["waha"]):
        with writing():
            db.session.query(HookCall).delete()
        body = json.dumps(said).encode()
        assert post(body, **proof(gateway, body)).status_code == 200
    db.session.rollback()
    assert db.session.get(type(connected), connected.id).status == Status.CONNECTED
