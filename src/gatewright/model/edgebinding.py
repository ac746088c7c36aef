"""EdgeBinding (gatewright.dev/v1alpha1): binds what stands in front of a Gateway, a target group of AWS, to it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from gatewright.model.constraints import NO_DEFAULT, entries, integer, items, text
from gatewright.model.gateway.shared import NamespaceName, ObjectName, PortNumber, pending
from gatewright.model.meta import Conditions, Model, Object, always

GROUP: Final = "gatewright.dev"
API_VERSION: Final = f"{GROUP}/v1alpha1"

FINALIZER: Final = f"{GROUP}/edge-binding"
"""On an EdgeBinding while it has targets to deregister, and on the Gateway's LoadBalancer Services while the addresses
of their load balancer are registered: whoever deletes that load balancer waits until it is gone."""

EXACTLY_ONE: Final = "exactly one of arn, name and tags must be set"

_TargetGroupName = Annotated[str, text(pattern="^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$", min_length=1, max_length=32)]
_Arn = Annotated[str, text(pattern="^arn:[^:]+:elasticloadbalancing:[^:]*:[0-9]*:targetgroup/.+$", max_length=2048)]
_TagValue = Annotated[str, text(min_length=0, max_length=256)]
_Told = Annotated[str, NO_DEFAULT]
"""A text of the status; empty stands for absence."""


def _about(text: str) -> msgspec.Meta:
    """What `kubectl explain` says of a field."""
    return msgspec.Meta(description=text)


class GatewayReference(Model):
    """Names the Gateway. No namespace means the EdgeBinding's own; another one has to permit it by a ReferenceGrant.

    As between any two namespaces of the Gateway API (ReferenceGrant): the grant is in the Gateway's namespace, from
    group gatewright.dev, kind EdgeBinding, to group gateway.networking.k8s.io, kind Gateway.
    """

    name: ObjectName
    namespace: NamespaceName | None = None


class TargetGroupReference(Model):
    """Names a target group by exactly one of its ARN, its name, and tags of which it is the only one to have all. Its
    tag gatewright.dev/namespaces, where it has one, names the namespaces that may bind it, separated by spaces.

    Give that tag to every target group that is to be bound: config/iam/policy.json permits the controller no other one,
    and under a policy that does, EdgeBindings of all namespaces may bind one without it.
    One that a controller made for a Service or an Ingress can't be bound.
    """

    arn: Annotated[_Arn | None, _about("Its ARN.")] = None
    name: Annotated[_TargetGroupName | None, _about("Its name, in the account and region of the controller.")] = None
    tags: Annotated[
        dict[str, _TagValue], entries(at_most=50), _about("Tags that it has, all of them, and no other one has.")
    ] = msgspec.field(default_factory=dict)


class AwsFront(Model):
    """What stands in front on AWS."""

    target_group: TargetGroupReference


class EdgeBindingSpec(Model):
    """What is to be bound: the Gateway's listener on `port` becomes targets of the target group.

    `via` says which addresses those are: LoadBalancer takes those of the Gateway's load balancer, Endpoints those of
    the pods behind the Gateway's Services.
    """

    gateway_ref: GatewayReference
    port: Annotated[PortNumber, _about("The port of one of the Gateway's listeners.")]
    aws: AwsFront
    via: Annotated[
        Literal["LoadBalancer", "Endpoints"],
        _about(
            "Which addresses become targets: LoadBalancer, those of the Gateway's load balancer; Endpoints, those of "
            "the ready pods behind the Gateway's Services."
        ),
    ] = "LoadBalancer"


class BoundTarget(Model):
    """A target of the target group.

    `address` is an IP address or, where the group's targets are load balancers, an ARN. `registered` says that this
    EdgeBinding registered it, or is about to: those and no others does it ever deregister. `health`, `reason` and
    `description` are AWS's (DescribeTargetHealth); health is empty while AWS doesn't know the target.
    """

    target_group_arn: str
    address: Annotated[str, _about("An IP address or, where the targets are load balancers, an ARN.")]
    port: Annotated[int, integer()]
    zone: Annotated[_Told, _about("The availability zone that it is in.")] = ""
    registered: Annotated[
        bool, NO_DEFAULT, _about("Whether this EdgeBinding registered it; others are only shown.")
    ] = False
    health: Annotated[_Told, _about("AWS's state of it: initial, healthy, unhealthy, unused, draining, ...")] = ""
    reason: Annotated[_Told, _about("AWS's code for why it isn't healthy, as Target.ResponseCodeMismatch.")] = ""
    description: Annotated[_Told, _about("The reason in AWS's words.")] = ""


class EdgeBindingStatus(Model):
    """What has come of it. Conditions: Bound, HealthCheckRoutable, Healthy."""

    target_group_arn: str | None = None
    healthy_targets: str | None = None
    """How many targets of this binding are healthy, of how many: `2/2`."""
    targets: Annotated[tuple[BoundTarget, ...], items(keys=("targetGroupArn", "address", "port"))] = ()
    conditions: Conditions = (pending("Bound"), pending("HealthCheckRoutable"), pending("Healthy"))


class EdgeBinding(Object):
    """Registers a Gateway's addresses as targets of a load balancer's target group, for as long as it exists."""

    api_version: str = always(API_VERSION)
    kind: str = always("EdgeBinding")
    spec: EdgeBindingSpec
    status: EdgeBindingStatus = EdgeBindingStatus()


COLUMNS: Final = (
    ("Gateway", "string", ".spec.gatewayRef.name", 0),
    ("Port", "integer", ".spec.port", 0),
    ("Via", "string", ".spec.via", 1),
    ("Bound", "string", '.status.conditions[?(@.type=="Bound")].status', 0),
    ("Routable", "string", '.status.conditions[?(@.type=="HealthCheckRoutable")].status', 0),
    ("Healthy", "string", '.status.conditions[?(@.type=="Healthy")].status', 0),
    ("Targets", "string", ".status.healthyTargets", 0),
    ("Target Group", "string", ".status.targetGroupArn", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
"""What `kubectl get` shows: name, type, path and priority (1: with `-o wide` only)."""
