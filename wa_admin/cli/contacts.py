"""`wa-admin contacts …`: what is kept of a person, given out or erased."""

from __future__ import annotations

import click

from .terminal import ACTOR, confirm, in_workspace, print_json, workspace_id, yes


@click.group()
def contacts() -> None:
    """What is kept of one person: their chats, and the messages that were sent to them."""


@contacts.command()
@click.argument("phone")
@in_workspace
def export(phone: str) -> None:
    """Print all that is kept of PHONE, as JSON."""
    from ..services import privacy

    print_json(privacy.export(privacy.find(workspace_id(), phone), actor=ACTOR))


@contacts.command()
@click.argument("phone")
@yes
@in_workspace
def erase(phone: str, yes: bool) -> None:
    """Erase what PHONE wrote and what was written to it. Counts stay; nothing brings the rest back."""
    from ..services import privacy

    person = privacy.find(workspace_id(), phone)
    confirm(f"Erase everything that is kept of {phone}? Backups made before keep it.", yes)
    erased = privacy.erase(person, actor=ACTOR)
    click.echo(
        f"Erased: {erased.lines} messages that came in, the texts of {erased.messages} that were sent, "
        f"{erased.files} files."
    )
