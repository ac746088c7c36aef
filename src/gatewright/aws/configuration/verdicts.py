"""What is said of each object of the configuration kinds: that it can be used, or why not."""

from __future__ import annotations

from gatewright.aws.configuration.examination import LoadBalancerType
from gatewright.aws.configuration.loadbalancers import configuration_problems
from gatewright.aws.configuration.merging import rank
from gatewright.aws.configuration.objections import Objection
from gatewright.aws.configuration.properties import usable_properties
from gatewright.aws.configuration.rules import Findings, rule_findings
from gatewright.aws.configuration.sources import Configurations
from gatewright.aws.configuration.support import NO_GATEWAY, refused
from gatewright.aws.configuration.targetgroups import referenced_service, services
from gatewright.flow import Collection, Context
from gatewright.model.awsgateway import (
    LoadBalancerConfiguration,
    TargetGroupConfiguration,
    TargetGroupProps,
)
from gatewright.model.meta import Key
from gatewright.resolve.inputs import Inputs, ObjectId, seniority
from gatewright.topology import Verdict

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
_TYPES: tuple[LoadBalancerType, ...] = ("ALB", "NLB")


def verdicts(inputs: Inputs, configurations: Configurations) -> Collection[ObjectId, Verdict]:
    """By kind and key, of all three kinds."""
    flow = inputs.flow
    groups = inputs.written(configurations.target_groups)
    by_service = groups.index(lambda _, config: services(config), order=lambda _, config: seniority(config))

    def of_load_balancer(ctx: Context, key: Key, config: LoadBalancerConfiguration) -> dict[ObjectId, Verdict]:
        return {(config.kind, key): _verdict(configuration_problems(ctx, configurations, config))}

    def of_target_group(ctx: Context, key: Key, config: TargetGroupConfiguration) -> dict[ObjectId, Verdict]:
        service = referenced_service(config)
        elder = ctx.lookup(by_service, service)[0] if service else config
        return {(config.kind, key): _verdict(_target_group_problems(config, elder))}

    def of_rule(_: Context, key: Key, found: Findings) -> dict[ObjectId, Verdict]:
        return {("ListenerRuleConfiguration", key): _verdict(found.problems)}

    return flow.merge(
        "verdicts on configurations",
        flow.derive_many("verdicts on load balancers", inputs.written(configurations.load_balancers), of_load_balancer),
        flow.derive_many("verdicts on target groups", groups, of_target_group),
        flow.derive_many("verdicts on rules", rule_findings(inputs, configurations), of_rule),
    )


def _verdict(problems: tuple[Objection, ...]) -> Verdict:
    return Verdict("; ".join(map(str, problems)))


def _target_group_problems(config: TargetGroupConfiguration, elder: TargetGroupConfiguration) -> tuple[Objection, ...]:
    """What of it nothing comes of, on either type of load balancer."""
    spec, found = config.spec, list[Objection]()
    ref = spec.target_reference
    if ref and (ref.group, ref.kind) != ("", "Service"):
        what = f"{ref.kind}.{ref.group or 'core'}"
        found.append(refused(NO_GATEWAY, what))
    if elder is not config:
        name = f"Service {elder.namespace}/{ref.name if ref else ''}"
        why = f"TargetGroupConfiguration {elder.key} is older and counts for {name}; make them one"
        found.append(Objection("spec.targetReference.name", ref.name if ref else "", why))
    found += _useless(spec.default_configuration or TargetGroupProps(), "spec.defaultConfiguration")
    for place, entry in enumerate(spec.route_configurations):
        field, identifier = f"spec.routeConfigurations[{place}]", entry.route_identifier
        if not rank(entry):
            why = "an entry is for a kind, a kind and a namespace, or all three with a name; give those before it"
            said = [name for name in ("kind", "namespace", "name") if getattr(identifier, name)]
            found.append(Objection(f"{field}.routeIdentifier", ", ".join(said) or "nothing", why))
        elif identifier.kind not in _ROUTES:
            why = f"expected one of {', '.join(_ROUTES)}"
            found.append(Objection(f"{field}.routeIdentifier.kind", str(identifier.kind), why))
        found += _useless(entry.target_group_props, f"{field}.targetGroupProps")
    return tuple(found)


def _useless(props: TargetGroupProps, field: str) -> list[Objection]:
    """The objections that are raised whichever type the load balancer is, in the words of one of them."""
    behind_alb, behind_nlb = (usable_properties(props, of, field)[1] for of in _TYPES)
    places = {(objection.field, objection.found) for objection in behind_nlb}
    return [objection for objection in behind_alb if (objection.field, objection.found) in places]
