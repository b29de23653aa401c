"""`wa-admin users …` and `wa-admin keys …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .terminal import ACTOR, as_json, in_workspace, print_json, read_password, table, workspace_id

if TYPE_CHECKING:
    from ..models import ApiKey

SCOPES = click.Choice(["look", "send", "link", "manage"])
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
@in_workspace
def add_user(email: str, name: str | None, role: str, from_stdin: bool) -> None:
    """Let somebody in. The password is asked for, unless they have an account in another workspace."""
    from ..models import Role
    from ..services import users as service

    if service.by_email(email) is not None:
        known = service.add_known(workspace_id(), email, Role(role), actor=ACTOR)
        click.echo(f"{known.email}, who has an account, is {known.role} now.")
        return
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
@in_workspace
def list_users(as_json: bool) -> None:
    """Everybody who has an account."""
    from ..services import users as service

    found, assigned = service.listed(workspace_id()), service.assigned(workspace_id())
    sessions = {one.id: list(assigned[one.id].values()) if one.id in assigned else None for one in found}
    if as_json:
        told = ("email", "name", "role", "is_active")
        print_json(
            [{name: getattr(one, name) for name in told} | {"sessions": sessions[one.id]} for one in found]
        )
        return
    rows = [
        (
            one.email,
            one.name,
            one.role,
            one.is_active,
            _limited_to(sessions[one.id]),
            _day(one.last_login_at),
        )
        for one in found
    ]
    table(("E-MAIL", "NAME", "ROLE", "ACTIVE", "SESSIONS", "LAST LOG-IN (UTC)"), rows)


@users.command()
@click.argument("email")
@click.argument("role", type=ROLES)
@in_workspace
def role(email: str, role: str) -> None:
    """Change what somebody may do; they must log in again."""
    from ..models import Role
    from ..services import users as service

    changed = service.set_role(workspace_id(), email, Role(role), actor=ACTOR)
    click.echo(f"{changed.email} is {changed.role}.")


@users.command()
@click.argument("email")
@click.argument("names", metavar="[SESSION]...", nargs=-1)
@click.option("--all", "sees_all", is_flag=True, help="All sessions, those to come too.")
@in_workspace
def sessions(email: str, names: tuple[str, ...], sees_all: bool) -> None:
    """Let an operator work with these sessions only."""
    from ..services import roster
    from ..services import users as service

    if sees_all == bool(names):
        raise click.UsageError("Name the sessions, or say --all.")
    ids = None if sees_all else [roster.find(workspace_id(), name).id for name in names]
    changed = service.assign(workspace_id(), email, ids, actor=ACTOR)
    told = service.assigned(workspace_id()).get(changed.id)
    click.echo(f"{changed.email} works with: {_limited_to(list(told.values()) if told else None)}.")


@users.command()
@click.argument("email")
@click.option("--role", type=ROLES, default="operator", show_default=True)
@click.option("--session", "names", multiple=True, help="Only this session; may be given several times.")
@in_workspace
def invite(email: str, role: str, names: tuple[str, ...]) -> None:
    """Print a link with which EMAIL can join, once, within 72 hours."""
    from ..app import settings
    from ..models import Role
    from ..services import invitations, roster

    ids = [roster.find(workspace_id(), name).id for name in names] if names else None
    invited, token = invitations.issue(workspace_id(), email, Role(role), session_ids=ids, actor=ACTOR)
    click.echo(f"{settings().panel_url}/join?token={token}")
    click.echo(f"Hand this link to {invited.email}: it works once, for 72 hours.", err=True)


@users.command()
@click.argument("email")
@from_stdin
@in_workspace
def password(email: str, from_stdin: bool) -> None:
    """Give somebody a new password; they must log in again."""
    from ..services import users as service

    service.find(workspace_id(), email)  # before anybody types a password twice
    changed = service.set_password(workspace_id(), email, read_password(from_stdin), actor=ACTOR)
    click.echo(f"{changed.email} has a new password.")


@users.command("reset-second-factor")
@click.argument("email")
@in_workspace
def reset_second_factor(email: str) -> None:
    """Take a lost app, passkeys and recovery codes away; the password alone lets in then."""
    from ..services import second_factor

    member = second_factor.reset(workspace_id(), email, by=None, actor=ACTOR)
    click.echo(f"{member.email} logs in with the password alone.")


@click.group()
def keys() -> None:
    """API keys, with which apps call wa-admin."""


@keys.command("add")
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, help="What it may do; everything otherwise.")
@click.option("--session", "names", multiple=True, help="Only this session; may be given several times.")
@click.option("--days", type=click.IntRange(1, 3650), help="Stop working after so many days.")
@as_json
@in_workspace
def add_key(
    name: str, scopes: tuple[str, ...], names: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Make a key called NAME and show it, once."""
    from datetime import timedelta

    from .. import clock
    from ..permissions import KEY_SCOPES, Permission
    from ..services import api_keys as service
    from ..services import roster

    key, raw = service.issue(
        workspace_id(),
        name,
        scopes=[Permission(one) for one in scopes] or KEY_SCOPES,
        session_ids=[roster.find(workspace_id(), one).id for one in names] if names else None,
        expires_at=clock.now() + timedelta(days=days) if days else None,
        actor=ACTOR,
    )
    if as_json:
        print_json({"name": key.name, "key": raw})
        return
    click.echo(raw)
    click.echo(f"This is the key “{key.name}”. It cannot be shown again: put it into WA_API_KEY.", err=True)


@keys.command("list")
@as_json
@in_workspace
def list_keys(as_json: bool) -> None:
    """The keys in use, the newest first."""
    from ..services import api_keys as service

    found = service.listed(workspace_id())
    limits = service.sessions_of(found)
    sessions = {one.id: None if one.sees_all else limits.get(one.id, []) for one in found}
    if as_json:
        print_json([_key_told(one, sessions[one.id]) for one in found])
        return
    rows = [
        (
            one.name,
            f"…{one.last_four}",
            one.scopes.replace(",", " "),
            _limited_to(sessions[one.id]),
            one.created_by,
            _day(one.created_at),
            _day(one.expires_at),
            _day(one.last_used_at),
        )
        for one in found
    ]
    headings = ("NAME", "KEY", "MAY", "SESSIONS", "MADE BY", "MADE (UTC)", "UNTIL (UTC)", "LAST USED (UTC)")
    table(headings, rows)


@keys.command()
@click.argument("name")
@in_workspace
def revoke(name: str) -> None:
    """Stop a key from working, at once."""
    from ..services import api_keys as service

    click.echo(f"The key “{service.revoke(workspace_id(), name, actor=ACTOR).name}” no longer works.")


def _key_told(key: ApiKey, sessions: list[str] | None) -> dict[str, object]:
    return {
        "name": key.name,
        "last_four": key.last_four,
        "scopes": key.scopes.split(","),
        "sessions": sessions,
        "expires_at": key.expires_at and key.expires_at.isoformat(),
    }


def _limited_to(sessions: list[str] | None) -> str:
    return "all" if sessions is None else ", ".join(sessions)


def _day(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
