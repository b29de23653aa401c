"""Where a scenario happens: data, database and phone of its own, and the processes that it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from databases import Memory
from locked_database import locked
from psycopg.errors import DeadlockDetected
from running_panel import RunningPanel, free_port
from running_scheduler import RunningScheduler
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from wa_admin import clock, create_app, up
from wa_admin.app import vault
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Message, MessageStatus, Status, WhatsAppSession
from wa_admin.services import api_keys, deliveries, gateways, outbox

from .outcome import Figure, Outcome
from .phone import Phone

KEY = "gateway-key-of-the-fault-runs"
SEND_SECONDS = 1.5
SCHEDULER = "wa_admin.scheduler"
ENDED = {MessageStatus.FAILED, MessageStatus.UNCERTAIN, MessageStatus.CANCELLED, MessageStatus.EXPIRED}


class Place:
    """Of one scenario; `close()` ends all that runs in it. A gateway of kind `bundled` takes references, so
    that a message may be handed over again; one of kind `evolution` does not."""

    def __init__(self, data_dir: Path, *, pace_seconds: float = 0, kind: str = "bundled") -> None:
        self.data_dir = data_dir
        self.phone = Phone()
        self.accepted: dict[str, float] = {}  # text: when, monotonic
        self.environ = {
            "WA_SEND_INTERVAL_SECONDS": str(pace_seconds),
            "WA_MAX_SESSIONS": "10",
            "WA_GATEWAY_KEY": KEY,
            "WA_API_CALLS_PER_MINUTE": "1000000",
        }
        url = {"WA_GATEWAY_URL": f"http://127.0.0.1:{self.phone.port}", "WA_GATEWAY_KIND": kind}
        self.environ |= url if kind != "bundled" else {"WA_GATEWAY_PORT": str(self.phone.port)}
        self._begun: list[RunningPanel | RunningScheduler | Worker] = []
        plain = {name: os.environ[name] for name in ("WA_DATABASE_URL",) if name in os.environ}
        self.app = create_app(plain | {"WA_DATA_DIR": str(data_dir)} | self.environ)
        self._context = self.app.app_context()
        self._context.push()
        self.engine = db.engine
        gateways.ensure()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        for one in self._begun:
            one.close() if isinstance(one, RunningPanel | Worker) else one.kill()
        self.phone.stop()
        gateways.close_all()
        db.session.remove()
        db.engine.dispose()
        self._context.pop()

    # --- what there is ---

    def session(self, name: str = "Support line", gateway_id: int | None = None) -> int:
        """Linked and connected; its id."""
        now = clock.now()
        with writing():
            row = WhatsAppSession(
                workspace_id=1,
                gateway_id=gateway_id or gateways.of_workspace().id,
                name=name,
                name_key=name.casefold(),
                session_id=name.casefold().replace(" ", "_"),
                status=Status.CONNECTED,
                linked_number="6281234567890",
                linked_at=now,
                connected_at=now,
                checked_at=now,
                status_at=now,
                is_default=WhatsAppSession.count(1) == 0,
                created_at=now,
                updated_at=now,
            )
            db.session.add(row)
        return row.id

    def gateway_at(self, port: int) -> int:
        """One more, which knows nothing of references; its id."""
        with writing():
            row = gateways.new(
                kind="evolution",
                name=f"Gateway {port}",
                base_url=f"http://127.0.0.1:{port}",
                allow_private=True,
                sealed_key=vault().seal(KEY),
                capabilities="qr",
            )
            db.session.add(row)
        return row.id

    def panel(self) -> RunningPanel:
        _, key = api_keys.issue(1, f"faults {len(self._begun)}", actor="cli")
        panel = RunningPanel(self.data_dir, key, **self.environ)
        self._begun.append(panel)
        return panel

    def scheduler(
        self, data_dir: Path | None = None, program: str = SCHEDULER, **environ: str
    ) -> RunningScheduler:
        log = self.data_dir / f"scheduler-{len(self._begun)}.log"
        environ = {"WA_PORT": str(free_port())} | self.environ | environ  # where nobody is told anything
        scheduler = RunningScheduler(data_dir or self.data_dir, log, program, **environ)
        self._begun.append(scheduler)
        return scheduler

    def other_machine(self) -> Path:
        """The data directory of a second one, which shares the database and the keys."""
        return Path(shutil.copytree(self.data_dir, self.data_dir.with_name(f"{self.data_dir.name}-other")))

    def worker(self) -> Worker:
        worker = Worker(self.run("drain"))
        self._begun.append(worker)
        return worker

    def run(self, what: str, seconds: float = SEND_SECONDS) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "faults.worker", what, str(seconds)],
            env=os.environ | {"WA_DATA_DIR": str(self.data_dir), "WA_ENGINE": "simulator"} | self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """Nobody can store a message or a webhook for so long; leaving waits for its end."""
        if self.is_sqlite:
            with locked(self.data_dir, seconds):
                yield
            return
        with self.engine.connect() as connection:
            _lock_the_queues(connection)
            end = threading.Timer(seconds, connection.rollback)
            end.start()
            yield
            end.join()

    # --- messages ---

    def accept(self, count: int, session: str = "Support line", recipients: int = 1000) -> list[str]:
        """Texts, all different, in the order in which they were accepted."""
        run = new_token()[:8]
        texts = [f"{run} {number}" for number in range(count)]
        for number, text in enumerate(texts):
            to = f"+62812{number % recipients:08}"
            outbox.send(1, to, text, session_name=session, source="faults")
            self.accepted[text] = time.monotonic()
        return texts

    def take_up_what_was_left(self) -> None:
        """As the scheduler would once the leases have run out, and the waits are over."""
        past = clock.now() - timedelta(seconds=1)
        with writing():
            db.session.query(Message).filter_by(status=MessageStatus.SENDING).update({"lease_until": past})
        deliveries.settle_leases()
        with writing():
            db.session.query(Message).filter_by(status=MessageStatus.QUEUED).update({"next_at": past})

    def statuses(self) -> dict[str, MessageStatus]:
        with self.engine.connect() as connection:
            return dict(connection.execute(db.select(Message.body, Message.status)).all())  # type: ignore[arg-type]

    def has_settled(self) -> bool:
        on_record = Counter(self.statuses().values())
        return not on_record[MessageStatus.QUEUED] + on_record[MessageStatus.SENDING]

    def outcome(self, *figures: Figure) -> Outcome:
        """What became of all that was accepted."""
        times = Counter(arrival.text for arrival in self.phone.arrived)
        first = {arrival.text: arrival.at for arrival in reversed(self.phone.arrived)}
        statuses = self.statuses()
        came = [text for text in self.accepted if text in times]
        return Outcome(
            accepted=len(self.accepted),
            delivered=len(came),
            double=sum(times[text] - 1 for text in came),
            lost=sum(statuses.get(text) not in ENDED for text in self.accepted if text not in times),
            uncertain=sum(status == MessageStatus.UNCERTAIN for status in statuses.values()),
            max_latency_seconds=max((first[text] - self.accepted[text] for text in came), default=0.0),
            figures=list(figures),
        )


class Worker:
    """Drains when it is told to, in a process of its own each time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = 0  # of the one that drains
        self._read()

    def drain(self, crash_at: str = "", seconds: float = 0, at_once: int = 1) -> int:
        """Until nothing is due, and for so long. How it ended: 0, 137 at a marked point, -9 when killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds} {at_once} {crash_at}\n")
        self._process.stdin.flush()
        self.pid = int(self._read())
        return int(self._read())

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(20)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Make:
    """`with make(pace_seconds=1) as place`: one on a copy of a migrated data directory. On SQLite several may
    be at work at once."""

    def __init__(self, root: Path, memory: Memory | None = None) -> None:
        self._root, self._memory = root, memory
        self._numbers = count(1)

    def empty(self) -> dict[str, str]:
        """The settings of a panel before its first start, with a database of its own."""
        environ = {"WA_DATA_DIR": str(self._root / f"empty-{next(self._numbers)}")}
        if self._memory is not None:
            environ["WA_DATABASE_URL"] = self._memory.server.create("empty")
        return environ

    @contextmanager
    def __call__(self, *, pace_seconds: float = 0, kind: str = "bundled") -> Iterator[Place]:
        data_dir = self._root / f"place-{next(self._numbers)}"
        shutil.copytree(self._root / "migrated", data_dir)
        if self._memory is not None:
            self._memory.put_back()
        place = Place(data_dir, pace_seconds=pace_seconds, kind=kind)
        try:
            yield place
        finally:
            place.close()


def _lock_the_queues(connection: Connection) -> None:
    """Among running programs, which take these tables in an order of their own: till no deadlock is met."""
    while True:
        try:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.exec_driver_sql("LOCK TABLE message, hook_call IN EXCLUSIVE MODE")
            return
        except OperationalError as error:
            connection.rollback()
            if not isinstance(error.orig, DeadlockDetected):
                raise


def migrate(data_dir: Path) -> None:
    """Every migration once, on this directory and, with WA_DATABASE_URL, on that database."""
    plain = {name: os.environ[name] for name in ("WA_DATABASE_URL",) if name in os.environ}
    app = create_app(plain | {"WA_DATA_DIR": str(data_dir)})
    with app.app_context():
        up.prepare()
        db.engine.dispose()
