"""Nodes of an emulated cluster: the instances of EKS's managed node groups as Node objects of the embedded API.

What a kubelet and EKS would do there is done here: a node registers itself, has its group's labels and taints, and is
drained before it goes. The stand-in of pods runs what is scheduled to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Self

import msgspec
import structlog

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError
from gatewright.cluster import Client, ClusterError, NotFound, end
from gatewright.cluster.client import path_of
from gatewright.local.node_config import Taint, registered_taints
from gatewright.local.workloads.nodes import STAND_IN, ZONE, health
from gatewright.model import core
from gatewright.model.kinds import kind_of
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

GROUP: Final = "eks.amazonaws.com/nodegroup"
"""The label with the name of a node's group."""
_MANAGER: Final = "gatewright-node-groups"
_EFFECTS: Final = {
    "NO_SCHEDULE": "NoSchedule",
    "NO_EXECUTE": "NoExecute",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}
_LONGEST_DRAIN: Final = 60.0
"""Seconds after which a node goes even if pods are left on it."""


class InstanceType(NamedTuple):
    """What a node of an instance type has: processors, MiB of memory, and addresses for pods."""

    cpus: int
    memory: int
    pods: int
    architecture: str


class Group(NamedTuple):
    """A node group: DescribeNodegroup's document, and the taints that its launch template's user data adds."""

    document: Mapping[str, Any]
    registered: tuple[Taint, ...] = ()


class NodeGroups:
    """Keeps Node objects equal to the instances of an AWS's managed node groups (`async with`; runs in the background).

    `aws` is asked every `interval` seconds.
    """

    def __init__(self, client: Client, aws: Aws, *, interval: float = 2.0) -> None:
        self._client = client
        self._aws = aws
        self._interval = interval
        self._types: dict[str, InstanceType] = {}
        self._registered: dict[tuple[str, str], tuple[Taint, ...]] = {}
        self._applied: dict[str, dict[str, Any]] = {}
        self._leaving: dict[str, float] = {}
        """By name, when the drain of a node began, by the loop's clock."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="node groups")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self.step()
            except (AwsError, ClusterError) as error:
                _log.debug("the nodes can't be brought up to date now", error=str(error))
            except Exception:  # noqa: BLE001 - whatever an answer lacks, the next one may have it
                _log.exception("the nodes can't be brought up to date")
            await asyncio.sleep(self._interval)

    async def step(self) -> None:
        """Look once, and do what there is to do. Raises AwsError, ClusterError."""
        groups = await self._groups()
        instances = await self._instances() if groups else []
        known = await self._client.list(core.Node, label_selector=GROUP)
        if not groups and not known:
            return
        for instance in instances:
            await self._learn(instance["InstanceType"])
        wanted = nodes(groups, instances, self._types)
        present = {node.name for node in known}
        for name, node in wanted.items():
            if name not in present or self._applied.get(name) != node:
                await self._apply(name, node, new=name not in present)
        for name in sorted(present - wanted.keys()):
            await self._dismiss(name)

    async def _groups(self) -> list[Group]:
        found = []
        for cluster in await self._aws.pages("eks", "list_clusters", "clusters"):
            for name in await self._aws.pages("eks", "list_nodegroups", "nodegroups", clusterName=cluster):
                asked = {"clusterName": cluster, "nodegroupName": name}
                document = (await self._aws.call("eks", "describe_nodegroup", **asked))["nodegroup"]
                found.append(Group(document, await self._taints(document.get("launchTemplate"))))
        return found

    async def _instances(self) -> list[Mapping[str, Any]]:
        filters = [
            {"Name": "tag-key", "Values": ["eks:nodegroup-name"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        found = await self._aws.pages("ec2", "describe_instances", "Reservations", Filters=filters)
        return [instance for reservation in found for instance in reservation["Instances"]]

    async def _taints(self, template: Mapping[str, str] | None) -> tuple[Taint, ...]:
        if not template:
            return ()
        version = template["id"], template["version"]
        if version not in self._registered:
            asked = {"LaunchTemplateId": template["id"], "Versions": [template["version"]]}
            answer = await self._aws.call("ec2", "describe_launch_template_versions", **asked)
            data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
            taints = tuple(registered_taints(data.get("UserData", "")))
            if version[1].startswith("$"):
                return taints  # another one tomorrow
            self._registered[version] = taints
        return self._registered[version]

    async def _learn(self, name: str) -> None:
        if name not in self._types:
            answer = await self._aws.call("ec2", "describe_instance_types", InstanceTypes=[name])
            self._types[name] = instance_type(answer["InstanceTypes"][0])

    async def _apply(self, name: str, node: dict[str, Any], *, new: bool) -> None:
        if new:
            _log.info("a node joins the cluster", node=name)
        # Its own fields alone: who else labels or cordons a node isn't undone.
        await self._client.apply({key: node[key] for key in node if key != "status"}, field_manager=_MANAGER)
        info = node["status"]["nodeInfo"]
        status = {**node["status"], **health(info["kubeletVersion"], architecture=info["architecture"])}
        await self._client.patch(core.Node, Key("", name), {"status": status}, subresource="status")
        self._applied[name] = node
        self._leaving.pop(name, None)

    async def _dismiss(self, name: str) -> None:
        """Drain a node whose instance is gone; delete it once nothing runs there."""
        loop = asyncio.get_running_loop()
        if name not in self._leaving:
            _log.info("a node leaves the cluster", node=name)
            self._leaving[name] = loop.time()
            await self._client.patch(core.Node, Key("", name), {"spec": {"unschedulable": True}})
        left = [pod for pod in await self._client.list(core.Pod) if pod.spec.node_name == name and not _stays(pod)]
        for pod in left:
            if not pod.deleting:
                await self._evict(pod)
        if not left or loop.time() - self._leaving[name] > _LONGEST_DRAIN:
            with contextlib.suppress(NotFound):
                await self._client.delete(core.Node, Key("", name))
            del self._leaving[name]
            self._applied.pop(name, None)

    async def _evict(self, pod: core.Pod) -> None:
        """Evict a pod; one that a disruption budget keeps is asked again later."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.metadata.uid}},
        }
        path = path_of(kind_of(core.Pod), pod.key, "eviction")
        with contextlib.suppress(ClusterError):
            await self._client.request("POST", path, body=msgspec.json.encode(eviction))


def _stays(pod: core.Pod) -> bool:
    """Whether a drain leaves a pod alone: a DaemonSet's, which would come again, or one that has ended."""
    owned = any(owner.controller and owner.kind == "DaemonSet" for owner in pod.metadata.owner_references)
    return owned or pod.status.phase in ("Succeeded", "Failed")


def nodes(
    groups: Iterable[Group], instances: Iterable[Mapping[str, Any]], types: Mapping[str, InstanceType]
) -> dict[str, dict[str, Any]]:
    """The Node objects of the instances of node groups, by name: the private DNS name.

    `instances` are as DescribeInstances shows them, `types` by the names of their types.
    """
    by_name = {(group.document["clusterName"], group.document["nodegroupName"]): group for group in groups}
    found = {}
    for instance in instances:
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags") or ()}
        group = by_name.get((tags.get("eks:cluster-name", ""), tags["eks:nodegroup-name"]))
        if group:
            node = _node(group, instance, types[instance["InstanceType"]])
            found[node["metadata"]["name"]] = node
    return found


def _node(group: Group, instance: Mapping[str, Any], size: InstanceType) -> dict[str, Any]:
    document, name = group.document, instance["PrivateDnsName"]
    zone = instance["Placement"]["AvailabilityZone"]
    labels = {
        **document.get("labels", {}),
        GROUP: document["nodegroupName"],
        "eks.amazonaws.com/capacityType": document["capacityType"],
        "kubernetes.io/arch": size.architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": instance["InstanceType"],
        "topology.kubernetes.io/region": zone.rstrip("abcdef"),
        ZONE: zone,
    }
    taints = {(taint.key, taint.effect): taint for taint in group.registered}
    for each in document.get("taints") or ():
        taint = Taint(each["key"], each.get("value", ""), _EFFECTS[each["effect"]])
        taints[taint.key, taint.effect] = taint
    version = document.get("releaseVersion") or document["version"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {STAND_IN: "pods of this node are stood in for on loopback"},
        },
        "spec": {
            "providerID": f"aws:///{zone}/{instance['InstanceId']}",
            "taints": [taint._asdict() for taint in taints.values()],
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": instance["PrivateIpAddress"]},
                {"type": "InternalDNS", "address": name},
                {"type": "Hostname", "address": name},
            ],
            "capacity": _capacity(size),
            "allocatable": _allocatable(size),
            "nodeInfo": {"kubeletVersion": f"v{version.partition('-')[0]}", "architecture": size.architecture},
        },
    }


def _capacity(size: InstanceType) -> dict[str, str]:
    return {
        "cpu": str(size.cpus),
        "memory": f"{size.memory}Mi",
        "pods": str(size.pods),
        "ephemeral-storage": "20Gi",
    }


def _allocatable(size: InstanceType) -> dict[str, str]:
    """What is left of a node for pods, as Amazon Linux reserves for the kubelet and the system."""
    shares = (0.06, 0.01, 0.005, 0.005)
    kept = sum(shares[: size.cpus]) + 0.0025 * max(0, size.cpus - len(shares))
    memory = size.memory - (255 + 11 * size.pods) - 100
    return {**_capacity(size), "cpu": f"{math.floor((size.cpus - kept) * 1000)}m", "memory": f"{memory}Mi"}


def instance_type(document: Mapping[str, Any]) -> InstanceType:
    """What DescribeInstanceTypes says of a type; pods have the addresses that its interfaces hold."""
    network = document["NetworkInfo"]
    interfaces, addresses = network["MaximumNetworkInterfaces"], network["Ipv4AddressesPerInterface"]
    architectures = document.get("ProcessorInfo", {}).get("SupportedArchitectures") or ["x86_64"]
    return InstanceType(
        cpus=document["VCpuInfo"]["DefaultVCpus"],
        memory=document["MemoryInfo"]["SizeInMiB"],
        pods=interfaces * (addresses - 1) + 2,
        architecture="arm64" if "arm64" in architectures else "amd64",
    )
