"""pg_dump and pg_restore: the password goes through the environment, which no list of processes shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import create_engine, inspect, make_url

from ..refusal import Refusal
from .archive import Progress

# what libpq calls otherwise than the address does
NAMES = {
    "sslrootcert": "PGSSLROOTCERT",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


class NoTool(Refusal):
    code = "no_tool"

    def __init__(self, tool: str) -> None:
        super().__init__(
            f"{tool} is not installed here: install PostgreSQL's client programs, on Debian and Ubuntu with "
            "`apt install postgresql-client`, in the version of the server or a newer one."
        )


class ToolFailed(Refusal):
    code = "tool_failed"

    def __init__(self, tool: str, said: str) -> None:
        super().__init__(f"{tool} failed: {' '.join(said.split())[:500] or 'it gave no reason'}")


class NotEmpty(Refusal):
    code = "database_not_empty"

    def __init__(self, count: int) -> None:
        super().__init__(
            f"The database of WA_DATABASE_URL holds {count} tables. A backup is restored into an empty one: "
            "make one with `createdb`, and name it in WA_DATABASE_URL."
        )


def dump(url: str, target: Path, progress: Progress) -> None:
    """Everything in pg_dump's own format, of one moment. Raises NoTool, ToolFailed."""
    progress("database", 0, 1)
    # compressed with all the rest
    _run(
        url, "pg_dump", "--format=custom", "--compress=0", "--no-owner", "--no-privileges", f"--file={target}"
    )
    progress("database", 1, 1)


def load(url: str, source: Path) -> None:
    """All of it or nothing. Raises NoTool, ToolFailed."""
    database = make_url(url).database or ""
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    _run(url, "pg_restore", *options, f"--dbname={database}", str(source))


def check_empty(url: str) -> None:
    """Raises NotEmpty, NoTool."""
    if shutil.which("pg_restore") is None:
        raise NoTool("pg_restore")
    engine = create_engine(url)
    try:
        if tables := inspect(engine).get_table_names():
            raise NotEmpty(len(tables))
    finally:
        engine.dispose()


def _run(url: str, tool: str, *options: str) -> None:
    if shutil.which(tool) is None:
        raise NoTool(tool)
    done = subprocess.run(
        [tool, *options], env=_environment(url), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise ToolFailed(tool, done.stderr)


def _environment(url: str) -> dict[str, str]:
    told = make_url(url)
    named = {
        "PGHOST": told.host,
        "PGPORT": told.port,
        "PGUSER": told.username,
        "PGPASSWORD": told.password,
        "PGDATABASE": told.database,
    }
    for name, value in told.query.items():
        named["PGHOST" if name == "host" else NAMES.get(name, f"PG{name.upper()}")] = value  # type: ignore[assignment]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WA_")}
    return kept | {name: str(value) for name, value in named.items() if value is not None}
