"""`wa-admin rotate-keys`: another key for what is encrypted at rest."""

from __future__ import annotations

import click

from .terminal import in_panel


@click.command("rotate-keys")
@click.option("--drop-old", is_flag=True, help="Forget the old keys, once nothing needs them any more.")
@in_panel
def rotate_keys(drop_old: bool) -> None:
    """Make a new encryption key and seal all secrets with it; the old one still opens until it is dropped."""
    from .. import rotation

    if drop_old:
        dropped = rotation.drop_old()
        if dropped.older:
            click.echo(f"Only the key {dropped.newest} is needed: take the others out of WA_ENCRYPTION_KEYS.")
        else:
            click.echo(f"Only the key {dropped.newest} is left.")
        return
    rotated = rotation.rotate()
    click.echo(f"{rotated.secrets} secrets are sealed with the key {rotated.newest} now.")
    if rotated.older:
        click.echo(
            "The old keys are kept. When all is well, `wa-admin rotate-keys --drop-old` forgets them; "
            "older backups hold the keys they need."
        )
