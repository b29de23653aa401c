"""`backup` and `restore` in one process; `promises/test_a_backup_comes_back.py` has the real ones."""

import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from wa_admin import clock, config, create_app, upgrades
from wa_admin.backups import archive, envelope, making, record
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Role
from wa_admin.services import audit, outbox, restored, sessions

PASSPHRASE = "correct horse battery staple"
TEXT = "the text of a message that is nobody's business"

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def environment(monkeypatch, data_dir):
    for name in [name for name in os.environ if name.startswith("WA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WA_DATA_DIR", str(data_dir))
    monkeypatch.setenv("WA_BACKUP_PASSPHRASE", PASSPHRASE)


@pytest.fixture(scope="module", autouse=True)
def quick_passphrases():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "USUAL", envelope.Costs(passes=1, memory_kib=64, lanes=1))
        yield


@pytest.fixture
def file(tmp_path):
    return tmp_path / "wa-admin.backup"


@pytest.fixture(scope="module")
def made(migrated, tmp_path_factory):
    """A data directory where a message waits, and its backup: once for all."""
    place = tmp_path_factory.mktemp("made")
    shutil.copytree(migrated, place / "data")
    app = create_app({"WA_DATA_DIR": str(place / "data"), "WA_ENGINE": "simulator"})
    with app.app_context():
        sessions.create(1, "Support line", actor="cli")
        outbox.send(1, "081299998888", TEXT, source="cli")
        args = (app.config["SETTINGS"], upgrades.revision(db.engine), place / "wa-admin.backup", PASSPHRASE)
        making.make(*args, force=False, progress=quiet)
        db.session.remove()
        db.engine.dispose()
    return place


@pytest.fixture
def backup(app, made, data_dir, file):
    db.engine.dispose()
    shutil.rmtree(data_dir)
    shutil.copytree(made / "data", data_dir)
    shutil.copy(made / "wa-admin.backup", file)
    return file


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """An empty machine."""
    data_dir = tmp_path / "elsewhere"
    monkeypatch.setenv("WA_DATA_DIR", str(data_dir))
    return data_dir


def rows(data_dir, query):
    connection = sqlite3.connect(data_dir / "wa-admin.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def contents(data_dir):
    """Every file and what is in it; the logs of databases come and go."""
    return {
        path.relative_to(data_dir): path.read_bytes()
        for path in data_dir.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
    }


def rewritten(file, **changes):
    """The same backup, as another version would have written it."""
    members = {}
    with file.open("rb") as source:
        about, _ = archive.read(
            source, PASSPHRASE, lambda _: None, lambda name, one: members.update({name: one.read()}), quiet
        )
    other = file.with_name("other.backup")
    with other.open("wb") as out:
        archive.write(out, PASSPHRASE, archive.About(**vars(about) | changes), members.items(), quiet)
    return other


def quiet(*_):
    pass


# --- backup ----------------------------------------------------------------------------------------


def test_a_backup_is_for_its_owner_only_and_says_what_is_in_it(app, run, file):
    said = run("backup", str(file)).output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"{file}: " in said and "sqlite at revision" in said and "keys" in said


@pytest.mark.figure("databases, logs and backups without a secret in plain text")
def test_nothing_in_it_can_be_read_as_it_is(backup, data_dir):
    stored = backup.read_bytes()
    keys = [
        (data_dir / name).read_bytes().strip() for name in ("secret.key", "encryption.keys", "gateway.key")
    ]
    assert [one for one in (TEXT.encode(), b"SQLite format", *keys) if one in stored] == []
    assert TEXT.encode() in b"".join(contents(data_dir).values())


def test_a_file_that_is_there_is_overwritten_only_by_force(backup, run):
    before = backup.read_bytes()
    refused = run("backup", str(backup))
    assert refused.exit_code == 1 and "--force" in refused.output and backup.read_bytes() == before
    assert run("backup", str(backup), "--force").exit_code == 0 and backup.read_bytes() != before


def test_a_directory_keeps_the_newest_of_them(app, run, tmp_path):
    old = [tmp_path / f"wa-admin-2026010{day}-030000.backup" for day in range(1, 5)]
    for path in [*old, tmp_path / "mine.backup"]:
        path.write_text("x")
    assert run("backup", str(tmp_path), "--keep", "2").exit_code == 0
    left = sorted(path.name for path in tmp_path.glob("*.backup"))
    assert left[:1] == ["mine.backup"] and left[1] == old[-1].name and len(left) == 3


@pytest.mark.parametrize("directory", ["no/such/directory", "file/below"])
def test_where_it_cannot_be_written_is_told_in_a_sentence(app, run, tmp_path, directory):
    (tmp_path / "file").write_text("")
    refused = run("backup", str(tmp_path / directory / "x.backup"))
    assert refused.exit_code == 1 and "cannot be written" in refused.output


def test_a_short_passphrase_is_refused(app, run, file, monkeypatch):
    monkeypatch.setenv("WA_BACKUP_PASSPHRASE", "too short")
    assert run("backup", str(file)).exit_code == 2
    assert not file.exists()


def test_the_passphrase_is_asked_for_twice_and_not_shown(app, run, file, monkeypatch):
    monkeypatch.delenv("WA_BACKUP_PASSPHRASE")
    done = run("backup", str(file), stdin=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert done.exit_code == 0 and PASSPHRASE not in done.output


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_passphrase_may_lie_in_a_file(app, run, file, monkeypatch, tmp_path, how):
    monkeypatch.delenv("WA_BACKUP_PASSPHRASE")
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    more = ["--passphrase-file", str(tmp_path / "passphrase")] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv("WA_BACKUP_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert run("backup", str(file), *more).exit_code == 0
    monkeypatch.setenv("WA_BACKUP_PASSPHRASE", PASSPHRASE)
    assert run("restore", "--check", str(file)).exit_code == 0


def test_two_at_the_same_time_are_one_too_many(app, run, file, data_dir):
    with locked(data_dir / "backup.lock"):
        assert "Another backup" in run("backup", str(file)).output
    assert not file.exists()


def test_what_a_killed_one_left_behind_goes(app, run, file, data_dir):
    (data_dir / ".backup-killed").mkdir()
    (data_dir / ".backup-killed" / "copy").write_text("half a database")
    assert run("backup", str(file)).exit_code == 0
    assert not list(data_dir.glob(".backup-*"))


def test_backups_other_data_and_what_belongs_to_processes_are_left_out(app, run, data_dir):
    run("backup", str(data_dir / "inside.backup"))
    (data_dir / "demo").mkdir()
    (data_dir / "demo" / "encryption.keys").write_text("of the demo")
    (data_dir / "media" / "2026").mkdir(parents=True)
    (data_dir / "media" / "2026" / "picture").write_bytes(b"\x89PNG")
    (data_dir / "before-0002.db").write_bytes(b"x")
    run("backup", str(data_dir / "second.backup"))
    with (data_dir / "second.backup").open("rb") as source:
        _, manifest = archive.read(source, PASSPHRASE, lambda _: None, lambda *_: None, quiet)
    assert set(manifest) == {
        "keys/secret.key", "keys/encryption.keys", "keys/gateway.key", "data/media/2026/picture",
        "database/panel.db",
    }  # fmt: skip


def test_it_is_known_when_the_last_one_was_made_and_by_whom(app, run, file, data_dir):
    run("backup", str(file))
    last = record.last(data_dir)
    assert clock.now() - last.at < timedelta(minutes=9) and last.size_bytes == file.stat().st_size
    assert [entry.object for entry in audit.page(1, all_of_it=True, action="backed_up").items] == [file.name]


# --- checks before a restore -----------------------------------------------------------------------


def test_a_check_reads_everything_and_touches_nothing(backup, elsewhere, run):
    checked = run("restore", "--check", str(backup))
    assert checked.exit_code == 0 and "The backup is whole." in checked.output
    assert not elsewhere.exists()


@pytest.mark.parametrize("check", [["--check"], ["--yes"]])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file[:-1], "damaged"),
        (lambda file: file[:-50] + b"\0" * 50, "damaged"),
        (lambda file: file[:1000] + bytes([file[1000] ^ 1]) + file[1001:], "damaged"),
        (lambda file: b"something else", "no backup"),
        (lambda file: b"", "no backup"),
    ],
)
def test_a_spoilt_file_is_refused_and_nothing_changes(backup, data_dir, run, spoil, sentence, check):
    backup.write_bytes(spoil(backup.read_bytes()))
    before = contents(data_dir)
    refused = run("restore", str(backup), *check)
    assert refused.exit_code == 1 and sentence in refused.output
    assert contents(data_dir) == before


def test_a_wrong_passphrase_is_told_and_nothing_changes(backup, data_dir, run, monkeypatch):
    monkeypatch.setenv("WA_BACKUP_PASSPHRASE", "another long passphrase")
    before = contents(data_dir)
    refused = run("restore", str(backup), "--yes")
    assert refused.exit_code == 1 and "passphrase does not open" in refused.output
    assert contents(data_dir) == before


def test_a_newer_schema_is_refused_by_name_of_the_version(backup, data_dir, run):
    before = contents(data_dir)
    newer = rewritten(backup, revision="9001", version="7.0.0")
    for option in ("--check", "--yes"):
        refused = run("restore", str(newer), option)
        assert refused.exit_code == 1 and "install wa-admin 7.0.0 or newer" in refused.output
    assert contents(data_dir) == before


def test_a_backup_of_another_kind_of_database_is_refused(backup, elsewhere, run):
    refused = run("restore", str(rewritten(backup, database="postgresql")))
    assert refused.exit_code == 1 and "holds a postgresql database" in refused.output


def test_keys_in_the_environment_that_are_others_are_refused(backup, elsewhere, run, monkeypatch):
    monkeypatch.setenv("WA_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    refused = run("restore", str(backup))
    assert refused.exit_code == 1 and "WA_ENCRYPTION_KEYS is set" in refused.output
    assert not (elsewhere / "wa-admin.db").exists() and not (elsewhere / config.RESTORING).exists()


@contextmanager
def locked(path):
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


@pytest.mark.parametrize("lock", ["up.lock", "scheduler.lock", "panel.lock", "gateway/lock"])
def test_while_something_runs_there_it_is_refused(backup, data_dir, run, lock):
    (data_dir / "gateway").mkdir(exist_ok=True)
    with locked(data_dir / lock):
        refused = run("restore", str(backup), "--yes")
    assert refused.exit_code == 1 and "stop it first" in refused.output


def test_data_that_is_there_moves_aside_only_when_told_to(backup, data_dir, run):
    before = contents(data_dir)
    refused = run("restore", str(backup))
    assert refused.exit_code == 1 and "--yes" in refused.output
    assert contents(data_dir) == before


# --- restore ---------------------------------------------------------------------------------------


def test_everything_is_there_again_on_an_empty_machine(backup, data_dir, elsewhere, run):
    done = run("restore", str(backup))
    assert done.exit_code == 0, done.output
    assert rows(elsewhere, "SELECT status, error_code, body FROM message") == [
        ("uncertain", "restored", TEXT)
    ]
    assert (elsewhere / "secret.key").read_text().strip() == (data_dir / "secret.key").read_text().strip()
    assert not (elsewhere / config.RESTORING).exists()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in elsewhere.iterdir() if path.is_file()} == {0o600}


def test_what_happened_since_is_told(backup, elsewhere, run):
    said = run("restore", str(backup)).output
    assert "1 message waited then" in said and "log in anew" in said and "wa-admin up" in said


def test_what_was_there_lies_aside_and_nothing_of_it_is_lost(backup, data_dir, run):
    outbox.send(1, "081299998888", "written after the backup", source="cli")
    db.engine.dispose()
    before = contents(data_dir)
    assert run("restore", str(backup), "--yes").exit_code == 0
    (aside,) = data_dir.glob("before-restore-*")
    assert contents(aside) == before
    assert rows(data_dir, "SELECT body FROM message") == [(TEXT,)]


def test_a_database_outside_the_data_directory_goes_back_to_its_place(
    backup, elsewhere, run, monkeypatch, tmp_path
):
    (tmp_path / "databases").mkdir()
    monkeypatch.setenv("WA_DATABASE_URL", f"sqlite:///{tmp_path / 'databases' / 'panel.db'}")
    assert run("restore", str(backup)).exit_code == 0
    assert not (elsewhere / "wa-admin.db").exists()
    assert sqlite3.connect(tmp_path / "databases" / "panel.db").execute(
        "SELECT body FROM message"
    ).fetchall() == [(TEXT,)]


def test_an_older_schema_is_brought_up_to_date(backup, elsewhere, run, app):
    from flask_migrate import downgrade

    newest = upgrades.revision(db.engine)
    old = backup.with_name("old.backup")
    run("db", "current")
    downgrade(revision="0001")
    assert run("backup", str(old)).exit_code == 0
    assert run("restore", str(old)).exit_code == 0
    assert rows(elsewhere, "SELECT version_num FROM alembic_version") == [(newest,)]
    assert rows(elsewhere, "SELECT status, body FROM message") == [("uncertain", TEXT)]


def test_a_restore_that_was_cut_short_lets_nothing_start_and_can_be_repeated(backup, elsewhere, run):
    (elsewhere / config.RESTORING).mkdir(parents=True)
    (elsewhere / config.RESTORING / "wa-admin.db").write_bytes(b"half of it")
    with pytest.raises(config.BadSetting, match="run `wa-admin restore` again"):
        config.load(os.environ)
    assert run("restore", str(backup)).exit_code == 0
    assert config.load(os.environ).data_dir == elsewhere


def test_a_member_that_would_leave_the_directory_is_refused(backup, elsewhere, run):
    with backup.open("rb") as source:
        about, _ = archive.read(source, PASSPHRASE, lambda _: None, lambda *_: None, quiet)
    for name in ("data/../../outside", "/outside", "data/..\\outside"):
        with backup.open("wb") as out:
            archive.write(out, PASSPHRASE, about, [(name, b"x")], quiet)
        assert "damaged" in run("restore", str(backup)).output
    assert not (elsewhere.parent / "outside").exists() and not Path("/outside").exists()


WRITE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)  # five seconds: go-sqlite3's default
db.execute("CREATE TABLE session (id INTEGER PRIMARY KEY, of BLOB)")
db.execute("CREATE TABLE key (id INTEGER PRIMARY KEY, of BLOB)")
for number in range(10**9):
    db.execute("BEGIN")
    db.execute("INSERT INTO session (of) VALUES (randomblob(900))")
    db.execute("INSERT INTO key (of) VALUES (randomblob(900))")
    db.execute("COMMIT")
    if number == 20:
        print("writes", flush=True)
"""


def test_a_login_that_its_engine_goes_on_writing_comes_back_sound(app, run, file, data_dir, elsewhere):
    """As neonize's: a database with a rollback journal, in another process."""
    store = Path("gateway/sessions/some-instance/whatsapp.db")
    (data_dir / store).parent.mkdir(parents=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(data_dir / store)], stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout.readline() == b"writes\n"
        assert run("backup", str(file)).exit_code == 0
        assert writer.poll() is None  # it never met a lock that it could not wait for
        writer.kill()
    assert run("restore", str(file)).exit_code == 0
    db = sqlite3.connect(elsewhere / store)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    counts = {db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("session", "key")}
    db.close()
    assert len(counts) == 1 and min(counts) > (20,)
    assert stat.S_IMODE((elsewhere / store).stat().st_mode) == 0o600


def test_a_login_that_is_damaged_does_not_keep_the_rest_from_being_saved(app, run, file, data_dir, elsewhere):
    store = Path("gateway/sessions/some-instance/whatsapp.db")
    (data_dir / store).parent.mkdir(parents=True)
    (data_dir / store).write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    assert run("backup", str(file)).exit_code == 0
    assert run("restore", str(file)).exit_code == 0
    assert (elsewhere / store).read_bytes() == (data_dir / store).read_bytes()


def test_the_one_who_reads_the_message_is_told_where_it_comes_from(app, connected, signed_in, make_message):
    message = make_message(connected)
    with writing():
        restored.settle(clock.now(), clock.now())
    page = signed_in(Role.ADMIN).get(f"/messages/{message.id}").text
    assert "This waited when the backup was made" in page and "Came back from a backup" in page
    assert "It arrived" in page and "Send it again…" in page
    assert db.session.get_one(Message, message.id).status == MessageStatus.UNCERTAIN
