"""Managed node groups of an emulated EKS become nodes: their labels, taints, zones and room; and they are drained."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.workloads.live_edge import Edge, deployment, start_edge, stop_edge

from gatewright.aws.client import Aws
from gatewright.local.apiserver.server import ApiServer
from gatewright.local.apiserver.store import Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.node_config import Taint, registered_taints
from gatewright.local.nodes import NodeGroups
from gatewright.local.workloads import Workloads
from gatewright.model import core

NETWORK = "10.33.0.0/16"
CRITICAL = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"}
NODE_CONFIG = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      registerWithTaints:
        - key: CriticalAddonsOnly
          value: "true"
          effect: NoSchedule
    flags:
      - --register-with-taints=team=a:NoExecute,lone:PreferNoSchedule
--//--
"""


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Platform:
    """An EKS cluster of an emulated AWS, and the API that stands for it."""

    def __init__(self, cloud: EmulatedAws, edge: Edge, aws: Aws) -> None:
        self.edge, self.aws = edge, aws
        self.eks, self.ec2, self.iam = (cloud.client(service) for service in ("eks", "ec2", "iam"))
        vpc = self.ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for cidr, zone in (("10.33.0.0/20", "us-east-1a"), ("10.33.16.0/20", "us-east-1b"))
        ]
        self.role = self.iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.eks.create_cluster(
            name="shop", roleArn=self.role, resourcesVpcConfig={"subnetIds": self.subnets}, version="1.34"
        )

    async def group(self, name: str, size: int, **settings: Any) -> None:
        await asyncio.to_thread(
            self.eks.create_nodegroup,
            clusterName="shop",
            nodegroupName=name,
            nodeRole=self.role,
            subnets=self.subnets,
            scalingConfig={"minSize": 1, "maxSize": 9, "desiredSize": size},
            instanceTypes=["m7i.large"],
            **settings,
        )

    async def scale(self, name: str, size: int) -> None:
        scaling = {"desiredSize": size}
        await asyncio.to_thread(
            self.eks.update_nodegroup_config, clusterName="shop", nodegroupName=name, scalingConfig=scaling
        )

    async def nodes(self) -> dict[str, core.Node]:
        return {node.name: node for node in await self.edge.client.list(core.Node)}

    async def raw(self, name: str) -> Any:
        return json.loads(await self.edge.client.request("GET", f"/api/v1/nodes/{name}"))

    async def until_nodes(self, holds: Callable[[dict[str, core.Node]], bool]) -> None:
        """Return when it holds of the nodes, which nobody watches here."""
        async with asyncio.timeout(60):
            while not holds(await self.nodes()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def placed(self) -> list[str]:
        """The nodes of the pods that are ready."""
        return sorted(
            pod.spec.node_name
            for pod in self.edge.pods.values()
            if not pod.deleting and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
        )


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with (
        EmulatedAws(NETWORK, seed=False, traffic=False) as cloud,
        ApiServer(Store.memory(), graceful_pods=True) as server,
    ):
        edge, tasks = await start_edge(server, tmp_path)
        try:
            async with Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws:
                yield Platform(cloud, edge, aws)
        finally:
            await stop_edge(edge, tasks)


async def test_an_answer_that_is_not_as_expected_does_not_end_it(platform: Platform) -> None:
    looks: asyncio.Queue[None] = asyncio.Queue()

    class Unlucky(NodeGroups):
        async def step(self) -> None:
            looks.put_nowait(None)
            raise KeyError("PrivateDnsName")

    async with Unlucky(platform.edge.client, platform.aws, interval=0.01):
        for _ in range(2):
            await asyncio.wait_for(looks.get(), 60)


async def test_a_groups_instances_are_nodes(platform: Platform) -> None:
    groups = NodeGroups(platform.edge.client, platform.aws)
    await groups.step()
    assert await platform.nodes() == {}
    await platform.group("user", 3, labels={"role": "user"}, taints=[CRITICAL])
    await groups.step()
    reservations = platform.ec2.describe_instances()["Reservations"]
    instances = {one["PrivateDnsName"]: one for each in reservations for one in each["Instances"]}
    nodes = await platform.nodes()
    assert nodes.keys() == instances.keys()
    for name, instance in instances.items():
        raw, zone = await platform.raw(name), instance["Placement"]["AvailabilityZone"]
        labels = {
            "role": "user",
            "eks.amazonaws.com/nodegroup": "user",
            "eks.amazonaws.com/capacityType": "ON_DEMAND",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "m7i.large",
            "topology.kubernetes.io/region": "us-east-1",
            "topology.kubernetes.io/zone": zone,
        }
        assert raw["metadata"]["labels"] == labels
        assert raw["spec"]["taints"] == [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]
        assert raw["spec"]["providerID"] == f"aws:///{zone}/{instance['InstanceId']}"
        status = raw["status"]
        assert status["addresses"][0] == {"type": "InternalIP", "address": instance["PrivateIpAddress"]}
        assert (status["capacity"]["cpu"], status["allocatable"]["cpu"]) == ("2", "1930m")
        assert (status["capacity"]["memory"], status["allocatable"]["memory"]) == ("8192Mi", "7518Mi")
        assert status["allocatable"]["pods"] == "29"
        assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "True"
        assert status["nodeInfo"]["kubeletVersion"].startswith("v1.34.")
    assert sorted(one.metadata.labels["topology.kubernetes.io/zone"] for one in nodes.values()) == [
        "us-east-1a",
        "us-east-1a",
        "us-east-1b",
    ]
    before = {name: node.metadata.resource_version for name, node in nodes.items()}
    await groups.step()
    assert {name: node.metadata.resource_version for name, node in (await platform.nodes()).items()} == before


async def test_labels_and_taints_follow_the_group_and_leave_others_alone(platform: Platform) -> None:
    groups = NodeGroups(platform.edge.client, platform.aws)
    await platform.group("user", 1, labels={"a": "1"}, taints=[CRITICAL])
    await groups.step()
    [name] = await platform.nodes()
    key = (await platform.nodes())[name].key
    await platform.edge.client.patch(core.Node, key, {"metadata": {"labels": {"mine": "x"}}})
    await asyncio.to_thread(
        platform.eks.update_nodegroup_config,
        clusterName="shop",
        nodegroupName="user",
        labels={"addOrUpdateLabels": {"b": "2"}, "removeLabels": ["a"]},
        taints={"removeTaints": [CRITICAL]},
    )
    await groups.step()
    raw = await platform.raw(name)
    labels = raw["metadata"]["labels"]
    assert (labels.get("a"), labels["b"], labels["mine"]) == (None, "2", "x")
    assert not raw["spec"].get("taints")


async def test_taints_of_a_launch_templates_user_data(platform: Platform) -> None:
    template = platform.ec2.create_launch_template(
        LaunchTemplateName="node", LaunchTemplateData={"UserData": encoded(NODE_CONFIG)}
    )["LaunchTemplate"]["LaunchTemplateId"]
    await platform.group("system", 1, launchTemplate={"id": template, "version": "1"})
    await NodeGroups(platform.edge.client, platform.aws).step()
    [name] = await platform.nodes()
    taints = (await platform.raw(name))["spec"]["taints"]
    assert [(taint["key"], taint.get("value", ""), taint["effect"]) for taint in taints] == [
        ("CriticalAddonsOnly", "true", "NoSchedule"),
        ("team", "a", "NoExecute"),
        ("lone", "", "PreferNoSchedule"),
    ]


async def test_pods_move_before_their_node_goes(platform: Platform) -> None:
    edge = platform.edge
    async with (
        NodeGroups(edge.client, platform.aws, interval=0.05),
        Workloads(edge.client, addresses=edge.addresses, own_node=False),
    ):
        await platform.group("user", 2)
        await platform.until_nodes(lambda nodes: sum(bool(node.status.conditions) for node in nodes.values()) == 2)
        await edge.client.create(deployment("shop", 2, "-text=Hello", "-listen=:8080"))
        await edge.until(lambda: len(set(platform.placed())) == 2)
        await platform.scale("user", 1)
        await edge.until(lambda: len(platform.placed()) == 2 and len(set(platform.placed())) == 1)
        await platform.until_nodes(lambda nodes: len(nodes) == 1)
        await platform.group("other", 1)
        await platform.until_nodes(lambda nodes: len(nodes) == 2)
        [before] = set(platform.placed())
        await asyncio.to_thread(platform.eks.delete_nodegroup, clusterName="shop", nodegroupName="user")
        await edge.until(lambda: len(platform.placed()) == 2 and before not in platform.placed())
        await platform.until_nodes(lambda nodes: nodes.keys() == set(platform.placed()))


@pytest.mark.parametrize("text", ["", "#!/bin/bash\necho hello\n", "apiVersion: v1\nkind: Other\n", "{", "a: [1"])
def test_other_user_data_says_nothing(text: str) -> None:
    assert registered_taints(encoded(text)) == []
    assert registered_taints("?") == []


def test_a_configuration_by_itself() -> None:
    config = NODE_CONFIG.partition("node.eks.aws\n\n")[2].partition("--//")[0]
    assert registered_taints(encoded(config)) == [
        Taint("CriticalAddonsOnly", "true", "NoSchedule"),
        Taint("team", "a", "NoExecute"),
        Taint("lone", "", "PreferNoSchedule"),
    ]
