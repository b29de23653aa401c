"""`wa-admin workspaces …`: keep the sessions of several companies apart."""

from __future__ import annotations

import click

from .terminal import ACTOR, as_json, confirm, in_panel, print_json, table, yes


@click.group()
def workspaces() -> None:
    """One for each client company: sessions, messages, keys and people of one are not seen in another."""


@workspaces.command("list")
@as_json
@in_panel
def list_workspaces(as_json: bool) -> None:
    """All workspaces; the first one is what commands without --workspace work in."""
    from ..services import workspaces as service

    found = service.listed()
    if as_json:
        print_json(
            [{"name": one.workspace.name, "sessions": one.sessions, "people": one.people} for one in found]
        )
        return
    table(("NAME", "SESSIONS", "PEOPLE"), [(one.workspace.name, one.sessions, one.people) for one in found])


@workspaces.command()
@click.argument("name")
@in_panel
def add(name: str) -> None:
    """Add a workspace called NAME."""
    from ..services import workspaces as service

    added = service.add(name, actor=ACTOR)
    click.echo(f"Added {added.name}. Let somebody in: wa-admin users add EMAIL --workspace '{added.name}'")


@workspaces.command()
@click.argument("name")
@click.argument("new_name")
@in_panel
def rename(name: str, new_name: str) -> None:
    """Call the workspace NAME something else."""
    from ..services import workspaces as service

    click.echo(f"It is called {service.rename(name, new_name, actor=ACTOR).name} now.")


@workspaces.command()
@click.argument("name")
@yes
@in_panel
def remove(name: str, yes: bool) -> None:
    """Remove an empty workspace, with its keys, invitations and timeline."""
    from ..services import workspaces as service

    found = service.find(name)
    confirm(f"Remove the workspace {found.name}?", yes)
    click.echo(f"{service.remove(found.id, actor=ACTOR)} was removed.")
