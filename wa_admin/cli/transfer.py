"""`wa-admin db-copy`: everything from one database to another."""

from __future__ import annotations

import time

import click

from .terminal import sentences_for_errors


@click.command("db-copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def db_copy(source: str, target: str) -> None:
    """Copy everything from one database to another that is empty, SQLite to PostgreSQL or back.

    FROM and TO are written as in WA_DATABASE_URL; a password had better stand in PGPASSWORD or ~/.pgpass,
    since others may see what is typed. wa-admin must not run meanwhile, and on the old database not again.
    """
    with sentences_for_errors():
        from .. import config, transfer

        began = time.monotonic()
        total = transfer.copy(
            config.database_url("FROM", source), config.database_url("TO", target), tell=_tell
        )
    click.echo(
        f"{total} rows in {time.monotonic() - began:.1f} s. Now set WA_DATABASE_URL, and start wa-admin."
    )


def _tell(table: str, count: int) -> None:
    click.echo(f"{table:<20} {count:>9}")
