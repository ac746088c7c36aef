"""What a cluster has in the cloud beside what Terraform made, which would be left over if the cluster just went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatewright.aws.client import Aws
from gatewright.aws.errors import NotFound
from gatewright.aws.records.ownership import read_claim
from gatewright.aws.records.read import read_records
from gatewright.aws.stack.desired import CLUSTER_TAG
from gatewright.cluster import Client
from gatewright.cluster import NotFound as Absent
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key
from gatewright.platform import objects
from gatewright.platform.objects import Json

_TAGS_AT_ONCE = 20
_LEGACY_TAG = "kubernetes.io/cluster/{}"
_OWNED = "owned"

FRONTS = (
    ("gateway.networking.k8s.io/v1", "gateways"),
    ("networking.k8s.io/v1", "ingresses"),
    ("v1", "services"),
)
"""Kinds for which somebody makes load balancers."""


class Balancer(NamedTuple):
    """A load balancer of the cluster's in the cloud."""

    name: str
    arn: str


def of_cluster(tags: Iterable[Json], cluster: str) -> bool:
    """Whether a load balancer's tags say that a controller of the cluster made it."""
    found = {tag["Key"]: tag.get("Value", "") for tag in tags}
    return found.get(CLUSTER_TAG) == cluster or found.get(_LEGACY_TAG.format(cluster)) == _OWNED


async def balancers(aws: Aws, cluster: str) -> list[Balancer]:
    """The load balancers in the region that controllers of the cluster made. Raises AwsError."""
    every = await aws.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    names = {each["LoadBalancerArn"]: each["LoadBalancerName"] for each in every}
    arns = list(names)
    found: list[Balancer] = []
    for start in range(0, len(arns), _TAGS_AT_ONCE):
        try:
            answer = await aws.call("elbv2", "describe_tags", ResourceArns=arns[start : start + _TAGS_AT_ONCE])
        except NotFound:  # one of them went at this moment
            return await balancers(aws, cluster)
        ours = [
            each["ResourceArn"] for each in answer["TagDescriptions"] if of_cluster(each.get("Tags") or (), cluster)
        ]
        found += [Balancer(names[arn], arn) for arn in ours]
    return found


async def records(aws: Aws, zone: str, cluster: str) -> list[str]:
    """The names of the markers in a hosted zone of the records that the cluster's controller made. Raises AwsError."""
    try:
        found = await read_records(aws, zone)
    except NotFound:
        return []
    claims = [(each.name, read_claim(value)) for each in found if each.type == "TXT" for value in each.values]
    return [name for name, claim in claims if claim and claim.owner == cluster]


def is_front(found: Json) -> bool:
    """Whether an object has, or is to have, a load balancer of its own."""
    if found.get("kind") != "Service":
        return True
    return bool((found.get("spec") or {}).get("type") == "LoadBalancer")


async def fronts(client: Client) -> list[Json]:
    """Objects in the cluster that have load balancers. Raises ClusterError."""
    every = [each for api_version, plural in FRONTS for each in await objects.items(client, api_version, plural)]
    return [each for each in every if is_front(each)]


async def delete(client: Client, found: Sequence[Json]) -> None:
    """Ask for the deletion of objects that nobody else deletes: those without an owner."""
    for each in found:
        metadata = each["metadata"]
        if metadata.get("deletionTimestamp") or metadata.get("ownerReferences"):
            continue
        kind = find(each["apiVersion"], each["kind"])
        if isinstance(kind, Kind):
            try:
                await client.delete(kind, Key(metadata.get("namespace", ""), metadata["name"]))
            except Absent:
                continue
