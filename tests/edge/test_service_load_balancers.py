"""A Service of type LoadBalancer has a Network Load Balancer at AWS, for as long as it exists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.edge.service_world import World, endpoint_slice, service, service_world, spent, until

from gatewright.aws import views
from gatewright.local.block import Block
from gatewright.model.core import Node, Service
from gatewright.model.meta import Key


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block) as world:
        yield world


async def test_it_is_made_as_the_aws_controller_makes_it_and_goes_with_the_service(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True, "10.1.0.2": False}))
    async with world.controller():
        made = await world.load_balancer()
        assert made.type == "network"
        assert made.scheme == "internal"
        assert made.name.startswith("k8s-default-web-")
        tags = (await views.tags_of(world.aws, [made.arn]))[made.arn]
        assert tags == {
            "elbv2.k8s.aws/cluster": "gatewright",
            "service.k8s.aws/stack": "default/web",
            "service.k8s.aws/resource": "LoadBalancer",
        }
        [listener] = await views.listeners(world.aws, made.arn)
        assert (listener.port, listener.protocol) == (80, "TCP")
        [group] = await world.target_groups()
        assert (group.target_type, group.protocol, group.port) == ("ip", "TCP", 8080)
        assert group.health_check.protocol == "TCP"
        assert group.health_check.interval == 10
        assert await world.targets() == {("10.1.0.1", 8080)}
        seen = await world.service()
        assert seen
        assert "service.k8s.aws/resources" in seen.metadata.finalizers

        await world.client.delete(Service, Key("default", "web"))

        async def gone() -> bool:
            return await world.service() is None

        await until(gone)
        assert await world.left() == []


async def test_a_change_costs_the_calls_that_it_needs(world: World) -> None:
    """Neither the number of Services nor what else there is in the account makes a difference."""
    for other in ("a", "b", "c"):
        await world.apply(service(other), endpoint_slice(other, {"10.1.0.9": True}))
    async with world.controller() as controller:
        for other in ("a", "b", "c"):
            await world.hostname(other)

        async def cost(*objects: dict[str, Any]) -> dict[str, int]:
            await controller.caught_up()
            await controller.idle()
            before = world.aws.calls.copy()
            await world.apply(*objects)
            for _ in range(2):  # what is written comes back
                await controller.caught_up()
                await controller.idle()
            return spent(before, world.aws.calls)

        # A name is looked up before it is taken, so that nobody else's load balancer is taken over.
        assert await cost(endpoint_slice("web", {"10.1.0.1": True}), service()) == {
            "describe_load_balancers": 1,
            "create_load_balancer": 1,
            "create_target_group": 1,
            "register_targets": 1,
            "create_listener": 1,
        }
        assert await cost(endpoint_slice("web", {"10.1.0.2": True})) == {"register_targets": 1, "deregister_targets": 1}
        assert await world.targets() == {("10.1.0.2", 8080)}
        two = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}]
        assert await cost(service(ports=two)) == {"create_target_group": 1, "create_listener": 1}
        assert await cost(service()) == {"delete_listener": 1, "delete_target_group": 1}
        assert await cost(service(attributes="load_balancing.cross_zone.enabled=true")) == {
            "modify_load_balancer_attributes": 1
        }
        assert await cost(service(attributes="load_balancing.cross_zone.enabled=true", healthcheck_interval="5")) == {
            "modify_target_group": 1
        }
        before = world.aws.calls.copy()
        controller.look_again()
        await controller.idle()
        assert all(operation.startswith("describe") for operation in spent(before, world.aws.calls)), "AWS agrees"


async def test_instances_are_targets_by_their_nodes(world: World) -> None:
    subnets = await world.aws.pages("ec2", "describe_subnets", "Subnets")
    run = await world.aws.call(
        "ec2", "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnets[0]["SubnetId"]
    )
    instance = run["Instances"][0]["InstanceId"]
    await world.apply(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "one", "labels": {"pool": "edge"}},
            "spec": {"providerID": f"aws:///us-east-1a/{instance}"},
        }
    )
    await world.apply(service(nlb_target_type="instance"))
    async with world.controller() as controller:
        await world.hostname()
        await controller.idle()
        assert await world.targets() == set(), "it isn't ready"
        status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        await world.client.patch(Node, Key("", "one"), status, subresource="status")

        async def registered() -> bool:
            return {target for target, _ in await world.targets()} == {instance}

        await until(registered)
        [(_, port)] = await world.targets()
        seen = await world.service()
        assert seen
        assert port == seen.spec.ports[0].node_port


async def test_tls_listeners_have_their_certificates(world: World) -> None:
    arns = [await _certificate(world, f"{name}.example.com") for name in ("one", "two", "three")]
    ports = [{"name": "https", "port": 443, "targetPort": 8443}]
    tls = {"ssl_negotiation_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06", "backend_protocol": "ssl"}
    await world.apply(service(ports=ports, ssl_cert=",".join(arns[:2]), **tls))
    async with world.controller() as controller:
        made = await world.load_balancer()
        await controller.idle()
        [listener] = await views.listeners(world.aws, made.arn)
        assert (listener.protocol, listener.ssl_policy) == ("TLS", "ELBSecurityPolicy-TLS13-1-2-2021-06")
        assert await views.certificates(world.aws, listener.arn) == arns[:2]
        [group] = await world.target_groups()
        assert group.protocol == "TLS"
        await world.apply(service(ports=ports, ssl_cert=",".join(arns[1:]), **tls))

        async def changed() -> bool:
            return await views.certificates(world.aws, listener.arn) == arns[1:]

        await until(changed)
        await controller.idle()
        before = world.aws.calls.copy()
        controller.look_again()
        await controller.idle()
        assert all(operation.startswith("describe") for operation in spent(before, world.aws.calls)), "AWS agrees"


async def _certificate(world: World, name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    answer = await world.aws.call(
        "acm", "import_certificate", Certificate=made.public_bytes(Encoding.PEM), PrivateKey=private
    )
    return str(answer["CertificateArn"])
