"""`wa-admin audit …`: who did what, whether that record is whole, and a copy of it."""

from __future__ import annotations

import click

from .terminal import as_json, in_panel, in_workspace, print_json, table, workspace_id

TOLD = ("id", "actor", "role", "address", "action", "object", "detail", "request_id", "hash")


@click.group()
def audit() -> None:
    """The audit log: who did what."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--action", help="Only this action, such as key_added.")
@click.option("--actor", help="Only what this person, key or `cli` did.")
@as_json
@in_workspace
def list_entries(limit: int, action: str | None, actor: str | None, as_json: bool) -> None:
    """The latest entries, the newest first."""
    from ..services import audit as service

    found = service.page(workspace_id(), all_of_it=True, action=action, actor=actor, limit=limit).items
    if as_json:
        print_json([{**{name: getattr(e, name) for name in TOLD}, "at": e.at.isoformat()} for e in found])
        return
    rows = [(e.id, f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.action, e.object, e.address) for e in found]
    table(("ID", "AT (UTC)", "WHO", "ACTION", "OBJECT", "FROM"), rows)


@audit.command()
@click.option("--known", metavar="HASH", help="A hash printed earlier, which must still be in the log.")
@in_panel
def verify(known: str | None) -> None:
    """Whether anything was changed or removed; exit code 1 when so. Note the hash for the next time."""
    from ..services import audit as service

    verdict = service.verify(known)
    if verdict.broken_id is not None:
        raise click.ClickException(
            f"Entry {verdict.broken_id} does not fit the {verdict.count} before it: it was changed, "
            "or entries before it were changed or removed."
        )
    if not verdict.knows_hash:
        raise click.ClickException("The hash you noted is not in the log: its end was cut off.")
    click.echo(f"All {verdict.count} entries are as they were written. The last hash is {verdict.head}")


@audit.command()
@in_workspace
def export() -> None:
    """All of it as CSV on stdout, the oldest first."""
    from ..services import audit as service

    for lines in service.export(workspace_id(), all_of_it=True):
        click.echo(lines, nl=False)
