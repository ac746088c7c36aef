"""A cluster with one of everything that the controller looks after, and an account that has what it refers to."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gatewright.aws import Aws
from gatewright.cluster import Client
from gatewright.local.certificates import Authority
from gatewright.model.core import Pod, Secret, Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key
from gatewright.model.networking import Ingress

MANIFESTS = Path(__file__).with_name("everything.yaml")
ADDRESS = "10.1.0.7"
GATE = "target-health.elbv2.k8s.aws/web"


def objects(secret: Mapping[str, bytes] | None = None) -> list[dict[str, Any]]:
    """The objects, with endpoints of the Services, a pod and the Secret: a new key pair unless one is given."""
    found = [each for each in yaml.safe_load_all(MANIFESTS.read_text()) if each]
    chain = Authority.create().issue(["www.example.com"])
    data = secret or {"tls.crt": chain.chain, "tls.key": chain.private_key}
    found.append(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "web-tls", "namespace": "shop"},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
    )
    found += [
        endpoints("web", "http", 8080),
        endpoints("calls", "grpc", 8080),
        endpoints("secure", "https", 8443),
        endpoints("names", "dns", 53, "UDP"),
        endpoints("shared-istio", "http", 80),
    ]
    pod = {"containers": [{"name": "web", "image": "web"}], "readinessGates": [{"conditionType": GATE}]}
    found.append(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}},
            "spec": pod,
        }
    )
    return found


def endpoints(service: str, port_name: str, port: int, protocol: str = "TCP") -> dict[str, Any]:
    """An EndpointSlice with the pod."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [ADDRESS],
                "conditions": {"ready": True, "serving": True},
                "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"},
            }
        ],
        "ports": [{"name": port_name, "port": port, "protocol": protocol}],
    }


async def make(client: Client, aws: Aws) -> None:
    """Put it all into the cluster, and the target group into the account."""
    vpcs = await aws.pages("ec2", "describe_vpcs", "Vpcs")
    group = {"Name": "shared", "Protocol": "HTTP", "Port": 80, "VpcId": vpcs[0]["VpcId"], "TargetType": "ip"}
    group["Tags"] = [{"Key": "gatewright.dev/namespaces", "Value": "shop"}]
    await aws.call("elbv2", "create_target_group", **group)
    for obj in objects():
        await client.apply(obj, field_manager="test")
    status = {"status": {"podIP": ADDRESS, "phase": "Running", "podIPs": [{"ip": ADDRESS}]}}
    await client.patch(Pod, Key("shop", "web-1"), status, subresource="status")


async def secret(client: Client) -> dict[str, bytes]:
    """The key pair that the cluster has."""
    return dict((await client.get(Secret, Key("shop", "web-tls"))).data)


async def settled(client: Client, *, bindings: bool = True) -> None:
    """Return when all is programmed; with `bindings` also what stands in front of the proxy's Gateway."""
    async with asyncio.timeout(90):
        while not await _all_there(client, bindings=bindings):  # noqa: ASYNC110 - what is waited for is several objects
            await asyncio.sleep(0.1)


async def _all_there(client: Client, *, bindings: bool) -> bool:
    gateways = [await client.get(Gateway, Key("shop", name)) for name in ("web", "streams")]
    ingress = await client.get(Ingress, Key("shop", "old"))
    there = all(_holds(gateway.status.conditions, "Programmed") for gateway in gateways)
    if not there or not ingress.status.load_balancer.ingress or not bindings:
        return there and bool(ingress.status.load_balancer.ingress)
    service = await client.get(Service, Key("shop", "shared-istio"))
    binding = await client.get(EdgeBinding, Key("shop", "shared"))
    return bool(service.status.load_balancer.ingress) and _holds(binding.status.conditions, "Bound")


def _holds(conditions: Any, type_: str) -> bool:
    return any(each.type == type_ and each.status == "True" for each in conditions)
