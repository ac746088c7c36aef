"""The controllers of `gatewright controller`, put together: which there are, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal

from gatewright.aws import Aws
from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.aws.records.records import DnsOptions
from gatewright.cli.controller import Feature
from gatewright.cluster import Client
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.edge.gateways.controller import GatewayLoadBalancers
from gatewright.edge.gateways.pipeline import Pipeline
from gatewright.edge.nlb.services import ServiceLoadBalancers
from gatewright.edge.records import CertificateRequests, DnsRecords
from gatewright.edge.rehearsal import Rehearsal
from gatewright.resolve import Inputs, resolve

PROXIES = ("istio.io/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller")
"""Controllers of Gateways that a load balancer may stand in front of; somebody else serves them."""

Controller = AbstractAsyncContextManager[Any]


@dataclass(frozen=True)
class Scope:
    """What the controllers look after, and how; an empty `vpc` is "find it out".

    `tags` are put on everything that is made; `target_type` is that of target groups where nobody says another.
    `trust_store_bucket` is a bucket of S3 for the authorities of client certificates, empty for none.
    """

    cluster: str
    features: frozenset[Feature]
    vpc: str
    resync: float
    domain_filters: tuple[str, ...]
    dns_policy: Literal["upsert-only", "sync"]
    txt_owner_id: str
    tags: Mapping[str, str]
    target_type: Literal["ip", "instance"]
    trust_store_bucket: str

    @property
    def secrets(self) -> bool:
        """Whether it has to read Secrets: those of certificates that ACM gets, and of clients of identity providers."""
        return bool(self.features & {Feature.GATEWAYS, Feature.INGRESSES})


def controllers(scope: Scope, client: Client, aws: Aws, inputs: Inputs) -> list[Controller]:
    """The controllers of the features that are wanted, in the order in which they begin to act (when entered)."""
    made: list[Controller] = []
    fronted = resolve(inputs, frozenset(PROXIES))
    bindings = gateways = None
    if Feature.SERVICES in scope.features:
        made.append(ServiceLoadBalancers(client, aws, inputs, cluster=scope.cluster, resync=scope.resync))
    if Feature.EDGE_BINDINGS in scope.features:
        bindings = EdgeBindings(client, aws, inputs, fronted)
        made.append(bindings)
    if scope.features & {Feature.GATEWAYS, Feature.INGRESSES}:
        gateways = GatewayLoadBalancers(
            client,
            aws,
            inputs,
            cluster=scope.cluster,
            vpc=scope.vpc,
            resync=scope.resync,
            tags=scope.tags,
            default_target_type=scope.target_type,
            trust_store_bucket=scope.trust_store_bucket,
            gateways=Feature.GATEWAYS in scope.features,
            ingresses=Feature.INGRESSES in scope.features,
        )
        made.append(gateways)
    if scope.features & {Feature.DNS, Feature.CERTIFICATES}:
        resolutions = (
            [side.resolution for side in gateways.sides]
            if gateways
            else [resolve(inputs, {ALB_CONTROLLER}, ALB), resolve(inputs, {NLB_CONTROLLER}, NLB)]
        )
        records = DnsRecords(
            client,
            aws,
            inputs,
            resolutions,
            options=DnsOptions(owner=scope.txt_owner_id, policy=scope.dns_policy, domains=scope.domain_filters),
            fronted=[fronted] if bindings else [],
            bindings=bindings.bindings if bindings else None,
            hostnames=Feature.DNS in scope.features,
            resync=scope.resync,
        )
        made.append(records)
        if Feature.CERTIFICATES in scope.features:
            ingresses = gateways.pipeline.ingress if gateways else None
            also = ingresses.certificates if ingresses else None
            cluster = scope.cluster
            made.append(CertificateRequests(client, aws, inputs, resolutions, records, cluster=cluster, also=also))
    return made


def rehearsal(scope: Scope, client: Client, aws: Aws, inputs: Inputs) -> list[Controller]:
    """What tells of load balancers what `controllers` would do, in their place."""
    pipeline = Pipeline(
        inputs,
        cluster=scope.cluster,
        tags=scope.tags,
        default_target_type=scope.target_type,
        trust_store_bucket=scope.trust_store_bucket,
        ingresses=Feature.INGRESSES in scope.features,
    )
    return [Rehearsal(client, aws, pipeline, vpc=scope.vpc, resync=scope.resync)]
