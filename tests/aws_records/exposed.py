"""Manifests of Gateways and routes, resolved, and the wishes for names that follow."""

from __future__ import annotations

from typing import Any

from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.aws.records.desired import desired_records
from gatewright.aws.records.names import plain
from gatewright.aws.records.records import DnsOptions, Place, Wish
from gatewright.flow import Collection, Flow, Source
from gatewright.model.codec import decode
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key
from gatewright.resolve import Addresses, Inputs, Resolution, resolve

DNS_NAME = "k8s-infra-edge-0123456789-987654321.us-east-1.elb.amazonaws.com"
PUBLIC = Place(DNS_NAME, "Z35SXDOTRQ7X7K", "internet-facing")
OPTIONS = DnsOptions(owner="cluster-a")


def obj(kind: str, name: str, spec: dict[str, Any], namespace: str = "infra", **metadata: Any) -> dict[str, Any]:
    made = {"name": name, "namespace": namespace, "generation": 1, "uid": f"{kind}-{namespace}-{name}", **metadata}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": made, "spec": spec}


def gateway(*listeners: dict[str, Any], name: str = "edge", class_: str = "alb", **metadata: Any) -> dict[str, Any]:
    """A Gateway for routes of all namespaces; one HTTP listener on port 80 unless others are given."""
    given = listeners or ({"name": "http", "port": 80, "protocol": "HTTP"},)
    everyone = {"namespaces": {"from": "All"}}
    spec = {"gatewayClassName": class_, "listeners": [{"allowedRoutes": everyone, **one} for one in given]}
    return obj("Gateway", name, spec, **metadata)


def route(
    *hostnames: str, name: str = "shop", kind: str = "HTTPRoute", parent: str = "edge", **metadata: Any
) -> dict[str, Any]:
    spec: dict[str, Any] = {"parentRefs": [{"name": parent, "namespace": "infra"}]}
    if kind in ("TCPRoute", "UDPRoute"):
        spec["rules"] = [{"backendRefs": [{"name": "shop", "port": 80}]}]
    else:
        spec |= {"hostnames": list(hostnames), "rules": [{"backendRefs": [{"name": "shop", "port": 80}]}]}
    return obj(kind, name, spec, "apps", **metadata)


class Exposed:
    """A cluster whose Gateways are load balancers, or stand behind some."""

    def __init__(self, *objects: dict[str, Any], options: DnsOptions = OPTIONS) -> None:
        self.flow = Flow()
        self.inputs = Inputs(self.flow)
        self.places: Source[str, Place] = self.flow.source("places")
        self.fronts: Source[Key, tuple[str, ...]] = self.flow.source("fronts")
        with self.flow.batch():
            self.apply(
                gateway_class("alb", ALB_CONTROLLER),
                gateway_class("nlb", NLB_CONTROLLER),
                gateway_class("proxy", "example.com/proxy"),
                *objects,
            )
        self.resolutions: list[Resolution] = [
            resolve(self.inputs, {ALB_CONTROLLER}, ALB),
            resolve(self.inputs, {NLB_CONTROLLER}, NLB),
        ]
        self.proxies = [resolve(self.inputs, {"example.com/proxy"})]
        self.wishes: Collection[str, Wish] = desired_records(
            self.inputs, self.resolutions, self.proxies, self.places, self.fronts, options
        )

    def apply(self, *objects: dict[str, Any]) -> None:
        by_kind = {type_.__name__: (type_, source) for type_, source in self.inputs.by_type.items()}
        for each in objects:
            type_, source = by_kind[each["kind"]]
            source.set(Key(each["metadata"].get("namespace", ""), each["metadata"]["name"]), decode(type_, each))

    def at(self, place: Place, gateway: str = "edge") -> None:
        """The Gateway's load balancer is made."""
        self.places.set(plain(place.dns_name), place)
        address = GatewayStatusAddress(type="Hostname", value=place.dns_name)
        self.inputs.addresses.set(Key("infra", gateway), Addresses((address,)))


def gateway_class(name: str, controller: str) -> dict[str, Any]:
    made = obj("GatewayClass", name, {"controllerName": controller})
    del made["metadata"]["namespace"]
    return made
