"""Copies of databases that are written to at the same time."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import namedtuple

import pytest

from wa_admin.backups import sqlite

HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT count(*) FROM pair").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["WAL", "DELETE"])
def pairs(request, tmp_path):
    """Two columns that are always the same, on many pages."""
    path = tmp_path / "pairs with ?#% in its name.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA journal_mode={request.param}")
        db.execute("CREATE TABLE pair (one INTEGER, other INTEGER, rest BLOB)")
        db.executemany("INSERT INTO pair VALUES (0, 0, ?)", [(b"x" * 3000,)] * 2000)
    db.close()
    return path


def rows(path):
    db = sqlite3.connect(path)
    found = db.execute("SELECT count(*), min(one), max(one), min(other), max(other) FROM pair").fetchone()
    db.close()
    return found


def test_a_copy_is_of_one_moment_while_another_connection_writes(pairs, tmp_path):
    over = threading.Event()

    def write():
        db = sqlite3.connect(pairs, timeout=20)
        while not over.is_set():
            with db:
                db.execute("UPDATE pair SET one = one + 1, other = other + 1")
        db.close()

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(3):
        sqlite.copy(pairs, tmp_path / f"copy-{number}")
    over.set()
    writer.join()
    for number in range(3):
        count, *values = rows(tmp_path / f"copy-{number}")
        assert count == 2000 and len(set(values)) == 1


def test_what_is_only_in_the_log_is_in_the_copy(tmp_path):
    db = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; CREATE TABLE pair (one, other); INSERT INTO pair VALUES (7, 7)"
    )
    sqlite.copy(tmp_path / "one.db", tmp_path / "copy.db")
    db.close()
    assert rows(tmp_path / "copy.db") == (1, 7, 7, 7, 7)


def test_progress_is_told_up_to_the_end(pairs, tmp_path):
    told = []
    sqlite.copy(pairs, tmp_path / "copy.db", lambda done, of: told.append((done, of)))
    assert len(told) > 1 and told[-1][0] == told[-1][1] >= pairs.stat().st_size


def test_a_damaged_database_is_refused_and_leaves_no_copy(pairs, tmp_path):
    with pairs.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 200_000)
    with pytest.raises(sqlite.DamagedDatabase):
        sqlite.copy(pairs, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_full_disk_is_refused_before_anything_is_written(pairs, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(sqlite.NoRoom):
        sqlite.copy(pairs, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_database_that_another_process_holds_open_is_noticed(tmp_path):
    path = tmp_path / "one.db"
    with sqlite3.connect(path) as db:
        db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE pair (one, other)")
    db.close()
    assert not sqlite.is_open_elsewhere(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "open\n"
        assert sqlite.is_open_elsewhere(path)
        holder.stdin.close()
    assert not sqlite.is_open_elsewhere(path)
