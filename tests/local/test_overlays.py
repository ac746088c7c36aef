"""What a ConfigMap lays over the Service that Istio makes for a Gateway (Istio, Gateway API, Automated Deployment)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.envoy.listeners import Binding
from gatewright.local.edge import LocalEdge
from gatewright.local.overlays import OverlayError, laid_over, unheeded
from gatewright.local.services import ISTIO, gateway_service
from gatewright.model.codec import decode
from gatewright.model.core import ConfigMap, Service
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key

GITOPS = Path(__file__).parents[2] / "deploy" / "gitops"


def parameters(**data: str) -> ConfigMap:
    return decode(ConfigMap, {"metadata": {"namespace": "edge", "name": "shared"}, "data": data})


def service() -> dict[str, Any]:
    spec = {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    gateway = decode(Gateway, {"metadata": {"namespace": "edge", "name": "shared", "uid": "1"}, "spec": spec})
    return gateway_service(gateway, ISTIO, Binding("127.0.0.1", {}))


def test_azures_fix_is_declared() -> None:
    overlay = yaml.safe_load((GITOPS / "platform" / "gateway" / "azure-chained" / "proxies.yaml").read_text())
    found = laid_over(service(), parameters(**overlay["data"]))
    assert found["spec"] == service()["spec"] | {"externalTrafficPolicy": "Local"}
    assert found["metadata"] == service()["metadata"]


def test_ports_are_merged_by_number_and_marks_by_name() -> None:
    overlay = """
      metadata: {annotations: {a: b}}
      spec:
        ports:
          - {port: 15021, $patch: delete}
          - {port: 80, nodePort: 30080}
    """
    found = laid_over(service(), parameters(service=overlay))
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert [(port["name"], port["port"], port.get("nodePort")) for port in found["spec"]["ports"]] == [
        ("http", 80, 30080)
    ]


def test_what_is_about_proxies_has_no_effect_and_is_told() -> None:
    given = parameters(deployment="spec: {replicas: 4}", podDisruptionBudget="spec: {minAvailable: 1}", service="{}")
    assert laid_over(service(), given) == service()
    (remark,) = unheeded(given)
    assert "deployment, podDisruptionBudget of ConfigMap shared" in remark
    assert not list(unheeded(parameters(service="{}")))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"services": "{}"}, "ConfigMap edge/shared: found key services, expected some of deployment, service"),
        ({"service": "- a"}, "ConfigMap edge/shared, service: found list, expected an object"),
        ({"service": "a: ["}, "ConfigMap edge/shared, service: found no YAML"),
        ({"deployment": "none"}, "ConfigMap edge/shared, deployment: found str, expected an object"),
        ({"service": "metadata: {name: other}"}, "service: found another metadata.name, expected the Gateway's own"),
        ({"service": "kind: Secret"}, "service: found another apiVersion or kind"),
        ({"service": "$patch: nonsense"}, "service: unknown patch type: nonsense"),
    ],
)
def test_what_istio_refuses(data: dict[str, str], says: str) -> None:
    with pytest.raises(OverlayError) as caught:
        laid_over(service(), parameters(**data))
    assert says in str(caught.value)


# --- at a running edge -----------------------------------------------------------------------------------------------

KEY = Key("edge", "shared")
SERVICE = Key("edge", "shared-istio")


@pytest.fixture
async def edge() -> AsyncIterator[LocalEdge]:
    async with LocalEdge(lambda _: None) as edge:
        await edge.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}})
        await lay(edge, "spec: {externalTrafficPolicy: Local}")
        infrastructure = {"parametersRef": {"group": "", "kind": "ConfigMap", "name": "shared"}}
        listeners = [{"name": "http", "port": 18080, "protocol": "HTTP"}]
        spec = {"gatewayClassName": "istio", "infrastructure": infrastructure, "listeners": listeners}
        api_version = "gateway.networking.k8s.io/v1"
        metadata = {"namespace": "edge", "name": "shared"}
        await edge.client.create({"apiVersion": api_version, "kind": "Gateway", "metadata": metadata, "spec": spec})
        yield edge


async def lay(edge: LocalEdge, service: str) -> None:
    data = {"service": service, "deployment": "spec: {replicas: 2}"}
    metadata = {"namespace": "edge", "name": "shared"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    await edge.client.apply(manifest, field_manager="test")


async def has(edge: LocalEdge, policy: str, since: int = 0) -> None:
    """Wait until the Service says so in a version after `since`."""
    changed = asyncio.Event()
    edge.inputs.services.subscribe(lambda _: changed.set())

    def says_so() -> bool:
        found = edge.inputs.services.get(SERVICE)
        return (
            found is not None
            and int(found.metadata.resource_version) > since
            and found.spec.external_traffic_policy == policy
        )

    async with asyncio.timeout(60):
        while not says_so():
            changed.clear()
            await changed.wait()


async def says(edge: LocalEdge, type_: str, text: str) -> None:
    """Wait until the Gateway's condition of that type has the text in its message."""
    changed = asyncio.Event()
    edge.resolution.gateway_statuses.subscribe(lambda _: changed.set())
    async with asyncio.timeout(60):
        while True:
            status = edge.resolution.gateway_statuses.get(KEY)
            if any(c.type == type_ and text in c.message for c in (status.conditions if status else ())):
                return
            changed.clear()
            await changed.wait()


async def test_the_service_follows_the_config_map(edge: LocalEdge) -> None:
    await has(edge, "Local")
    await says(edge, "Accepted", "the Gateway is valid; served without deployment of ConfigMap shared")
    await lay(edge, "{spec: {externalTrafficPolicy: Cluster, loadBalancerSourceRanges: [10.0.0.0/8]}}")
    await has(edge, "Cluster")
    await lay(edge, "spec: {externalTrafficPolicy: Local}")
    await has(edge, "Local")
    assert edge.inputs.services[SERVICE].spec.load_balancer_source_ranges == ()
    await edge.client.patch(Gateway, KEY, {"spec": {"infrastructure": None}})
    await has(edge, "Cluster")  # Kubernetes' default
    await says(edge, "Accepted", "the Gateway is valid")


async def test_a_patch_after_the_fact_is_undone(edge: LocalEdge) -> None:
    await has(edge, "Local")
    patched = await edge.client.patch(Service, SERVICE, {"spec": {"externalTrafficPolicy": "Cluster"}})
    version = json.loads(patched)["metadata"]["resourceVersion"]
    await has(edge, "Local", since=int(version))


async def test_a_config_map_that_cannot_be_meant_is_told_until_it_is_mended(edge: LocalEdge) -> None:
    await lay(edge, "spec: [")
    await says(edge, "Programmed", "its Service can't be made: ConfigMap edge/shared, service: found no YAML")
    await lay(edge, "spec: {externalTrafficPolicy: Nowhere}")
    await says(edge, "Programmed", "its Service can't be made: Service")
    await lay(edge, "spec: {externalTrafficPolicy: Cluster}")
    await has(edge, "Cluster")
    assert await edge.ready(60) == []
