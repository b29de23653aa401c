"""`rotate-keys`: another key for every secret, the old one until it is dropped, nothing lost in between."""

import fcntl
import os
import shutil
import sqlite3

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from wa_admin import create_app
from wa_admin.crypto import Vault, key_id
from wa_admin.extensions import Base, db, writing
from wa_admin.gateway.store import Store
from wa_admin.models import Gateway
from wa_admin.services import audit, gateways, keys

pytestmark = pytest.mark.sqlite
SECRET = "a-token-that-nobody-may-read-4711"


@pytest.fixture(autouse=True)
def environment(monkeypatch, data_dir):
    for name in [name for name in os.environ if name.startswith("WA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WA_DATA_DIR", str(data_dir))


@pytest.fixture
def old(data_dir):
    return (data_dir / "encryption.keys").read_text().strip()


@pytest.fixture
def full(app, data_dir, old, connected):
    """Secrets in both databases."""
    vault = app.extensions["vault"]
    with writing():
        gateways.of_workspace().sealed_header = vault.seal(f"Authorization: {SECRET}")
        connected.sealed_token = vault.seal(SECRET)
        add_gateways(2, vault)
    db.session.remove()
    db.engine.dispose()
    (data_dir / "gateway").mkdir()
    store = Store(data_dir / "gateway" / "gateway.db", vault)
    for number in range(3):
        store.add(f"main {number}", "WHATSAPP-BAILEYS", token=SECRET, webhook={"url": SECRET})
    store.close()


def add_gateways(count, vault):
    sealed_key = vault.seal(SECRET)
    for number in range(count):
        name = f"waha {count} {number}"
        db.session.add(
            gateways.new(kind="waha", name=name, base_url="http://127.0.0.1:9", sealed_key=sealed_key)
        )


@pytest.fixture
def rotate(app, run):
    """As one process after the other: each reads the keys that lie there."""

    def rotate(*arguments):
        db.session.remove()
        db.engine.dispose()
        with (one := create_app(os.environ)).app_context():
            done = one.test_cli_runner().invoke(args=["rotate-keys", *arguments])
            db.session.remove()
            db.engine.dispose()
        return done

    return rotate


def sealed():
    """Every sealed text in the panel's database."""
    for table in Base.metadata.sorted_tables:
        for column in (one for one in table.c if one.name.startswith("sealed_")):
            yield from db.session.scalars(select(column).where(column.is_not(None), column != ""))


def stored(data_dir):
    return b"".join(path.read_bytes() for path in data_dir.rglob("*.db*"))


def now_there(data_dir):
    return tuple((data_dir / "encryption.keys").read_text().split())


@pytest.mark.figure("databases, logs and backups without a secret in plain text")
def test_no_secret_is_in_a_database_as_it_is(full, data_dir):
    assert SECRET.encode() not in stored(data_dir)
    assert b"waha 2 1" in stored(data_dir)


def test_a_new_key_opens_everything_and_the_old_one_is_kept(full, rotate, data_dir, old):
    assert f"{key_id(old)}.g".encode() in stored(data_dir)
    assert rotate().exit_code == 0
    new, kept = now_there(data_dir)
    assert kept == old != new
    only_new = Vault((new,))
    assert len([only_new.open(one) for one in sealed()]) >= 8
    store = Store(data_dir / "gateway" / "gateway.db", only_new)
    assert {one.token for one in store.instances()} == {SECRET}
    store.close()
    assert f"{key_id(old)}.g".encode() not in stored(data_dir)


def test_many_are_sealed_a_chunk_at_a_time(full, app, old):
    with writing():
        add_gateways(2 * keys.AT_ONCE + 1, app.extensions["vault"])
    new = Fernet.generate_key().decode()
    assert keys.reseal(Vault((new, old))) > 4 * keys.AT_ONCE
    assert keys.unreadable(Vault((new,))) is None


def test_the_old_key_goes_when_it_is_dropped_and_everything_still_opens(full, rotate, data_dir, old):
    rotate()
    said = rotate("--drop-old")
    (left,) = now_there(data_dir)
    assert said.exit_code == 0 and key_id(left) in said.output and left != old
    assert create_app(os.environ).extensions["vault"].newest == key_id(left)
    assert keys.unreadable(Vault((left,))) is None
    assert oct((data_dir / "encryption.keys").stat().st_mode)[-3:] == "600"
    logged = audit.page(1, all_of_it=True).items[:2]
    done = [("old_keys_dropped", key_id(left)), ("keys_rotated", key_id(left))]
    assert [(one.action, one.object) for one in logged] == done


def test_old_keys_that_are_needed_are_not_dropped(full, rotate, data_dir, old):
    new = Fernet.generate_key().decode()
    (data_dir / "encryption.keys").write_text(f"{new}\n{old}\n")
    refused = rotate("--drop-old")
    assert refused.exit_code == 1 and "need an old key still" in refused.output
    assert now_there(data_dir) == (new, old)


def test_a_rotation_that_was_cut_short_is_finished_with_the_same_key(full, rotate, data_dir, old):
    new = Fernet.generate_key().decode()
    (data_dir / "encryption.keys").write_text(f"{new}\n{old}\n")  # this far it came
    assert rotate().exit_code == 0
    assert now_there(data_dir) == (new, old)
    assert keys.left_of_older(Vault((new, old))) == 0


def test_what_the_version_before_sealed_opens_and_is_sealed_anew(full, rotate, data_dir, old):
    with writing():
        db.session.get_one(Gateway, 1).sealed_header = Fernet(old).encrypt(SECRET.encode()).decode()
    assert rotate().exit_code == 0
    db.session.expire_all()
    assert Vault(now_there(data_dir)[:1]).open(db.session.get_one(Gateway, 1).sealed_header) == SECRET


def test_while_something_runs_no_new_key_is_made(full, rotate, data_dir, old):
    with (data_dir / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = rotate()
    assert refused.exit_code == 1 and "stop it first" in refused.output
    assert now_there(data_dir) == (old,)


@pytest.mark.parametrize("arguments", [[], ["--drop-old"]])
def test_a_wrong_key_is_refused_and_changes_nothing(full, rotate, data_dir, arguments):
    wrong = Fernet.generate_key().decode()
    (data_dir / "encryption.keys").write_text(wrong)
    before = content(data_dir)
    refused = rotate(*arguments)
    assert refused.exit_code != 0 and "key" in refused.output
    assert content(data_dir) == before and now_there(data_dir) == (wrong,)


def test_a_start_with_a_wrong_key_says_which_one_is_missing(full, data_dir, old):
    from wa_admin import up
    from wa_admin.crypto import WrongEncryptionKey

    (data_dir / "encryption.keys").write_text(Fernet.generate_key().decode())
    before = content(data_dir)
    with create_app(os.environ).app_context():
        with pytest.raises(WrongEncryptionKey, match=f"sealed with the key {key_id(old)}"):
            up.prepare()
        db.engine.dispose()
    assert content(data_dir) == before


def content(data_dir):
    said = []
    for path in (data_dir / "wa-admin.db", data_dir / "gateway" / "gateway.db"):
        connection = sqlite3.connect(path)
        said += list(connection.iterdump())
        connection.close()
    return said


def test_keys_of_the_environment_are_used_as_they_come(full, rotate, data_dir, old, monkeypatch):
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("WA_ENCRYPTION_KEYS", f"{new} {old}")
    assert rotate().exit_code == 0
    assert keys.unreadable(Vault((new,))) is None and now_there(data_dir) == (old,)
    again = rotate()
    assert again.exit_code == 1 and "WA_ENCRYPTION_KEYS is set" in again.output
    assert "take the others out" in rotate("--drop-old").output


def test_a_backup_from_before_brings_its_own_key(full, rotate, data_dir, old, monkeypatch, tmp_path):
    monkeypatch.setenv("WA_BACKUP_PASSPHRASE", "correct horse battery staple")
    runner = create_app(os.environ).test_cli_runner()
    assert runner.invoke(args=["backup", str(tmp_path / "one.backup")]).exit_code == 0
    rotate()
    rotate("--drop-old")
    db.session.remove()
    db.engine.dispose()
    shutil.rmtree(data_dir)
    assert runner.invoke(args=["restore", str(tmp_path / "one.backup")]).exit_code == 0
    assert now_there(data_dir) == (old,)
    assert SECRET.encode() not in (tmp_path / "one.backup").read_bytes() + stored(data_dir)
