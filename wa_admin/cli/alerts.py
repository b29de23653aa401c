"""`wa-admin alerts …`: who is told of trouble."""

from __future__ import annotations

import click

from .terminal import as_json, in_workspace, print_json, table, workspace_id


@click.group()
def alerts() -> None:
    """Who is told when a session needs a person or a gateway is down. Settings, Alerts adds channels."""


@alerts.command("list")
@as_json
@in_workspace
def list_channels(as_json: bool) -> None:
    """The channels, and how the last alert went."""
    from ..services import alerts as service

    found = service.listed(workspace_id())
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    "name": one.name,
                    "kind": one.kind,
                    "last_four": service.last_four(one),
                    "is_active": one.is_active,
                    "last_error": one.last_error,
                }
                for one in found
            ]
        )
    elif not found:
        click.echo("Nobody is told yet: Settings, Alerts in the panel adds a channel.")
    else:
        rows = [
            (
                one.id,
                one.name,
                service.kind_word(one.kind),
                f"…{service.last_four(one)}",
                one.is_active,
                service.sentence(one.last_error),
            )
            for one in found
        ]
        table(("ID", "NAME", "KIND", "ADDRESS", "ACTIVE", "TROUBLE"), rows)


@alerts.command()
@click.argument("channel")
@click.pass_context
@in_workspace
def test(ctx: click.Context, channel: str) -> None:
    """Send a test to CHANNEL, a number or name. The exit code is 0 when it arrived, else 1."""
    from ..services import alerts as service

    found = service.find(workspace_id(), int(channel) if channel.isdigit() else channel)
    outcome = service.test(workspace_id(), found.id)
    click.echo(f"{found.name}: {service.sentence(outcome.code)}")
    ctx.exit(0 if outcome.is_told else 1)
