"""Ingresses become load balancers and go with them: a cluster's API, the controller, the emulated AWS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import yaml
from tests.aws_ingress.ingress_cluster import Cluster, endpoints, ingress_cluster, until
from tests.aws_ingress.ingress_world import backend, ingress, service

from gatewright.aws import views
from gatewright.local.block import Block

IP = {"target-type": "ip", "scheme": "internet-facing"}


@pytest.fixture
async def cluster(block: Block) -> AsyncIterator[Cluster]:
    async with ingress_cluster(block) as cluster:
        yield cluster


async def test_an_ingress_gets_a_load_balancer_and_its_name_and_takes_it_along(cluster: Cluster) -> None:
    await cluster.apply(ingress(IP), service(), endpoints("app", 8080))
    async with cluster.running() as controller:
        hostname = await cluster.hostname()
        [balancer] = await views.load_balancers(cluster.aws)
        assert balancer.dns_name == hostname
        [group] = await views.target_groups(cluster.aws)
        [health] = await views.target_health(cluster.aws, group.arn)
        assert (health.target.id, health.target.port) == ("127.0.0.1", 8080)
        found = await cluster.ingress()
        assert found is not None
        assert "ingress.k8s.aws/resources" in found.metadata.finalizers
        await controller.idle()
        assert any("SuccessfullyReconciled" in event and hostname in event for event in await cluster.events())

        await cluster.delete()

        async def gone() -> bool:
            return await cluster.ingress() is None

        await until(gone)
        assert await cluster.left() == []


async def test_an_ingress_leaves_a_group_and_the_others_stay(cluster: Cluster) -> None:
    group = IP | {"group.name": "public"}
    await cluster.apply(ingress(group, name="a"), ingress(group, name="b"), service(), endpoints("app", 8080))
    async with cluster.running() as controller:
        assert await cluster.hostname("a") == await cluster.hostname("b")
        await cluster.delete("a")

        async def gone() -> bool:
            return await cluster.ingress("a") is None

        await until(gone)
        await controller.idle()
        left = await cluster.ingress("b")
        assert left is not None
        assert left.metadata.finalizers == ("group.ingress.k8s.aws/public",)
        assert len(await cluster.left()) == 2  # the load balancer, and b's target group


async def test_what_is_wrong_is_told_as_events(cluster: Cluster) -> None:
    await cluster.apply(ingress(IP | {"healthcheck-path": "ping", "wafv2-acl-name": "nobody"}), service())
    async with cluster.running() as controller:

        async def told() -> bool:
            await controller.idle()
            events = await cluster.events()
            return any("healthcheck-path" in each for each in events) and any("nobody" in each for each in events)

        await until(told)
        assert await cluster.left() == []


async def test_a_restart_changes_nothing(cluster: Cluster) -> None:
    await cluster.apply(ingress(IP), service(), endpoints("app", 8080))
    async with cluster.running() as controller:
        hostname = await cluster.hostname()
        await controller.idle()
    before = await cluster.left()
    cluster.aws.calls.clear()
    async with cluster.running() as controller:
        await controller.idle()
        assert await cluster.hostname() == hostname
    assert await cluster.left() == before
    writes = [call for call in cluster.aws.calls if not call.operation.startswith(("describe_", "list_", "get_"))]
    assert writes == []


async def test_what_went_while_nobody_looked_is_removed(cluster: Cluster) -> None:
    await cluster.apply(ingress(IP), service(), endpoints("app", 8080))
    async with cluster.running():
        await cluster.hostname()
    await cluster.delete()  # its finalizer holds it
    async with cluster.running():

        async def gone() -> bool:
            return await cluster.ingress() is None

        await until(gone)
        assert await cluster.left() == []


async def test_requests_go_where_the_ingress_says(block: Block) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\napp")
        await writer.drain()
        writer.close()

    fixed = {"type": "fixed-response", "fixedResponseConfig": {"statusCode": "410", "messageBody": "gone"}}
    paths = [
        {"path": "/old/*", "pathType": "ImplementationSpecific", "backend": backend("old", "use-annotation")},
        {"path": "/app", "pathType": "Prefix", "backend": backend("app")},
    ]
    manifest = ingress(
        IP | {"actions.old": json.dumps(fixed)},
        rules=[{"host": "www.example.com", "http": {"paths": paths}}],
        defaultBackend=backend("missing"),
    )
    pods = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with pods, ingress_cluster(block, traffic=True) as cluster:
        await cluster.apply(manifest, service(), endpoints("app", pods.sockets[0].getsockname()[1]))
        async with cluster.running():

            async def served() -> bool:
                return await cluster.get("/app/x", host="www.example.com") == (200, "app")

            await until(served)
            assert await cluster.get("/old/x", host="www.example.com") == (410, "gone")
            missing = (503, "Backend service does not exist")
            assert await cluster.get("/else", host="www.example.com") == missing
            assert await cluster.get("/app", host="other.example.com") == missing
            assert yaml.safe_load(manifest)["kind"] == "Ingress"
