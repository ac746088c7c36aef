"""Whom a Gateway's HTTPS ports let in: authorities become trust stores, and no port is open that should verify."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from tests.edge_gateways.gateway_world import GATEWAY, World, app, gateway, obj, route, until
from tests.edge_gateways.objecting import Objecting

from gatewright.aws import views
from gatewright.aws.errors import AccessDenied
from gatewright.local.certificates import Authority
from gatewright.model.gateway import Gateway

BUCKET = "trust"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


def site(authority: Authority) -> dict[str, Any]:
    pair = authority.issue(["shop.example.com"])
    data = {"tls.crt": pair.chain, "tls.key": pair.private_key}
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    return obj("v1", "Secret", "site", type="kubernetes.io/tls", data=encoded)


def authorities(pem: bytes, name: str = "partners") -> dict[str, Any]:
    return obj("v1", "ConfigMap", name, data={"ca.crt": pem.decode()})


def https(port: int = 443) -> dict[str, Any]:
    refs = {"certificateRefs": [{"name": "site"}]}
    return {"name": f"https-{port}", "port": port, "protocol": "HTTPS", "tls": refs}


def verified(*ports: int, **validation: Any) -> dict[str, Any]:
    refs = [{"group": "", "kind": "ConfigMap", "name": "partners"}]
    frontend = {"default": {"validation": {"caCertificateRefs": refs, **validation}}}
    return gateway(*map(https, ports or (443,)), tls={"frontend": frontend})


class Bucket:
    """What is in S3 and in trust stores."""

    def __init__(self, world: World) -> None:
        self._aws = world.aws

    async def make(self) -> Bucket:
        await self._aws.call("s3", "create_bucket", Bucket=BUCKET)
        return self

    async def keys(self) -> list[str]:
        found = await self._aws.pages("s3", "list_objects_v2", "Contents", Bucket=BUCKET)
        return [each["Key"] for each in found]

    async def stores(self) -> list[str]:
        found = await self._aws.pages("elbv2", "describe_trust_stores", "TrustStores")
        return [each["TrustStoreArn"] for each in found]


async def modes(world: World) -> dict[int, tuple[str, str]]:
    """By port, how client certificates are treated, and by which trust store."""
    arn = (await world.load_balancer()).arn
    found = await world.aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    return {
        each["Port"]: ((each.get("MutualAuthentication") or {}).get("Mode", "off"), _store(each))
        for each in found
        if each["Protocol"] == "HTTPS"
    }


def _store(listener: Mapping[str, Any]) -> str:
    return str((listener.get("MutualAuthentication") or {}).get("TrustStoreArn", ""))


async def test_authorities_become_a_trust_store_that_goes_with_the_gateway(world: World, authority: Authority) -> None:
    bucket = await Bucket(world).make()
    await world.apply(site(authority), authorities(authority.pem), verified(443, 8443), route(), *app())
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        (store,) = await bucket.stores()
        assert await modes(world) == {443: ("verify", store), 8443: ("verify", store)}
        assert await bucket.keys() == ["gatewright/gatewright/alb/infra/shared/frontend.pem"]
        tags = (await views.tags_of(world.aws, [store]))[store]
        assert tags["gateway.k8s.aws.alb/stack"] == "infra/shared"
        assert (await world.conditions())["Programmed"].status == "True"
        await world.delete(Gateway, GATEWAY)
        await until(lambda: world.gone(Gateway, GATEWAY))
        assert (await bucket.stores(), await bucket.keys()) == ([], [])


async def test_other_authorities_take_the_place_of_the_old_ones(world: World, authority: Authority) -> None:
    bucket = await Bucket(world).make()
    await world.apply(site(authority), authorities(authority.pem), verified(), route(), *app())
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        before, stores = Counter(world.aws.calls), await bucket.stores()
        await world.apply(authorities(authority.pem + Authority.create().pem))
        await world.settled(controller)
        assert world.writes(before) == {"put_object": 1, "modify_trust_store": 1, "add_tags": 1}
        assert await bucket.stores() == stores
        before = Counter(world.aws.calls)
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        assert world.writes(before) == {}


async def test_a_port_that_need_not_verify_any_more_needs_no_trust_store(world: World, authority: Authority) -> None:
    bucket = await Bucket(world).make()
    await world.apply(site(authority), authorities(authority.pem), verified(), route(), *app())
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        await world.apply(verified(mode="AllowInsecureFallback"))
        await world.settled(controller)
        assert await modes(world) == {443: ("passthrough", "")}
        assert (await bucket.stores(), await bucket.keys()) == ([], [])
        assert (await world.conditions())["InsecureFrontendValidationMode"].status == "True"


async def test_what_a_crash_left_in_the_bucket_is_removed(world: World) -> None:
    """Of a Gateway that is gone; what another cluster or somebody else has there stays."""
    bucket = await Bucket(world).make()
    others = ["gatewright/another/alb/infra/shared/frontend.pem", "notes.txt"]
    for key in ("gatewright/gatewright/alb/infra/shared/frontend.pem", *others):
        await world.aws.call("s3", "put_object", Bucket=BUCKET, Key=key, Body=b"-")
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        assert await bucket.keys() == others


async def test_a_port_that_cannot_verify_is_closed_rather_than_open(world: World, authority: Authority) -> None:
    """It was open to anybody before; everything else stays as it was."""
    bucket = await Bucket(world).make()
    denied = True

    def objection(call: str, _: Mapping[str, Any]) -> Exception | None:
        refused = denied and call == "s3:put_object"
        return AccessDenied("AccessDenied", "Access Denied", call) if refused else None

    http = {"name": "http", "port": 80, "protocol": "HTTP"}
    await world.apply(site(authority), authorities(authority.pem), gateway(http, https()), route(), *app())
    async with world.controller(aws=Objecting(world.aws, objection), trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        assert await modes(world) == {443: ("off", "")}
        spec = verified()["spec"]
        await world.apply(gateway(http, https(), tls=spec["tls"]))
        await world.settled(controller)
        assert await modes(world) == {}
        found = await world.client.get(Gateway, GATEWAY)
        programmed = {
            each.name: next(one for one in each.conditions if one.type == "Programmed")
            for each in found.status.listeners
        }
        assert programmed["http"].status == "True"
        assert programmed["https-443"].status == "False"
        assert "s3://trust/gatewright/gatewright/alb/infra/shared/frontend.pem" in programmed["https-443"].message
        assert "IAM policy" in programmed["https-443"].message
        denied = False
        await controller.look_again()
        await world.settled(controller)
        (store,) = await bucket.stores()
        assert await modes(world) == {443: ("verify", store)}


async def test_more_ports_than_a_load_balancer_can_verify_at_are_refused_by_name(
    world: World, authority: Authority
) -> None:
    await Bucket(world).make()
    await world.apply(site(authority), authorities(authority.pem), verified(443, 8443, 9443), route(), *app())
    async with world.controller(trust_store_bucket=BUCKET) as controller:
        await world.settled(controller)
        assert sorted(await modes(world)) == [443, 8443]
        found = await world.client.get(Gateway, GATEWAY)
        (last,) = [each for each in found.status.listeners if each.name == "https-9443"]
        (programmed,) = [each for each in last.conditions if each.type == "Programmed"]
        assert "mutual-tls-verify-listeners-per-application-load-balancer" in programmed.message
        assert not any(call.operation == "create_listener" and call.result != "ok" for call in world.aws.calls)
