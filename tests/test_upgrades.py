"""Every released schema is brought up to date with what is in it, and the file as it was is kept."""

import shutil
import sqlite3
from collections import namedtuple

import pytest
import released
import sqlalchemy as sa
from click import ClickException
from databases import POSTGRESQL
from flask_migrate import Migrate, downgrade, upgrade
from settings_of_tests import environment

from wa_admin import create_app, up, upgrades
from wa_admin.extensions import db, writing_scope

RELEASED = ["0001"]  # 0.1.0
MESSAGES = 600


@pytest.fixture
def empty_app(request, tmp_path, database):
    """The panel before its first start."""
    more = {}
    if database == POSTGRESQL:
        more["WA_DATABASE_URL"] = request.getfixturevalue("postgresql").server.create("upgrades")
    app = create_app(environment(tmp_path / "data", **more))
    Migrate(app, db, directory=app.config["MIGRATIONS"])
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def old(empty_app, tmp_path):
    """At the schema of 0.1.0, with some rows."""
    upgrade(revision="0001")
    with writing_scope():
        released.fill(db.engine, messages=5)
    db.engine.dispose()
    return tmp_path / "data"


@pytest.mark.parametrize("revision", RELEASED)
def test_what_a_released_version_wrote_is_there_after_the_upgrade(empty_app, revision):
    upgrade(revision=revision)
    with writing_scope():
        released.fill(db.engine, MESSAGES)
    before = released.content(db.engine)
    assert min(len(rows) for _, rows in before.values()) == released.FEW
    db.engine.dispose()
    upgrade()
    after = released.content(db.engine, {table: names for table, (names, _) in before.items()})
    assert [table for table in before if after[table] != before[table]] == []


@pytest.mark.sqlite
def test_the_file_as_it_was_is_kept_beside(old):
    upgrade()
    newest = upgrades.revision(db.engine)
    kept = sqlite3.connect(old / f"before-{newest}.db")
    assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert kept.execute("SELECT count(*) FROM message").fetchone() == (5,)
    kept.close()
    assert oct((old / f"before-{newest}.db").stat().st_mode)[-3:] == "600"


@pytest.mark.sqlite
def test_the_last_two_are_kept(old):
    for revision in ("0002", "0003", "0004"):
        upgrade(revision=revision)
    assert sorted(path.name for path in old.glob("before-*")) == ["before-0003.db", "before-0004.db"]


@pytest.mark.sqlite
def test_without_an_upgrade_nothing_is_copied(old):
    upgrade()
    for path in old.glob("before-*"):
        path.unlink()
    upgrade()
    assert not list(old.glob("before-*"))


@pytest.mark.sqlite
def test_a_full_disk_is_told_before_anything_changes(old, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(ClickException, match=r"no room for a copy .* MB free"):
        up.prepare()
    assert upgrades.revision(db.engine) == "0001"


def test_a_database_of_a_newer_version_is_left_alone(empty_app):
    upgrade()
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9001'"))
    with pytest.raises(ClickException, match="install that one again"):
        up.prepare()


def test_the_way_back_keeps_what_the_older_version_knew(empty_app):
    upgrade(revision="0001")
    with writing_scope():
        released.fill(db.engine, messages=9)
    before = released.content(db.engine)
    db.engine.dispose()
    upgrade()
    downgrade(revision="0001")
    assert released.content(db.engine) == before
