import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from settings_of_tests import environment
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from wa_admin import create_app, schema
from wa_admin.extensions import db
from wa_admin.models.chat import SEARCH
from wa_admin.models.types import PartialIndex


def is_of_models(found, name, kind, is_reflected, compared):
    return not (name or "").startswith(SEARCH)


def test_the_migrations_make_what_the_models_say(app):
    with db.engine.connect() as connection:
        assert (
            compare_metadata(
                MigrationContext.configure(connection, opts={"include_object": is_of_models}), db.metadata
            )
            == []
        )


def test_indexes_of_some_rows_have_the_conditions_of_the_models(app):  # which Alembic does not compare
    where = f"{db.engine.dialect.name}_where"
    made = {
        index["name"]: str(index["dialect_options"][where])
        for table in db.metadata.tables
        for index in inspect(db.engine).get_indexes(table)
        if where in index.get("dialect_options", {})
    }
    indexes = [index for table in db.metadata.tables.values() for index in table.indexes]
    wanted = {index.name: index.where for index in indexes if isinstance(index, PartialIndex)}
    assert set(made) == set(wanted)
    if where == "sqlite_where":  # PostgreSQL keeps them in words of its own
        assert made == wanted


def test_a_start_knows_the_newest_revision_without_alembic(app):
    newest = ScriptDirectory(app.config["MIGRATIONS"]).get_current_head()
    assert schema.newest() == schema.here() == newest
    assert schema.is_current()


@pytest.mark.sqlite
def test_a_database_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path):
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:9/nothing"
    with create_app(environment(tmp_path, WA_DATABASE_URL=nowhere)).app_context():
        with pytest.raises(OperationalError, match="refused"):
            schema.here()
        db.engine.dispose()


@pytest.mark.sqlite
def test_an_older_database_and_an_empty_one_are_not_current(app):
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert (schema.here(), schema.is_current()) == ("0001", False)
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    assert (schema.here(), schema.is_current()) == (None, False)
