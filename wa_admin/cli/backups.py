"""`wa-admin backup` and `wa-admin restore`: one encrypted file that holds everything."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .terminal import checked_text, in_panel, sentences_for_errors, table, yes

if TYPE_CHECKING:
    from ..backups.archive import About, Manifest
    from ..backups.restoring import Restored

SHORTEST_PASSPHRASE = 12
TELL_EVERY_SECONDS = 0.2
VARIABLE = "WA_BACKUP_PASSPHRASE"

passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Read the passphrase from this file, instead of {VARIABLE}, {VARIABLE}_FILE or the keyboard.",
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_file
@click.option("--force", is_flag=True, help="Overwrite a file of this name.")
@click.option(
    "--keep", type=click.IntRange(1), help="Of the backups in the directory keep the newest so many."
)
@in_panel
def backup(file: Path, passphrase_file: Path | None, force: bool, keep: int | None) -> None:
    """Write one encrypted file with everything: database, logins, files, keys. Nothing has to stop for it.

    A directory gets a file named after the moment.
    """
    from .. import clock, upgrades
    from ..app import settings
    from ..backups import making
    from ..extensions import db
    from ..services import audit

    if keep and not file.is_dir():
        raise click.UsageError("--keep needs a directory to write to.")
    revision = upgrades.revision(db.engine)
    if revision is None:
        raise click.ClickException("There is nothing to save yet: start wa-admin first.")
    passphrase = _passphrase(passphrase_file, is_new=True)
    progress = _Progress()
    path = making.place(file, clock.now())
    made = making.make(settings(), revision, path, passphrase, force=force, progress=progress.tell)
    progress.end()
    audit.record("backed_up", workspace_id=None, actor="cli", object=made.path.name)
    click.echo(f"{made.path}: {_megabytes(made.size_bytes)} in {made.seconds:.1f} s")
    _print_contents(made.about, made.manifest)
    for old in making.keep(file, keep) if keep else []:
        click.echo(f"removed {old}")
    click.echo("Without its passphrase nobody can open it, not even you: keep that somewhere else.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@passphrase_file
@click.option("--check", is_flag=True, help="Only read all of it, and say what it is.")
@yes
def restore(file: Path, passphrase_file: Path | None, check: bool, yes: bool) -> None:
    """Put everything back as it was when the backup was made; wa-admin must not run.

    What is there moves aside. Messages that waited are not sent before somebody has decided about them.
    """
    with sentences_for_errors():
        from .. import clock
        from ..backups import restoring

        passphrase = _passphrase(passphrase_file, is_new=False)
        progress = _Progress()
        if check:
            about, manifest = restoring.check(file, passphrase, progress.tell)
            progress.end()
            click.echo("The backup is whole.")
            _print_contents(about, manifest)
            return
        done = restoring.restore(
            file, passphrase, os.environ, clock.now(), may_move_aside=yes, progress=progress.tell
        )
        progress.end()
    _print_contents(done.about, done.manifest)
    click.echo(f"Restored into {done.data_dir}.")
    for sentence in _what_to_know(done):
        click.echo(f"- {sentence}")


def _what_to_know(done: Restored) -> list[str]:
    made = f"{done.about.moment:%Y-%m-%d %H:%M} UTC"
    told = [
        "Start it with `wa-admin up`: linked phones stay linked. Never start the machine that the backup "
        "came from as well; two with one login throw each other out.",
        f"People log in anew. What was changed after {made} is as it was before: look at "
        "`wa-admin keys list` for keys that were revoked since.",
    ]
    if done.settled.messages:
        told.append(
            f"{_counted(done.settled.messages, 'message')} waited then and may have been sent since. None of "
            "them is sent before somebody says “Send it again” under Messages, Uncertain "
            "(or `wa-admin outbox retry`)."
        )
    if done.settled.calls:
        told.append(
            f"{_counted(done.settled.calls, 'call')} to webhooks of apps waited then and will not be made: "
            "`wa-admin webhooks resend` makes them."
        )
    if done.aside:
        told.append(f"What was there before lies in {done.aside}. Remove it when all is well.")
    return told


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _passphrase(file: Path | None, *, is_new: bool) -> str:
    """Never an argument, which every other user of the machine could see."""
    from .. import config

    given = file.read_text().strip() if file else config.secret_of(os.environ, VARIABLE)
    if not given:
        given = click.prompt(
            "Passphrase of the backup", hide_input=True, confirmation_prompt=is_new, err=True
        )
    if is_new and len(given) < SHORTEST_PASSPHRASE:
        raise click.UsageError(f"A passphrase has {SHORTEST_PASSPHRASE} characters at least.")
    return checked_text(given, "The passphrase")


def _print_contents(about: About, manifest: Manifest) -> None:
    click.echo(
        f"made at {about.moment:%Y-%m-%d %H:%M:%S} UTC by wa-admin {about.version}, "
        f"{about.database} at revision {about.revision}"
    )
    kinds = {
        "database": ["database/"],
        "logins and gateway": ["data/gateway/"],
        "keys": ["keys/"],
        "other files": ["data/"],
    }
    rows, left = [], dict(manifest)
    for kind, (begin,) in kinds.items():
        found = [left.pop(name) for name in list(left) if name.startswith(begin)]
        rows.append((kind, len(found), _megabytes(sum(one.size for one in found))))
    table(("WHAT", "FILES", "SIZE"), rows)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:.1f} MB" if size_bytes >= 1024**2 else f"{size_bytes / 1024:.1f} KB"


class _Progress:
    """One line on stderr that says how far it is; nothing where nobody watches."""

    def __init__(self) -> None:
        self._is_watched, self._told_at = sys.stderr.isatty(), 0.0

    def tell(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if self._is_watched and now - self._told_at > TELL_EVERY_SECONDS:
            self._told_at = now
            click.echo(f"\r\x1b[K{what}: {_megabytes(done)} of {_megabytes(of)}", err=True, nl=False)

    def end(self) -> None:
        if self._is_watched:
            click.echo("\r\x1b[K", err=True, nl=False)
