"""`wa-admin send` and `wa-admin outbox …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .terminal import (
    ACTOR,
    Seconds,
    as_json,
    in_panel,
    in_workspace,
    print_json,
    read_stdin,
    table,
    workspace_id,
)

if TYPE_CHECKING:
    from ..models import Message

# not accepted for good, or not known: a script should notice
BAD_ENDINGS = ("failed", "expired", "uncertain", "cancelled")

BIGGEST_ID = 2**63 - 1  # that a database can hold


@click.command()
@click.argument("to")
@click.argument("text")
@click.option("--session", help="The session to send from; the default one otherwise.")
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False), help="Send a file; TEXT is its caption."
)
@click.option("--key", help="Idempotency key, printable ASCII: the same key sends once, for 30 days.")
@click.option("--wait", "wait_seconds", type=Seconds(0, 3600), default=10.0, show_default=True)
@click.option("--valid-for", type=Seconds(1), help="Give up after this many seconds.")
@as_json
@click.pass_context
@in_workspace
def send(
    ctx: click.Context,
    to: str,
    text: str,
    session: str | None,
    path: str | None,
    key: str | None,
    wait_seconds: float,
    valid_for: float | None,
    as_json: bool,
) -> None:
    """Send TEXT to TO, a number in any human form or a group id. TEXT `-` reads from stdin.

    The exit code is 0 when the message is accepted: sent, or waiting for the phone.
    """
    from ..services import outbox as service

    sent = service.send(
        workspace_id(),
        to,
        read_stdin() if text == "-" else text,
        session_name=session,
        attached=_attached(path),
        key=key,
        valid_for_seconds=valid_for,
        source=ACTOR,
    )
    if wait_seconds and not sent.is_settled:
        sent = service.wait(sent.id, wait_seconds)
    print_json(_told(sent)) if as_json else click.echo(_outcome(sent))
    ctx.exit(1 if sent.status in BAD_ENDINGS else 0)


@click.group()
def outbox() -> None:
    """Look at messages, send them again, hand over what waits."""


@outbox.command("list")
@click.option("--status", help="Only these: queued, sent, failed …")
@click.option("--session", help="Only of this session.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@as_json
@in_workspace
def list_messages(status: str | None, session: str | None, limit: int, as_json: bool) -> None:
    """Messages, the newest first."""
    from .. import phone
    from ..services import outbox as service
    from ..services import roster

    chosen = roster.find(workspace_id(), session).id if session else None
    page = service.page(workspace_id(), status=_status(status), session_id=chosen, limit=limit)
    if as_json:
        print_json([_told(one) for one in page.items])
        return
    rows = [
        (
            one.id,
            f"{one.created_at:%Y-%m-%d %H:%M:%S}",
            one.status,
            phone.for_reading(one.recipient),
            one.session_name,
            one.source,
            one.error_code,
        )
        for one in page.items
    ]
    table(("ID", "ACCEPTED (UTC)", "STATUS", "TO", "SESSION", "SOURCE", "ERROR"), rows)


@outbox.command()
@click.argument("ids", type=click.IntRange(1, BIGGEST_ID), nargs=-1, required=True)
@in_workspace
def retry(ids: tuple[int, ...]) -> None:
    """Queue messages again that failed, expired or are uncertain; an uncertain one may arrive twice."""
    from ..services import outbox as service

    for id in ids:
        queued = service.retry(workspace_id(), id, actor=ACTOR)
        click.echo(f"Message {queued.id} is {queued.status}.")


@outbox.command()
@click.argument("ids", type=click.IntRange(1, BIGGEST_ID), nargs=-1, required=True)
@in_workspace
def arrived(ids: tuple[int, ...]) -> None:
    """Say of uncertain messages that they arrived, as seen on the phone: they count as sent."""
    from ..services import outbox as service

    for id in ids:
        known = service.it_arrived(workspace_id(), id, actor=ACTOR)
        click.echo(f"Message {known.id} is {known.status}.")


@outbox.command()
@in_panel
def drain() -> None:
    """Hand over now what is due, as the scheduler does all the time."""
    from ..services import deliveries

    deliveries.settle_leases()
    deliveries.expire()
    click.echo(f"{deliveries.drain()} attempt(s) made.")


def _attached(path: str | None) -> Any:
    from ..services.attachments import NewAttachment

    return NewAttachment.read(Path(path).read_bytes(), Path(path).name) if path else None


def _status(word: str | None) -> Any:
    from ..models import MessageStatus

    if word is None:
        return None
    try:
        return MessageStatus(word)
    except ValueError as error:
        words = ", ".join(MessageStatus)
        raise click.UsageError(f"--status is one of {words}.") from error


def _outcome(sent: Message) -> str:
    from .. import phone, words

    to = phone.for_reading(sent.recipient)
    if sent.status == "queued":
        until = f"once {sent.session_name} is connected and wa-admin runs"
        return f"Message {sent.id} to {to} waits: it goes out {until}."
    if sent.status in BAD_ENDINGS:
        why = " ".join(words.error_words(sent.error_code or sent.status))
        return f"Message {sent.id} to {to} is {sent.status}. {why}"
    return f"Message {sent.id} to {to} is {sent.status}."


def _told(message: Message) -> Any:
    from ..api import schemas

    return schemas.dump("Message", message)
