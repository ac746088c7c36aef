"""What the VPC's resolver answers, asked with real DNS queries over UDP and TCP."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import struct
from random import Random
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from gatewright.flow import Flow
from gatewright.local.aws.dns.names import Names
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import (
    CloudState,
    Forward,
    HealthCheck,
    HostedZone,
    Listener,
    LoadBalancer,
    Node,
    RecordSet,
    Target,
    TargetGroup,
    TargetHealth,
    TargetKey,
)


async def ask(aws: EmulatedAws, name: str, type_: str = "A", *, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, type_)
    host, port = aws.resolver.address
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, host, timeout=60, port=port)


async def zone(aws: EmulatedAws, name: str, *records: dict[str, Any], private: bool = False) -> None:
    options: dict[str, Any] = {}
    if private:
        vpc = {"VPCRegion": "us-east-1", "VPCId": aws.seeded.vpc}
        options = {"VPC": vpc, "HostedZoneConfig": {"PrivateZone": True}}
    made = await aws.call("route53", "create_hosted_zone", Name=name, CallerReference=f"{name}{private}", **options)
    changes = [{"Action": "CREATE", "ResourceRecordSet": record} for record in records]
    await aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=made["HostedZone"]["Id"],
        ChangeBatch={"Changes": changes},
    )


def record(name: str, type_: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Type": type_, "TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}


async def test_records_wildcards_and_cnames_over_udp_and_tcp(aws: EmulatedAws) -> None:
    await zone(
        aws,
        "example.com",
        record("a.example.com", "A", "192.0.2.1", "192.0.2.2"),
        record("*.w.example.com", "A", "192.0.2.3"),
        record("x.y.w.example.com", "TXT", '"there"'),
        record("c.example.com", "CNAME", "a.example.com"),
    )
    for tcp in (False, True):
        answer = await ask(aws, "A.Example.com", tcp=tcp)
        assert answer.flags & dns.flags.AA or answer.flags & dns.flags.RA
        assert sorted(map(str, answer.answer[0])) == ["192.0.2.1", "192.0.2.2"]
        assert [rrset.to_text() for rrset in (await ask(aws, "any.w.example.com", tcp=tcp)).answer] == [
            "any.w.example.com. 60 IN A 192.0.2.3"
        ]
        followed = await ask(aws, "c.example.com", tcp=tcp)
        assert [rrset.rdtype.name for rrset in followed.answer] == ["CNAME", "A"]
    # A name that others are below is there, so no wildcard stands for it, nor for what is below it.
    assert not (await ask(aws, "y.w.example.com")).answer
    missing = await ask(aws, "z.y.w.example.com")
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert missing.authority[0].rdtype.name == "SOA"
    assert (await ask(aws, "a.example.com", "AAAA")).rcode() == dns.rcode.NOERROR
    assert (await ask(aws, "example.org")).rcode() == dns.rcode.REFUSED


async def test_load_balancers_and_aliases_to_them(aws: EmulatedAws) -> None:
    made = await aws.call("elbv2", "create_load_balancer", Name="edge", Subnets=aws.seeded.public)
    balancer = made["LoadBalancers"][0]
    target = {
        "DNSName": balancer["DNSName"],
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        "EvaluateTargetHealth": True,
    }
    await zone(aws, "example.com", {"Name": "shop.example.com", "Type": "A", "AliasTarget": target})
    own = await ask(aws, balancer["DNSName"])
    nodes = aws.state.load_balancers[balancer["LoadBalancerArn"]].nodes
    expected = {node.address for node in nodes} if aws.network.is_loopback else {"127.0.0.1"}
    assert {str(item) for item in own.answer[0]} == expected
    assert own.answer[0].ttl == 60
    alias = await ask(aws, "shop.example.com")
    assert [rrset.name.to_text() for rrset in alias.answer] == ["shop.example.com."]
    assert {str(item) for item in alias.answer[0]} == expected
    await aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=balancer["LoadBalancerArn"])
    assert (await ask(aws, balancer["DNSName"])).rcode() == dns.rcode.NXDOMAIN


async def test_a_private_zone_hides_the_public_one(aws: EmulatedAws) -> None:
    await zone(aws, "example.com", record("a.example.com", "A", "192.0.2.1"), record("b.example.com", "A", "192.0.2.1"))
    await zone(aws, "example.com", record("a.example.com", "A", "10.0.0.1"), private=True)
    assert str((await ask(aws, "a.example.com")).answer[0][0]) == "10.0.0.1"
    assert (await ask(aws, "b.example.com")).rcode() == dns.rcode.NXDOMAIN


async def test_a_long_answer_is_cut_over_udp(aws: EmulatedAws) -> None:
    await zone(
        aws, "example.com", record("long.example.com", "TXT", *(f'"{number:03}{"x" * 200}"' for number in range(9)))
    )
    host, port = aws.resolver.address
    query = dns.message.make_query("long.example.com", "TXT", use_edns=False)
    cut = await dns.asyncquery.udp(query, host, timeout=60, port=port)
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    assert len((await ask(aws, "long.example.com", "TXT", tcp=True)).answer[0]) == 9
    large = dns.message.make_query("long.example.com", "TXT", use_edns=True, payload=4096)
    assert len((await dns.asyncquery.udp(large, host, timeout=60, port=port)).answer[0]) == 9


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\xff" * 40, b"\x00\x01" + b"\x00" * 3], ids=str)
async def test_noise_is_no_trouble(aws: EmulatedAws, noise: bytes) -> None:
    host, port = aws.resolver.address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(struct.pack("!H", len(noise)) + noise)
    await writer.drain()
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    aws.resolver.respond(noise)
    assert (await ask(aws, "example.org")).rcode() == dns.rcode.REFUSED


async def test_other_classes_and_operations(aws: EmulatedAws) -> None:
    chaos = dns.message.make_query("version.bind", "TXT", rdclass="CH")
    update = dns.message.make_query("example.com", "A")
    update.set_opcode(dns.opcode.NOTIFY)
    for query, expected in ((chaos, dns.rcode.REFUSED), (update, dns.rcode.NOTIMP)):
        answer = aws.resolver.respond(query.to_wire())
        assert answer is not None
        assert dns.message.from_wire(answer).rcode() == expected


# --- by the state alone ----------------------------------------------------------------------------------------------

NLB = LoadBalancer(
    "arn:nlb",
    "edge",
    "network",
    "internal",
    "edge-1.elb.us-east-1.amazonaws.com",
    (Node("us-east-1a", "s-a", "10.0.0.10"), Node("us-east-1b", "s-b", "10.0.1.10")),
    {"load_balancing.cross_zone.enabled": "false"},
)


def nlb(health: dict[str, str], cross_zone: str = "false") -> Names:
    """An NLB whose only target group has a target in each zone of `health`."""
    state = CloudState(Flow())
    group = TargetGroup(
        "arn:tg", "web", "ip", "TCP", 80, "", HealthCheck(True, "TCP", "traffic-port", "", 10, 5, 3, 3, ""), {}
    )
    with state.flow.batch():
        attributes = {"load_balancing.cross_zone.enabled": cross_zone}
        state.load_balancers.set(NLB.arn, LoadBalancer(**{**_fields(NLB), "attributes": attributes}))
        state.listeners.set("arn:l", Listener("arn:l", NLB.arn, "TCP", 80, Forward((("arn:tg", 1),))))
        state.target_groups.set(group.arn, group)
        for number, (zone, is_) in enumerate(health.items()):
            key = TargetKey(group.arn, f"10.0.{number}.1", 80)
            state.targets.set(key, Target(key, (key.id,), zone, 0.0))
            state.health.set(key, TargetHealth(is_))  # type: ignore[arg-type]
    return Names(state)


def _fields(balancer: LoadBalancer) -> dict[str, Any]:
    return {name: getattr(balancer, name) for name in balancer.__struct_fields__}


def addresses(names: Names, name: str = NLB.dns_name) -> list[str]:
    return sorted(value for rrset in names.answer(name, "A").answer for value in rrset.values)


def test_a_zone_without_a_healthy_target_is_taken_out_of_an_nlbs_name() -> None:
    both = ["10.0.0.10", "10.0.1.10"]
    assert addresses(nlb({"us-east-1a": "healthy", "us-east-1b": "healthy"})) == both
    assert addresses(nlb({"us-east-1a": "healthy", "us-east-1b": "unhealthy"})) == ["10.0.0.10"]
    assert addresses(nlb({"us-east-1a": "unhealthy", "us-east-1b": "unhealthy"})) == both
    assert addresses(nlb({"us-east-1a": "healthy", "us-east-1b": "unhealthy"}, "true")) == both
    assert addresses(nlb({"": "healthy"})) == both


def test_an_nlb_has_a_name_for_each_zone() -> None:
    names = nlb({"us-east-1a": "unhealthy", "us-east-1b": "healthy"})
    assert addresses(names, f"us-east-1a.{NLB.dns_name}") == ["10.0.0.10"]
    assert names.answer(f"us-east-1c.{NLB.dns_name}", "A").answer == ()


def test_weights_share_the_answers() -> None:
    state = CloudState(Flow())
    weighted = [
        RecordSet("a.example.com", "A", 60, (value,), set_identifier=value, weight=weight)
        for value, weight in (("192.0.2.1", 3), ("192.0.2.2", 1), ("192.0.2.3", 0))
    ]
    state.hosted_zones.set("Z1", HostedZone("Z1", "example.com", False, tuple(weighted)))
    names = Names(state, pick=Random(7))
    found = [names.answer("a.example.com", "A").answer[0].values for _ in range(400)]
    assert 250 < found.count(("192.0.2.1",)) < 350
    assert ("192.0.2.3",) not in found


def test_names_that_lead_in_circles_end() -> None:
    state = CloudState(Flow())
    loops = (
        RecordSet("a.example.com", "CNAME", 60, ("b.example.com.",)),
        RecordSet("b.example.com", "CNAME", 60, ("a.example.com.",)),
        RecordSet("c.example.com", "A", alias="d.example.com"),
        RecordSet("d.example.com", "A", alias="c.example.com"),
    )
    state.hosted_zones.set("Z1", HostedZone("Z1", "example.com", False, loops))
    names = Names(state)
    assert names.answer("a.example.com", "A").code == "NOERROR"
    assert names.answer("c.example.com", "A").answer == ()


def test_where_there_is_one_address_all_load_balancers_are_there() -> None:
    state = CloudState(Flow())
    state.load_balancers.set(NLB.arn, NLB)
    assert addresses(Names(state, shared=True)) == ["127.0.0.1"]
