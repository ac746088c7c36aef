"""The roles of config/rbac allow what the controller asks the cluster's API for, and nothing else."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest
from tests.controller_command import everything
from tests.controller_command.replica_world import World
from tests.controller_command.roles import ACCOUNT, NAMESPACE, Permission, Used, granted, kubeconfig, objects
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

NOT_ALWAYS = {
    *(
        Permission("get", group, resource)
        for group, resource in (
            ("", "services"),
            ("gateway.networking.k8s.io", "gateways"),
            ("gatewright.dev", "edgebindings"),
            ("networking.k8s.io", "ingresses"),
        )
    ),
    *(Permission(verb, "", "events") for verb in ("get", "patch")),
}
"""Asked where an object has changed since it was read, when its finalizer is written (`edge/finalizers.py`), and where
an event was told before (`edge/events.py`)."""
FEATURES = "gateways,ingresses,services,edge-bindings,dns,certificates"


async def test_every_request_is_allowed_and_everything_allowed_is_needed(block: Block, tmp_path: Path) -> None:
    rules = set(granted(*(each for each in objects() if each["kind"].endswith("Role"))))
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=50.0, cluster="prod", traffic=False) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as cluster,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        world = World(cluster, server, cloud, aws, tmp_path)
        await world.apply(*objects())
        world.kubeconfig = await kubeconfig(server, cluster, tmp_path)
        await everything.make(cluster, aws)
        used = Used(server)
        replica = world.start("--features", FEATURES)
        try:
            await everything.settled(cluster)
            with contextlib.suppress(TimeoutError):  # what isn't needed is told below
                await until(lambda: _done(rules - used.granted <= NOT_ALWAYS))
            replica.process.send_signal(signal.SIGTERM)
            assert await replica.ended() == 0
            second = world.start("--features", FEATURES)
            await second.says("running")
            for type_, name in ((HTTPRoute, "web"), (Gateway, "web"), (Gateway, "streams"), (Service, "shared-istio")):
                await cluster.delete(type_, Key("shop", name))
            await until(lambda: _gone(cluster), 60)
            second.process.send_signal(signal.SIGTERM)
            assert await second.ended() == 0
        finally:
            for each in world.replicas:
                each.kill()
    assert used.denied == set()
    assert rules - used.granted <= NOT_ALWAYS


async def _done(there: bool) -> bool:
    return there


async def _gone(cluster: Client) -> bool:
    return [each.name for each in await cluster.list(Gateway)] == ["shared"]


def test_roles_are_bound_to_the_account_of_the_controller() -> None:
    found = objects()
    roles = {(each["kind"], each["metadata"]["name"]) for each in found if each["kind"].endswith("Role")}
    (account,) = [each["metadata"] for each in found if each["kind"] == "ServiceAccount"]
    assert (account["name"], account["namespace"]) == (ACCOUNT, NAMESPACE)
    bound = set()
    for each in found:
        if each["kind"].endswith("Binding"):
            bound.add((each["roleRef"]["kind"], each["roleRef"]["name"]))
            (subject,) = each["subjects"]
            assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert bound == roles
