"""What is read of a VPC and of ACM, from an AWS that holds what a cluster usually has."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest
from tests.aws_gateways.gateway_world import key_pair

from gatewright.aws import Aws
from gatewright.aws.certificates import read_certificate, read_certificates
from gatewright.aws.network import Network, choose_vpc, read_interfaces, read_network, within
from gatewright.local.aws.backends import forget
from gatewright.local.aws.seed import Seeded, seed
from gatewright.local.aws.server import ApiServer


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    server = ApiServer(lambda service: None)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def aws(api: ApiServer) -> Aws:
    return Aws(region="us-east-1", endpoint_url=api.url, credentials=("test", "test"))


@pytest.fixture
def seeded() -> Iterator[Seeded]:
    yield seed(IPv4Network("10.0.0.0/16"), "prod")
    forget()


async def test_a_network_is_read(aws: Aws, seeded: Seeded) -> None:
    network = await read_network(aws, cluster="prod")
    assert (network.vpc, network.ranges, network.problem) == (seeded.vpc, ("10.0.0.0/16",), "")
    by_name = {subnet.name: subnet for subnet in network.subnets}
    assert {name: (subnet.zone, subnet.public) for name, subnet in by_name.items()} == {
        "prod-private-a": ("us-east-1a", False),
        "prod-private-b": ("us-east-1b", False),
        "prod-public-a": ("us-east-1a", True),
        "prod-public-b": ("us-east-1b", True),
    }
    assert all(subnet.clusters == {"prod"} and not subnet.crowded for subnet in network.subnets)
    assert seeded.node_security_group in {group.id for group in network.security_groups}
    assert {group.name for group in network.security_groups} >= {"prod-node"}


async def test_it_takes_few_calls_whatever_there_is(aws: Aws, seeded: Seeded) -> None:
    before = aws.calls.total()
    await read_network(aws, seeded.vpc)
    assert aws.calls.total() - before == 5


async def test_interfaces_are_by_address(aws: Aws, seeded: Seeded) -> None:
    made = await aws.call(
        "ec2",
        "create_network_interface",
        SubnetId=seeded.private[0],
        PrivateIpAddress="10.0.0.9",
        Groups=[seeded.node_security_group],
    )
    assert made["NetworkInterface"]["PrivateIpAddress"] == "10.0.0.9"
    assert (await read_interfaces(aws, seeded.vpc))["10.0.0.9"] == (seeded.node_security_group,)


async def test_certificates_are_read_whatever_their_keys(aws: Aws, seeded: Seeded) -> None:
    assert seeded.vpc
    chain, private_key = key_pair()
    tags = [{"Key": "gatewright.dev/fingerprint", "Value": "abc"}]
    imported = await aws.call(
        "acm", "import_certificate", Certificate=chain.encode(), PrivateKey=private_key.encode(), Tags=tags
    )
    requested = await aws.call(
        "acm", "request_certificate", DomainName="*.Example.com", SubjectAlternativeNames=["example.com"]
    )
    found = await read_certificates(aws)
    own = found[imported["CertificateArn"]]
    assert (own.status, own.tags) == ("ISSUED", {"gatewright.dev/fingerprint": "abc"})
    other = found[requested["CertificateArn"]]
    assert (set(other.domains), other.tags) == ({"*.example.com", "example.com"}, {})


def test_a_summary_with_all_names_needs_no_further_call() -> None:
    raw = {
        "CertificateArn": "arn:1",
        "DomainName": "a.org",
        "SubjectAlternativeNameSummaries": ["a.org", "B.org"],
        "Status": "ISSUED",
    }
    assert read_certificate(raw).domains == ("a.org", "b.org")


# --- which VPC -------------------------------------------------------------------------------------------------------

_VPCS: list[dict[str, Any]] = [{"VpcId": "vpc-1"}, {"VpcId": "vpc-2"}]


def subnet(vpc: str, *tags: str) -> dict[str, Any]:
    return {"VpcId": vpc, "Tags": [{"Key": tag, "Value": "1"} for tag in tags]}


@pytest.mark.parametrize(
    ("subnets", "named", "expected"),
    [
        ([], "vpc-2", "vpc-2"),
        ([subnet("vpc-1", "kubernetes.io/role/elb"), subnet("vpc-2", "kubernetes.io/cluster/prod")], "", "vpc-2"),
        ([subnet("vpc-1", "kubernetes.io/cluster/other"), subnet("vpc-2", "kubernetes.io/role/elb")], "", "vpc-2"),
        ([subnet("vpc-1"), subnet("vpc-2")], "", ""),
        ([subnet("vpc-1", "kubernetes.io/role/elb"), subnet("vpc-2", "kubernetes.io/role/elb")], "", ""),
        ([], "vpc-3", ""),
    ],
)
def test_the_vpc_is_named_or_tagged(subnets: list[dict[str, Any]], named: str, expected: str) -> None:
    chosen, problem = choose_vpc(_VPCS, subnets, named, "prod")
    assert chosen == expected
    assert bool(problem) == (not expected)


def test_the_only_vpc_is_the_cluster_s() -> None:
    assert choose_vpc(_VPCS[:1], [], "", "prod") == ("vpc-1", "")


async def test_a_network_without_a_vpc_says_why(aws: Aws, seeded: Seeded) -> None:
    assert seeded.vpc
    network = await read_network(aws, "vpc-lost")
    assert network == Network("", problem=network.problem)
    assert "vpc-lost does not exist" in network.problem
    assert seeded.vpc in network.problem


def test_addresses_are_compared_within_their_family() -> None:
    assert within(["10.0.0.0/8", "2001:db8::/32"], "10.1.2.3")
    assert within(["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1")
    assert not within(["10.0.0.0/8"], "2001:db8::1")
