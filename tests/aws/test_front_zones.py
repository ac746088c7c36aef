"""Hosted zones of an edge description."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gatewright.aws.client import Aws
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.certificates import Authority
from gatewright.local.front.description import parse
from gatewright.local.front.provision import FrontProvisioner
from gatewright.local.manifests import FrontManifest, Problem

AUTHORITY = Authority.create()


@pytest.fixture
async def provisioner(aws: EmulatedAws) -> AsyncIterator[FrontProvisioner]:
    async with Aws(region="us-east-1", endpoint_url=aws.url, credentials=("test", "test")) as client:
        yield FrontProvisioner(client, AUTHORITY.issue, AUTHORITY.pem)


async def update(provisioner: FrontProvisioner, *zones: dict[str, Any]) -> tuple[list[Problem], list[str]]:
    """Describe these zones, and nothing else."""
    return await provisioner.update(FrontManifest(parse({"aws": {"hostedZones": list(zones)}}), "edge.yaml", {}))


async def test_zones_come_change_and_go_with_what_others_wrote(aws: EmulatedAws, provisioner: FrontProvisioner) -> None:
    problems, done = await update(provisioner, {"name": "example.com"}, {"name": "inside.example", "private": True})
    assert not problems
    assert done == ["hosted zone example.com created", "private hosted zone inside.example created"]
    await aws.settled()
    zones = {zone.name: zone for zone in aws.state.hosted_zones.values()}
    assert {name: zone.private for name, zone in zones.items()} == {"example.com": False, "inside.example": True}
    record = {"Name": "a.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    await aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=zones["example.com"].id,
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]},
    )
    assert await update(provisioner, {"name": "example.com"}, {"name": "inside.example"}) == (
        [],
        ["hosted zone inside.example created"],
    )
    await aws.settled()
    zones = {zone.name: zone for zone in aws.state.hosted_zones.values()}
    assert not zones["inside.example"].private
    assert len(zones["example.com"].records) == 3
    assert await update(provisioner) == (
        [],
        ["hosted zone example.com deleted", "hosted zone inside.example deleted"],
    )
    await aws.settled()
    assert not aws.state.hosted_zones
