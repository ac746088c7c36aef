"""EdgeBinding as a kind: its definition for clusters, and what kubectl makes of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.edge.binding_world import binding

from gatewright.cluster import Client, Invalid
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.definition import definition
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key

DEFINITION = Path(__file__).parents[2] / "config" / "crd" / "gatewright.dev_edgebindings.yaml"


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(Store.memory()) as server:
        yield server


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[Client]:
    async with Client.with_token(server.url, server.token, server.ca_certificate) as client:
        yield client


def test_the_definition_for_clusters_is_what_the_model_says() -> None:
    assert yaml.safe_load(DEFINITION.read_text()) == definition(EdgeBinding), (
        "run python -m gatewright.model.definition config/crd"
    )


async def test_the_embedded_api_shows_the_same_definition(client: Client) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/edgebindings.gatewright.dev"
    found = msgspec.json.decode(await client.request("GET", path))
    assert found["spec"]["versions"] == definition(EdgeBinding)["spec"]["versions"]
    assert found["spec"]["names"] == definition(EdgeBinding)["spec"]["names"]


async def test_a_new_binding_waits_for_its_controller(client: Client) -> None:
    await client.apply(binding(namespace="default"), field_manager="test")
    found = await client.get(EdgeBinding, Key("default", "front"))
    assert found.spec.via == "LoadBalancer"
    assert {(c.type, c.status, c.reason) for c in found.status.conditions} == {
        (type_, "Unknown", "Pending") for type_ in ("Bound", "HealthCheckRoutable", "Healthy")
    }
    assert found.status.targets == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"aws": {"targetGroup": {}}}, "spec.aws.targetGroup: Invalid value"),
        ({"aws": {"targetGroup": {"name": "a", "arn": "arn:aws:elasticloadbalancing:::targetgroup/a"}}}, "exactly one"),
        ({"aws": {"targetGroup": {"arn": "front"}}}, "spec.aws.targetGroup.arn"),
        ({"port": 0}, "spec.port"),
        ({"via": "Pods"}, "spec.via"),
        ({"gatewayRef": {}}, "spec.gatewayRef.name"),
    ],
)
async def test_what_the_api_refuses(client: Client, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message.replace(".", r"\.")):
        await client.apply(binding(namespace="default", **spec), field_manager="test")


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
async def test_kubectl_gets_and_explains_it(server: ApiServer, client: Client, tmp_path: Path) -> None:
    await client.apply(binding(namespace="default"), field_manager="test")
    server.write_kubeconfig(tmp_path / "config")

    async def kubectl(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "--kubeconfig", str(tmp_path / "config"), *arguments), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()

    header, row = (await kubectl("get", "eb")).splitlines()
    assert header.split() == ["NAME", "GATEWAY", "PORT", "BOUND", "ROUTABLE", "HEALTHY", "TARGETS", "AGE"]
    assert row.split()[:6] == ["front", "shared", "80", "Unknown", "Unknown", "Unknown"]
    assert "exactly one" in await kubectl("explain", "edgebinding.spec.aws.targetGroup")
