"""`wa-admin users …` and `wa-admin keys …`."""

from __future__ import annotations

import click

from .terminal import ACTOR, as_json, in_panel, print_json, read_password, table, workspace_id

ROLES = click.Choice(["supervisor", "operator", "admin"])
from_stdin = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin."
)


@click.group()
def users() -> None:
    """Who may use the panel."""


@users.command("add")
@click.argument("email")
@click.option("--name", help="How to call them; the e-mail's first part otherwise.")
@click.option("--role", type=ROLES, default="operator", show_default=True)
@from_stdin
@in_panel
def add_user(email: str, name: str | None, role: str, from_stdin: bool) -> None:
    """Let somebody in. The password is asked for."""
    from ..models import Role
    from ..services import users as service

    added = service.add(
        workspace_id(),
        email,
        name or email.partition("@")[0],
        read_password(from_stdin),
        Role(role),
        actor=ACTOR,
    )
    click.echo(f"Added {added.email} as {added.role}.")


@users.command("list")
@as_json
@in_panel
def list_users(as_json: bool) -> None:
    """Everybody who has an account."""
    from ..services import users as service

    found = service.listed(workspace_id())
    if as_json:
        told = ("email", "name", "role", "is_active")
        print_json([{name: getattr(one, name) for name in told} for one in found])
        return
    rows = [(one.email, one.name, one.role, one.is_active, _day(one.last_login_at)) for one in found]
    table(("E-MAIL", "NAME", "ROLE", "ACTIVE", "LAST LOG-IN (UTC)"), rows)


@users.command()
@click.argument("email")
@click.argument("role", type=ROLES)
@in_panel
def role(email: str, role: str) -> None:
    """Change what somebody may do; they must log in again."""
    from ..models import Role
    from ..services import users as service

    changed = service.set_role(workspace_id(), email, Role(role), actor=ACTOR)
    click.echo(f"{changed.email} is {changed.role}.")


@users.command()
@click.argument("email")
@from_stdin
@in_panel
def password(email: str, from_stdin: bool) -> None:
    """Give somebody a new password; they must log in again."""
    from ..services import users as service

    service.find(workspace_id(), email)  # before anybody types a password twice
    changed = service.set_password(workspace_id(), email, read_password(from_stdin), actor=ACTOR)
    click.echo(f"{changed.email} has a new password.")


@click.group()
def keys() -> None:
    """API keys, with which apps call wa-admin."""


@keys.command("add")
@click.argument("name")
@as_json
@in_panel
def add_key(name: str, as_json: bool) -> None:
    """Make a key called NAME and show it, once."""
    from ..services import api_keys as service

    key, raw = service.issue(workspace_id(), name, actor=ACTOR)
    if as_json:
        print_json({"name": key.name, "key": raw})
        return
    click.echo(raw)
    click.echo(f"This is the key “{key.name}”. It cannot be shown again: put it into WA_API_KEY.", err=True)


@keys.command("list")
@as_json
@in_panel
def list_keys(as_json: bool) -> None:
    """The keys in use, the newest first."""
    from ..services import api_keys as service

    found = service.listed(workspace_id())
    if as_json:
        print_json([{"name": one.name, "last_four": one.last_four} for one in found])
        return
    rows = [
        (one.name, f"…{one.last_four}", one.created_by, _day(one.created_at), _day(one.last_used_at))
        for one in found
    ]
    table(("NAME", "KEY", "MADE BY", "MADE (UTC)", "LAST USED (UTC)"), rows)


@keys.command()
@click.argument("name")
@in_panel
def revoke(name: str) -> None:
    """Stop a key from working, at once."""
    from ..services import api_keys as service

    click.echo(f"The key “{service.revoke(workspace_id(), name, actor=ACTOR).name}” no longer works.")


def _day(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
