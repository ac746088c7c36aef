"""What is asked of target groups: the TargetGroupConfiguration of the Service, over those of the Gateway and its class.

In this order, the first that says something counts, field by field (AWS Load Balancer Controller,
TargetGroupConfiguration, "Configuration Resolution Order"):

1. the Service's, by its targetReference: its most specific routeConfigurations entry for the route, then its
   defaultConfiguration;
2. the Gateway's and its class's defaultTargetGroupConfiguration: the most specific entry for the route, then the two
   defaultConfigurations, merged as the LoadBalancerConfigurations are that name them. Of the two, only the
   routeConfigurations of the one that goes first count.

Unlike with that controller, targets are pods (`ip`) unless something else is said: that works for every Service, while
instances need one with node ports.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, structs

from gatewright.aws.configuration import attributes
from gatewright.aws.configuration.examination import LoadBalancerType
from gatewright.aws.configuration.loadbalancers import named_configurations, type_of
from gatewright.aws.configuration.merging import merge_target_groups, most_specific, prefers_gateway, rank
from gatewright.aws.configuration.objections import Objection, label
from gatewright.aws.configuration.properties import usable_properties
from gatewright.aws.configuration.settings import HealthCheckSettings, TargetGroupSettings
from gatewright.aws.configuration.sources import Configurations
from gatewright.flow import Collection, Context, Index
from gatewright.model.awsgateway import (
    HealthCheckConfiguration,
    RouteConfiguration,
    TargetGroupConfiguration,
    TargetGroupProps,
)
from gatewright.model.meta import Key
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs, seniority
from gatewright.topology import BackendKey, RuleKey

_NOTHING = TargetGroupProps()
_TYPES: tuple[LoadBalancerType, ...] = ("ALB", "NLB")


class _Said(Struct, frozen=True):
    """Properties, and what is left out of what was asked."""

    props: TargetGroupProps = _NOTHING
    remarks: tuple[str, ...] = ()

    def over(self, other: _Said) -> _Said:
        return _Said(merge_target_groups(self.props, other.props), self.remarks + other.remarks)


class _Level(Struct, frozen=True):
    """What one configuration says: for all routes, and by entry for some."""

    default: _Said = _Said()
    entries: tuple[tuple[RouteConfiguration, _Said], ...] = ()

    def of(self, route: RuleKey) -> tuple[_Said, int]:
        """What it says for a route, and how many parts of the route's identity the entry for it names."""
        entry = most_specific(tuple(entry for entry, _ in self.entries), route)
        if entry is None:
            return self.default, 0
        said = next(said for candidate, said in self.entries if candidate is entry)
        return said.over(self.default), rank(entry)


class _Prepared(Struct, frozen=True):
    """A TargetGroupConfiguration, as far as each type of load balancer can have it."""

    levels: dict[LoadBalancerType, _Level]
    services: tuple[Key, ...]
    seniority: tuple[str, str]


class _Defaults(Struct, frozen=True):
    """What holds for all Services behind a Gateway."""

    of: LoadBalancerType
    level: _Level


def referenced_service(config: TargetGroupConfiguration) -> Key | None:
    """The Service whose target groups a configuration is for, by its targetReference."""
    ref = config.spec.target_reference
    return Key(config.namespace, ref.name) if ref and (ref.group, ref.kind) == ("", "Service") else None


def services(config: TargetGroupConfiguration) -> list[Key]:
    """For an index: the Service that a configuration is for, if it is for one."""
    found = referenced_service(config)
    return [found] if found else []


class TargetGroupSettingsLookup:
    """Tells the settings of the target group of a backend on a Gateway, for a route.

    Of two configurations for one Service the older counts.
    """

    def __init__(
        self,
        inputs: Inputs,
        configurations: Configurations,
        gateways: Collection[Key, ResolvedGateway],
        default_target_type: Literal["instance", "ip"] = "ip",
    ) -> None:
        self._default_target_type = default_target_type
        self._inputs = inputs
        self._written = inputs.written(inputs.gateways)
        self._load_balancers = inputs.written(configurations.load_balancers)
        inputs.written(inputs.gateway_classes)  # made before what reads it
        self._prepared: Collection[Key, _Prepared] = inputs.flow.derive(
            "prepared target group configurations", inputs.written(configurations.target_groups), _prepare
        )
        self._by_service: Index[Key, Key, _Prepared] = self._prepared.index(
            lambda _, prepared: prepared.services, order=lambda _, prepared: prepared.seniority
        )
        self._defaults: Collection[Key, _Defaults] = inputs.flow.derive(
            "default target group settings", gateways, self._defaults_of
        )

    def __call__(self, ctx: Context, gateway: Key, backend: BackendKey, route: RuleKey) -> TargetGroupSettings:
        """The settings; the remarks say what is left out of what was asked. `own` is set where routes differ."""
        defaults = ctx.get(self._defaults, gateway) or _Defaults("ALB", _Level())
        said, depth = defaults.level.of(route)
        found = ctx.lookup(self._by_service, Key(backend.namespace, backend.service))
        if found:
            of_service, deeper = found[0].levels[defaults.of].of(route)
            said, depth = of_service.over(said), max(depth, deeper)
        own = None
        if depth:
            place, name = (route.route.namespace, route.route.name)
            own = (route.kind, Key(place if depth > 1 else "", name if depth > 2 else ""))
        return _settings(said, self._default_target_type, own)

    def _defaults_of(self, ctx: Context, key: Key, resolved: ResolvedGateway) -> _Defaults | None:
        gateway = ctx.get(self._written, key)
        if gateway is None:
            return None
        of = type_of(resolved)
        levels: list[_Level | None] = []
        spec_of_class = None
        for place, name in enumerate(named_configurations(ctx, self._inputs, gateway)):
            config = ctx.get(self._load_balancers, name) if name else None
            if config and place == 0:
                spec_of_class = config.spec
            reference = config and config.spec.default_target_group_configuration
            defaults = ctx.get(self._prepared, Key(config.namespace, reference.name)) if config and reference else None
            levels.append(_as_default(defaults.levels[of]) if defaults else None)
        of_class, of_gateway = levels
        high, low = (of_gateway, of_class) if prefers_gateway(spec_of_class) else (of_class, of_gateway)
        if high is None or low is None:
            return _Defaults(of, high or low or _Level())
        return _Defaults(of, _Level(high.default.over(low.default), high.entries))


def _prepare(_: Context, __: Key, config: TargetGroupConfiguration) -> _Prepared:
    return _Prepared(
        levels={of: _level(config, of) for of in _TYPES},
        services=tuple(services(config)),
        seniority=seniority(config),
    )


def _level(config: TargetGroupConfiguration, of: LoadBalancerType) -> _Level:
    owner, spec = label(config), config.spec
    return _Level(
        _said(spec.default_configuration or _NOTHING, of, "spec.defaultConfiguration", owner),
        tuple(
            (
                entry,
                _said(entry.target_group_props, of, f"spec.routeConfigurations[{place}].targetGroupProps", owner),
            )
            for place, entry in enumerate(spec.route_configurations)
        ),
    )


def _said(props: TargetGroupProps, of: LoadBalancerType, field: str, owner: str) -> _Said:
    usable, objections = usable_properties(props, of, field)
    return _Said(usable, tuple(objection.about(owner) for objection in objections))


def _as_default(level: _Level) -> _Level:
    """Without names, of which each can be one target group's only."""
    return _Level(_unnamed(level.default), tuple((entry, _unnamed(said)) for entry, said in level.entries))


def _unnamed(said: _Said) -> _Said:
    name = said.props.target_group_name
    if name is None:
        return said
    why = "it would be that of every target group of the Gateway; name them by their Services' configurations"
    remark = str(Objection("spec.defaultConfiguration.targetGroupName", name, why))
    return _Said(structs.replace(said.props, target_group_name=None), (*said.remarks, remark))


def _settings(said: _Said, default_type: Literal["instance", "ip"], own: tuple[str, Key] | None) -> TargetGroupSettings:
    props = said.props
    target_type = props.target_type or default_type
    remarks = list(said.remarks)
    if props.node_selector is not None and target_type != "instance":
        why = "pods are the targets, wherever they run; set targetType to instance, or leave it out"
        remarks.append(str(Objection("nodeSelector", f"one with targetType {target_type}", why)))
    if props.target_control_port is not None and target_type != "ip":
        why = "only targets of type ip have one; set targetType to ip, or leave it out"
        remarks.append(str(Objection("targetControlPort", str(props.target_control_port), why)))
    pairs = {pair.key: pair.value for pair in props.target_group_attributes}
    agreeing, objections = attributes.agreeing_of_target_group("targetGroupAttributes", pairs)
    remarks += map(str, objections)
    return TargetGroupSettings(
        name=props.target_group_name or "",
        target_type=target_type,
        protocol=props.protocol,
        protocol_version=props.protocol_version,
        ip_address_type=props.ip_address_type,
        health_check=_health_check(props.health_check_config),
        attributes=agreeing,
        tags=props.tags,
        node_selector=props.node_selector if target_type == "instance" else None,
        multi_cluster=bool(props.enable_multi_cluster),
        control_port=props.target_control_port if target_type == "ip" else None,
        own=own,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _health_check(check: HealthCheckConfiguration | None) -> HealthCheckSettings:
    if check is None:
        return HealthCheckSettings()
    return HealthCheckSettings(
        protocol=check.health_check_protocol,
        port=check.health_check_port,
        path=check.health_check_path,
        interval=check.health_check_interval,
        timeout=check.health_check_timeout,
        healthy_threshold=check.healthy_threshold_count,
        unhealthy_threshold=check.unhealthy_threshold_count,
        http_codes=check.matcher.http_code if check.matcher else None,
        grpc_codes=check.matcher.grpc_code if check.matcher else None,
    )
