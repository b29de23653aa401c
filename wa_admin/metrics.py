"""Our figures in Prometheus' words. The client library is loaded by the first scrape, not by the start."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .services.vitals import Figures

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Latencies:
    """How long answers took in this process, by endpoint and status."""

    def __init__(self) -> None:
        self._lock = Lock()
        # per label: how many fell into each bucket, the last one beyond all limits; and the seconds in all
        self._rows: dict[tuple[str, str], tuple[list[int], list[float]]] = {}

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        with self._lock:
            counts, total = self._rows.setdefault(
                (endpoint, str(status)), ([0] * (len(BUCKETS_SECONDS) + 1), [0.0])
            )
            counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
            total[0] += seconds

    def rows(self) -> list[tuple[tuple[str, str], list[tuple[str, float]], float]]:
        """Per label: the buckets as Prometheus adds them up, and the seconds in all."""
        limits = [*map(str, BUCKETS_SECONDS), "+Inf"]
        with self._lock:
            copies = [(label, list(counts), total[0]) for label, (counts, total) in self._rows.items()]
        result = []
        for label, counts, total_seconds in copies:
            sums = [float(sum(counts[: place + 1])) for place in range(len(counts))]
            result.append((label, list(zip(limits, sums, strict=True)), total_seconds))
        return result

    def answers(self, endpoint: str) -> dict[str, float]:
        """How often this endpoint answered, by status."""
        return {label[1]: buckets[-1][1] for label, buckets, _ in self.rows() if label[0] == endpoint}


def exposition(figures: Figures, latencies: Latencies) -> bytes:
    """The text that Prometheus reads."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collector(figures, latencies))  # type: ignore[arg-type]
    return generate_latest(registry)


class _Collector:
    def __init__(self, figures: Figures, latencies: Latencies) -> None:
        self._figures = figures
        self._latencies = latencies

    def collect(self) -> Iterator[Any]:
        yield from self._gauges()
        yield from self._counters()
        yield self._histogram()

    def _gauges(self) -> Iterator[Any]:
        figures = self._figures
        yield _gauge("sessions", "Sessions by status", figures.sessions, "status")
        yield _gauge("messages_waiting", "Messages queued or under way", figures.waiting)
        yield _gauge("messages_uncertain", "Messages that a person must look at", figures.uncertain)
        yield _gauge(
            "oldest_waiting_seconds", "Age of the oldest waiting message", figures.oldest_waiting_seconds or 0
        )
        if figures.scheduler_tick_seconds is not None:
            yield _gauge(
                "scheduler_tick_age_seconds",
                "Since the scheduler last ticked",
                figures.scheduler_tick_seconds,
            )
        yield _gauge("gateway_up", "1 when it answered last time", figures.gateways, "gateway")
        yield _gauge("gateway_seconds", "Time of its last answer", figures.gateway_seconds, "gateway")

    def _counters(self) -> Iterator[Any]:
        figures = self._figures
        yield _counter("messages_accepted", "Messages accepted", figures.accepted)
        outcomes = {"sent": figures.sent, "delivered": figures.delivered, "failed": figures.failed}
        yield _counter("messages", "What became of messages", outcomes, "outcome")
        hooks = self._latencies.answers("hooks.receive")
        yield _counter("webhooks", "Webhooks received by this process", hooks, "status")

    def _histogram(self) -> Any:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "wa_admin_http_seconds", "Time to answer, in this process", labels=["endpoint", "status"]
        )
        for label, buckets, seconds in self._latencies.rows():
            family.add_metric(label, buckets, seconds)
        return family


def _gauge(name: str, words: str, value: Any, label: str | None = None) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"wa_admin_{name}", words, labels=[label] if label else None), value)


def _counter(name: str, words: str, value: Any, label: str | None = None) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"wa_admin_{name}", words, labels=[label] if label else None), value)


def _filled(family: Any, value: Any) -> Any:
    """A plain number, or one for each value of the label."""
    for label, amount in value.items() if isinstance(value, dict) else [(None, value)]:
        family.add_metric([label] if label else [], float(amount))
    return family
