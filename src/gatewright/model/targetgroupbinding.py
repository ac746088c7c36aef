"""TargetGroupBinding (elbv2.k8s.aws/v1beta1): the AWS Load Balancer Controller's way to register a Service's pods.

It is stored and checked, so that manifests which have it apply; nothing here acts on it. An EdgeBinding binds a
Gateway to a target group.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gatewright.model.awsgateway.shared import Generation
from gatewright.model.constraints import NO_DEFAULT
from gatewright.model.gateway.listeners import Selector
from gatewright.model.ingressclassparams import API_VERSION
from gatewright.model.meta import Condition, Model, Object, always


class ServiceReference(Model):
    """A Service of the same namespace, and its port by number or name."""

    name: str
    port: int | str


class IPBlock(Model):
    """Addresses, as a CIDR."""

    cidr: str


class SecurityGroupPeer(Model):
    """A security group, by ID."""

    group_id: str = msgspec.field(name="groupID")


class NetworkingPeer(Model):
    """Who may reach the targets: one of the two."""

    ip_block: IPBlock | None = None
    security_group: SecurityGroupPeer | None = None


class NetworkingPort(Model):
    """What may be reached; no port is all of them."""

    protocol: Literal["TCP", "UDP"] | None = None
    port: int | str | None = None


class NetworkingIngressRule(Model):
    """Who may reach which ports of the targets."""

    from_: tuple[NetworkingPeer, ...] = msgspec.field(name="from")
    ports: tuple[NetworkingPort, ...]


class Networking(Model):
    """The rules by which the load balancer reaches the targets."""

    ingress: tuple[NetworkingIngressRule, ...] = ()


class TargetGroupBindingSpec(Model):
    """The Service whose pods or nodes are targets of the target group, by ARN or name."""

    service_ref: ServiceReference
    target_group_arn: str | None = msgspec.field(default=None, name="targetGroupARN")
    target_group_name: str | None = None
    target_group_protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"] | None = None
    target_type: Literal["instance", "ip"] | None = None
    ip_address_type: Literal["ipv4", "ipv6"] | None = None
    node_selector: Selector | None = None
    networking: Networking | None = None
    multi_cluster_target_group: bool | None = None
    vpc_id: str | None = msgspec.field(default=None, name="vpcID")
    iam_role_arn_to_assume: str | None = None
    assume_role_external_id: str | None = None


class TargetGroupBindingStatus(Model):
    """What its controller has seen."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: Generation | None = None


class TargetGroupBinding(Object):
    """Makes the pods or nodes of a Service targets of a target group."""

    api_version: str = always(API_VERSION)
    kind: str = always("TargetGroupBinding")
    spec: Annotated[TargetGroupBindingSpec, NO_DEFAULT] | None = None
    status: Annotated[TargetGroupBindingStatus, NO_DEFAULT] = TargetGroupBindingStatus()
