"""`wa-admin up`, `gateway run`, `scheduler run`: the processes, together or apart."""

from __future__ import annotations

import os
import sys

import click

from .terminal import in_panel, sentences_for_errors


@click.command()
@click.option("--sample", is_flag=True, help="Fill an empty database with sample data first.")
@in_panel
def up(sample: bool) -> None:
    """Start gateway, scheduler and panel under one supervisor."""
    from .. import up as supervisor

    if sample:
        from .sample import fill_if_empty

        supervisor.prepare()
        fill_if_empty()
    supervisor.run()


@click.group()
def gateway() -> None:
    """The bundled gateway, which holds the WhatsApp connections."""


@gateway.command("run")
def run_gateway() -> None:
    """Run the bundled gateway on its own, with the settings of the panel."""
    from .. import config, processes

    with sentences_for_errors():
        environment = processes.gateway_environment(config.load())
    os.execve(sys.executable, [sys.executable, "-m", "wa_admin.gateway"], environment)  # noqa: S606


@click.group()
def scheduler() -> None:
    """The timetable: sends, checks and reconnects."""


@scheduler.command("run")
def run_scheduler() -> None:
    """Run the scheduler on its own; a second one stands by until the first ends."""
    from .. import scheduler as timetable

    timetable.main()
