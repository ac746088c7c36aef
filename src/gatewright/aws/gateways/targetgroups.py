"""Target groups: which a rule or a stream needs, and what each is to be.

There is one for each backend of a load balancer, and further ones where the same backend is spoken to differently: in
another protocol version, with stickiness, or for a route that has settings of its own.
"""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection
from typing import Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from gatewright.aws.configuration.settings import TargetGroupSettings
from gatewright.aws.gateways.health import health_check
from gatewright.aws.gateways.names import Tags, resource_id, target_group_name
from gatewright.aws.rules.actions import session_seconds
from gatewright.aws.stack.desired import DesiredTargetGroup, StackKey
from gatewright.flow import Collection, Context
from gatewright.model.core import Service
from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendKey, RuleKey, Session

GroupProtocol: TypeAlias = Literal["HTTP", "HTTPS", "TCP", "UDP", "TCP_UDP", "TLS"]

_SPOKEN_BEHIND: dict[str, tuple[GroupProtocol, ...]] = {
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
"""What target groups behind an NLB's listener may speak (NLB user guide, "Target groups", routing configuration)."""


class SettingsLookup(Protocol):
    """The settings of a backend's target group on one load balancer, for one rule of a route."""

    def __call__(self, ctx: Context, gateway: Key, backend: BackendKey, route: RuleKey) -> TargetGroupSettings:
        """What was asked for, complete."""
        ...


class GroupKey(NamedTuple):
    """A target group of one load balancer, by its resource ID."""

    owner: Key
    resource: str


class Group(Struct, frozen=True):
    """A target group that is needed: to forward to `backend` in `protocol`.

    `version` is empty behind an NLB. `remarks` are what its users are served without.
    """

    key: GroupKey
    backend: BackendKey
    protocol: GroupProtocol
    version: str
    settings: TargetGroupSettings
    session: Session | None = None
    remarks: tuple[str, ...] = ()


class Groups:
    """Tells which target group is for what, on the load balancers of one kind."""

    def __init__(
        self,
        kind: Literal["alb", "nlb", "ingress"],
        backends: Collection[BackendKey, Backend],
        settings: SettingsLookup,
    ) -> None:
        self._kind = kind
        self._backends = backends
        self._settings = settings

    def usable(self, ctx: Context, backend: BackendKey | None) -> Backend | None:
        """The backend, if it may be forwarded to."""
        found = ctx.get(self._backends, backend) if backend else None
        return found if found and not found.problem else None

    def of_requests(
        self, ctx: Context, owner: Key, listener: str, backend: BackendKey, rule: RuleKey, session: Session | None
    ) -> Group:
        """The target group for the requests that a rule sends to a backend, from an HTTP or HTTPS listener.

        ALBs speak HTTP/2 and gRPC to targets only behind HTTPS listeners (ALB user guide, "Protocol version").
        """
        settings = self._settings(ctx, owner, backend, rule)
        found = self.usable(ctx, backend)
        where = f"Service {backend.namespace}/{backend.service} port {backend.port}"
        protocol, remarks = _request_protocol(settings, found, where)
        version = settings.protocol_version or _version(backend, found)
        if listener == "HTTP" and version != "HTTP1":
            told = (
                f"{where}: found protocol version {version} behind an HTTP listener; an ALB speaks it to targets only"
            )
            remarks += (f"{told} behind HTTPS ones; HTTP1 is used; attach the route to an HTTPS listener",)
            version = "HTTP1"
        sticky = session if session and session.type == "Cookie" else None
        suffix = [version] if version != "HTTP1" else []
        if sticky:
            suffix.append(f"cookie-{session_seconds(sticky)}")
        return Group(
            GroupKey(owner, self._resource(owner, backend, settings, suffix)),
            backend,
            protocol,
            version,
            settings,
            sticky,
            remarks,
        )

    def of_connections(self, ctx: Context, owner: Key, listener: str, backend: BackendKey, rule: RuleKey) -> Group:
        """The target group for the connections that a stream sends to a backend, from an NLB's listener."""
        settings = self._settings(ctx, owner, backend, rule)
        found = self.usable(ctx, backend)
        where = f"Service {backend.namespace}/{backend.service} port {backend.port}"
        allowed = _SPOKEN_BEHIND[listener]
        default: GroupProtocol = "TLS" if listener == "TLS" and found and found.tls else allowed[0]
        protocol = default
        remarks: tuple[str, ...] = ()
        asked = settings.protocol
        if asked and listener != "TCP_UDP":
            match = next((each for each in allowed if each == asked), None)
            if match and not (default == "TLS" and match == "TCP"):
                protocol = match
            elif asked != default:
                told = f"{where}: found target group protocol {asked} behind a {listener} listener"
                remarks = (f"{told}; expected {' or '.join(allowed)}; {default} is used; correct it",)
        suffix = [protocol] if protocol != "TCP" else []
        return Group(
            GroupKey(owner, self._resource(owner, backend, settings, suffix)),
            backend,
            protocol,
            "",
            settings,
            None,
            remarks,
        )

    def _resource(
        self, owner: Key, backend: BackendKey, settings: TargetGroupSettings, suffix: AbstractCollection[str]
    ) -> str:
        if self._kind == "ingress" and settings.own:
            return resource_id(f"{settings.own[1]}-{backend.service}", str(backend.port), *suffix)
        own = [f"{settings.own[0]}/{settings.own[1]}"] if settings.own else []
        return resource_id(str(owner), f"{backend.namespace}/{backend.service}", str(backend.port), *suffix, *own)


class Built(Struct, frozen=True):
    """A target group without its targets, and what is to be said of it."""

    group: DesiredTargetGroup
    remarks: tuple[str, ...] = ()


def target_group(stack: StackKey, group: Group, service: Service, vpc: str, lb_family: str, tags: Tags) -> Built:
    """What a target group is to be. `lb_family` is the address type of its load balancer.

    Its own port is the Service's: each target is registered with a port of its own, so nothing is sent there.
    """
    settings = group.settings
    check, remarks = health_check(settings, service, kind=stack.kind, protocol=group.protocol, version=group.version)
    where = f"Service {service.key} port {group.backend.port}"
    family = address_family(settings, service, lb_family)
    bad_family: tuple[str, ...] = ()
    if lb_family == "ipv4" and address_family(settings, service, "dualstack") == "ipv6":
        told = "ipAddressType: found ipv6 targets behind an ipv4 load balancer; AWS needs dualstack for them"
        bad_family = (f"{told}; IPv4 endpoints are registered; set the load balancer's ipAddressType to dualstack",)
    control, bad_control = _control_port(settings, stack)
    told_apart = (settings.target_type, group.protocol, group.version, family, vpc, str(control or ""))
    resource = group.key.resource
    attributes = dict(settings.attributes)
    if group.session:
        attributes |= {
            "stickiness.enabled": "true",
            "stickiness.type": "lb_cookie",
            "stickiness.lb_cookie.duration_seconds": str(session_seconds(group.session)),
        }
    built = DesiredTargetGroup(
        resource=resource,
        name=settings.name or target_group_name(stack, service.key, (resource, *told_apart)),
        protocol=group.protocol,
        port=group.backend.port,
        vpc=vpc,
        target_type=settings.target_type,
        health_check=check,
        protocol_version=group.version,
        ip_address_type=family,
        attributes=dict(sorted(attributes.items())),
        tags=tags.of(resource, settings.tags),
        keep_others=settings.multi_cluster,
        control_port=control,
    )
    own = (f"{where}: {remark}" for remark in (*settings.remarks, *remarks, *bad_family, *bad_control))
    return Built(built, (*group.remarks, *own))


def address_family(settings: TargetGroupSettings, service: Service, lb_family: str) -> Literal["ipv4", "ipv6"]:
    """The addresses that are registered: those asked for, else the Service's first ones.

    Only a dualstack load balancer reaches IPv6 targets.
    """
    if lb_family == "ipv4":
        return "ipv4"
    first = next(iter(service.spec.ip_families), "IPv4")
    return settings.ip_address_type or ("ipv6" if first == "IPv6" else "ipv4")


def _request_protocol(
    settings: TargetGroupSettings, backend: Backend | None, where: str
) -> tuple[GroupProtocol, tuple[str, ...]]:
    policy = backend.tls.origin if backend and backend.tls else None
    default: GroupProtocol = "HTTPS" if policy or (backend and backend.unverified_tls) else "HTTP"
    if settings.protocol in (None, default):
        return default, ()
    if settings.protocol == "HTTPS":
        return "HTTPS", ()
    if settings.protocol == "HTTP" and not policy:
        return "HTTP", ()
    told = f"{where}: found target group protocol {settings.protocol}"
    why = f"{policy} wants TLS" if settings.protocol == "HTTP" else "an ALB speaks HTTP and HTTPS to targets"
    return default, (f"{told}; {why}; {default} is used; correct it",)


def _version(backend: BackendKey, found: Backend | None) -> str:
    if backend.use == "grpc":
        return "GRPC"
    return "HTTP2" if found and found.app_protocol == "h2c" else "HTTP1"


def _control_port(settings: TargetGroupSettings, stack: StackKey) -> tuple[int | None, tuple[str, ...]]:
    port = settings.control_port
    if port is None or (stack.kind != "nlb" and settings.target_type == "ip"):
        return port, ()
    told = f"targetControlPort: found {port}; only ALBs with targetType ip have one (Target Optimizer)"
    return None, (f"{told}; leave it out",)
