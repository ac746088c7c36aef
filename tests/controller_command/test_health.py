"""What probes and Prometheus are told."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gatewright.cluster import Conflict, Reconciler, Unreachable
from gatewright.cluster.reconcile import RUNS
from gatewright.controller.health import Addressed, Health, Pages, parse_address
from gatewright.controller.metrics import Metrics
from gatewright.flow import Flow
from gatewright.model.gateway import Gateway, GatewayClass
from gatewright.model.gateway.gateway import GatewaySpec, GatewayStatus
from gatewright.model.gateway.gatewayclass import GatewayClassSpec
from gatewright.model.meta import Condition, Key, ObjectMeta
from gatewright.resolve import Inputs


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The value of a metric with these labels."""
    text = metrics.page()[2].decode()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return each.value
    return None


class Test_pages:
    async def test_they_are_served_at_a_free_port(self) -> None:
        health = Health()
        async with Pages(("127.0.0.1", 0), health.pages) as pages, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{pages.port}"
            for method, path, status in (
                ("GET", "/healthz", 200),
                ("HEAD", "/readyz", 200),
                ("POST", "/healthz", 405),
                ("GET", "/", 404),
            ):
                async with session.request(method, base + path) as answer:
                    assert answer.status == status, path

    @pytest.mark.parametrize(
        ("text", "address"),
        [("127.0.0.1:80", ("127.0.0.1", 80)), (":0", ("", 0)), ("[::1]:8080", ("::1", 8080)), ("pod:1", ("pod", 1))],
    )
    def test_addresses(self, text: str, address: tuple[str, int]) -> None:
        assert parse_address(text) == address

    @pytest.mark.parametrize("text", ["", "80", "host", "host:", "host:-1", "host:65536", "host:http"])
    def test_what_is_no_address(self, text: str) -> None:
        with pytest.raises(Addressed, match="expected HOST:PORT"):
            parse_address(text)

    async def test_every_address_of_the_machine_has_to_be_asked_for(self) -> None:
        async with (
            Pages(("", 0), Health().pages) as pages,
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{pages.port}/healthz") as answer,
        ):
            assert answer.status == 200


class Test_health:
    def test_ready_is_who_waits_for_nothing(self) -> None:
        health = Health()
        assert health.problems == []
        first, second = health.waits_for("one"), health.waits_for("two")
        assert health.problems == ["one", "two"]
        second()
        assert health.problems == ["one"]
        assert health.pages["/readyz"]()[0] == 503
        assert health.pages["/healthz"]()[0] == 200
        first()
        assert health.pages["/readyz"]()[0] == 200

    def test_what_ends_is_not_ready(self) -> None:
        health = Health()
        health.end()
        assert health.problems == ["it is ending"]


class Test_metrics:
    async def test_runs_of_reconcilers_are_counted_by_their_end(self) -> None:
        metrics, failures = Metrics(), [Unreachable("no"), Conflict(409, "Conflict", ""), ValueError("a bug")]

        async def reconcile(_: str) -> None:
            assert sample(metrics, "gatewright_queue_depth", controller="test") == 0
            if failures:
                raise failures.pop(0)

        token = RUNS.set(metrics)
        try:
            async with Reconciler("test", reconcile) as work:
                for _ in range(3):
                    work.enqueue("key")
                    assert (sample(metrics, "gatewright_queue_depth", controller="test") or 0) >= 0
                    await work.idle()
        finally:
            RUNS.reset(token)
        ended = {
            result: sample(metrics, "gatewright_reconciles_total", controller="test", result=result)
            for result in ("ok", "stale", "Unreachable", "ValueError")
        }
        assert ended == {"ok": 1, "stale": 1, "Unreachable": 1, "ValueError": 1}
        assert sample(metrics, "gatewright_queue_depth", controller="test") == 0
        assert sample(metrics, "gatewright_reconcile_seconds_count", controller="test") == 4
        assert sample(metrics, "gatewright_queue_seconds_count", controller="test") == 3

    async def test_a_key_that_waits_is_in_the_queue(self) -> None:
        metrics = Metrics()

        async def reconcile(_: str) -> None: ...

        token = RUNS.set(metrics)
        try:
            async with Reconciler("test", reconcile, settle=60.0, longest=60.0) as work:
                for key in ("a", "b", "b"):
                    work.enqueue(key)
                assert sample(metrics, "gatewright_queue_depth", controller="test") == 2
        finally:
            RUNS.reset(token)

    def test_calls_of_aws(self) -> None:
        metrics, calls = Metrics(), {("elbv2", "create_rule", "ok"): 3, ("elbv2", "create_rule", "Throttling"): 1}
        metrics.watch_calls(calls.items)
        labels = {"service": "elbv2", "operation": "create_rule"}
        assert sample(metrics, "gatewright_aws_calls_total", **labels, result="ok") == 3
        assert sample(metrics, "gatewright_aws_calls_total", **labels, result="Throttling") == 1

    def test_leadership(self) -> None:
        metrics, leads = Metrics(), [False]
        metrics.watch_leadership(lambda: leads[0])
        assert sample(metrics, "gatewright_leader") == 0
        leads[0] = True
        assert sample(metrics, "gatewright_leader") == 1

    def test_gateways_by_class_and_programmed(self) -> None:
        inputs, metrics = Inputs(Flow()), Metrics()
        for name, controller in (("alb", "gateway.k8s.aws/alb"), ("istio", "istio.io/gateway-controller")):
            found = GatewayClass(metadata=ObjectMeta(name=name), spec=GatewayClassSpec(controller_name=controller))
            inputs.gateway_classes.set(Key("", name), found)
        for name, class_name, status in (
            ("a", "alb", "True"),
            ("b", "alb", ""),
            ("c", "alb", "True"),
            ("d", "istio", ""),
        ):
            condition = Condition(type="Programmed", status="True", reason="Programmed")
            gateway = Gateway(
                metadata=ObjectMeta(namespace="default", name=name),
                spec=GatewaySpec(gateway_class_name=class_name, listeners=()),
                status=GatewayStatus(conditions=(condition,) if status else ()),
            )
            inputs.gateways.set(Key("default", name), gateway)
        metrics.watch_gateways(inputs.gateways, inputs.gateway_classes, ("gateway.k8s.aws/alb",))
        assert sample(metrics, "gatewright_gateways", gateway_class="alb", programmed="True") == 2
        assert sample(metrics, "gatewright_gateways", gateway_class="alb", programmed="Unknown") == 1
        assert sample(metrics, "gatewright_gateways", gateway_class="istio", programmed="Unknown") is None
