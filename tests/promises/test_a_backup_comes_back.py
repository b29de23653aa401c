"""Real processes: link, save while it runs, lose everything, restore, and be connected without a scan."""

import shutil
import sqlite3
import threading

import pytest
from forked import wa_admin
from running_gateway import wait_until
from simulation import Number, Simulation

PASSPHRASE = "correct horse battery staple"
ARRIVED = ("delivered", "read")

pytestmark = pytest.mark.sqlite


def done(up, *arguments):
    ran = wa_admin(*arguments, environ=up.environ | {"WA_BACKUP_PASSPHRASE": PASSPHRASE})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def statuses(data_dir):
    db = sqlite3.connect(data_dir / "wa-admin.db")
    found = db.execute("SELECT body, status, error_code FROM message ORDER BY id").fetchall()
    db.close()
    return found


@pytest.fixture
def place(tmp_path):
    """Where a running panel is left to, and ended."""
    started = []

    def start(name):
        started.append(Simulation(tmp_path / name))
        return started[-1]

    yield start
    for up in started:
        up.end()


def test_logins_come_back_without_a_code_and_nothing_is_sent_by_itself(place, tmp_path):
    file = tmp_path / "wa-admin.backup"
    up = place("data")
    done(up, "sessions", "add", "main")
    key = next(word for word in done(up, "keys", "add", "tests").split() if word.startswith("wak_"))
    number = Number(up, key)
    number.link()
    number.send("before the backup")
    wait_until(lambda: statuses(tmp_path / "data")[0][1] in ARRIVED)
    number.phone.act("mode", network="down")
    number.phone.act("drop")
    wait_until(lambda: number.status != "connected")
    waiting = [number.send(f"waits {one}") for one in range(3)]

    sending = threading.Thread(target=lambda: [number.send(f"meanwhile {one}") for one in range(20)])
    sending.start()
    assert "logins and gateway" in done(up, "backup", str(file))
    sending.join()

    number.close()
    up.stop()
    shutil.rmtree(tmp_path / "data")
    assert "phones stay linked" in done(up, "restore", str(file))
    number_of_codes = codes_shown(tmp_path / "data")

    again = place("data")
    number = Number(again, key)
    number.phone.act("mode", network="up")
    wait_until(lambda: number.status == "connected")
    assert codes_shown(tmp_path / "data") == number_of_codes  # nobody was asked to scan
    assert not [one for one in number.phone.received() if one["text"] != "before the backup"]
    found = statuses(tmp_path / "data")
    assert found[0][0] == "before the backup" and found[0][1] in ARRIVED
    assert {(state, code) for _, state, code in found[1:]} == {("uncertain", "restored")}

    number.api.post(f"/messages/{waiting[0]}/retry/").raise_for_status()
    number.send("new")
    wait_until(lambda: {one["text"] for one in number.phone.received()} >= {"waits 0", "new"})
    assert "waits 1" not in {one["text"] for one in number.phone.received()}
    number.close()
    again.stop()


def codes_shown(data_dir):
    db = sqlite3.connect(data_dir / "wa-admin.db")
    (count,) = db.execute("SELECT count(*) FROM event WHERE kind IN ('link_started', 'scanned')").fetchone()
    db.close()
    return count
