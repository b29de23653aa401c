"""Runs the migrations on the engine of the application, one transaction for all of them."""

from alembic import context

from wa_admin.extensions import Base, db, writing_scope


def run() -> None:
    with db.engine.connect() as connection, writing_scope():
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,  # SQLite changes a table by copying it
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
