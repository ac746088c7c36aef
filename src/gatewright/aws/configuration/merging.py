"""Two configurations of a kind made one: field by field, maps key by key.

The rules are the AWS Load Balancer Controller's (its guide, "How customizations works", and TargetGroupConfiguration,
"Configuration Resolution Order"). They hold for the whole of a field: of two health checks one counts, and nothing
of the other.
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import structs

from gatewright.model.awsgateway import (
    ListenerConfiguration,
    LoadBalancerConfigurationSpec,
    RouteConfiguration,
    TargetGroupProps,
)
from gatewright.model.meta import Model
from gatewright.topology import RuleKey

M = TypeVar("M", bound=Model)


def prefers_gateway(of_class: LoadBalancerConfigurationSpec | None) -> bool:
    """Whether a Gateway's configuration goes over its class's, which the class's says; by default it doesn't."""
    return of_class is not None and of_class.merging_mode == "prefer-gateway"


def merge_load_balancers(
    high: LoadBalancerConfigurationSpec, low: LoadBalancerConfigurationSpec
) -> LoadBalancerConfigurationSpec:
    """`high`, and from `low` what it doesn't say.

    Tags and attributes are merged by key, listeners by protocol and port; all the rest field by field. Unlike that
    controller, minimumLoadBalancerCapacity is merged, too.
    """
    listeners = by_protocol_port(low.listener_configurations) | by_protocol_port(high.listener_configurations)
    return structs.replace(
        _over(high, low),
        tags=low.tags | high.tags,
        load_balancer_attributes=_by_key(low, high, "load_balancer_attributes"),
        listener_configurations=tuple(listener for _, listener in sorted(listeners.items())),
    )


def by_protocol_port(listeners: tuple[ListenerConfiguration, ...]) -> dict[str, ListenerConfiguration]:
    """By protocol and port; of two for the same the later counts."""
    return {listener.protocol_port: listener for listener in listeners}


def merge_target_groups(high: TargetGroupProps, low: TargetGroupProps) -> TargetGroupProps:
    """`high`, and from `low` what it doesn't say; tags and attributes are merged by key."""
    return structs.replace(
        _over(high, low),
        tags=low.tags | high.tags,
        target_group_attributes=_by_key(low, high, "target_group_attributes"),
    )


def most_specific(entries: tuple[RouteConfiguration, ...], route: RuleKey) -> RouteConfiguration | None:
    """The entry that says most of a route: kind, namespace and name, or the first two, or the kind alone.

    An entry that says something else of it, or a later part without an earlier one, is for no route (that guide, "Route
    Matching Logic"). Of several that say the same, the first counts.
    """
    found = [entry for entry in entries if rank(entry) and _matches(entry, route)]
    return max(found, key=rank, default=None)


def rank(entry: RouteConfiguration) -> int:
    """How many of kind, namespace and name an entry gives; 0 where it leaves one out before another."""
    identifier = entry.route_identifier
    given = [bool(part) for part in (identifier.kind, identifier.namespace, identifier.name)]
    return sum(given) if given == sorted(given, reverse=True) else 0


def _matches(entry: RouteConfiguration, route: RuleKey) -> bool:
    identifier = entry.route_identifier
    return (
        identifier.kind == route.kind
        and (identifier.namespace or route.route.namespace) == route.route.namespace
        and (identifier.name or route.route.name) == route.route.name
    )


def _over(high: M, low: M) -> M:
    given: dict[str, Any] = {field.name: getattr(high, field.name) for field in structs.fields(high)}
    return structs.replace(low, **{name: value for name, value in given.items() if value not in (None, (), {})})


def _by_key(low: Model, high: Model, field: str) -> Any:
    merged = {attribute.key: attribute for of in (low, high) for attribute in getattr(of, field)}
    return tuple(attribute for _, attribute in sorted(merged.items()))
