"""`wa-admin sessions …`: add, link, look after and remove sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .terminal import ACTOR, as_json, confirm, in_workspace, print_json, table, workspace_id, yes

if TYPE_CHECKING:
    from ..models import WhatsAppSession

which = click.argument("session", required=False)


@click.group()
def sessions() -> None:
    """Link WhatsApp numbers and look after them. SESSION is a number, session_id or name."""


@sessions.command("list")
@as_json
@in_workspace
def list_sessions(as_json: bool) -> None:
    """All sessions, the default one first."""
    from ..services import roster

    found = roster.listed(workspace_id())
    if as_json:
        print_json([_told(one) for one in found])
    elif not found:
        click.echo("There is no session yet: `wa-admin sessions add NAME` adds one.")
    else:
        headings = ("ID", "NAME", "SESSION ID", "NUMBER", "STATE", "DEFAULT", "ACTIVE", "QUEUED")
        table(headings, [_row(one) for one in found])
    _say_when_there_are_too_many(len(found))


@sessions.command()
@click.argument("name")
@click.option("--session-id", help="The gateway's identifier; made from the name otherwise.")
@click.option("--phone", help="The number that is expected to scan.")
@click.option("--description", default="")
@click.option("--gateway", help="The gateway's name; the first one otherwise.")
@as_json
@in_workspace
def add(
    name: str, session_id: str | None, phone: str | None, description: str, gateway: str | None, as_json: bool
) -> None:
    """Add a session called NAME."""
    from ..services import gateways
    from ..services import sessions as service

    gateways.ensure()
    added = service.create(
        workspace_id(),
        name,
        session_id=session_id,
        phone_number=phone,
        description=description,
        gateway=gateway,
        actor=ACTOR,
    )
    if as_json:
        print_json(_told(added))
    else:
        click.echo(f"Added {added.name} as number {added.id}, session_id {added.session_id}.")
        click.echo(f"Link it: wa-admin sessions link {added.session_id}")


@sessions.command()
@which
@click.option("--phone", help="Show a code to type on the phone of this number, instead of a QR code.")
@in_workspace
def link(session: str | None, phone: str | None) -> None:
    """Link a phone: draw the codes here and wait for the scan."""
    from ..services import links
    from ..whatsapp.in_process import InProcess
    from ..whatsapp.linking import follow

    found = _find(session)
    if phone and not found.is_connected:
        links.pairing_code(workspace_id(), found.id, phone, actor=ACTOR)
    else:
        links.connect(workspace_id(), found.id, actor=ACTOR)
    panel, number = InProcess(ACTOR, workspace_id()), found.id
    follow(lambda: panel.look_again(number), lambda: panel.link_code(number), by_phone=bool(phone))
    if _find(number).has_wrong_number:
        click.echo("Note: this is not the number that was expected.", err=True)


@sessions.command("link-pass")
@which
@click.option("--revoke", is_flag=True, help="Take the link back instead.")
@in_workspace
def link_pass(session: str | None, revoke: bool) -> None:
    """Make a link for the owner of the phone, who has no account: 15 minutes, shown once."""
    from ..app import settings
    from ..services import link_passes

    found = _find(session)
    if revoke:
        link_passes.revoke(workspace_id(), found.id, actor=ACTOR)
        click.echo(f"No link opens {found.name} any more.")
        return
    made, token = link_passes.make(workspace_id(), found.id, actor=ACTOR)
    click.echo(f"{settings().panel_url}/l/{token}")
    click.echo(f"It works until {made.expires_at:%H:%M} UTC and is not shown again.", err=True)


@sessions.command()
@which
@click.option("--refresh", is_flag=True, help="Ask the gateway now.")
@as_json
@click.pass_context
@in_workspace
def status(ctx: click.Context, session: str | None, refresh: bool, as_json: bool) -> None:
    """How a session is. The exit code is 0 when it is connected, else 1."""
    from ..services import watch

    found = _find(session)
    if refresh:
        found = watch.refresh(found)
    if as_json:
        print_json(_told(found))
    else:
        click.echo(f"{found.name}: {_state(found)} ({_checked(found)})")
    ctx.exit(0 if found.is_connected else 1)


@sessions.command()
@which
@in_workspace
def default(session: str | None) -> None:
    """Show the default session, or make SESSION the default."""
    from ..services import roster
    from ..services import sessions as service

    if session is None:
        current = roster.default(workspace_id())
        click.echo(current.name if current else "There is no session yet.")
        return
    made = service.make_default(workspace_id(), _find(session).id, actor=ACTOR)
    click.echo(f"{made.name} is the default session.")


@sessions.command()
@which
@in_workspace
def disconnect(session: str | None) -> None:
    """Go offline and stay so; the login is kept."""
    from ..services import links

    gone = links.disconnect(workspace_id(), _find(session).id, actor=ACTOR)
    click.echo(
        f"{gone.name} is disconnected. `wa-admin sessions reconnect {gone.session_id}` brings it back."
    )


@sessions.command()
@which
@in_workspace
def reconnect(session: str | None) -> None:
    """Go online with the stored login."""
    from ..services import links

    found = _find(session)
    if found.needs_a_link:
        raise click.ClickException(
            f"{found.name} has no login any more: wa-admin sessions link {found.session_id}"
        )
    asked = links.connect(workspace_id(), found.id, actor=ACTOR)
    click.echo(f"{asked.name}: {_state(asked)}")


@sessions.command()
@in_workspace
def init() -> None:
    """Bring every active session online that has a login."""
    from ..whatsapp.in_process import InProcess
    from ..whatsapp.linking import bring_online

    bring_online(InProcess(ACTOR, workspace_id()))
    for one in _listed():
        click.echo(f"{one.name}: {_state(one)}")


@sessions.command()
@click.argument("session")
@click.option("--force", is_flag=True, help="Remove the default session too; its phone is unlinked.")
@click.option("--only-here", is_flag=True, help="Even if the gateway keeps it, with its login.")
@yes
@in_workspace
def delete(session: str, force: bool, only_here: bool, yes: bool) -> None:
    """Remove a session here and at the gateway. Its messages stay on record."""
    from ..services import sessions as service

    found = _find(session)
    if found.is_default and not force:
        raise service.DefaultStays
    name = found.name
    confirm(f"Remove {name}? {found.waiting_count} waiting messages will be cancelled.", yes)
    service.delete(workspace_id(), found.id, force=force, only_here=only_here, actor=ACTOR)
    click.echo(f"{name} was removed.")


@sessions.command()
@click.argument("to", metavar="[on|off]", type=click.Choice(["on", "off"]), required=False)
@in_workspace
def spread(to: str | None) -> None:
    """Let apps spread messages over all sessions by the name “auto”; without a word, say whether they may."""
    from ..services import spread as service

    if to is not None:
        service.switch(workspace_id(), to == "on", actor=ACTOR)
    click.echo(f"Spreading is {'on' if service.is_on(workspace_id()) else 'off'}.")


@sessions.command()
@click.option("--keep", type=click.IntRange(1), default=1, show_default=True, help="How many stay.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@yes
@in_workspace
def cleanup(keep: int, dry_run: bool, yes: bool) -> None:
    """Keep the oldest session as the active default, and remove the rest."""
    from ..services import sessions as service

    plan = service.cleanup(workspace_id(), keep=keep, dry_run=True, actor=ACTOR)
    if not plan.kept:
        click.echo("There is no session.")
        return
    kept, removed = ([(one.name, one.session_id) for one in some] for some in (plan.kept, plan.removed))
    if removed and not dry_run:
        stays = kept[0][0] if len(kept) == 1 else f"the {len(kept)} oldest"
        confirm(f"Keep {stays} and remove {len(removed)} other(s)?", yes)
    if not dry_run:
        service.cleanup(workspace_id(), keep=keep, actor=ACTOR)
    for name, session_id in kept:
        click.echo(f"{'Would keep' if dry_run else 'Kept'}: {name} ({session_id})")
    for name, session_id in removed:
        click.echo(f"{'Would remove' if dry_run else 'Removed'}: {name} ({session_id})")


def _say_when_there_are_too_many(count: int) -> None:
    from ..app import settings

    limit = settings().max_sessions
    if count > limit:
        click.echo(
            f"Note: WA_MAX_SESSIONS allows {limit}, and there are {count}. All of them go on working. "
            f"Raise it, or remove the newest: wa-admin sessions cleanup --keep {limit}",
            err=True,
        )


@sessions.command()
@click.option("--gateway", help="Of this gateway only.")
@as_json
@in_workspace
def sync(gateway: str | None, as_json: bool) -> None:
    """Adopt the sessions that gateways have and nobody here knows, and have all of them report to us."""
    from ..api import schemas
    from ..services import sync as service

    result = service.sync(workspace_id(), gateway, actor=ACTOR)
    if as_json:
        print_json(schemas.dump("Synced", result))
        return
    for one in result.synced:
        click.echo(f"Adopted {one.name} ({one.session_id})")
    for one in result.existing:
        click.echo(f"Already here: {one.name} ({one.session_id})")
    for left_out in result.skipped:
        click.echo(f"Skipped {left_out.name}: {left_out.reason}")
    if not (result.synced or result.existing or result.skipped):
        click.echo("The gateways have no sessions for this workspace.")


@sessions.command()
@click.argument("session")
@click.argument("gateway")
@yes
@in_workspace
def move(session: str, gateway: str, yes: bool) -> None:
    """Move a session to another gateway; its phone must be linked anew."""
    from ..services import moves

    found = _find(session)
    confirm(f"Move {found.name} to {gateway}? Its phone must be linked anew.", yes)
    moved = moves.move(workspace_id(), found.id, gateway, actor=ACTOR)
    click.echo(f"{moved.wa_session.name} is on {gateway} now: wa-admin sessions link {found.session_id}")
    if moved.left_behind:
        click.echo(f"The old gateway may hold it still ({moved.left_behind}).", err=True)


def _find(key: str | int | None) -> WhatsAppSession:
    """The one that is named, else the default one."""
    from ..services import roster

    if key is not None:
        return roster.find(workspace_id(), key)
    found = roster.default(workspace_id())
    if found is None:
        raise click.ClickException("There is no session yet: `wa-admin sessions add NAME` adds one.")
    return found


def _listed() -> list[WhatsAppSession]:
    from ..services import roster

    return roster.listed(workspace_id())


def _row(one: WhatsAppSession) -> tuple[object, ...]:
    from .. import phone

    return (
        one.id,
        one.name,
        one.session_id,
        phone.for_reading(one.number),
        _state(one),
        one.is_default,
        one.is_active,
        one.waiting_count,
    )


def _state(one: WhatsAppSession) -> str:
    from .. import words

    return str(words.look_words(one).word)


def _checked(one: WhatsAppSession) -> str:
    from .. import clock, moments

    if one.checked_at is None:
        return "never checked"
    return f"checked {moments.span((clock.now() - one.checked_at).total_seconds())} ago"


def _told(one: WhatsAppSession) -> Any:
    from ..api import schemas

    return schemas.dump("Session", one)
