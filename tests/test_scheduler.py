"""One leader at a time, each duty on its own, nothing left undone at the end."""

import os
import signal
import threading
import time
from datetime import timedelta

import pytest
from forked import run, start
from locked_database import locked
from running_panel import free_port
from running_scheduler import RunningScheduler
from sqlalchemy.orm import Session
from waiting import PATIENCE_SECONDS, until

from wa_admin import clock
from wa_admin.extensions import db
from wa_admin.models import Lease
from wa_admin.scheduler import LEASE, Leader


@pytest.fixture
def leader(app):
    leader = Leader(app)
    yield leader
    leader.stop()


@pytest.fixture
def lease(app):
    """The lease as it is in the database now."""

    def read():
        with Session(db.engine) as session:  # which holds no connection when the leader closes them all
            return session.get(Lease, LEASE)

    return read


def test_every_duty_runs_at_once_and_again(leader):
    runs = []
    leader.start([("count", 0.05, lambda: runs.append(1))])
    assert until(lambda: len(runs) >= 3)


@pytest.mark.sqlite
def test_a_locked_database_is_waited_for_and_then_led_on(data_dir, tmp_path):
    run(["-c", ""], {})  # what forks takes some seconds to load, and the lock is not held for long
    with locked(data_dir, 8):
        scheduler = RunningScheduler(data_dir, tmp_path / "log", WA_PORT=str(free_port()))
    try:
        assert until(scheduler.leads), scheduler.said()
        assert "busy or away" in scheduler.said()
    finally:
        scheduler.kill()


def test_a_duty_runs_in_a_context_of_its_own(leader):
    sessions = set()
    leader.start([("look", 0.05, lambda: sessions.add(id(db.session())))])
    assert until(lambda: sessions)
    assert id(db.session()) not in sessions


def test_a_duty_that_fails_stops_neither_itself_nor_others(leader, caplog):
    failures, runs = [], []

    def fail():
        failures.append(1)
        raise ValueError("broken")

    leader.start([("fail", 0.05, fail), ("count", 0.05, lambda: runs.append(1))])
    assert until(lambda: len(failures) >= 4 and len(runs) >= 4)
    assert [record for record in caplog.records if record.exc_info and "fail failed" in record.message]


def test_a_failure_twice_a_second_does_not_fill_the_log(leader, caplog):
    failures = []

    def fail():
        failures.append(1)
        raise ValueError("broken")

    leader.start([("fail", 0.02, fail)])
    assert until(lambda: len(failures) > 10)
    told = [record.args[-1] for record in caplog.records if record.exc_info]
    assert [count for count in told if count <= 10] == [1, 10]


def test_a_slow_duty_holds_up_no_other_and_is_never_run_twice_at_once(leader):
    release, slow, runs = threading.Event(), [], []

    def wait():
        slow.append(1)
        release.wait(60)

    leader.start([("slow", 0.05, wait), ("count", 0.05, lambda: runs.append(1))])
    assert until(lambda: len(runs) >= 5)
    assert len(slow) == 1
    release.set()


def test_the_lease_says_who_leads(leader, lease):
    leader.start([])
    assert until(lambda: lease() is not None)
    assert lease().holder.endswith(f":{os.getpid()}")
    assert clock.now() - lease().renewed_at < timedelta(minutes=1)


def test_the_lease_runs_out_while_a_duty_keeps_failing(app, lease):
    failures = []

    def fail():
        failures.append(1)
        raise ValueError("broken")

    leader = Leader(app, lease_seconds=0.05)
    leader.start([("fail", 0.05, fail)])
    assert until(lambda: len(failures) >= 4)
    failed_at = clock.now()
    time.sleep(0.3)
    leader.stop()
    assert lease().renewed_at < failed_at


def test_stopping_lets_a_duty_finish(app):
    leader = Leader(app)
    begun, finished = threading.Event(), []

    def work():
        begun.set()
        time.sleep(0.3)
        finished.append(1)

    leader.start([("work", 60, work)])
    assert begun.wait(PATIENCE_SECONDS)
    leader.stop()
    assert finished == [1]


@pytest.fixture
def start_scheduler(data_dir, tmp_path):
    """Real processes on one data directory, each with a log of its own."""
    started = []

    def start_one(name):
        log = tmp_path / f"{name}.log"
        environ = {**os.environ, "WA_DATA_DIR": str(data_dir), "WA_GATEWAY_PORT": "9"}
        with log.open("w") as stderr:
            process = start(["-m", "wa_admin.scheduler"], environ, stderr=stderr)
        process.said = log.read_text
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def test_a_second_scheduler_stands_by_and_takes_over_at_once(start_scheduler):
    first = start_scheduler("first")
    assert until(lambda: "scheduler leads" in first.said())
    second = start_scheduler("second")
    assert until(lambda: "standing by" in second.said())
    first.kill()
    assert until(lambda: "scheduler leads" in second.said())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start_scheduler, number):
    process = start_scheduler("only")
    assert until(lambda: "scheduler leads" in process.said())
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert "scheduler stopped" in process.said()


def test_one_that_stands_by_ends_too(start_scheduler):
    first = start_scheduler("first")
    assert until(lambda: "scheduler leads" in first.said())
    second = start_scheduler("second")
    assert until(lambda: "standing by" in second.said())
    second.terminate()
    assert second.wait(PATIENCE_SECONDS) == 0
