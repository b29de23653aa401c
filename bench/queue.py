"""What it costs to take the next message from a long queue, beside a short one, on both databases."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, insert

from wa_admin import clock as wa_clock
from wa_admin.crypto import new_token
from wa_admin.extensions import db, writing
from wa_admin.models import Delivery, Message, MessageStatus, WhatsAppSession
from wa_admin.services import deliveries, progress

from . import postgresql, subjects
from .figure import Figure, clock

SHORT, LONG, CLAIMS = 100, 10_000, 50
TURNS = 3


def figures(place: Path) -> Iterator[Figure]:
    yield from _on("sqlite", subjects.Panel(place / "sqlite", WA_SEND_INTERVAL_SECONDS="0"))
    with postgresql.server() as server:
        url = server.create("queue")
        panel = subjects.Panel(place / "postgresql", WA_DATABASE_URL=url, WA_SEND_INTERVAL_SECONDS="0")
        yield from _on("postgresql", panel)
        panel.close()


def _on(database: str, panel: subjects.Panel) -> Iterator[Figure]:
    with panel.app.app_context():
        turns = [[_claims(panel.session_id, length) for length in (SHORT, LONG)] for _ in range(TURNS)]
    (short, _), (long, seconds) = (
        map(min, zip(*of_length, strict=True)) for of_length in zip(*turns, strict=True)
    )
    yield Figure(f"claim_{database}_from_10000_per_100", long / short, 1.2, 1.5)
    yield clock(f"claim_{database}_milliseconds", seconds * 1000, 2.0)


def _claims(session_id: int, length: int) -> tuple[float, float]:
    """Of one claim from a queue so long: CPU seconds, of those that were disturbed least; and the median of
    the seconds on the clock."""
    _queue(session_id, length)
    cpu, wall = [], []
    for _ in range(CLAIMS):
        backend = postgresql.backend()
        before, began = postgresql.cpu_with_ours(backend), time.perf_counter()
        assert len(deliveries.claim([session_id])) == 1
        wall.append(time.perf_counter() - began)
        cpu.append(postgresql.cpu_with_ours(backend) - before)
    return statistics.quantiles(cpu, n=4)[0], statistics.median(wall)


def _queue(session_id: int, length: int) -> None:
    now = wa_clock.now()
    usual = {
        "workspace_id": 1,
        "session_id": session_id,
        "session_name": "Bench",
        "source": "bench",
        "body": subjects.MESSAGE["message"],
        "status": MessageStatus.QUEUED,
        **dict.fromkeys(("next_at", "queued_at", "created_at", "status_at"), now),
    }
    people = [f"62812{number:08}" for number in range(length)]
    rows = [usual | {"typed": to, "recipient": to, "reference": new_token()} for to in people]
    with writing():
        for model in (Delivery, Message):
            db.session.execute(delete(model))
        db.session.execute(insert(Message), rows)
        db.session.get_one(WhatsAppSession, session_id).waiting_count = 0
        progress.count_waiting(session_id, length)
    postgresql.settle()
