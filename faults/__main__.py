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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import databases
from databases import POSTGRESQL, SQLITE

from bench import machine

from . import gateway_faults, kills, load, place
from .outcome import Figure, Outcome, total

SCENARIOS: dict[str, Callable[[place.Make], Outcome]] = {
    "R1": kills.accepted_is_on_disk,
    "R2": kills.nothing_leaves_twice,
    "R4": gateway_faults.each_in_its_cell,
    "R5": gateway_faults.none_outlives_its_deadline,
    "R6": gateway_faults.order_is_kept,
    "R7": kills.webhooks_are_kept,
    "R11": kills.one_leads,
    "R19": load.no_hammering,
    "R20": kills.what_began_is_finished,
    "R21": load.many_wait,
}


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
        found = {name: _on(name, root / name, wanted.scenarios or SCENARIOS, about) for name in names}
    every = [outcome for outcomes in found.values() for outcome in outcomes.values()]
    scenarios = {name: {r: one.as_json() for r, one in outcomes.items()} for name, outcomes in found.items()}
    print(
        json.dumps(about | {"database": wanted.database} | total(every).as_json() | {"scenarios": scenarios})
    )
    return int(any(outcome.misses for outcome in every))


def _on(database: str, root: Path, wanted: Collection[str], about: dict[str, Any]) -> dict[str, Outcome]:
    print(
        f"{database:<12}{'accepted':>9}{'delivered':>10}{'double':>7}{'lost':>5}{'uncertain':>10}{'slowest':>9}"
    )
    outcomes = {}
    with _prepared(database, root, about) as make:
        for name in [one for one in SCENARIOS if one in wanted]:
            began = time.monotonic()
            try:
                outcomes[name] = SCENARIOS[name](make)
            except Exception:  # the others are run all the same
                traceback.print_exc()
                outcomes[name] = Outcome(figures=[Figure("broke off", 1, 0)])
            _print(name, outcomes[name], time.monotonic() - began)
    return outcomes


@contextmanager
def _prepared(database: str, root: Path, about: dict[str, Any]) -> Iterator[place.Make]:
    """What makes places on this database, each as on its first day."""
    root.mkdir()
    os.environ.pop("WA_DATABASE_URL", None)
    if database == SQLITE:
        place.migrate(root / "migrated")
        yield place.Make(root)
        return
    server = databases.Server()
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
    print(f"{name:<12}{counts}{outcome.uncertain:>10}{slowest}   took {seconds:.0f} s")
    for figure in outcome.figures:
        sign = ">=" if figure.is_least else "<="
        limit = f"{sign} {figure.limit:g}" if figure.limit is not None else ""
        verdict = "FAILS" if figure.fails else "" if figure.is_judged or not limit else "the machine is busy"
        print(f"    {figure.name:<42}{figure.value:>10.2f}  {limit:<10}{verdict}".rstrip(), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
