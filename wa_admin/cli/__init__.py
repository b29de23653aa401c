"""`wa-admin …`, which is `flask --app wsgi …` from any directory; each command is loaded when it is used."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from flask import Flask

# command -> where it is
COMMANDS = {
    "up": "processes:up",
    "sessions": "sessions:sessions",
    "send": "messages:send",
    "outbox": "messages:outbox",
    "users": "people:users",
    "keys": "people:keys",
    "contacts": "contacts:contacts",
    "workspaces": "workspaces:workspaces",
    "audit": "audit:audit",
    "webhooks": "webhooks:webhooks",
    "cleanup": "sessions:cleanup",
    "alerts": "alerts:alerts",
    "doctor": "doctor:doctor",
    "sample": "sample:sample",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "db-copy": "transfer:db_copy",
    "rotate-keys": "rotation:rotate_keys",
    "gateways": "gateways:gateways",
    "gateway": "processes:gateway",
    "scheduler": "processes:scheduler",
}
# what Flask and its extensions bring; `flask` has the last two of itself
OF_FLASK = {
    "db": "flask_migrate.cli:db",
    "routes": "flask.cli:routes_command",
    "shell": "flask.cli:shell_command",
}


def main() -> None:
    """The command `wa-admin`."""
    if sys.argv[1:] == ["--version"]:  # before anything that takes time to load
        from importlib.metadata import version

        print(f"wa-admin {version('wa-admin')}")
        return
    os.umask(0o077)  # the first command makes the database, which holds what people write
    _commands({**COMMANDS, **OF_FLASK}).main(prog_name="wa-admin")


def register(app: Flask) -> None:
    """The same commands for `flask`, and the migrations that `flask db` works on."""
    from werkzeug.local import LocalProxy

    app.cli = _commands({**COMMANDS, **OF_FLASK})
    # Flask-Migrate brings Alembic, which is slow to load: only when somebody migrates
    app.extensions["migrate"] = LocalProxy(partial(_migrations, app))


def _migrations(app: Flask) -> Any:
    from flask_migrate import Migrate

    from ..extensions import db

    Migrate(app, db, directory=app.config["MIGRATIONS"])  # takes the proxy's place
    return app.extensions["migrate"]


def _commands(places: dict[str, str]) -> click.Group:
    import click

    class Commands(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(places)

        def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
            if name not in places:
                return None
            module, _, attribute = places[name].partition(":")
            path = module if name in OF_FLASK else f"wa_admin.cli.{module}"
            command: click.Command = getattr(import_module(path), attribute)
            if name in OF_FLASK:
                _bring_the_panel(ctx)
            return command

    group = Commands("wa-admin", help="Links one WhatsApp number to your software.", no_args_is_help=True)
    group.params.append(click.Option(["--version"], is_flag=True, help="Show the version and exit."))
    return group


def _bring_the_panel(ctx: click.Context) -> None:
    """Commands of Flask find the application in their context, and say what goes wrong as ours do."""
    from flask.cli import ScriptInfo

    from ..app import create_app
    from .terminal import sentences_for_errors

    if ctx.find_object(ScriptInfo) is None:
        ctx.obj = ScriptInfo(create_app=create_app)
    ctx.with_resource(sentences_for_errors())
