"""A database as an earlier release left it: rows in every table that its schema has, and what is in them."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache

import sqlalchemy as sa

BEGAN = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
FEW = 3
MANY = ("message", "delivery", "receipt", "event")  # as many as there are messages
APART = {"alembic_version"}
WORDS = re.compile(r"'([^']+)'")


def fill(engine, messages):
    """Rows in every table, so many in those that grow with the messages."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name in APART:
                continue
            count = messages if table.name in MANY else FEW
            there = connection.scalar(sa.select(sa.func.count()).select_from(table))
            rows = [_row(table, number) for number in range(there + 1, count + 1)]
            for first in range(0, len(rows), 5000):
                connection.execute(sa.insert(table), rows[first : first + 5000])


def content(engine, columns=None):
    """Every row of every table, ordered; only of these columns, by table, where they are given."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name in APART or (columns is not None and table.name not in columns):
                continue
            names = columns[table.name] if columns else tuple(table.c.keys())
            rows = connection.execute(
                sa.select(*(table.c[name] for name in names)).order_by(*table.primary_key)
            )
            found[table.name] = (names, [tuple(row) for row in rows])
    return found


def _row(table, number):
    return {
        column.name: _value(table, column, number)
        for column in table.c
        if not (column.nullable and number % 2 and not column.primary_key)
    }


def _value(table, column, number):
    if (words := _allowed(table, column.name)) is not None:
        return words[number % len(words)]
    if column.foreign_keys:
        return (
            number
            if column.primary_key or table.name in ("delivery", "receipt") and column.name == "message_id"
            else 1 + number % FEW
        )
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return column.name != "is_default" and number % 2 == 0
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, sa.Float):
        return number / 4
    if isinstance(kind, sa.DateTime):
        return _moment(column, BEGAN + timedelta(seconds=number, microseconds=number))
    if isinstance(kind, sa.Date):
        return (BEGAN + timedelta(days=number)).date()
    if isinstance(kind, sa.JSON):
        return {"number": number, "text": "§ „x“ 🙂"}
    if isinstance(kind, sa.LargeBinary):
        return bytes([number % 256]) * 40
    return f"{table.name} {column.name} {number} – ‚ä‘ 🙂"[: getattr(kind, "length", None) or 200]


def _moment(column, moment):
    """SQLite keeps no zones: UTC, as the panel writes it."""
    return moment if getattr(column.type, "timezone", False) else moment.replace(tzinfo=None)


@cache
def _allowed(table, column):
    for check in table.constraints:
        if isinstance(check, sa.CheckConstraint):
            text = str(check.sqltext)
            if re.match(rf"\W*{column}\b", text):
                return WORDS.findall(text.partition("IN" if " IN " in text else "ANY")[2])
    return None
