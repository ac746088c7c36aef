"""What a controller tells Prometheus. The names and labels are documented in docs/controller.md."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable, Container, Iterable

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gatewright import __version__
from gatewright.cluster import Conflict, NotFound
from gatewright.flow import Collection
from gatewright.model.gateway import Gateway, GatewayClass
from gatewright.model.meta import Key

_SHORT = (0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0)
_LONG = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)

Calls = Callable[[], Iterable[tuple[tuple[str, str, str], int]]]
"""How many requests AWS was sent: pairs of (service, operation, result) and a number."""


class Metrics:
    """The metrics of one process, with a registry of their own. Hears of runs (`cluster.reconcile.RUNS`)."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        Gauge("gatewright_build_info", "The version that runs.", ["version"], registry=self._registry).labels(
            __version__
        ).set(1)
        self._depth = Gauge(
            "gatewright_queue_depth", "Objects that wait for their run.", ["controller"], registry=self._registry
        )
        self._waits = Histogram(
            "gatewright_queue_seconds",
            "How long objects waited for their run, what is held back to settle a burst included.",
            ["controller"],
            buckets=_SHORT,
            registry=self._registry,
        )
        self._times = Histogram(
            "gatewright_reconcile_seconds",
            "How long runs took.",
            ["controller"],
            buckets=_LONG,
            registry=self._registry,
        )
        self._ends = PrometheusCounter(
            "gatewright_reconciles",
            "Runs by how they ended: ok, stale (the object had changed; it runs again), or the kind of error.",
            ["controller", "result"],
            registry=self._registry,
        )

    def page(self) -> tuple[int, str, bytes]:
        """`/metrics`."""
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)

    # --- runs of reconcilers ------------------------------------------------------------------------------------------

    def enqueued(self, name: str) -> None:
        """A key waits for its run."""
        self._depth.labels(name).inc()

    def began(self, name: str, waited: float) -> None:
        """A key that was enqueued doesn't wait any more."""
        self._depth.labels(name).dec()
        self._waits.labels(name).observe(waited)

    def ended(self, name: str, took: float, error: Exception | None) -> None:
        """A run has come to its end."""
        self._times.labels(name).observe(took)
        result = "ok" if error is None else "stale" if isinstance(error, Conflict | NotFound) else type(error).__name__
        self._ends.labels(name, result).inc()

    # --- what is read when it is asked for ----------------------------------------------------------------------------

    def watch_leadership(self, leads: Callable[[], bool]) -> None:
        """Tell whether this replica leads."""
        gauge = Gauge("gatewright_leader", "1 where this replica leads.", registry=self._registry)
        gauge.set_function(lambda: float(leads()))

    def watch_calls(self, calls: Calls) -> None:
        """Tell how many calls of AWS's API there were."""
        self._registry.register(_AwsCalls(calls))

    def watch_gateways(
        self,
        gateways: Collection[Key, Gateway],
        classes: Collection[Key, GatewayClass],
        controllers: Container[str],
    ) -> None:
        """Tell how many Gateways of these controllers' classes there are, and how many are programmed."""
        self._registry.register(_Gateways(gateways, classes, controllers))


class _AwsCalls(Collector):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "gatewright_aws_calls",
            "Requests to AWS (each page is one), by their result: ok, or AWS's error code.",
            labels=["service", "operation", "result"],
        )
        for call, count in sorted(self._calls()):
            family.add_metric(call, count)
        yield family


class _Gateways(Collector):
    def __init__(
        self, gateways: Collection[Key, Gateway], classes: Collection[Key, GatewayClass], controllers: Container[str]
    ) -> None:
        self._gateways = gateways
        self._classes = classes
        self._controllers = controllers

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "gatewright_gateways",
            "Gateways by class and by the status of their condition Programmed.",
            labels=["gateway_class", "programmed"],
        )
        counted: Counted[tuple[str, str]] = Counted()
        for gateway in list(self._gateways.values()):
            name = gateway.spec.gateway_class_name
            found = self._classes.get(Key("", name))
            if found and found.spec.controller_name in self._controllers:
                status = next(
                    (each.status for each in gateway.status.conditions if each.type == "Programmed"), "Unknown"
                )
                counted[name, status] += 1
        for labels, count in sorted(counted.items()):
            family.add_metric(labels, count)
        yield family
