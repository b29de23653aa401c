"""Measure, print a table and one line of JSON, and fail on a ratio past its limit.

`python -m bench [SECTION …]` measures these only.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from . import answers, figure, history, machine, many, outside, paint, processes, queue, runs, tabs, traffic
from .figure import Figure

SECTIONS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "answers": answers.figures,
    "start": outside.figures,
    "paint": paint.figures,
    "list": many.figures,
    "traffic": traffic.figures,
    "tabs": tabs.figures,
    "queue": queue.figures,
    "history": history.figures,
    "processes": processes.figures,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of {', '.join(SECTIONS)}")
    wanted = parser.parse_args().sections or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    logging.disable(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    with tempfile.TemporaryDirectory(prefix="wa-admin-bench-") as directory:
        about = machine.describe(Path(directory))
        print(figure.HEAD)
        usual = runs.usual if machine.is_quiet(about) else lambda _: None
        measured = [_section(name, Path(directory) / name, usual) for name in SECTIONS if name in wanted]
    figures = [one for some in measured for one in some or []]
    failed = [one.name for one in figures if one.fails]
    values = {one.name: round(one.value, 4) for one in figures}
    line = json.dumps({**about, **values, "fails": failed, "broken_off": measured.count(None)})
    print(line)
    runs.keep(line)
    return int(bool(failed) or None in measured)


def _section(name: str, place: Path, usual: Callable[[str], float | None]) -> list[Figure] | None:
    """Its figures, printed as they come; None when it broke off."""
    began, figures = time.monotonic(), []
    place.mkdir()
    print(f"--- {name}", flush=True)
    try:
        for one in SECTIONS[name](place):
            figures.append(replace(one, usual=usual(one.name)))
            print(figures[-1], flush=True)
    except Exception:  # the others are measured all the same
        traceback.print_exc()
        print("BROKE OFF", flush=True)
        return None
    print(f"    took {time.monotonic() - began:.0f} s", flush=True)
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
