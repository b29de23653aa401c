"""`wa-admin db-copy`: everything goes over as it is, and what would go wrong is said before."""

import pytest
from sqlalchemy import create_engine, func, select

from wa_admin import clock, transfer
from wa_admin.cli.transfer import db_copy
from wa_admin.extensions import db, writing
from wa_admin.models import Lease, Message
from wa_admin.services import audit, outbox


@pytest.fixture
def empty(postgresql, database, tmp_path):
    """A database of the other kind, without tables."""
    if database == "postgresql":
        return f"sqlite:///{tmp_path / 'copy.db'}"
    return postgresql.server.create("copy")


@pytest.fixture
def filled(app, connected, make_message):
    make_message(connected, body="Grüße 👋", typed="+62 812-9999-8888")
    outbox.send(1, "081299998888", "Halo", key="order-1", source="cli")
    audit.record("tried", workspace_id=1, actor="cli", reason="Müller", amount=1.5)
    db.session.rollback()
    return db.engine.url.render_as_string(hide_password=False)


def rows(url):
    """Of each table, as the models read them."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in transfer.tables()
        }
    engine.dispose()
    return found


def test_everything_goes_over_to_the_letter_and_back(runner, filled, empty, tmp_path):
    told = runner.invoke(db_copy, [filled, empty])
    assert told.exit_code == 0, told.output
    assert rows(empty) == rows(filled)
    assert f"message {2:>22}" in told.output
    back = f"sqlite:///{tmp_path / 'back.db'}"
    assert runner.invoke(db_copy, [empty, back]).exit_code == 0
    assert rows(back) == rows(filled)


def test_numbers_go_on_where_they_were_and_rows_are_left_alone(runner, make_app, filled, empty):
    newest = db.session.scalar(select(func.max(Message.id)))
    assert runner.invoke(db_copy, [filled, empty]).exit_code == 0
    told = runner.invoke(db_copy, [filled, empty])
    assert told.exit_code == 1 and "is not empty" in told.output
    with make_app(WA_DATABASE_URL=empty).app_context():
        assert outbox.send(1, "081299998888", "Halo", source="cli").id == newest + 1
        assert audit.verify().broken_id is None


def test_a_database_at_work_is_not_copied(runner, filled, empty):
    with writing():
        db.session.add(Lease(name="scheduler", holder="here:1", renewed_at=clock.now()))
    told = runner.invoke(db_copy, [filled, empty])
    assert told.exit_code == 1 and "stop it" in told.output


def test_another_version_is_brought_up_to_date_first(runner, filled, empty):
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    told = runner.invoke(db_copy, [filled, empty])
    assert told.exit_code == 1 and "wa-admin db upgrade" in told.output


@pytest.mark.parametrize("source", ["sqlite:////nowhere/at-all.db", "mysql://root@host/wa"])
def test_what_is_no_database_is_said(runner, app, source, tmp_path):
    told = runner.invoke(db_copy, [source, f"sqlite:///{tmp_path / 'new.db'}"])
    assert told.exit_code in (1, 2) and not (tmp_path / "new.db").exists()
