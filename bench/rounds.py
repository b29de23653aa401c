"""CPU time of several subjects in interleaved rounds: what disturbs one disturbs all."""

from __future__ import annotations

import gc
import statistics
import time

from .subjects import Subject

ROUNDS = 15
SECONDS_A_TURN = 0.03


def cpu_seconds(subjects: dict[str, Subject], rounds: int = ROUNDS) -> dict[str, float]:
    """CPU seconds of one call of each in its least disturbed round: on a busy machine others fill the caches,
    which costs CPU time too."""
    turns = {name: _calls_a_turn(subject) for name, subject in subjects.items()}
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, subject in subjects.items():
            began = time.process_time()
            for _ in range(turns[name]):
                subject()
            taken[name].append((time.process_time() - began) / turns[name])
    return {name: min(values) for name, values in taken.items()}


def wall_seconds(subject: Subject, calls: int = 40) -> float:
    """Seconds on the clock of one call, median."""
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        subject()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _calls_a_turn(subject: Subject) -> int:
    began = time.process_time()
    for _ in range(10):  # warms up, too
        subject()
    once = (time.process_time() - began) / 10
    return max(5, round(SECONDS_A_TURN / max(once, 1e-6)))
