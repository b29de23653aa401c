"""What a long history costs: the same pages and polls with a thousand rows and with a million, on SQLite and
on PostgreSQL, one half lines that came in, the other messages of ours.

Every look finds as many rows in the short history as in the long one, and those it seeks are spread evenly
over it: what differs is only what lies between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select

from wa_admin import create_app, up
from wa_admin.clock import now
from wa_admin.extensions import db
from wa_admin.models import Line, Message, WhatsAppSession
from wa_admin.services import board, chat_search, chats, conversation, search, stats

from . import postgresql
from .figure import Figure, clock
from .seeding import BEGIN, CHATS, SESSIONS, seed

SHORT, LONG = 1_000, 1_000_000  # rows
ROUNDS = 15
DAY = timedelta(days=1)
COUNTED = ("chart", "today")  # by counters, which a longer history has more of

Look = Callable[[], object]


def figures(place: Path) -> Iterator[Figure]:
    yield from _on("sqlite", lambda name: create_app({"WA_DATA_DIR": str(place / name)}))
    with postgresql.server() as server:

        def app(name: str) -> Flask:
            return create_app(
                {"WA_DATA_DIR": str(place / f"pg-{name}"), "WA_DATABASE_URL": server.create(name)}
            )

        yield from _on("postgresql", app)


def _on(database: str, app: Callable[[str], Flask]) -> Iterator[Figure]:
    short, long = (History(app(f"history-{count}"), count) for count in (SHORT, LONG))
    try:
        yield clock(f"history_{database}_seconds_to_seed", long.seeded_in_seconds)
        for name, taken in costs(short, long).items():
            allowed = 1.2 if name in COUNTED else 2.0
            yield Figure(f"history_{database}_{name}", taken[1] / taken[0], allowed, 1.25 * allowed)
    finally:
        short.close()
        long.close()


def costs(short: History, long: History) -> dict[str, tuple[float, float]]:
    """CPU seconds of each look, in our process and in that of the database, the least of some rounds."""
    pairs = [(name, look, long.looks[name]) for name, look in short.looks.items()]
    taken = {}
    for name, in_short, in_long in pairs:
        times = [(short.cpu_seconds(in_short), long.cpu_seconds(in_long)) for _ in range(ROUNDS)]
        taken[name] = min(one for one, _ in times), min(other for _, other in times)
    return taken


class History:
    """A panel whose database holds so many rows."""

    def __init__(self, app: Flask, count: int) -> None:
        self.app = app
        with app.app_context():
            up.prepare()
            began = time.monotonic()
            seed(count)
            self.seeded_in_seconds = time.monotonic() - began
            self.looks = _looks()

    def cpu_seconds(self, look: Look) -> float:
        with self.app.app_context():
            backend = postgresql.backend()
            before = postgresql.cpu_with_ours(backend)
            look()
            taken = postgresql.cpu_with_ours(backend) - before
            db.session.rollback()
        return taken

    def close(self) -> None:
        with self.app.app_context():
            db.engine.dispose()


def _looks() -> dict[str, Look]:
    """Deep means the last page that is full."""
    newest = {model: db.session.scalar(select(func.max(model.id))) or 0 for model in (Line, Message)}
    middle = (
        db.session.scalars(select(Line.id).where(Line.chat_id == 1, Line.id > newest[Line] // 2)).first() or 0
    )
    deep_message = 2 * board.PAGE
    deep_in_chat = f"{3 * board.PAGE + 30}.{3 * board.PAGE + 30}"
    assert min(newest.values()) > 3 * board.PAGE + 30
    used, quiet = (db.session.get_one(WhatsAppSession, number) for number in (1, SESSIONS))
    today = now()
    return {
        "newest_messages": lambda: board.page(1, None),
        "deep_messages": lambda: board.page(1, None, deep_message),
        "failed_messages": lambda: board.page(1, "failed"),
        "messages_to_look_at": lambda: board.counts(1),
        "newest_of_a_session": lambda: board.latest(used, 10),
        "newest_of_a_quiet_session": lambda: board.latest(quiet, 10),
        "messages_of_a_day": lambda: board.page(1, None, None, search.Search("", BEGIN, BEGIN + DAY)),
        "newest_chats": lambda: chats.listed(1),
        "unread_chats": lambda: chats.unread(1),
        "a_chat": lambda: conversation.page(chats.find(1, 1)),
        "a_chat_deep": lambda: conversation.page(chats.find(1, 1), deep_in_chat),
        "a_chat_from_a_line": lambda: conversation.up_to(chats.find(1, 1), middle),
        "a_quiet_chat": lambda: conversation.page(chats.find(1, CHATS)),
        "poll_of_a_chat": lambda: conversation.version(1, 1),
        "search_for_a_common_word": lambda: chat_search.look_for(1, "lapis"),
        "search_for_a_rare_word": lambda: chat_search.look_for(1, "zirkon"),
        "search_for_nothing": lambda: chat_search.look_for(1, "xylophon"),
        "chart": lambda: stats.days(used, today),
        "today": lambda: stats.today(used, today),
    }  # fmt: skip
