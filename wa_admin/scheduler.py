"""The timetable: what is done how often. It decides nothing itself; every duty is a service's function.

One process follows it at a time. A second one stands by and takes over when the first ends, however it
ends; should two ever run at once, no harm is done, since each duty claims its rows.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import clock, config, leadership, log
from .app import create_app
from .callers import Callers
from .couriers import Couriers
from .extensions import db, will_pass, writing
from .models import Lease
from .services import (
    calls,
    clock_back,
    deliveries,
    doubts,
    gateways,
    group_names,
    inbox,
    incoming_files,
    missed,
    notices,
    outages,
    outbox,
    retention,
    watch,
)
from .services.vitals import LEASE

LEASE_SECONDS = 5.0
FINISH_WITHIN_SECONDS = 10.0
# how often a thread that only waits looks up: CPython may note a signal without waking the main thread
LOOK_UP_SECONDS = 0.2
FREE_AGAIN_SECONDS = 1.0
TROUBLE_AFTER = 3  # failures of one duty in a row

_log = logging.getLogger("wa_admin.scheduler")

Duty = Callable[[], object]
Entry = tuple[str, float, Duty]  # its name, the seconds between two runs, and what is run


def timetable(health_check_seconds: float) -> list[Entry]:
    return [
        ("clock_back.mend", 15, clock_back.mend),
        ("deliveries.settle_leases", 15, deliveries.settle_leases),
        ("deliveries.expire", 15, deliveries.expire),
        ("doubts.look", 3, doubts.look),
        ("inbox.read_left_over", 2, inbox.read_left_over),
        ("missed.ask", 600, lambda: missed.ask(clock.now())),
        ("inbox.forget_old", 3600, lambda: inbox.forget_old(clock.now())),
        ("calls.forget_old", 3600, lambda: calls.forget_old(clock.now())),
        ("incoming_files.fetch", 2, incoming_files.fetch),
        ("group_names.ask", 10, group_names.ask),
        ("retention.tidy", 3600, retention.tidy),
        ("retention.forget_keys", 3600, retention.forget_keys),
        ("outbox.forget_old", 3600, lambda: outbox.forget_old(clock.now())),
        ("watch.poll_links", 2, watch.poll_links),
        ("watch.expire_codes", 2, watch.expire_codes),
        ("outages.look", 2, outages.look),
        ("notices.tell", 2, notices.tell),
        ("watch.reconnect_due", 5, watch.reconnect_due),
        ("watch.look_for_lost_gateways", 3, watch.look_for_lost_gateways),
        ("watch.age", 3, lambda: watch.age(clock.now())),
        # what it takes belongs to the time within which a gateway that is gone is told
        ("watch.reconcile", 0.9 * health_check_seconds, watch.reconcile),
    ]


def main() -> None:
    os.umask(0o077)
    try:
        app = create_app()
    except config.BadSetting as error:
        log.give_up(error)
    log.set_up(app.config["SETTINGS"].log_format)
    run(app)


def run(app: Flask, more: Sequence[Entry] = ()) -> None:
    """Stand by until no other scheduler leads, then follow the timetable, and `more` duties, until SIGTERM or
    SIGINT. When the lead is lost, stand by again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with app.app_context():
        claim = leadership.claim_on(db.engine, app.config["SETTINGS"].data_dir)
    try:
        while True:
            _stand_by(claim)
            try:
                _lead(app, claim, more)
            except SQLAlchemyError as error:
                if not will_pass(error):
                    raise
                _log.warning("the database is busy or away (%s): standing by", type(error).__name__)
                time.sleep(FREE_AGAIN_SECONDS)
            finally:
                claim.give_up()
    except SystemExit:
        _log.info("scheduler stopped")


def _stand_by(claim: leadership.Claim) -> None:
    if not claim.take():
        _log.info("another scheduler leads: standing by")
        while not claim.take():
            time.sleep(LOOK_UP_SECONDS)


def _lead(app: Flask, claim: leadership.Claim, more: Sequence[Entry]) -> None:
    with app.app_context():
        gateways.ensure()  # where none of the processes was started by `up`
    leader = Leader(app, claim.stands)
    try:
        leader.start([*timetable(app.config["SETTINGS"].health_check_seconds), *more])
        while claim.is_held():
            time.sleep(LOOK_UP_SECONDS)
        _log.warning("the lead is lost, or cannot be confirmed: everything stops")
    finally:
        leader.stop()


class Leader:
    """Runs the duties, each on a thread and in an application context of its own, and sends off couriers.

    It begins nothing while the lead does not `stand`: one that was frozen wakes up in the midst of its work.
    """

    def __init__(
        self, app: Flask, stands: Callable[[], bool] = lambda: True, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._app = app
        self._stands = stands
        self._lease_seconds = lease_seconds
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            # a duty that is late runs late: the default drops it after one second
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._couriers = Couriers(app, self._run, stands)
        self._callers = Callers(app, stands)
        self._is_stopping = False
        self._running: set[str] = set()
        self._failures: Counter[str] = Counter()  # in a row

    def start(self, duties: list[Entry]) -> None:
        """Run every duty now and from then on, and renew the lease."""
        duties = [
            *duties,
            ("callers.round", 1, self._callers.round),
            ("renew_lease", self._lease_seconds, self._renew_lease),
        ]
        self._scheduler.add_executor(ThreadPoolExecutor(len(duties)))  # none waits for another
        for name, seconds, duty in duties:
            self._scheduler.add_job(
                self._follow, "interval", [name, duty], id=name, seconds=seconds, next_run_time=clock.now()
            )
        self._scheduler.start()
        self._couriers.start()
        _log.info("scheduler leads")

    def stop(self) -> None:
        """Begin nothing more, and let what is in flight finish."""
        self._is_stopping = True
        self._scheduler.shutdown(wait=False)
        self._couriers.stop()
        self._callers.stop()
        deadline = time.monotonic() + FINISH_WITHIN_SECONDS
        while self._is_busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._is_busy():
            duties = ", ".join(self._running) or "messages or webhooks that nobody has answered"
            _log.warning("not finished after %d s: %s", FINISH_WITHIN_SECONDS, duties)
            try:
                self._couriers.abandon()
            finally:
                os._exit(1)  # threads that wait for a gateway would hold us up
        self._callers.close()
        with self._app.app_context():
            gateways.close_all()
            db.engine.dispose()

    def _is_busy(self) -> bool:
        have_returned = self._couriers.have_returned() and self._callers.have_returned()
        return bool(self._running) or not have_returned

    def _follow(self, name: str, duty: Duty) -> None:
        if self._stands():
            self._run(name, duty)

    def _run(self, name: str, duty: Duty) -> None:
        self._running.add(name)  # first: who stops looks at what runs after saying so
        began = time.monotonic()
        try:
            if self._is_stopping:
                return
            with self._app.app_context():
                duty()
        except Exception:
            self._note_failure(name)
        else:
            if failures := self._failures.pop(name, 0):
                _log.info("%s works again, after %d failures", name, failures)
        finally:
            self._running.discard(name)
            _log.debug("%s took %.3f s", name, time.monotonic() - began)

    def _note_failure(self, name: str) -> None:
        """With its traceback, but not twice a second for ever."""
        self._failures[name] += 1
        count = self._failures[name]
        if count in (1, 10, 100) or count % 1000 == 0:
            _log.exception("%s failed, for time number %d in a row", name, count)

    def _renew_lease(self) -> None:
        """Say that the timetable is followed, and by whom; not while a duty keeps failing."""
        if any(count >= TROUBLE_AFTER for count in self._failures.values()):
            return
        with writing(alone=False):
            lease = db.session.get(Lease, LEASE) or Lease(name=LEASE)
            lease.holder, lease.renewed_at = leadership.name_of_process(), clock.now()
            db.session.add(lease)


def _end(*_: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


if __name__ == "__main__":
    main()
