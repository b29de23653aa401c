"""One line of the table: what was measured, what is aimed at, and when it fails the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

WORSE = 1.15  # than usual


class Kind(Enum):
    """What may fail a run: the machine has a say in what clocks show, and in how many processors share."""

    CPU = "cpu"  # ratios of CPU time or memory, taken in one run
    COUNT = "count"  # statements, bytes, calls
    CLOCK = "clock"  # reported, never failing


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    target: float | None = None
    fails_past: float | None = None
    kind: Kind = Kind.CPU
    more_is_better: bool = False
    usual: float | None = None  # median of the last runs
    note: str = ""

    @property
    def is_judged(self) -> bool:
        return self.kind != Kind.CLOCK and self.fails_past is not None

    @property
    def fails(self) -> bool:
        return self.verdict in ("FAILS", "WORSE")

    @property
    def verdict(self) -> str:
        if self._misses(self.fails_past):
            return "FAILS" if self.is_judged else "past its limit"
        if self.is_judged and self.kind == Kind.CPU and self.usual and self.value > WORSE * self.usual:
            return "WORSE"
        if self.target is None:
            return ""
        return "misses its target" if self._misses(self.target) else "ok"

    def __str__(self) -> str:
        sign = ">=" if self.more_is_better else "<="
        target = "" if self.target is None else f"{sign} {self.target:g}"
        fails_past = "" if self.fails_past is None else f"{self.fails_past:g}"
        judged = "yes" if self.is_judged else "no"
        line = f"{self.name:<44}{self.value:>10.2f}  {target:<9}{fails_past:>7}  {judged:<5}"
        return f"{line}{self.verdict}  {self.note}".rstrip()

    def _misses(self, limit: float | None) -> bool:
        if limit is None:
            return False
        return self.value < limit if self.more_is_better else self.value > limit


HEAD = f"{'figure':<44}{'value':>10}  {'target':<9}{'fails':>7}  judged"


def clock(
    name: str,
    value: float,
    target: float | None = None,
    fails_past: float | None = None,
    *,
    more_is_better: bool = False,
) -> Figure:
    """One that depends on the machine."""
    return Figure(name, value, target, fails_past, Kind.CLOCK, more_is_better)


def count(name: str, value: float, target: float, fails_past: float, note: str = "") -> Figure:
    return Figure(name, value, target, fails_past, Kind.COUNT, note=note)
