"""Runs the migrations on the engine of the application, one transaction for all of them."""

from alembic import context
from click import ClickException

import wa_admin.models  # noqa: F401 - so that Base knows the tables
from wa_admin import upgrades
from wa_admin.extensions import Base, db, writing_scope
from wa_admin.models.chat import SEARCH
from wa_admin.models.types import UtcDateTime, Word, tell_postgresql
from wa_admin.refusal import Refusal


def plain_type(kind: str, item: object, _: object) -> str | bool:
    """Our column types as what the database sees, so that a revision needs no code of ours."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Word):
        return "sa.String(32)"
    return False


def is_of_models(_found: object, name: str | None, _kind: str, _is_reflected: bool, _other: object) -> bool:
    """What only the database has is left alone."""
    return not (name or "").startswith(SEARCH)


def prepare() -> None:
    """Not for commands that only look: they have nowhere to go."""
    try:
        wanted = context.get_revision_argument()
    except KeyError:
        return
    try:
        upgrades.prepare(wanted)
    except Refusal as error:  # a sentence, whichever command asked for it
        raise ClickException(str(error)) from error


def run() -> None:
    prepare()
    tell_postgresql(Base.metadata)
    with db.engine.connect() as connection, writing_scope():
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,  # SQLite changes a table by copying it
            render_item=plain_type,
            include_object=is_of_models,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
