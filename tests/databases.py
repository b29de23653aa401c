"""A PostgreSQL server of one's own for each process of the tests, and which tests run on it.

Tests run on SQLite; those below `ON_BOTH` run on PostgreSQL as well, with `--database=both`. With
`--database=postgresql` all run there that need no file of SQLite.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"
# where it matters which database it is
ON_BOTH = tuple(
    f"{name}."
    for name in (
        "services/test_races",
        "services/test_doubts",
        "services/test_outbox",
        "services/test_safe_repeats",
        "services/test_events",
        "services/test_inbox",
        "services/test_sessions",
        "services/test_spread",
        "services/test_audit",
        "services/test_tidings",
        "services/test_chats",
        "services/test_chat_search",
        "services/test_contacts",
        "services/test_retention",
        "services/test_privacy",
        "services/test_workspaces",
        "services/test_glance",
        "promises/test_nothing_is_sent_twice",
        "promises/test_doubts_are_resolved",
        "blueprints/test_api_messages",
        "blueprints/test_api_odd_values",
        "blueprints/test_messages_search",
        "blueprints/test_workspace_isolation",
        "cli/test_messages",
        "cli/test_db_copy",
        "test_couriers",
        "test_migrations",
        "test_polls",
        "test_probes",
        "test_scheduler",
    )
)
# what a power cut would lose costs most of the time
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
SMALL = (
    "shared_buffers=32MB",
    "max_connections=200",
    "max_wal_size=256MB",
    "wal_level=minimal",
    "max_wal_senders=0",
)
END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND (pid <> ALL(%s) OR state <> 'idle')"
)
PR_SET_PDEATHSIG = 1
START_SECONDS = 30.0


def of(item: Any, option: str) -> list[str]:
    """The databases that a test, or a function that makes tests, is to run on."""
    markers = {marker.name for marker in item.iter_markers()}
    path = item.nodeid.partition("tests/")[2]
    for only in (SQLITE, POSTGRESQL):
        if only in markers:
            return [only]
    if option == "both":
        return [SQLITE, POSTGRESQL] if path.startswith(ON_BOTH) else [SQLITE]
    return [option]


class Server:
    """A cluster in a temporary directory, which only this process reaches; gone with it, however it ends.

    One that is not `careless` keeps on disk what was committed, as those of others do.
    """

    def __init__(self, *, careless: bool = True) -> None:
        self._options = (*(CARELESS if careless else ()), *SMALL, "listen_addresses=")
        # a path that any user may pass through, in memory where the tests have theirs
        place = os.environ.get("PYTEST_DEBUG_TEMPROOT") if careless else None
        self.directory = Path(tempfile.mkdtemp(prefix="wa-pg-", dir=place))
        self._as = _owner()
        if self._as:
            os.chown(self.directory, self._as["user"], self._as["group"])
        self._run("initdb", "--pgdata", str(self._data), "--no-sync", "--auth=trust", "--username=postgres",
                  "--encoding=UTF8", "--locale=C", "--no-instructions")  # fmt: skip
        self.start()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        options = [f"-c{option}" for option in self._options]
        with (self.directory / "log").open("w") as log:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", self._data, "-k", self.directory, *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=_end_with_the_tests,
                cwd="/",
                **self._as,
            )
        self._wait()

    def stop(self) -> None:
        """As an administrator does who is in a hurry: connections are cut."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)

    def remove(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_SECONDS)
        shutil.rmtree(self.directory)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.directory}"

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.directory), user="postgres", dbname=name, autocommit=True)

    def create(self, name: str) -> str:
        """An empty database of this name; its URL."""
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _wait(self) -> None:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError((self.directory / "log").read_text()) from None
                time.sleep(0.02)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([_binary(program), *arguments], check=True, capture_output=True, cwd="/", **self._as)


class Memory:
    """What a database held when it was remembered, and the quickest way back there.

    Emptying some forty tables takes milliseconds, a copy of a database ten times as long; so does the first
    look at them through a new connection, which is why ours stays, and those that are `spared`.
    """

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.url = server, server.url(name)
        self.spared: set[int] = set()  # numbers of server processes
        self._name = name
        self._connection = connection = self._connect()
        with connection.transaction():
            tables = [row[0] for row in connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
            )]  # fmt: skip
            sequences = connection.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall()
            connection.execute("CREATE SCHEMA memory")
            for table in tables:
                connection.execute(f"CREATE TABLE memory.{table} AS TABLE public.{table}")
            filled = [
                table
                for table in tables
                if connection.execute(f"SELECT 1 FROM memory.{table} LIMIT 1").fetchone()
            ]
        self._script = "; ".join([
            *(f"DELETE FROM public.{table}" for table in tables),
            *(f"INSERT INTO public.{table} SELECT * FROM memory.{table}" for table in filled),
            *(
                f"SELECT setval('public.\"{sequence}\"', {last or 1}, {last is not None})"
                for sequence, last in sequences
            ),
        ])  # fmt: skip

    def put_back(self) -> None:
        try:
            self._connection.execute(END_OTHERS, [list(self.spared)])
        except psycopg.OperationalError:  # the server was started again
            self._connection.close()
            self._connection = self._connect()
        self._connection.execute(self._script)

    def close(self) -> None:
        self._connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = self.server.connect(self._name)
        connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
        return connection


def _binary(name: str) -> str:
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    if not found:
        pytest.fail(f"{name} is not here: apt install postgresql", pytrace=False)
    return found


def _owner() -> dict[str, int]:
    """A server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid}


def _end_with_the_tests() -> None:
    """Linux ends us when pytest is killed before it could."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
