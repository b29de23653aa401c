from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from wa_admin.extensions import db
from wa_admin.models.chat import SEARCH


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
