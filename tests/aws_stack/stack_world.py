"""An emulated account for each test behind one server, and stacks to make there."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from gatewright.local.aws import acm, elbv2, network, wafv2

# isort: split

from msgspec import structs
from tests.aws.elbv2_world import certificate

from gatewright.aws import Aws
from gatewright.aws.stack.actual import ActualStack, read
from gatewright.aws.stack.apply import apply
from gatewright.aws.stack.desired import (
    BACKEND_GROUP,
    DesiredCertificate,
    DesiredListener,
    DesiredLoadBalancer,
    DesiredRule,
    DesiredSecurityGroup,
    DesiredTargetGroup,
    DesiredTrustStore,
    Forward,
    Respond,
    RuleCondition,
    SecurityRule,
    Share,
    Stack,
    StackKey,
    SubnetMapping,
    bundle_key,
)
from gatewright.aws.stack.patience import Patience
from gatewright.aws.stack.plan import Plan, plan
from gatewright.aws.views import HealthCheck, Target
from gatewright.local.aws.backends import LOCK, backend, forget
from gatewright.local.aws.seed import Seeded, seed
from gatewright.local.aws.server import ApiServer
from gatewright.local.aws.state import CloudState
from gatewright.local.aws.waf.journal import Journal
from gatewright.model.meta import Key

NETWORK = IPv4Network("10.0.0.0/16")
CHECK = HealthCheck("HTTP", "traffic-port", "/", 15, 5, 2, 2, "200")
EAGER = Patience(attempts=6, pause=0.001, longest=0.01)
KEY = StackKey("prod", "alb", "shop/edge")
BUCKET = "trust"

_certificates: dict[str, tuple[bytes, bytes]] = {}


class Account:
    """A seeded account, and what is done to it."""

    def __init__(self, server: ApiServer, aws: Aws) -> None:
        self.server = server
        self.aws = aws
        self.seeded: Seeded
        self.reset()

    def reset(self) -> None:
        """Start over."""
        self.server.faults.clear()
        with LOCK:
            forget()
            network.install()
            acm.install(1000.0)
            elbv2.install(CloudState(), pace=1000.0, carries_traffic=False)
            wafv2.install(Journal())
            self.seeded = seed(NETWORK)
            backend("s3").create_bucket(BUCKET, "us-east-1")

    async def read(self, key: StackKey = KEY, **options: Any) -> ActualStack:
        return await read(self.aws, key, **{"bucket": BUCKET, **options})

    async def become(self, desired: Stack | None, key: StackKey = KEY, **options: Any) -> tuple[Plan, ActualStack]:
        """Read, plan and apply; the plan, and what there is by then."""
        actual = await self.read(desired.key if desired else key, desired=desired)
        made = plan(desired, actual, **options)
        return made, await apply(self.aws, actual, made, patience=EAGER)

    def writes(self) -> int:
        return sum(
            count
            for (_, operation), count in self.server.calls.items()
            if not operation.startswith(("Describe", "List", "Get"))
        )

    def everything(self) -> list[str]:
        """ARNs and IDs of all that isn't there from the start."""
        with LOCK:
            elb = backend("elbv2")
            first = {self.seeded.cluster_security_group, self.seeded.node_security_group}
            groups = [group for vpc in backend("ec2").groups.values() for group in vpc.values()]
            return [
                *elb.load_balancers,
                *elb.target_groups,
                *(group.id for group in groups if group.id not in first and group.name != "default"),
                *backend("acm")._certificates,
                *elb.trust_stores,
                *self.objects(),
            ]

    def objects(self, bucket: str = BUCKET) -> list[str]:
        """Keys of what is in a bucket."""
        return list(backend("s3").buckets[bucket].keys)

    def addresses_of(self, subnet: str) -> IPv4Network:
        """The addresses of a subnet."""
        with LOCK:
            return IPv4Network(backend("ec2").get_subnet(subnet).cidr_block)

    # --- stacks ---

    def stack(self, *listeners: DesiredListener, **parts: Any) -> Stack:
        """A stack of an ALB with a security group; target groups are those that its listeners name."""
        key = parts.pop("key", KEY)
        balancer = parts.pop("load_balancer", None) or self.balancer(**parts.pop("balancer", {}))
        names = {
            share.target_group
            for listener in listeners
            for actions in (listener.default, *(rule.actions for rule in listener.rules))
            for action in actions
            if isinstance(action, Forward)
            for share in action.shares
        }
        groups = parts.pop("target_groups", None)
        if groups is None:
            groups = tuple(self.group(name) for name in sorted(names) if not name.startswith("arn:"))
        ports = sorted({listener.port for listener in listeners})
        security = DesiredSecurityGroup(
            "ManagedLBSecurityGroup",
            f"k8s-{balancer.name}",
            "of a load balancer",
            self.seeded.vpc,
            tuple(SecurityRule("tcp", port, port, cidr="0.0.0.0/0") for port in ports),
        )
        parts.setdefault("security_groups", (security,))
        return Stack(key.id, key.cluster, key.kind, balancer, tuple(listeners), tuple(groups), **parts)

    def balancer(self, name: str = "k8s-shop-edge-0123456789", **settings: Any) -> DesiredLoadBalancer:
        settings = {
            "type": "application",
            "scheme": "internal",
            "ip_address_type": "ipv4",
            "subnets": tuple(SubnetMapping(each) for each in self.seeded.private),
            "vpc": self.seeded.vpc,
            "security_groups": ("ManagedLBSecurityGroup", BACKEND_GROUP),
            **settings,
        }
        return DesiredLoadBalancer(name, **settings)

    def group(self, resource: str, targets: tuple[str, ...] = ("10.0.1.1",), **settings: Any) -> DesiredTargetGroup:
        settings = {
            "name": f"k8s-{resource.replace('/', '-').replace(':', '-')}",
            "protocol": "HTTP",
            "port": 80,
            "vpc": self.seeded.vpc,
            "target_type": "ip",
            "health_check": CHECK,
            "protocol_version": "HTTP1",
            "targets": frozenset(Target(address, 8080) for address in targets),
            **settings,
        }
        return DesiredTargetGroup(resource, **settings)


def listener(*rules: DesiredRule, port: int = 80, protocol: Any = "HTTP", **settings: Any) -> DesiredListener:
    default = settings.pop("default", (Respond("404"),))
    return DesiredListener(protocol, port, default, tuple(rules), **settings)


def rule(path: str, *groups: str, host: str = "", **settings: Any) -> DesiredRule:
    """Requests for `path` to target groups; without any they are answered 200."""
    conditions = [RuleCondition("path-pattern", (path,))] if path else []
    if host:
        conditions.append(RuleCondition("host-header", (host,)))
    actions = settings.pop("actions", None)
    if actions is None:
        actions = (Forward(tuple(map(Share, groups))),) if groups else (Respond("200"),)
    return DesiredRule(tuple(conditions), actions, **settings)


def imported(resource: str, name: str = "app.example.com", version: int = 0) -> DesiredCertificate:
    """A certificate of a Secret."""
    chain, key = _certificates.setdefault(f"{name}/{version}", certificate(name))
    return DesiredCertificate(resource, Key("shop", resource), f"{name}/{version}", chain, key)


def trusted(
    resource: str = "frontend", version: int = 0, key: StackKey = KEY, bucket: str = BUCKET
) -> DesiredTrustStore:
    """Authorities of client certificates."""
    bundle, _ = _certificates.setdefault(f"authority/{version}", certificate("authority.example.com"))
    name = f"k8s-shop-edge-{resource.replace(':', '-')}"
    return DesiredTrustStore(resource, name, f"authority/{version}", bundle, bucket, bundle_key(key, resource))


def in_order(actual: ActualStack, port: int = 80) -> list[tuple[int, str]]:
    """Priorities and paths of a listener's rules."""
    balancer = next(iter(actual.load_balancers.values()))
    found = balancer.at(port)
    assert found is not None
    rules = sorted(found.rules.values(), key=lambda each: each.priority)
    return [(each.priority, each.conditions[0].values[0]) for each in rules]


def with_targets(desired: Stack, resource: str, *targets: str) -> Stack:
    """Other targets in one target group."""
    groups = tuple(
        structs.replace(each, targets=frozenset(Target(address, 8080) for address in targets))
        if each.resource == resource
        else each
        for each in desired.target_groups
    )
    return structs.replace(desired, target_groups=groups)
