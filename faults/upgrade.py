"""What an earlier version wrote is brought up to date: R25 of docs/promises.md."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

import released
from flask_migrate import Migrate, upgrade
from sqlalchemy import Engine, MetaData, select

from wa_admin import create_app
from wa_admin.extensions import db, writing_scope

from .outcome import Figure, Outcome
from .place import Make

FIRST_RELEASED = "0001"  # 0.1.0
MESSAGES = 100_000

Contents = dict[str, tuple[list[str], str]]  # by table: its columns, and one word for all that is in them


def keeps_everything(make: Make) -> Outcome:
    """R25: a hundred thousand messages with their attempts, receipts and events, and rows in every table."""
    environ = make.empty()
    app = create_app(environ)
    Migrate(app, db, directory=app.config["MIGRATIONS"])
    with app.app_context():
        upgrade(revision=FIRST_RELEASED)
        with writing_scope():
            released.fill(db.engine, MESSAGES)
        before = _contents(db.engine)
        db.engine.dispose()
        began = time.monotonic()
        upgrade()
        took = time.monotonic() - began
        after = _contents(db.engine, before)
        db.engine.dispose()
    changed = sum(after.get(table) != found for table, found in before.items())
    figures = [
        Figure("tables with a row that differs", changed, 0),
        Figure("the upgrade took, seconds", took),
    ]
    if "WA_DATABASE_URL" not in environ:
        copied = _messages_in_copy(Path(environ["WA_DATA_DIR"]))
        figures.append(Figure("messages in the copy of before", copied, MESSAGES, is_least=True))
    return Outcome(figures=figures)


def _contents(engine: Engine, known: Contents | None = None) -> Contents:
    """Of every table, or of the tables and columns that are known."""
    metadata = MetaData()
    metadata.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name in released.APART or (known is not None and table.name not in known):
                continue
            names = known[table.name][0] if known else [column.name for column in table.c]
            rows = select(*(table.c[name] for name in names)).order_by(*table.primary_key)
            word = hashlib.sha256()
            for row in connection.execute(rows, execution_options={"yield_per": 1000}):
                word.update(repr(tuple(row)).encode())
            found[table.name] = names, word.hexdigest()
    return found


def _messages_in_copy(data_dir: Path) -> int:
    copies = list(data_dir.glob("before-*.db"))
    if not copies:
        return 0
    copy = sqlite3.connect(copies[0])
    try:
        (count,) = copy.execute("SELECT count(*) FROM message").fetchone()
        return int(count)
    finally:
        copy.close()
