from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from wa_admin.extensions import db


def test_the_migrations_make_what_the_models_say(app):
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
