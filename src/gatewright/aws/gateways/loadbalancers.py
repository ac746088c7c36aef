"""From a topology to what its load balancers are to be in AWS, as derived collections.

The rules of a port, a target group, its targets and the load balancer itself are computed apart from each other: a pod
that comes or goes costs one target group's targets and the assembly of one stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct, structs

from gatewright.aws.configuration.settings import LoadBalancerSettings, RuleSettings
from gatewright.aws.gateways.access import AccessPiece
from gatewright.aws.gateways.assembly import Assembled, Parts, assemble, needed_access
from gatewright.aws.gateways.frames import Frame, Owner, frame
from gatewright.aws.gateways.listening import Listening
from gatewright.aws.gateways.names import Tags
from gatewright.aws.gateways.ports import Port, Translation, doors, unserved
from gatewright.aws.gateways.surroundings import NETWORK, Surroundings
from gatewright.aws.gateways.targetgroups import (
    Built,
    Group,
    GroupKey,
    Groups,
    SettingsLookup,
    address_family,
    target_group,
)
from gatewright.aws.gateways.targets import Targets, both_transports, instance, node_targets, pod_targets, service_port
from gatewright.aws.stack.desired import DesiredTargetGroup, Stack, StackKey
from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.resolve.inputs import Inputs
from gatewright.topology import BackendKey, PortKey, Refusal, RefusalKey, Topology

_FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}


@dataclass(frozen=True)
class LoadBalancers:
    """What is to be made, and what is to be said."""

    stacks: Collection[Key, Stack]
    """By owner. One that is `blocked` has none: what AWS holds of it stays as it is."""
    settings: Collection[Key, LoadBalancerSettings]
    """What an owner asks for, also one that is `blocked`."""
    blocked: Collection[Key, tuple[str, ...]]
    """Why an owner gets no load balancer, or not the one that it asks for."""
    remarks: Collection[Key, tuple[str, ...]]
    """What an owner is served without."""
    refusals: Collection[RefusalKey, tuple[Refusal, ...]]
    """Which rules of routes are left out, and what routes are served without."""
    ports: Collection[PortKey, str]
    """For each port why it isn't served; empty where all is well."""
    target_groups: Collection[GroupKey, DesiredTargetGroup]
    """With their targets; those of owners that are `blocked`, too."""
    access: Collection[Key, AccessPiece]
    """What the targets' security groups have to let in, for `shared_access`."""


class _Access(Struct, frozen=True):
    piece: AccessPiece
    remarks: tuple[str, ...]


class _Vpc(Struct, frozen=True):
    id: str
    ranges: tuple[str, ...]


def load_balancers(
    inputs: Inputs,
    topology: Topology,
    owners: Collection[Key, Any],
    surroundings: Surroundings,
    *,
    kind: Literal["alb", "nlb", "ingress"],
    cluster: str,
    settings: Collection[Key, LoadBalancerSettings],
    target_groups: SettingsLookup,
    rule_settings: Collection[Key, RuleSettings],
    tags: Mapping[str, str] | None = None,
    trust_store_bucket: str = "",
) -> LoadBalancers:
    """The load balancers of one kind: one for each of `owners`, Gateways or groups of Ingresses.

    An owner that isn't an `Owner` has neither UID nor problem nor addresses. One without settings is blocked. `tags`
    are those that everything made gets, which win over what users ask for. `trust_store_bucket` is a bucket of S3 for
    the authorities of client certificates; without, no port can have them checked by such as a Gateway names.
    """
    flow, defaults = inputs.flow, tags or {}

    def name(what: str) -> str:
        return f"{kind} {what}"

    def stack_key(owner: Key) -> StackKey:
        return StackKey(cluster, kind, str(owner))

    def tags_of(ctx: Context, owner: Key) -> Tags:
        found = ctx.get(settings, owner)
        return Tags(stack_key(owner), found.tags if found else {}, defaults)

    listening = Listening(
        inputs,
        topology,
        surroundings,
        kind,
        settings,
        rule_settings,
        Groups(kind, topology.backends, target_groups),
        tags_of,
        trust_store_bucket,
    )

    def framed(ctx: Context, key: Key, owner: Owner) -> Frame:
        found, stack = ctx.get(settings, key), stack_key(key)
        network, standing = ctx.get(surroundings.network, NETWORK), ctx.get(surroundings.standing, stack)
        opened = doors(found, listening.listeners(ctx, key)) if found else ()
        return frame(stack, key, owner, found, network, opened, standing, defaults)

    frames = flow.derive(name("frames"), flow.derive(name("owners"), owners, _owner), framed)
    groups = _TargetGroups(inputs, surroundings, settings, listening.translated, stack_key, tags_of)

    def parts(ctx: Context, owner: Key, found: Frame) -> Parts:
        ports = tuple(listening.ports(ctx, owner))
        keys = {group.key for port in ports for group in port.groups}
        built = {key.resource: group for key in keys if (group := ctx.get(groups.built, key))}
        targets = {key.resource: some for key in keys if (some := ctx.get(groups.targets, key))}
        return Parts(stack_key(owner), owner, found, ports, built, targets)

    def unknown(ctx: Context, owner: Key) -> tuple[str, ...]:
        return tuple(dict.fromkeys(port.unknown for port in listening.ports(ctx, owner) if port.unknown))

    def blocked(ctx: Context, owner: Key, found: Frame) -> tuple[str, ...] | None:
        return found.problems or unknown(ctx, owner) or None

    def put_together(ctx: Context, owner: Key, found: Frame) -> Assembled | None:
        if found.load_balancer is None or unknown(ctx, owner):
            return None
        return assemble(parts(ctx, owner, found), tags_of(ctx, owner))

    def needed(ctx: Context, owner: Key, found: Frame) -> _Access:
        network = ctx.get(surroundings.network, NETWORK)
        if found.load_balancer is None or network is None:
            return _Access(AccessPiece("", complete=False), ())
        return _Access(
            *needed_access(
                parts(ctx, owner, found),
                network,
                lambda address: ctx.get(surroundings.interfaces, address) or (),
                lambda address: bool(ctx.count(pods, address)),
            )
        )

    pods = surroundings.pods_by_address
    assembled = flow.derive(name("assembled"), frames, put_together)
    access = flow.derive(name("needed access"), frames, needed)

    def remarks(ctx: Context, owner: Key, found: Frame) -> tuple[str, ...] | None:
        asked, whole, reach = ctx.get(settings, owner), ctx.get(assembled, owner), ctx.get(access, owner)
        every = [*found.remarks, *(unserved(asked, listening.listeners(ctx, owner)) if asked else ())]
        every += [*(whole.remarks if whole else ()), *(reach.remarks if reach else ())]
        return tuple(dict.fromkeys(every)) or None

    return LoadBalancers(
        stacks=flow.derive(name("stacks"), assembled, lambda _, __, found: found.stack),
        settings=settings,
        blocked=flow.derive(name("blocked"), frames, blocked),
        remarks=flow.derive(name("remarks"), frames, remarks),
        refusals=listening.refusals(),
        ports=listening.states(),
        target_groups=flow.derive(name("filled target groups"), groups.built, groups.filled),
        access=flow.derive(name("access"), access, lambda _, __, found: found.piece),
    )


class _TargetGroups:
    """The target groups that listeners forward to: what each is to be, and its targets."""

    def __init__(
        self,
        inputs: Inputs,
        surroundings: Surroundings,
        settings: Collection[Key, LoadBalancerSettings],
        translated: Collection[Port, Translation],
        stack_key: Callable[[Key], StackKey],
        tags_of: Callable[[Context, Key], Tags],
    ) -> None:
        flow = inputs.flow
        services = inputs.written(inputs.services)
        vpcs = flow.derive("vpc", surroundings.network, lambda _, __, network: _Vpc(network.vpc, network.ranges))
        instances = flow.derive("instances", surroundings.nodes, lambda _, __, node: instance(node))
        wanted: Collection[GroupKey, Group] = flow.derive_many(
            "wanted target groups", translated, lambda _, __, found: {each.key: each for each in found.groups}
        )

        def build(ctx: Context, key: GroupKey, group: Group) -> Built | None:
            service = ctx.get(services, Key(group.backend.namespace, group.backend.service))
            found, vpc = ctx.get(settings, key.owner), ctx.get(vpcs, NETWORK)
            if service is None or found is None or vpc is None:
                return None
            family = found.ip_address_type
            return target_group(stack_key(key.owner), group, service, vpc.id, family, tags_of(ctx, key.owner))

        def register(ctx: Context, key: GroupKey, group: Group) -> Targets | None:
            service_key = Key(group.backend.namespace, group.backend.service)
            service, found, vpc = ctx.get(services, service_key), ctx.get(settings, key.owner), ctx.get(vpcs, NETWORK)
            if service is None or found is None or vpc is None:
                return None

            def of(backend: BackendKey) -> Targets:
                port = service_port(service, backend)
                if port is None:
                    return Targets()
                if group.settings.target_type == "instance":
                    return node_targets(port, [each for _, each in ctx.items(instances)], group.settings.node_selector)
                return pod_targets(
                    port,
                    ctx.lookup(inputs.slices_by_service, service_key),
                    vpc.ranges,
                    _FAMILIES[address_family(group.settings, service, found.ip_address_type)],
                    lambda pod: ctx.get(surroundings.pods, pod),
                )

            targets = of(group.backend)
            if group.protocol != "TCP_UDP":
                return targets
            return both_transports(targets, of(group.backend._replace(transport="UDP")))

        self.built = flow.derive("target groups", wanted, build)
        self.targets = flow.derive("targets", wanted, register)

    def filled(self, ctx: Context, key: GroupKey, built: Built) -> DesiredTargetGroup:
        """A target group with its targets."""
        found = ctx.get(self.targets, key)
        return structs.replace(built.group, targets=found.targets) if found else built.group


def _owner(_: Context, __: Key, value: Any) -> Owner:
    return value if isinstance(value, Owner) else Owner()
