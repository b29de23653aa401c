"""The same with pg_dump and pg_restore, into another and empty database."""

import os

import pytest
import sqlalchemy as sa
from settings_of_tests import environment

from wa_admin import create_app, up
from wa_admin.backups import postgresql as tools
from wa_admin.extensions import db
from wa_admin.services import deliveries, outbox, sessions

PASSPHRASE = "correct horse battery staple"
TEXT = "the text of a message"


@pytest.fixture(scope="module")
def server(postgresql):
    return postgresql.server


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def panel(server, place):
    """`panel(name)` is one on a data directory and a database of this name."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WA_")]:
            patch.delenv(name)
        patch.setenv("WA_BACKUP_PASSPHRASE", PASSPHRASE)

        def make(name, is_new=False):
            url = server.create(name) if is_new else server.url(name)
            for variable, value in environment(place / name, WA_DATABASE_URL=url).items():
                patch.setenv(variable, value)
            return create_app(os.environ)

        yield make


@pytest.fixture(scope="module")
def file(panel, place):
    """Of a panel where a message waits."""
    app = panel("lost", is_new=True)
    with app.app_context():
        up.prepare()
        sessions.create(1, "Support line", actor="cli")
        outbox.send(1, "081299998888", TEXT, source="cli")
    made = run(app, "backup", str(place / "one.backup"))
    assert made.exit_code == 0 and "postgresql at revision" in made.output
    return place / "one.backup"


def run(app, *arguments):
    with app.app_context():
        done = app.test_cli_runner().invoke(args=list(arguments))
        db.session.remove()
        db.engine.dispose()
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def rows(url, query):
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sa.text(query)).all()
    engine.dispose()
    return found


def test_it_comes_back_into_an_empty_database_and_sends_nothing(panel, server, file, place):
    app = panel("found", is_new=True)
    done = run(app, "restore", str(file))
    assert done.exit_code == 0, done.output
    assert "1 message waited then" in done.output
    found = rows(server.url("found"), "SELECT status, error_code, body FROM message")
    assert found == [("uncertain", "restored", TEXT)]
    keys = [(place / name / "secret.key").read_text().strip() for name in ("found", "lost")]
    assert keys[0] == keys[1]
    assert not (place / "found/panel.dump").exists()
    with panel("found").app_context():
        assert deliveries.drain() == 0
        db.session.remove()
        db.engine.dispose()


def test_a_database_with_tables_is_left_alone(panel, server, file):
    app = panel("lost")
    refused = run(app, "restore", str(file), "--yes")
    assert refused.exit_code == 1 and "restored into an empty one" in refused.output
    assert rows(server.url("lost"), "SELECT status FROM message") == [("queued",)]


def test_without_pg_dump_it_is_named(panel, file, monkeypatch, tmp_path):
    app = panel("lost")
    monkeypatch.setenv("PATH", "/nowhere")
    refused = run(app, "backup", str(tmp_path / "two.backup"))
    assert refused.exit_code == 1 and "pg_dump is not installed here" in refused.output
    assert not list(tmp_path.glob("*two.backup*"))


def test_no_password_is_in_an_error(panel, file, tmp_path):
    app = panel("lost")
    with app.app_context():
        url = db.engine.url.set(password="not-for-everybody", port=1)
    with pytest.raises(tools.ToolFailed) as failed:
        tools.dump(url.render_as_string(hide_password=False), tmp_path / "dump", lambda *_: None)
    assert "not-for-everybody" not in str(failed.value)
