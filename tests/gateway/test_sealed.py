"""What is secret is not in the gateway's database as it is, and can be read again with the keys only."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from running_gateway import RunningGateway, refused_start, wait_until
from webhook_receiver import WebhookReceiver

from wa_admin.crypto import Vault
from wa_admin.gateway.spool import Spool
from wa_admin.gateway.store import Store

TOKEN, TEXT = "Token-Of-The-Session-4711", "the text of a message"
SECRETS = [TOKEN, "secret-of-the-hook", "secret-of-a-header", "secret-of-wavoip", TEXT]


@pytest.fixture
def full(gateway: RunningGateway) -> RunningGateway:
    """A session with every secret it can have, and a message that waits for its webhook."""
    dead = WebhookReceiver()
    dead.stop()
    webhook = {"url": f"{dead.url}/secret-of-the-hook", "headers": {"x-key": "secret-of-a-header"}}
    gateway.create(token=TOKEN, wavoipToken="secret-of-wavoip", webhook=webhook | {"events": []})
    gateway.link()
    gateway.simulate("inbound", sender="4915100000003", text=TEXT)
    wait_until(lambda: "messages.upsert" in waiting(database(gateway)))
    return gateway


def database(gateway: RunningGateway) -> Path:
    return gateway.data_dir / "gateway" / "gateway.db"


def raw(path: Path) -> bytes:
    """The database with its log of changes, byte for byte."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("gateway.db*")))


def content(path: Path) -> list[str]:
    """What the database says; reading alone may move its pages about."""
    db = sqlite3.connect(path)
    said = list(db.iterdump())
    db.close()
    return said


def waiting(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    events = [event for (event,) in db.execute("SELECT event FROM spool ORDER BY id")]
    db.close()
    return events


def test_no_secret_and_no_message_is_in_the_database_as_it_is(full: RunningGateway) -> None:
    running = raw(database(full))
    full.stop()
    for stored in (running, raw(database(full))):
        assert b"messages.upsert" in stored  # what is no secret is found
        assert [secret for secret in SECRETS if secret.encode() in stored] == []


def test_no_code_is_in_the_database_as_it_is(gateway: RunningGateway, receiver: WebhookReceiver) -> None:
    receiver.answer = 500
    gateway.create(webhook={"url": receiver.url, "events": []})
    codes = gateway.get("instance/connect", number="6281234567890").json()
    wait_until(lambda: "qrcode.updated" in waiting(database(gateway)))
    stored = raw(database(gateway))
    picture = codes["base64"].partition(",")[2]
    for code in (codes["code"].partition("#")[2], codes["pairingCode"], picture[-120:-40]):
        assert code and code.encode() not in stored


def test_what_was_sealed_is_used_after_a_restart(full: RunningGateway, receiver: WebhookReceiver) -> None:
    full.stop()
    full.start()
    webhook = full.get("webhook/find").json()
    assert webhook["url"].endswith("/secret-of-the-hook")
    assert webhook["headers"] == {"x-key": "secret-of-a-header"}
    full.post("webhook/set", json={"webhook": {"enabled": True, "url": receiver.url, "events": []}})
    wait_until(lambda: receiver.data("messages.upsert"))
    assert receiver.data("messages.upsert")[0]["message"] == {"conversation": TEXT}


@pytest.mark.parametrize(
    ("token", "status"), [(TOKEN, 200), (TOKEN[:-1], 401), (TOKEN.lower(), 401), ("", 401)]
)
def test_the_token_of_a_session_opens_only_as_a_whole(
    shared_gateway: RunningGateway, token: str, status: int
) -> None:
    shared_gateway.create(f"with a token {len(token)} {token}", token=TOKEN)
    view = shared_gateway.named(f"with a token {len(token)} {token}")
    path = f"/instance/connectionState/{view.name}"
    assert view.client.get(path, headers={"apikey": token}).status_code == status
    view.delete("instance/delete")


def test_with_another_key_it_does_not_start_and_changes_nothing(full: RunningGateway) -> None:
    full.stop()
    before = content(database(full))
    refused = refused_start(full.data_dir, WA_ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert refused.returncode == 2
    assert "WA_ENCRYPTION_KEYS" in refused.stderr and refused.stderr.count("\n") == 1
    assert content(database(full)) == before


def test_a_new_key_before_the_old_one_opens_everything(full: RunningGateway) -> None:
    full.stop()
    old = (full.data_dir / "encryption.keys").read_text()
    full.changes = {"WA_ENCRYPTION_KEYS": f"{Fernet.generate_key().decode()} {old}"}
    full.start()
    assert full.client.get("/instance/fetchInstances").json()[0]["token"] == TOKEN


def test_a_bad_key_stops_the_start_by_name(tmp_path: Path) -> None:
    refused = refused_start(tmp_path, WA_ENCRYPTION_KEYS="short")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "WA_ENCRYPTION_KEYS must hold" in refused.stderr


def test_what_an_earlier_version_kept_in_the_clear_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    _write_in_the_clear(path)
    secrets = [TOKEN, "secret-of-the-hook", TEXT, "a text that was delivered"]
    assert [secret for secret in secrets if secret.encode() in raw(path)] == secrets
    store = Store(path, Vault((Fernet.generate_key().decode(),)))
    assert [secret for secret in secrets if secret.encode() in raw(path)] == []
    (instance,) = store.instances()
    head = Spool(store).head(instance.id)
    store.close()
    assert (instance.token, instance.webhook) == (TOKEN, {"url": "secret-of-the-hook"})
    assert head is not None and head.data == {"text": TEXT}


class Glass(Vault):
    """Seals nothing, as the version before did."""

    def seal(self, plain: str) -> str:
        return plain

    def open(self, sealed: str) -> str:
        return sealed


def _write_in_the_clear(path: Path) -> None:
    old = Store(path, Glass((Fernet.generate_key().decode(),)))
    instance = old.add("main", "WHATSAPP-BAILEYS", token=TOKEN, webhook={"url": "secret-of-the-hook"})
    old.rows("PRAGMA secure_delete = OFF")  # some builds of SQLite wipe what is deleted, some do not
    spool = Spool(old)
    for text in ("a text that was delivered" * 1000, TEXT):
        spool.put(instance.id, "messages.upsert", {"text": text})
    if delivered := spool.head(instance.id):
        spool.done(delivered)  # what it leaves behind are free pages
    with old.transaction() as db:
        db.execute("PRAGMA user_version = 0")
    old.close()
