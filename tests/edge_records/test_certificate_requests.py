"""Certificates that listeners ask for: requested, validated by DNS, issued, kept and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from msgspec import structs
from tests.edge_records.records_world import OPTIONS, RecordsWorld, gateway, records_world, until

from gatewright.aws.records.certificates import ANNOTATION, OwnCertificate, plan_certificates
from gatewright.local.aws.faults import Fault
from gatewright.local.block import Block

ASKS = {ANNOTATION: "request"}


@pytest.fixture
async def world(block: Block) -> AsyncIterator[RecordsWorld]:
    async with records_world(block) as world:
        yield world


def https(hostname: str = "", **tls: Any) -> dict[str, Any]:
    listener = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"mode": "Terminate", **tls}}
    return {**listener, **({"hostname": hostname} if hostname else {})}


async def issued(world: RecordsWorld) -> dict[str, str]:
    """ARNs of issued certificates by their domain."""
    listed = await world.cloud.call("acm", "list_certificates", CertificateStatuses=["ISSUED"])
    return {raw["DomainName"]: raw["CertificateArn"] for raw in listed["CertificateSummaryList"]}


async def all_of(world: RecordsWorld) -> set[str]:
    listed = await world.cloud.call("acm", "list_certificates")
    return {raw["DomainName"] for raw in listed["CertificateSummaryList"]}


async def test_a_certificate_is_requested_validated_issued_and_deleted(world: RecordsWorld) -> None:
    zone = await world.zone()
    heard: list[int] = []
    dns = world.dns(resync=0.2)
    certificates = world.certificates(dns, issued=lambda: heard.append(1))
    world.cluster.apply(gateway(https("*.example.com"), annotations=ASKS))
    async with dns, certificates:

        async def there() -> bool:
            return "*.example.com" in await issued(world)

        await until(there)
        await certificates.idle()
        await until(lambda: told(world, "CertificateIssued"))
        assert await world.events("Normal") >= {
            ("CertificateRequested", "Gateway infra/edge"),
            ("CertificateIssued", "Gateway infra/edge"),
        }
        assert await world.events() == set()
        assert heard
        answer = await world.cloud.call("acm", "get_certificate", CertificateArn=(await issued(world))["*.example.com"])
        leaf = x509.load_pem_x509_certificate(answer["Certificate"].encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(world.authority.pem))
        (cname,) = (name for name in await world.records(zone) if name.startswith("CNAME"))
        assert cname.endswith(".example.com")

        world.cluster.apply(gateway(https("*.example.com")))

        async def gone() -> bool:
            return not await all_of(world) and not await world.records(zone)

        await until(gone)


async def told(world: RecordsWorld, reason: str) -> bool:
    return reason in {found for found, _ in await world.events("Normal")}


async def test_one_that_is_in_use_stays_until_it_is_not(world: RecordsWorld) -> None:
    await world.zone()
    await world.balancer()
    balancer = (await world.cloud.call("elbv2", "describe_load_balancers"))["LoadBalancers"][0]["LoadBalancerArn"]
    dns = world.dns()
    world.cluster.apply(gateway(https("shop.example.com"), annotations=ASKS))
    async with dns, world.certificates(dns):

        async def there() -> bool:
            return "shop.example.com" in await issued(world)

        await until(there)
        made = await world.cloud.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=balancer,
            Protocol="HTTPS",
            Port=443,
            Certificates=[{"CertificateArn": (await issued(world))["shop.example.com"]}],
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )
        world.cluster.apply(gateway())
        before = world.aws.calls.copy()

        async def tried() -> bool:
            return any(call.operation == "delete_certificate" for call in world.aws.calls - before)

        await until(tried)
        assert "shop.example.com" in await issued(world)
        await world.cloud.call("elbv2", "delete_listener", ListenerArn=made["Listeners"][0]["ListenerArn"])

        async def gone() -> bool:
            return not await all_of(world)

        await until(gone)


async def test_after_a_crash_the_same_certificate_is_found_again(world: RecordsWorld) -> None:
    await world.zone()
    world.cluster.apply(gateway(https("shop.example.com"), annotations=ASKS))
    dns = world.dns()
    world.cloud.server.faults.inject(Fault(kind="reset", operation="RequestCertificate", count=1, after=True))
    async with dns, world.certificates(dns):
        await until(lambda: has(world, 1))
    again = world.dns()
    async with again, world.certificates(again) as certificates:
        await certificates.idle()

        async def there() -> bool:
            return "shop.example.com" in await issued(world)

        await until(there)
        assert len(await issued(world)) == 1
        assert await all_of(world) == {"shop.example.com"}


async def has(world: RecordsWorld, count: int) -> bool:
    listed = await world.cloud.call("acm", "list_certificates")
    return len(listed["CertificateSummaryList"]) == count


async def test_certificates_of_others_are_never_touched(world: RecordsWorld) -> None:
    await world.zone()
    theirs = {"Key": "elbv2.k8s.aws/cluster", "Value": "cluster-b"}
    for tags in ([{"Key": "team", "Value": "a"}], [theirs, {"Key": ANNOTATION, "Value": "request"}]):
        await world.cloud.call(
            "acm", "request_certificate", DomainName="old.example.com", ValidationMethod="DNS", Tags=tags
        )
    dns = world.dns()
    async with dns, world.certificates(dns) as certificates:
        await certificates.idle()
        assert await has(world, 2)


async def test_a_listener_without_a_hostname_or_with_another_wish_is_told(world: RecordsWorld) -> None:
    await world.zone()
    world.cluster.apply(
        gateway(https(), annotations=ASKS),
        gateway(https("shop.example.com"), name="other", annotations={ANNOTATION: "please"}),
    )
    dns = world.dns()
    async with dns, world.certificates(dns) as certificates:
        await certificates.idle()
    assert await world.events() == {
        ("CertificateNotRequested", "Gateway infra/edge"),
        ("CertificateNotRequested", "Gateway infra/other"),
    }
    assert not await all_of(world)


async def test_validation_records_alone_need_no_names_of_routes(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(https("shop.example.com"), annotations=ASKS))
    dns = world.dns(structs.replace(OPTIONS, policy="upsert-only"), hostnames=False)
    async with dns, world.certificates(dns):

        async def there() -> bool:
            return "shop.example.com" in await issued(world)

        await until(there)
    assert {name.split()[0] for name in await world.records(zone)} == {"CNAME", "TXT"}


# --- what is to be done ----------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def own(arn: str, domain: str = "a.example.com", status: str = "ISSUED", hours: float = 0.0) -> OwnCertificate:
    return OwnCertificate(arn, domain, status, NOW - timedelta(hours=hours), (("_x.a.example.com", "_y"),))


def test_an_issued_one_is_kept_and_what_is_too_much_goes() -> None:
    pending, fine, other = own("1", status="PENDING_VALIDATION"), own("2"), own("3", "b.example.com")
    found = plan_certificates(["a.example.com", "c.example.com"], [pending, fine, other], NOW)
    assert found.keep == (fine,)
    assert set(found.delete) == {pending, other}
    assert found.request == ("c.example.com",)


def test_one_that_failed_is_shown_for_an_hour_and_then_tried_again() -> None:
    fresh, old = own("1", status="FAILED"), own("1", status="FAILED", hours=2)
    assert plan_certificates(["a.example.com"], [fresh], NOW).keep == (fresh,)
    found = plan_certificates(["a.example.com"], [old], NOW)
    assert (found.request, found.delete) == (("a.example.com",), (old,))
