"""What all commands share: the application to work in, errors as sentences, tables, yes and no."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import click

from .. import log
from ..config import BadSetting

Function = TypeVar("Function", bound=Callable[..., Any])
ACTOR = "cli"
WORKSPACE = "wa_admin.workspace"  # where click keeps the one that was named

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")


class Seconds(click.FloatRange):
    """A time that ends: `nan` and `inf` are numbers to Python, and within any range or above it."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds


def in_panel(command: Function) -> Function:
    """Run a command inside the application; what goes wrong is told in a sentence."""

    @wraps(command)
    def run(*args: Any, **named: Any) -> Any:
        for value in named.values():
            if isinstance(value, str):
                checked_text(value, "An argument")
        with sentences_for_errors(), _application():
            return command(*args, **named)

    return run  # type: ignore[return-value]


def in_workspace(command: Function) -> Function:
    """The same for what one workspace has: `--workspace` says which.

    One that is not there is said before anything is done.
    """

    @wraps(command)
    def run(*args: Any, **named: Any) -> Any:
        if click.get_current_context().meta.get(WORKSPACE) is not None:
            workspace_id()
        return command(*args, **named)

    return click.option(
        "--workspace",
        metavar="NAME",
        help="The workspace to work in; the first one otherwise.",
        expose_value=False,
        callback=_choose_workspace,
    )(in_panel(run))  # type: ignore[return-value]


@contextmanager
def sentences_for_errors() -> Iterator[None]:
    """A refusal is no crash: one line, exit code 1; a bad database 2, and a bad setting as under `flask`."""
    from sqlalchemy.exc import DBAPIError

    from ..crypto import WrongEncryptionKey
    from ..drivers.contract import GatewayError
    from ..refusal import Refusal
    from ..whatsapp import WhatsAppError

    try:
        yield
    except (Refusal, WhatsAppError) as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(_words_of(error.code)) from error
    except BadSetting as error:
        log.give_up(error)
    except WrongEncryptionKey as error:
        raise Unusable(str(error)) from error
    except DBAPIError as error:
        raise Unusable(_trouble_with(error)) from error


def workspace_id() -> int:
    """The workspace that this command works in: the one of `--workspace`, else the first one.

    Raises WorkspaceNotFound.
    """
    from sqlalchemy.exc import NoResultFound

    from ..models import Workspace

    context = click.get_current_context(silent=True)
    if context is not None and (named := context.meta.get(WORKSPACE)) is not None:
        from ..services import workspaces

        return workspaces.find(checked_text(named, "A name")).id
    try:
        return Workspace.first_id()
    except NoResultFound as error:
        raise Unusable("The database holds no workspace: run `wa-admin db upgrade`.") from error


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Plain columns, as wide as what they hold."""
    lines = [[_cell(one) for one in row] for row in (headings, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def confirm(question: str, yes: bool) -> None:
    """Ends the command, with exit code 1 and nothing done, unless the answer is yes."""
    if not yes:
        click.confirm(question, abort=True)


def read_stdin() -> str:
    """All that comes on stdin. Raises UsageError when that is no text."""
    try:
        return checked_text(sys.stdin.read(), "What comes on stdin")
    except UnicodeDecodeError as error:
        raise click.UsageError("What comes on stdin is not UTF-8 text.") from error


def checked_text(text: str, what: str) -> str:
    """The text itself. Raises UsageError for bytes that Python smuggled in, which nothing could store."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError(f"{what} is not UTF-8 text.") from error
    return text


def read_password(from_stdin: bool) -> str:
    """Typed twice, or the first line of stdin; never an argument, which other users could see."""
    if from_stdin:
        return (read_stdin().splitlines() or [""])[0]
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


def _choose_workspace(context: click.Context, _: click.Parameter, name: str | None) -> None:
    context.meta[WORKSPACE] = name


def _application() -> AbstractContextManager[Any]:
    """Where we are already, or the application that `flask` found, or a new one."""
    from flask import current_app

    if current_app:
        return nullcontext()
    from ..app import create_app

    return create_app().app_context()


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # a name may hold anything but control characters; a terminal must not obey it all the same
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _words_of(code: str) -> str:
    from .. import words

    return " ".join(words.error_words(code))


def _trouble_with(error: Any) -> str:
    text = " ".join(str(error.orig).split())
    if "no such table" in text or "does not exist" in text or "no such column" in text:
        return (
            "The database is not up to date, or not the one you mean: run `wa-admin db upgrade`, which "
            "`wa-admin up` does too, or set WA_DATA_DIR to where it is."
        )
    if "locked" in text:
        return "The database is busy: try again in some seconds."
    return f"The database cannot be used: {text}"


class Unusable(click.ClickException):
    """Something that the command stands on is not as it must be."""

    exit_code = 2
