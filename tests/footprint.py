"""What is in all tables, so that a test can say that nothing of it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

from sqlalchemy import Dialect, select

from wa_admin.extensions import Base, db

LOOKED_AT = ("api_key.last_used_at", "gateway.hook_seen_at")  # that somebody came is noted, whatever for


def footprint(leave_out: Iterable[str] = ()) -> dict[str, tuple[int, str]]:
    """How many rows each table has, and a hash of them; but those tables and columns."""
    db.session.rollback()
    found = {}
    connection = db.session.connection()
    for name, statement in _statements(connection.dialect, frozenset((*LOOKED_AT, *leave_out))):
        rows = sorted(map(repr, connection.exec_driver_sql(statement)))
        found[name] = len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


@cache
def _statements(dialect: Dialect, left_out: frozenset[str]) -> list[tuple[str, str]]:
    """Written out once: to compile them takes longer than to run them."""
    found = []
    for table in Base.metadata.sorted_tables:
        if table.name not in left_out:
            columns = [column for column in table.columns if f"{table.name}.{column.name}" not in left_out]
            found.append((table.name, str(select(*columns).compile(dialect=dialect))))
    return found
