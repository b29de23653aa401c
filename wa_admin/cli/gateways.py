"""`wa-admin gateways …`: the gateways of this installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import click

from .terminal import (
    ACTOR,
    as_json,
    confirm,
    in_panel,
    in_workspace,
    print_json,
    read_stdin,
    table,
    workspace_id,
    yes,
)

if TYPE_CHECKING:
    from ..models import Gateway

KINDS = click.Choice(["waha", "gowa", "evolution", "wa_gateway", "wwebjs", "webhook"])
MARKS = {"ok": "ok  ", "warn": "note", "fail": "FAIL"}
which = click.argument("gateway")


@click.group()
def gateways() -> None:
    """The programs that hold the connections to WhatsApp. GATEWAY is a name."""


@gateways.command("list")
@as_json
@in_workspace
def list_gateways(as_json: bool) -> None:
    """All gateways, that of the settings first."""
    from ..services import gateway_settings
    from ..services import gateways as service

    found = service.listed()
    counts = {one.id: gateway_settings.session_count(one.id) for one in found}
    if as_json:
        print_json([_told(one, counts[one.id]) for one in found])
        return
    rows = [(one.name, one.kind, one.base_url, _state(one), one.version, counts[one.id]) for one in found]
    table(("NAME", "KIND", "ADDRESS", "STATE", "VERSION", "SESSIONS"), rows)


@gateways.command()
@click.argument("kind", type=KINDS)
@click.argument("name")
@click.argument("url", required=False, default="")
@click.option("--key-stdin", is_flag=True, help="Read its key from stdin.")
@click.option("--header-stdin", is_flag=True, help="Read an extra header, as name: value, from stdin.")
@click.option("--ca", type=click.File(), help="The CA of its private certificate, a PEM file.")
@click.option(
    "--action", "actions", multiple=True, metavar="NAME=URL", help="One of the kind webhook's URLs."
)
@click.option("--allow-private", is_flag=True, help="It may live on this machine or in a private network.")
@in_workspace
def add(
    kind: str,
    name: str,
    url: str,
    key_stdin: bool,
    header_stdin: bool,
    ca: TextIO | None,
    actions: tuple[str, ...],
    allow_private: bool,
) -> None:
    """Add a gateway of this KIND, NAME and URL, and test it."""
    from ..services import gateway_settings
    from ..services import gateways as service

    if key_stdin and header_stdin:
        raise click.UsageError("Only one of --key-stdin and --header-stdin can read from stdin.")
    secret = read_stdin().strip() if key_stdin or header_stdin else ""
    service.ensure()  # that of the settings is the first
    added = gateway_settings.add(
        workspace_id(),
        kind=kind,
        name=name,
        base_url=url,
        key=secret if key_stdin else "",
        header=secret if header_stdin else "",
        ca_pem=ca.read() if ca else "",
        urls=dict(one.partition("=")[::2] for one in actions),
        allow_private=allow_private,
        actor=ACTOR,
    )
    click.echo(f"Added {added.name}.")
    _print_test(added)


@gateways.command()
@which
@click.pass_context
@in_workspace
def test(ctx: click.Context, gateway: str) -> None:
    """Whether it fits; touches no session. The exit code is 1 when something is not fine."""
    from ..services import gateways as service

    ctx.exit(0 if _print_test(service.named(gateway)) else 1)


@gateways.command()
@which
@click.option("--move-to", help="Another gateway, for its sessions: their phones must be linked anew.")
@yes
@in_workspace
def remove(gateway: str, move_to: str | None, yes: bool) -> None:
    """Forget a gateway; the program itself goes on running."""
    from ..services import gateway_settings, moves
    from ..services import gateways as service

    found = service.named(gateway)
    count = gateway_settings.session_count(found.id)
    if count and not move_to:
        raise gateway_settings.GatewayHasSessions(count)
    confirm(f"Remove {found.name}?" + (f" {count} session(s) move to {move_to}." if count else ""), yes)
    for moved in moves.move_all(found.id, move_to, actor=ACTOR) if move_to else []:
        left = f" (left behind there: {moved.left_behind})" if moved.left_behind else ""
        click.echo(f"Moved {moved.wa_session.name}{left}")
    gateway_settings.remove(workspace_id(), found.id, actor=ACTOR)
    click.echo(f"{gateway} was removed.")


@gateways.command()
@click.option("--retry", is_flag=True, help="Have them read once more.")
@in_panel
def events(retry: bool) -> None:
    """The events that gateways sent and nobody could read; the log says why."""
    from .. import clock
    from ..services import inbox

    found = inbox.parked()
    table(("GATEWAY", "EVENTS", "LAST CAME"), [(one.gateway, one.count, one.last_at) for one in found])
    if retry and inbox.retry(clock.now()):
        click.echo("They will be read within some seconds.")


def _print_test(gateway: Gateway) -> bool:
    from ..services import gateway_settings

    findings = gateway_settings.tried(gateway)
    for finding in findings:
        click.echo(f"{MARKS[finding.level]}  {finding.name}: {finding.sentence}")
        if finding.next_step:
            click.echo(f"      > {finding.next_step}")
    return all(finding.level != "fail" for finding in findings)


def _state(gateway: Gateway) -> str:
    if gateway.is_failing:
        return gateway.failure or "failing"
    return "answers" if gateway.checked_at else "not asked yet"


def _told(gateway: Gateway, count: int) -> dict[str, object]:
    told = ("name", "kind", "base_url", "version", "latency_ms", "failure")
    shown: dict[str, object] = {name: getattr(gateway, name) for name in told}
    return shown | {"capabilities": gateway.capabilities.split(","), "sessions": count}
