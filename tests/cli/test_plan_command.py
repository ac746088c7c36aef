"""`gatewright plan`: what would be changed in AWS, and what can't be, before anything is."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml
from tests.controller_command import everything
from tests.controller_command.replica_world import World, replica_world

from gatewright.aws import views
from gatewright.local.block import Block
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key

pytestmark = pytest.mark.xdist_group("plan command")

REFUSED = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: aws-alb
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
    - backendRefs: [{name: web, port: 80}]
    - matches: [{path: {type: PathPrefix, value: /copy}}]
      filters:
        - type: RequestMirror
          requestMirror: {backendRef: {name: web, port: 80}}
      backendRefs: [{name: web, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ports: [{port: 80}]
"""


@pytest.fixture(scope="session")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block, tmp_path: Path) -> AsyncIterator[World]:
    async with replica_world(block, tmp_path) as world:
        yield world


async def plan(world: World, *arguments: str, **variables: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(world.run, "plan", "--cluster-name", "prod", *arguments, **variables)


def written(world: World) -> dict[Any, int]:
    """How often AWS was called to change something."""
    reads = ("Describe", "Get", "List")
    return {call: count for call, count in world.cloud.server.calls.items() if not call[1].startswith(reads)}


async def test_a_cluster_before_and_after_the_controller_and_after_somebody_else(world: World, tmp_path: Path) -> None:
    await everything.make(world.client, world.aws)
    kubeconfig = ["--kubeconfig", str(world.kubeconfig)]
    before = written(world)

    first = await plan(world, *kubeconfig)
    assert first.returncode == 2, first.stderr
    assert "# Gateway shop/web (alb, cluster prod)" in first.stdout
    assert "# Gateway shop/streams (nlb, cluster prod)" in first.stdout
    assert "+ load balancer k8s-shop-web-" in first.stdout
    assert "0 to change, 0 to replace, 0 to delete." in first.stdout
    assert "Application Load Balancers" in first.stdout
    assert "\x1b" not in first.stdout
    assert written(world) == before, "a plan writes nothing"

    replica = world.start("--features", "gateways,ingresses")
    await everything.settled(world.client, bindings=False)
    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended() == 0

    second = await plan(world, *kubeconfig)
    assert second.returncode == 0, second.stdout
    assert "No changes. What AWS has is what is asked for." in second.stdout

    # The objects' files alone say as much as can be known without the cluster.
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all(everything.objects(secret=await everything.secret(world.client))))
    alone = await plan(world, "-f", str(file), "-o", "json")
    assert alone.returncode == 0, alone.stdout

    (balancer,) = [each for each in await views.load_balancers(world.aws) if each.name.startswith("k8s-shop-web-")]
    attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": "7"}]
    await world.aws.call(
        "elbv2", "modify_load_balancer_attributes", LoadBalancerArn=balancer.arn, Attributes=attributes
    )
    third = await plan(world, *kubeconfig)
    assert third.returncode == 2
    assert '~ attributes: idle_timeout.timeout_seconds: "7" -> "90"' in third.stdout
    assert "0 to create, 1 to change, 0 to replace, 0 to delete." in third.stdout

    elsewhere = await plan(world, *kubeconfig, "-n", "elsewhere")
    assert elsewhere.returncode == 0

    # With an edited file over the cluster.
    route = next(
        each for each in everything.objects() if each["metadata"]["name"] == "secure" and each["kind"] == "HTTPRoute"
    )
    route["spec"]["hostnames"] = ["other.example.com"]
    edited = tmp_path / "edited.yaml"
    edited.write_text(yaml.safe_dump(route))
    version = (await world.client.get(HTTPRoute, Key("shop", "secure"))).metadata.resource_version
    fourth = await plan(world, *kubeconfig, "-f", str(edited), "-o", "json")
    assert fourth.returncode == 2, fourth.stderr
    document = json.loads(fourth.stdout)
    changed = {change["thing"] for stack in document["stacks"] for change in stack["changes"]}
    assert "rule" in changed
    assert "other.example.com" in fourth.stdout
    assert (await world.client.get(HTTPRoute, Key("shop", "secure"))).metadata.resource_version == version


async def test_what_aws_can_not_do_is_said_with_its_place_and_the_rest_is_planned(world: World, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(REFUSED)
    result = await plan(world, "-f", str(file))
    assert result.returncode == 2, result.stderr
    said = next(line for line in result.stdout.splitlines() if "requestMirror" in line)
    assert f"{file}:" in said
    assert "HTTPRoute shop/web" in said
    copied = result.stdout.partition("path-pattern is /copy")[2].partition("tags")[0]
    assert '"status_code": "500"' in copied, "nobody else's rule gets its requests"
    assert '+ actions: {"shares":' in result.stdout
    document = json.loads((await plan(world, "-f", str(file), "-o", "json")).stdout)
    assert any("requestMirror" in problem["message"] for problem in document["problems"])
    assert document["cost"]["monthly"] > 0
    same = yaml.safe_load((await plan(world, "-f", str(file), "-o", "yaml")).stdout)
    assert same["cost"] == document["cost"]


async def test_a_manifest_that_is_refused_is_no_plan(world: World, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(REFUSED.replace("protocol: HTTP,", "protocl: HTTP,"))
    result = await plan(world, "-f", str(file))
    assert result.returncode == 1
    assert f"{file}:11" in result.stderr
    assert "protocl" in result.stderr


async def test_an_account_that_can_not_be_asked_is_said_with_what_to_do(world: World, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(REFUSED)
    result = await plan(world, "-f", str(file), AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert result.returncode == 1
    assert "set AWS_REGION and credentials" in result.stderr
    assert "--offline" in result.stderr


async def test_offline_no_account_is_needed(world: World, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(REFUSED)
    before = dict(world.cloud.server.calls)
    result = await plan(world, "-f", str(file), "--offline", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert result.returncode == 2, result.stderr
    assert "+ load balancer k8s-shop-edge-" in result.stdout
    assert dict(world.cloud.server.calls) == before
