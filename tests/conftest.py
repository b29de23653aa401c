"""An application on a migrated database of its own, people to use it, and rows to look at."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import databases
import pytest
from databases import POSTGRESQL, SQLITE
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from jinja2 import FileSystemBytecodeCache
from people import PASSWORD
from settings_of_tests import environment
from sqlalchemy import event
from stub_gateway import StubGateway

from wa_admin import clock, create_app
from wa_admin.app import vault
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import AlertChannel, Event, Message, MessageStatus, Reason, Role, Status, WhatsAppSession
from wa_admin.services import alerts, gateways, logins, users

pytest_plugins = ["conformance_table", "security_figures"]
# jsonschema would read its grammar for two seconds in each process, for "iri", which nothing here is
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
NO_GATEWAY = "9"  # a port where nobody listens
# begun first: else a worker is left alone with a long file at the end
LONGEST = (
    "browser",
    "promises",
    "test_wheel.py",
    "test_upgrades.py",
    "test_up.py",
    "fuzz",
    "cli",
    "drivers",
    "test_migrations.py",
    "test_couriers.py",
    "test_scheduler.py",
    "gateway",
    "services",
)


class Browser(FlaskClient):
    """Each request in an application context of its own, as when served: what `g` holds does not last."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("buffered", True)  # what is done after an answer is done when it is here
        with self.application.app_context():
            return super().open(*args, **kwargs)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=[SQLITE, POSTGRESQL, "both"], default=SQLITE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    place = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONGEST.index(place) if place in LONGEST else len(LONGEST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        names = databases.of(metafunc.definition, metafunc.config.getoption("database"))
        if names != [SQLITE]:
            metafunc.parametrize("database", names, indirect=True)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose database went through every migration once; tests copy it."""
    data_dir = tmp_path_factory.mktemp("migrated")
    migrate(create_app(environment(data_dir, WA_GATEWAY_PORT=NO_GATEWAY)))
    return data_dir


@pytest.fixture(scope="session")
def postgresql(migrated: Path) -> Iterator[databases.Memory]:
    """The same on a server of our own; started for the first test that wants it."""
    server = databases.Server()
    url = server.create("tests")
    migrate(create_app(environment(migrated, WA_DATABASE_URL=url, WA_GATEWAY_PORT=NO_GATEWAY)))
    with closing(databases.Memory(server, "tests")) as memory:
        yield memory
    server.remove()


def migrate(app: Flask) -> None:
    from flask_migrate import Migrate, upgrade

    Migrate(app, db, directory=app.config["MIGRATIONS"])
    with app.app_context():
        upgrade()
        gateways.ensure()
        add_people()
        with writing():
            db.session.query(Event).delete()
        db.engine.dispose()


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which one this test runs on, as on its first day; programs it starts find it in their environment."""
    name: str = getattr(request, "param", SQLITE)
    if name == POSTGRESQL:
        memory = request.getfixturevalue("postgresql")
        memory.put_back()
        monkeypatch.setenv("WA_DATABASE_URL", memory.url)
    return name


def add_people() -> None:
    """One of each role; argon2 is slow on purpose, so it runs once for all tests."""
    for role in Role:
        users.add(1, f"{role}@example.com", role.title(), PASSWORD, role, actor="cli")


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled templates lie, for all processes and for the next run as well."""
    if cache := getattr(pytestconfig, "cache", None):
        return Path(cache.mkdir("templates"))
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def data_dir(migrated: Path, tmp_path: Path, database: str) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(migrated, copy)
    return copy


@pytest.fixture
def make_app(data_dir: Path, compiled: Path) -> Iterator[Callable[..., Flask]]:
    made = []

    def make(**more: str) -> Flask:
        made.append(for_tests(create_app(environment(data_dir, **more)), compiled))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            let_go()


def for_tests(app: Flask, compiled: Path) -> Flask:
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    app.test_client_class = Browser
    # compiling the templates is most of what a page costs in a test
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(compiled))
    return app


def let_go() -> None:
    """Nothing of this test's connections, files and memory reaches the next one."""
    forget()
    db.engine.dispose()


def forget() -> None:
    gateways.close_all()
    logins.forget_cached()
    db.session.remove()


@pytest.fixture
def stub() -> Iterator[StubGateway]:
    """A gateway that answers what the test tells it to; `app` uses it when a test asks for both."""
    stub = StubGateway()
    yield stub
    stub.stop()


@pytest.fixture(scope="session")
def shared_apps(
    migrated: Path, compiled: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Flask]:
    """Putting an application together costs more than most tests, so those on one database share one."""
    made: dict[str, Flask] = {}

    def shared() -> Flask:
        where = os.environ.get("WA_DATABASE_URL", "")
        if where not in made:
            copy = tmp_path_factory.mktemp("shared") / "data"
            shutil.copytree(migrated, copy)
            made[where] = for_tests(create_app(environment(copy, WA_GATEWAY_PORT=NO_GATEWAY)), compiled)
        return made[where]

    return shared


@pytest.fixture(scope="session")
def shared_on_postgresql(shared_apps: Callable[[], Flask], postgresql: databases.Memory) -> Iterator[Flask]:
    """Its pool is kept as well: a new connection looks up every table once more."""
    app, spared = shared_apps(), postgresql.spared
    with app.app_context():
        engine = db.engine
    event.listen(engine, "connect", lambda connection, _: spared.add(connection.info.backend_pid))
    event.listen(engine, "detach", lambda connection, _: spared.discard(connection.info.backend_pid))
    yield app
    engine.dispose()


@pytest.fixture
def fresh_app(
    request: pytest.FixtureRequest, shared_apps: Callable[[], Flask], migrated: Path, database: str
) -> Iterator[Flask]:
    """The shared application as on its first day: settings and database are put back."""
    if database == POSTGRESQL:
        shared_app = request.getfixturevalue("shared_on_postgresql")
    else:
        shared_app = shared_apps()
        file = Path(shared_app.instance_path) / "wa-admin.db"
        for left in file.parent.glob("wa-admin.db*"):
            left.unlink()
        shutil.copy(migrated / file.name, file)
    config = dict(shared_app.config)
    yield shared_app
    with shared_app.app_context():
        forget()
        if database == SQLITE:
            db.engine.dispose()
    shared_app.config.clear()
    shared_app.config.update(config)


@pytest.fixture
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """The panel inside its context; one of its own where a test wants its data directory or settings."""
    stub = request.getfixturevalue("stub") if "stub" in request.fixturenames else None
    if {"data_dir", "make_app"} & set(request.fixturenames):
        app = request.getfixturevalue("make_app")(WA_GATEWAY_PORT=str(stub.port) if stub else NO_GATEWAY)
    else:
        app = request.getfixturevalue("fresh_app")
    with app.app_context():
        if stub:
            with writing():
                gateways.of_workspace().base_url = f"http://127.0.0.1:{stub.port}"
        yield app


@pytest.fixture
def on_statement(app: Flask) -> Iterator[Callable[[Callable[..., None]], None]]:
    """Calls what it is given before each statement of this test; the next test has the same engine."""
    heard: list[Callable[..., None]] = []

    def listen(note: Callable[..., None]) -> None:
        event.listen(db.engine, "before_cursor_execute", note)
        heard.append(note)

    yield listen
    for note in heard:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def workspace_id() -> int:
    return 1


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def signed_in(app: Flask, workspace_id: int) -> Callable[[Role], FlaskClient]:
    """A browser of somebody with this role."""

    def sign_in(role: Role) -> FlaskClient:
        client = app.test_client()
        token, who = new_token(), users.find(1, f"{role}@example.com")
        with writing():
            logins.start(token, who.id, workspace_id, address="127.0.0.1", agent="test", now=clock.now())
        with client.session_transaction() as cookie:
            cookie[logins.COOKIE_KEY] = token
        return client

    return sign_in


@pytest.fixture
def admin(signed_in: Callable[[Role], FlaskClient]) -> FlaskClient:
    return signed_in(Role.ADMIN)


@pytest.fixture
def make_session(app: Flask) -> Callable[..., WhatsAppSession]:
    """A session as if it had been linked before; the first one is the default."""

    def make(name: str = "Support line", **columns: Any) -> WhatsAppSession:
        now = clock.now()
        values = {
            "workspace_id": 1,
            "gateway_id": gateways.of_workspace().id,
            "name": name,
            "name_key": name.casefold(),
            "session_id": name.casefold().replace(" ", "_"),
            "status": Status.CONNECTED,
            "reason": None,
            "linked_number": "6281234567890",
            "linked_at": now - timedelta(days=9),
            "connected_at": now - timedelta(hours=1),
            "checked_at": now,
            "status_at": now - timedelta(hours=3),
            "is_default": WhatsAppSession.count(1) == 0,
            "created_at": now - timedelta(days=9),
            "updated_at": now,
        }
        with writing():
            wa_session = WhatsAppSession(**{**values, **columns})
            db.session.add(wa_session)
        return wa_session

    return make


@pytest.fixture
def connected(make_session: Callable[..., WhatsAppSession]) -> WhatsAppSession:
    return make_session()


@pytest.fixture
def unlinked(make_session: Callable[..., WhatsAppSession]) -> WhatsAppSession:
    return make_session(
        status=Status.DISCONNECTED, reason=Reason.NEVER_LINKED, linked_at=None, linked_number=None
    )


@pytest.fixture
def make_message(app: Flask) -> Callable[..., Message]:
    """A message on record, in any state."""

    def make(wa_session: WhatsAppSession, **columns: Any) -> Message:
        now = clock.now()
        values = {
            "workspace_id": 1,
            "session_id": wa_session.id,
            "session_name": wa_session.name,
            "typed": "0812-9999-8888",
            "recipient": "6281299998888",
            "body": "Halo!",
            "source": "key:orders-api",
            "status": MessageStatus.QUEUED,
            "next_at": now if columns.get("status", MessageStatus.QUEUED) == MessageStatus.QUEUED else None,
            "created_at": now,
            "status_at": now,
        }
        with writing():
            message = Message(**{**values, **columns})
            db.session.add(message)
        return message

    return make


@pytest.fixture
def make_channel(app: Flask) -> Callable[..., AlertChannel]:
    """An alert channel as if it had been added before, when apprise was asked in a process of its own."""

    def make(url: str, name: str = "On call", kind: str = "json", **manner: Any) -> AlertChannel:
        manner = vars(alerts.Manner(**{"allow_private": True, **manner}))
        sealed = {"kind": kind, "sealed_url": vault().seal(url)}
        with writing():
            channel = AlertChannel(workspace_id=1, name=name, created_at=clock.now(), **sealed, **manner)
            db.session.add(channel)
        return channel

    return make
