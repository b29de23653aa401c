"""The same with PostgreSQL: it is read-only, or answers what it says when its disk is full."""

import pytest
from signed import address, bearing

from wa_admin import storage
from wa_admin.extensions import db
from wa_admin.models import HookCall, Message
from wa_admin.services import api_keys

MESSAGE = {"recipient": "081299998888", "message": "Halo!"}
RECEIPT = {
    "event": "messages.update",
    "instance": "support_line",
    "data": {"keyId": "3EB1", "status": "READ"},
}
# a disk that is really full takes root to make: the server itself raises its own error, code and all
NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON message EXECUTE FUNCTION no_room();
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON hook_call EXECUTE FUNCTION no_room();
"""
BROKEN_BY = {
    storage.READ_ONLY: "ALTER DATABASE tests SET default_transaction_read_only = on",
    storage.FULL: NO_ROOM,
}
MENDED_BY = {
    storage.READ_ONLY: "ALTER DATABASE tests RESET default_transaction_read_only",
    storage.FULL: "DROP FUNCTION no_room CASCADE",
}

pytestmark = pytest.mark.postgresql


@pytest.fixture(params=BROKEN_BY)
def trouble(request):
    return request.param


@pytest.fixture
def mend(app, connected, postgresql, trouble):
    """The database is broken until this is called."""
    is_broken = True

    def run(statement):
        db.session.remove()
        db.engine.dispose()
        with postgresql.server.connect("tests") as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(statement)

    def mend():
        nonlocal is_broken
        if is_broken:
            is_broken = False
            run(MENDED_BY[trouble])

    run(BROKEN_BY[trouble])
    yield mend
    mend()
    storage.note(None)


@pytest.fixture
def headers(app):
    _, key = api_keys.issue(1, "orders-api", actor="cli")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def proof(connected):
    return {"path": address(), "headers": bearing()}


def test_nothing_is_accepted_everybody_is_told_why_and_it_goes_on_by_itself(
    headers, proof, admin, mend, trouble
):
    def send():
        return admin.post("/api/v1/messages/send/", json=MESSAGE, headers=headers)

    refused, hook = send(), admin.post(**proof, json=RECEIPT)
    assert (refused.status_code, refused.json["error"]["code"]) == (503, trouble)
    assert int(refused.headers["Retry-After"]) > 0 and hook.status_code == 503
    ready = admin.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["problems"]["database"] in ("is read-only", "has no room")
    assert "refused" in admin.get("/health").text
    assert (db.session.query(Message).count(), db.session.query(HookCall).count()) == (0, 0)
    mend()
    assert send().status_code == 202
    assert admin.post(**proof, json=RECEIPT).status_code == 200
    assert storage.trouble_now() is None
