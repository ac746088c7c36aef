"""Settings of load balancers, target groups and rules, as the configuration kinds and Ingress annotations give them.

They are what is *asked for*: complete, checked for what can be checked without AWS, with the defaults filled in.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct, field

from gatewright.aws.stack.desired import Authentication, RedirectTo, RuleCondition, Share, Transform
from gatewright.model.meta import Key, LabelSelector

Scheme: TypeAlias = Literal["internal", "internet-facing"]
IpAddressType: TypeAlias = Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"]


class SubnetChoice(Struct, frozen=True):
    """One subnet that was named, by ID or name tag, and the addresses that were asked for there."""

    identifier: str
    eip_allocation: str = ""
    private_ipv4: str = ""
    ipv6: str = ""
    source_nat_prefix: str = ""


class MutualAuthentication(Struct, frozen=True):
    """How an HTTPS listener treats client certificates. `trust_store` is an ARN or a name."""

    mode: Literal["off", "passthrough", "verify"]
    trust_store: str = ""
    ignore_expiry: bool = False
    advertise_ca_names: bool = False


class ListenerSettings(Struct, frozen=True):
    """What was said of the listener at one protocol and port. `certificates` are ARNs, the default one first.

    `source_ranges` and `prefix_lists` say who may come in at this port; where both are None, those of the load balancer
    count. `discover` are host names to find certificates for besides those that are named, by ARN or Secret; None:
    those of the listeners, and only where nothing is named.
    """

    default_certificate: str = ""
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    mutual_authentication: MutualAuthentication | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    stickiness: bool = False
    """NLB: connections of a source keep their target group."""
    source_ranges: tuple[str, ...] | None = None
    prefix_lists: tuple[str, ...] | None = None
    discover: tuple[str, ...] | None = None
    problem: str = ""
    """Why the listener can't be made as it is asked for; then it must not be made otherwise."""


class LoadBalancerSettings(Struct, frozen=True):
    """What was said of a load balancer: LoadBalancerConfigurations of class and Gateway merged, or annotations.

    `subnets` empty and `subnet_tags` None: they are discovered by role tags. `security_groups` are IDs or name tags;
    none means managed ones. `listeners` are by (protocol, port). `remarks` are what is served without, as
    "field: found ..., why, what to use instead".
    """

    scheme: Scheme = "internal"
    ip_address_type: IpAddressType = "ipv4"
    name: str = ""
    subnets: tuple[SubnetChoice, ...] = ()
    subnet_tags: dict[str, tuple[str, ...]] | None = None
    security_groups: tuple[str, ...] = ()
    no_security_group: bool = False
    manage_backend_rules: bool | None = None
    """Rules towards the targets: always with managed groups, only when True with given ones."""
    source_ranges: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()
    icmp: bool = False
    private_link_inbound_rules: str = ""
    listeners: dict[tuple[str, int], ListenerSettings] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    web_acl: str | None = None
    """The ARN; "" for none at all, None for leave as it is."""
    shield: bool | None = None
    capacity_units: int | None = None
    """None: leave as it is; 0: none reserved."""
    customer_owned_pool: str = ""
    ipam_pool: str = ""
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the load balancer can't be as it is asked for; then what AWS has stays as it is."""


class HealthCheckSettings(Struct, frozen=True):
    """What was said of health checks; times in seconds. None stays with the default of the load balancer's type."""

    protocol: str | None = None
    port: str | None = None
    path: str | None = None
    interval: int | None = None
    timeout: int | None = None
    healthy_threshold: int | None = None
    unhealthy_threshold: int | None = None
    http_codes: str | None = None
    grpc_codes: str | None = None


class TargetGroupSettings(Struct, frozen=True):
    """What was said of the target group of one backend on one load balancer, for one route if it says so."""

    name: str = ""
    target_type: Literal["instance", "ip"] = "ip"
    protocol: str | None = None
    """None: HTTP behind an ALB, the listener's protocol behind an NLB."""
    protocol_version: str | None = None
    """None: what the Service's appProtocol or the kind of route asks for."""
    ip_address_type: Literal["ipv4", "ipv6"] | None = None
    health_check: HealthCheckSettings = HealthCheckSettings()
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    node_selector: LabelSelector | None = None
    multi_cluster: bool = False
    control_port: int | None = None
    own: tuple[str, Key] | None = None
    """The routes (kind and key; all names or namespaces where that part is empty) that these settings are for alone:
    they get a target group of their own."""
    remarks: tuple[str, ...] = ()


class FixedResponse(Struct, frozen=True, tag=True):
    """Answer with this; the body has at most 1,024 characters."""

    status_code: str
    content_type: str = "text/plain"
    body: str = ""


class RuleSettings(Struct, frozen=True):
    """What a ListenerRuleConfiguration, or an Ingress's action and condition annotations, say of a rule.

    `authentication` goes before whatever the rule does. `fixed_response` replaces it. `redirect_query` is the query of
    a redirect (`#{query}` keeps it). `stickiness` is the duration in seconds that clients stay with one target group.
    `conditions` are additional ones by the indexes of the route's matches that they are for; None is for all.

    `all_conditions` are, where they are given, the rule's conditions, all of them: they go instead of what its hostname
    and match say (an Ingress's path patterns and further values of one condition). `redirect` goes instead of
    forwarding, and `transforms` before it. `shares` are existing target groups, by ARN, that get requests besides the
    rule's backends, each by its weight.
    """

    authentication: Authentication | None = None
    fixed_response: FixedResponse | None = None
    redirect_query: str | None = None
    stickiness: int | None = None
    conditions: tuple[tuple[tuple[int, ...] | None, RuleCondition], ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    all_conditions: tuple[RuleCondition, ...] | None = None
    redirect: RedirectTo | None = None
    transforms: tuple[Transform, ...] = ()
    shares: tuple[Share, ...] = ()
