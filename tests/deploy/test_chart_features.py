"""The chart's rules by feature: who looks after one thing can do with those, and reads all that it may."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from tests.controller_command import everything
from tests.controller_command.replica_world import World
from tests.controller_command.roles import NAMESPACE, Permission, Used, granted, kubeconfig
from tests.deploy.chart import CLUSTER, by_kind, rendered
from tests.edge.service_world import until

from gatewright.aws import Aws
from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.meta import Key

pytestmark = pytest.mark.xdist_group("controller command")

RELEASES = {
    "gateways": ["gateways"],
    "ingresses": ["ingresses"],
    "services": ["services"],
    "bindings": ["edge-bindings"],
    "names": ["dns", "certificates"],
}


async def test_each_feature_has_the_rights_that_it_needs_and_reads_nothing_else(tmp_path: Path) -> None:
    block = Block()
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=50.0, cluster="prod", traffic=False) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        world = World(client, server, cloud, aws, tmp_path)
        used = Used(server)
        rules: dict[str, set[Permission]] = {}
        await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        await everything.make(client, aws)
        try:
            for release, features in RELEASES.items():
                objects = rendered(CLUSTER | {"features": features, "replicas": 0}, release=release)
                name = by_kind(objects)["ServiceAccount"]["metadata"]["name"]
                roles = [each for each in objects if each["kind"] in ("ClusterRole", "Role")]
                rules[f"system:serviceaccount:{NAMESPACE}:{name}"] = set(granted(*roles))
                await world.apply(*objects)
                world.kubeconfig = await kubeconfig(server, client, tmp_path, name)
                world.start("--features", ",".join(features), "--lease-name", name)
            settled, refused = asyncio.create_task(everything.settled(client)), asyncio.create_task(used.refused.wait())
            await asyncio.wait({settled, refused}, return_when=asyncio.FIRST_COMPLETED)
            refused.cancel()
            assert used.denied == set()
            await settled
            for type_, name in ((HTTPRoute, "web"), (Gateway, "web"), (Gateway, "streams"), (Service, "shared-istio")):
                await client.delete(type_, Key("shop", name))
            await until(lambda: _gone(client), 60)
            for replica in world.replicas:
                replica.process.send_signal(signal.SIGTERM)
            assert [await replica.ended() for replica in world.replicas] == [0] * len(world.replicas)
        finally:
            for replica in world.replicas:
                replica.kill()
            block.close()
    assert used.denied == set()
    for account, found in rules.items():
        unread = {each for each in found - used.by_user[account] if each.verb in ("list", "watch")}
        assert unread == set(), account


async def _gone(client: Client) -> bool:
    return [each.name for each in await client.list(Gateway)] == ["shared"]
