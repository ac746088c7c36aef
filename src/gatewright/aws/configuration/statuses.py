"""What the statuses of the configuration kinds say."""

from __future__ import annotations

from typing import Any, TypeAlias

from gatewright.aws.configuration.loadbalancers import class_configuration, gateway_configuration
from gatewright.aws.configuration.rules import Findings, rule_findings
from gatewright.aws.configuration.sources import Configurations
from gatewright.aws.configuration.targetgroups import referenced_service
from gatewright.flow import Collection, Context
from gatewright.model.awsgateway import (
    LoadBalancerConfiguration,
    TargetGroupConfiguration,
)
from gatewright.model.gateway import Gateway, GatewayClass
from gatewright.model.meta import Key
from gatewright.resolve.classes import ResolvedClass
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs, ObjectId

Status: TypeAlias = dict[str, Any]
"""A status subresource as plain data."""

_OF_GATEWAY = "observedGatewayConfigurationGeneration"
_OF_CLASS = "observedGatewayClassConfigurationGeneration"


def configuration_statuses(
    inputs: Inputs,
    configurations: Configurations,
    classes: Collection[Key, ResolvedClass],
    gateways: Collection[Key, ResolvedGateway],
) -> Collection[ObjectId, Status]:
    """By kind and key, the statuses of all objects that there is something to say of.

    A LoadBalancerConfiguration has been seen where a Gateway or a class of ours names it; a TargetGroupConfiguration
    where such a LoadBalancerConfiguration names it as the default, or where its Service exists. `classes` and
    `gateways` are those of all our controllers.
    """
    flow = inputs.flow
    balancers = inputs.written(configurations.load_balancers)
    groups = inputs.written(configurations.target_groups)
    rules = inputs.written(configurations.rules)

    def named_by_class(ctx: Context, key: Key, gateway_class: GatewayClass) -> Key | None:
        return class_configuration(gateway_class) if ctx.get(classes, key) else None

    def named_by_gateway(ctx: Context, key: Key, gateway: Gateway) -> Key | None:
        return gateway_configuration(gateway) if ctx.get(gateways, key) else None

    of_classes = flow.derive("configurations of classes", inputs.written(inputs.gateway_classes), named_by_class)
    of_gateways = flow.derive("configurations of gateways", inputs.written(inputs.gateways), named_by_gateway)
    by_class = of_classes.index(lambda _, name: [name])
    by_gateway = of_gateways.index(lambda _, name: [name])
    by_default = balancers.index(lambda key, config: _default(key, config))

    def users(ctx: Context, key: Key) -> tuple[bool, bool]:
        return bool(ctx.count(by_gateway, key)), bool(ctx.count(by_class, key))

    def of_load_balancer(ctx: Context, key: Key, config: LoadBalancerConfiguration) -> dict[ObjectId, Status] | None:
        return _observed(config, *users(ctx, key))

    def of_target_group(ctx: Context, key: Key, config: TargetGroupConfiguration) -> dict[ObjectId, Status] | None:
        pairs = [users(ctx, balancer.key) for balancer in ctx.lookup(by_default, key)]
        service = referenced_service(config)
        by_own = service is not None and ctx.get(inputs.services, service) is not None
        by_gateways = by_own or any(of_gateway for of_gateway, _ in pairs)
        return _observed(config, by_gateways, any(of_class for _, of_class in pairs))

    def of_rule(ctx: Context, key: Key, found: Findings) -> dict[ObjectId, Status]:
        config = ctx.get(rules, key)
        message = "; ".join(map(str, found.problems)) or "the configuration can be used"
        if found.remarks and not found.problems:
            message = f"{message}; left out: {'; '.join(map(str, found.remarks))}"
        status = {"accepted": not found.problems, "message": message}
        generation = config.metadata.generation if config else 0
        return {("ListenerRuleConfiguration", key): {**status, "observedGeneration": generation}}

    return flow.merge(
        "statuses of configurations",
        flow.derive_many("statuses of load balancer configurations", balancers, of_load_balancer),
        flow.derive_many("statuses of target group configurations", groups, of_target_group),
        flow.derive_many("statuses of listener rule configurations", rule_findings(inputs, configurations), of_rule),
    )


def _default(key: Key, config: LoadBalancerConfiguration) -> list[Key]:
    reference = config.spec.default_target_group_configuration
    return [Key(key.namespace, reference.name)] if reference else []


def _observed(
    config: LoadBalancerConfiguration | TargetGroupConfiguration, by_gateway: bool, by_class: bool
) -> dict[ObjectId, Status] | None:
    generation = config.metadata.generation
    status = ({_OF_GATEWAY: generation} if by_gateway else {}) | ({_OF_CLASS: generation} if by_class else {})
    return {(config.kind, config.key): status} if status else None
