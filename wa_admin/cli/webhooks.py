"""`wa-admin webhooks …`: which apps are told what happens."""

from __future__ import annotations

from typing import Any

import click

from .terminal import ACTOR, as_json, confirm, in_workspace, print_json, table, workspace_id, yes


@click.group()
def webhooks() -> None:
    """Apps that are told what happens."""


@webhooks.command("list")
@as_json
@in_workspace
def list_webhooks(as_json: bool) -> None:
    """All of them, the oldest first."""
    from ..services import calls, subscriptions

    found, counts = subscriptions.listed(workspace_id()), calls.counts(workspace_id())
    if as_json:
        print_json([_told(one, counts.get(one.id, {})) for one in found])
        return
    rows = [
        (one.id, one.name, one.host, one.events, one.is_active, *_numbers(counts.get(one.id, {})))
        for one in found
    ]
    table(("ID", "NAME", "HOST", "EVENTS", "ACTIVE", "WAITING", "FAILED"), rows)


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice(["message.received", "message.status", "session.status"]),
    help="Only this kind; may be given several times. All of them otherwise.",
)
@as_json
@in_workspace
def add(name: str, url: str, events: tuple[str, ...], as_json: bool) -> None:
    """Tell the app at URL what happens, and show the secret that its calls are signed with, once."""
    from ..services import subscriptions, tidings

    added, secret = subscriptions.add(workspace_id(), name, url, events or tidings.KINDS, actor=ACTOR)
    if as_json:
        print_json({"id": added.id, "name": added.name, "secret": secret})
        return
    click.echo(secret)
    click.echo(
        f"This is the secret of “{added.name}”. It cannot be shown again: give it to the app.", err=True
    )


@webhooks.command()
@click.argument("name")
@in_workspace
def test(name: str) -> None:
    """Send a test event now, and say how the app called NAME answered."""
    from ..app import settings
    from ..drivers.outbound import Outbound
    from ..services import calls, subscriptions

    sent = subscriptions.test(workspace_id(), _key(name))
    outbound = Outbound(settings().webhook_allow_cidrs)
    try:
        while calls.deliver_next(sent.subscription_id, outbound):
            if calls.find(workspace_id(), sent.id).attempts:
                break
    finally:
        outbound.close()
    _say_how(calls.find(workspace_id(), sent.id))


@webhooks.command()
@click.argument("name")
@in_workspace
def rotate(name: str) -> None:
    """Make a new secret and show it, once; the old one signs beside it for a day."""
    from ..services import subscriptions

    _rotated, secret = subscriptions.rotate_secret(workspace_id(), _key(name), actor=ACTOR)
    click.echo(secret)


@webhooks.command()
@click.argument("name")
@in_workspace
def resend(name: str) -> None:
    """Make all failed calls to the app called NAME again."""
    from ..services import calls

    click.echo(f"Calls that are made again: {calls.resend_failed(workspace_id(), _key(name))}.")


@webhooks.command()
@click.argument("name")
@yes
@in_workspace
def remove(name: str, yes: bool) -> None:
    """Tell the app called NAME nothing more."""
    from ..services import subscriptions

    found = subscriptions.find(workspace_id(), _key(name))
    confirm(f"Remove the webhook “{found.name}” and all that waits for it?", yes)
    subscriptions.remove(workspace_id(), found.id, actor=ACTOR)
    click.echo(f"Removed “{found.name}”.")


def _key(name: str) -> int | str:
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 18 else name


def _numbers(counts: Any) -> tuple[int, int]:
    return counts.get("waiting", 0), counts.get("failed", 0)


def _told(one: Any, counts: Any) -> dict[str, Any]:
    waiting, failed = _numbers(counts)
    told = {name: getattr(one, name) for name in ("id", "name", "host", "is_active")}
    return {**told, "events": one.events.split(","), "waiting": waiting, "failed": failed}


def _say_how(call: Any) -> None:
    from ..vocabulary import CALL_ERRORS

    if call.status == "delivered":
        click.echo(f"The app took it: HTTP {call.answer_status}.")
        return
    if call.answer_status is None and call.error is None:
        click.echo("The scheduler is sending it just now: `wa-admin webhooks list` tells how it went.")
        return
    trouble = CALL_ERRORS.get(call.error or "", f"It answered HTTP {call.answer_status}.")
    raise click.ClickException(str(trouble))
