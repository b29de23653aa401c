"""What a scenario came to: what became of its messages, and the figures that are promised."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

BUSY = 0.15  # of all processors, used by programs that are none of this run


@dataclass(frozen=True)
class Figure:
    """`limit` is the most that is allowed, or with `is_least` the least; None: reported only.

    One `of_clock` says nothing on a machine that has other things to do: then it is only reported.
    """

    name: str
    value: float
    limit: float | None = None
    is_least: bool = False
    of_clock: bool = False

    @property
    def wanted(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.is_least else '<='} {self.limit:g}"

    @property
    def is_missed(self) -> bool:
        if self.limit is None:
            return False
        return self.value < self.limit if self.is_least else self.value > self.limit


@dataclass(frozen=True)
class Outcome:
    """`lost` messages were accepted, and neither arrived nor is their end on record. `others` is what other
    programs took of the processors meanwhile."""

    accepted: int = 0
    delivered: int = 0
    double: int = 0
    lost: int = 0
    uncertain: int = 0
    max_latency_seconds: float = 0.0
    figures: list[Figure] = field(default_factory=list)
    others: float = 0.0

    @property
    def misses(self) -> list[Figure]:
        """Figures that break a promise; nothing is ever lost or doubled."""
        always = [Figure("lost", self.lost, 0), Figure("double", self.double, 0)]
        return [one for one in [*always, *self.figures] if one.is_missed and self.judges(one)]

    def judges(self, figure: Figure) -> bool:
        return not (figure.of_clock and self.others > BUSY)

    def as_json(self) -> dict[str, Any]:
        counts = {name: value for name, value in asdict(self).items() if name != "figures"}
        counts["max_latency_seconds"] = round(self.max_latency_seconds, 3)
        counts["others"] = round(self.others, 2)
        return counts | {_key(figure.name): round(figure.value, 3) for figure in self.figures}


def _key(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


def total(outcomes: list[Outcome]) -> Outcome:
    sums = {
        name: sum(getattr(one, name) for one in outcomes)
        for name in ("accepted", "delivered", "double", "lost", "uncertain")
    }
    return Outcome(
        **sums,
        max_latency_seconds=max((one.max_latency_seconds for one in outcomes), default=0),
        others=max((one.others for one in outcomes), default=0),
    )
