"""Run every scenario, print a table and one line of JSON, and fail when a promise is broken."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import databases
from databases import POSTGRESQL, SQLITE

from bench import machine

from . import away, gateway_faults, kills, load, place, upgrade
from .others import Others
from .outcome import BUSY, Figure, Outcome, total

SCENARIOS: dict[str, Callable[[place.Make], Outcome]] = {
    "R1": kills.accepted_is_on_disk,
    "R2": kills.nothing_leaves_twice,
    "R4": gateway_faults.each_in_its_cell,
    "R5": gateway_faults.none_outlives_its_deadline,
    "R6": gateway_faults.order_is_kept,
    "R7": kills.webhooks_are_kept,
    "R11": kills.one_leads,
    "R16": away.locked_is_a_wait,
    "R18": away.status_is_no_older_than_it_says,
    "R19": load.no_hammering,
    "R20": kills.what_began_is_finished,
    "R21": load.many_wait,
    "R23": away.missed_is_caught_up,
    "R25": upgrade.keeps_everything,
}
OF_NO_DATABASE = {"R4", "R5", "R18", "R19", "R23"}  # which it is makes no difference: on SQLite only
MOSTLY_WAIT = {"R16", "R18", "R23", "R25"}  # all at once, where each has a database of its own, as R25 always


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL, "both"], default=SQLITE)
    parser.add_argument("scenarios", nargs="*", metavar="R", help=f"some of {', '.join(SCENARIOS)}")
    wanted = parser.parse_args()
    if unknown := set(wanted.scenarios) - set(SCENARIOS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    names = [SQLITE, POSTGRESQL] if wanted.database == "both" else [wanted.database]
    with tempfile.TemporaryDirectory(prefix="wa-admin-faults-") as directory:
        root = Path(directory)
        about = machine.describe(root)
        found = {name: _on(name, root / name, _chosen(wanted, name), about) for name in names}
    every = [outcome for outcomes in found.values() for outcome in outcomes.values()]
    scenarios = {name: {r: one.as_json() for r, one in outcomes.items()} for name, outcomes in found.items()}
    missed = [
        f"{r} on {name}: {figure.name} {figure.value:g}, not {figure.wanted}"
        for name, outcomes in found.items()
        for r, outcome in outcomes.items()
        for figure in outcome.misses
    ]
    print("\n".join(["", "Missed:", *missed] if missed else ["", "No target was missed."]))
    if total(every).others > BUSY:
        print("Other programs were busy on this machine: where it says so, the clock was not judged.")
    about |= {"database": wanted.database} | total(every).as_json()
    print(json.dumps(about | {"missed": missed, "scenarios": scenarios}))
    return int(bool(missed))


def _chosen(wanted: argparse.Namespace, database: str) -> list[str]:
    names = wanted.scenarios or SCENARIOS
    is_second = wanted.database == "both" and database != SQLITE
    return [name for name in SCENARIOS if name in names and not (is_second and name in OF_NO_DATABASE)]


def _on(database: str, root: Path, wanted: Collection[str], about: dict[str, Any]) -> dict[str, Outcome]:
    print(
        f"{database:<12}{'accepted':>9}{'delivered':>10}{'double':>7}{'lost':>5}{'uncertain':>10}{'slowest':>9}"
    )
    outcomes: dict[str, Outcome] = {}
    with _prepared(database, root, about) as make:
        for names in _turns(wanted, MOSTLY_WAIT if database == SQLITE else MOSTLY_WAIT - OF_NO_DATABASE):
            with ThreadPoolExecutor(len(names)) as threads:
                found = threads.map(lambda name: _outcome(name, make), names)
                outcomes |= dict(zip(names, found, strict=True))
    return outcomes


def _turns(wanted: Collection[str], at_once: Collection[str]) -> list[list[str]]:
    """What runs at the same time."""
    together = [name for name in wanted if name in at_once]
    alone = [[name] for name in wanted if name not in together]
    return [*alone, together] if together else alone


def _outcome(name: str, make: place.Make) -> Outcome:
    began, others = time.monotonic(), Others()
    try:
        outcome = SCENARIOS[name](make)
    except (Exception, SystemExit):  # the others are run all the same
        traceback.print_exc()
        outcome = Outcome(figures=[Figure("broke off", 1, 0)])
    outcome = replace(outcome, others=others.share())
    _print(name, outcome, time.monotonic() - began)
    return outcome


@contextmanager
def _prepared(database: str, root: Path, about: dict[str, Any]) -> Iterator[place.Make]:
    """What makes places on this database, each as on its first day."""
    root.mkdir()
    os.environ.pop("WA_DATABASE_URL", None)
    if database == SQLITE:
        place.migrate(root / "migrated")
        yield place.Make(root)
        return
    server = databases.Server(careless=False)
    try:
        with server.connect() as connection:
            about["postgresql"] = connection.info.parameter_status("server_version")
        os.environ["WA_DATABASE_URL"] = server.create("faults")
        place.migrate(root / "migrated")
        yield place.Make(root, databases.Memory(server, "faults"))
    finally:
        os.environ.pop("WA_DATABASE_URL", None)
        server.remove()


def _print(name: str, outcome: Outcome, seconds: float) -> None:
    counts = f"{outcome.accepted:>9}{outcome.delivered:>10}{outcome.double:>7}{outcome.lost:>5}"
    slowest = f"{outcome.max_latency_seconds:>7.2f} s"
    lines = [f"{name:<12}{counts}{outcome.uncertain:>10}{slowest}   took {seconds:.0f} s"]
    for figure in outcome.figures:
        verdict = "the machine is busy" if not outcome.judges(figure) else "FAILS" if figure.is_missed else ""
        lines.append(f"    {figure.name:<44}{figure.value:>10.2f}  {figure.wanted:<10}{verdict}".rstrip())
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
