"""A cluster's objects, an emulated AWS with its resolver, and what keeps records and certificates between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import dns.asyncquery
import dns.message
import dns.rdatatype
from tests.aws_records.exposed import Exposed, gateway, route

from gatewright.aws import Aws
from gatewright.aws.records.names import plain
from gatewright.aws.records.records import DnsOptions
from gatewright.cluster import Client
from gatewright.edge.records import CertificateRequests, DnsRecords
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block
from gatewright.local.certificates import Authority
from gatewright.model.core import Event
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key
from gatewright.resolve import Addresses

__all__ = ["RecordsWorld", "gateway", "records_world", "route", "until"]

PACE = 100.0
OPTIONS = DnsOptions(owner="cluster-a", policy="sync")


class RecordsWorld:
    """What a test does and sees. `cluster` is what somebody else watches."""

    def __init__(self, client: Client, cloud: EmulatedAws, aws: Aws, authority: Authority) -> None:
        self.client = client
        self.cloud = cloud
        self.aws = aws
        self.authority = authority
        self.cluster = Exposed()
        self._stack = AsyncExitStack()

    def dns(self, options: DnsOptions = OPTIONS, **others: Any) -> DnsRecords:
        given = {"aws": self.aws, "again": 0.05, **others}
        cluster = self.cluster
        return DnsRecords(self.client, given.pop("aws"), cluster.inputs, cluster.resolutions, options=options, **given)

    def certificates(self, dns: DnsRecords, **others: Any) -> CertificateRequests:
        given = {"aws": self.aws, "poll": 0.02, "again": 0.05, **others}
        inputs, resolutions = self.cluster.inputs, self.cluster.resolutions
        return CertificateRequests(
            self.client, given.pop("aws"), inputs, resolutions, dns, cluster="cluster-a", **given
        )

    async def zone(self, name: str = "example.com", **options: Any) -> str:
        """The ID of a new hosted zone."""
        made = await self.cloud.call(
            "route53", "create_hosted_zone", Name=name, CallerReference=f"{name} {options}", **options
        )
        return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")

    async def private_zone(self, name: str = "example.com") -> str:
        vpc = {"VPCRegion": "us-east-1", "VPCId": self.cloud.seeded.vpc}
        return await self.zone(name, VPC=vpc, HostedZoneConfig={"PrivateZone": True})

    async def balancer(self, gateway: str = "edge", *, scheme: str = "internet-facing", listed: bool = True) -> str:
        """The DNS name of a Gateway's new ALB, which its address says."""
        made = await self.cloud.call(
            "elbv2", "create_load_balancer", Name=gateway, Subnets=self.cloud.seeded.public, Scheme=scheme
        )
        name = str(made["LoadBalancers"][0]["DNSName"])
        if listed:
            self.address(name, gateway)
        return name

    def address(self, name: str, gateway: str = "edge") -> None:
        found = GatewayStatusAddress(type="Hostname", value=name)
        self.cluster.inputs.addresses.set(Key("infra", gateway), Addresses((found,)))

    async def change(self, zone: str, action: str, **record: Any) -> None:
        changes = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        await self.cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=changes)

    async def records(self, zone: str) -> dict[str, str]:
        """What a zone holds besides its own records: `A shop.example.com` and where it leads, or its values."""
        answer = await self.cloud.call("route53", "list_resource_record_sets", HostedZoneId=zone)
        return {
            f"{raw['Type']} {plain(raw['Name'])}": plain(raw["AliasTarget"]["DNSName"])
            if "AliasTarget" in raw
            else ", ".join(each["Value"] for each in raw["ResourceRecords"])
            for raw in answer["ResourceRecordSets"]
            if raw["Type"] not in ("NS", "SOA")
        }

    async def resolve(self, name: str, type_: str = "A") -> list[str]:
        """What the VPC's resolver answers."""
        query = dns.message.make_query(name, type_)
        host, port = self.cloud.resolver.address
        answer = await dns.asyncquery.udp(query, host, timeout=60, port=port)
        return sorted(
            str(item) for rrset in answer.answer for item in rrset if rrset.rdtype == query.question[0].rdtype
        )

    async def events(self, kind: str = "Warning") -> set[tuple[str, str]]:
        """Reason of each event, and `Kind namespace/name` that it is about."""
        found = set()
        for namespace in ("infra", "apps"):
            for event in await self.client.list(Event, namespace):
                about = event.involved_object
                if event.type == kind:
                    found.add((event.reason, f"{about.kind} {about.namespace}/{about.name}"))
        return found


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until `check` holds; AWS has nothing to watch, so it is asked again and again."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def records_world(block: Block) -> AsyncIterator[RecordsWorld]:
    network = "10.0.0.0/16" if block.shared else block.network
    authority = Authority.create()
    async with (
        EmulatedAws(network, pace=PACE, traffic=False, signer=authority) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        for namespace in ("infra", "apps"):
            await client.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, field_manager="test"
            )
        yield RecordsWorld(client, cloud, aws, authority)
