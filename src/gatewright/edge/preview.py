"""What would be changed in AWS for the Gateways and Ingresses of a cluster, without changing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, structs

from gatewright.aws import Aws
from gatewright.aws.certificates import read_certificates
from gatewright.aws.gateways import LoadBalancers, Surroundings
from gatewright.aws.gateways.access import shared_access
from gatewright.aws.gateways.subnets import Standing
from gatewright.aws.gateways.surroundings import NETWORK
from gatewright.aws.network import read_interfaces, read_network
from gatewright.aws.stack.access import plan_access, read_access
from gatewright.aws.stack.actual import read
from gatewright.aws.stack.desired import BACKEND_GROUP, DesiredTargetGroup, Stack, StackKey
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.operations import Operation
from gatewright.aws.stack.plan import Plan, plan
from gatewright.aws.stack.quotas import VERIFYING_LISTENERS, QuotaProblem, Quotas, check, counted
from gatewright.edge.gateways.outcomes import LeftOut, Provisioned

Kind: TypeAlias = Literal["alb", "nlb", "ingress"]

AFTER = "(known after apply)"
"""Stands for what AWS chooses when a thing is made."""


class StackPlan(Struct, frozen=True):
    """What is to be done for one load balancer. `desired` is None where everything of it goes.

    `held`: why nothing is done for it, whatever is there; there is no plan then. `over`: which quotas it would exceed;
    rules that don't fit are neither in `desired` nor in the plan.
    """

    key: StackKey
    desired: Stack | None
    actual: ActualStack
    plan: Plan | None
    held: tuple[str, ...] = ()
    over: tuple[QuotaProblem, ...] = ()

    @property
    def provisioned(self) -> Provisioned | None:
        """What would come of it; None where there is no load balancer then."""
        balancers = [each.load_balancer for each in self.actual.load_balancers.values()]
        if self.desired is None:
            return None
        rules = [problem for problem in self.over if problem.rules]
        left_out = [LeftOut(o, _rule(o.field), each.message) for each in rules for o in each.origins]
        return Provisioned(
            name=self.desired.load_balancer.name,
            arn=balancers[0].arn if len(balancers) == 1 else AFTER,
            dns_name=balancers[0].dns_name if len(balancers) == 1 else AFTER,
            state="active",
            listeners=frozenset(listener.port for listener in self.desired.listeners),
            left_out=tuple(left_out),
            remarks=tuple(each.message for each in self.over if not each.rules),
        )


async def fill(
    aws: Aws, surroundings: Surroundings, held: Mapping[StackKey, ActualStack], *, cluster: str, vpc: str = ""
) -> None:
    """Write what AWS says of a cluster's surroundings into their sources. Raises `AwsError`."""
    network, certificates, stores = await asyncio.gather(
        read_network(aws, vpc, cluster),
        read_certificates(aws),
        aws.pages("elbv2", "describe_trust_stores", "TrustStores"),
    )
    surroundings.network.set(NETWORK, network)
    surroundings.certificates.replace(certificates)
    surroundings.trust_stores.replace({raw["Name"]: raw["TrustStoreArn"] for raw in stores})
    if network.vpc:
        surroundings.interfaces.replace(await read_interfaces(aws, network.vpc))
    surroundings.standing.replace({key: found for key, each in held.items() if (found := standing(each))})


def standing(actual: ActualStack) -> Standing | None:
    """Where the load balancer of a stack stands; None where there is none, or it can't be told."""
    found = [each.load_balancer for each in actual.load_balancers.values()]
    if len(found) != 1:
        return None
    return Standing(found[0].scheme, tuple(sorted(zone.subnet for zone in found[0].zones)))


async def preview(
    aws: Aws,
    sides: Mapping[Kind, LoadBalancers],
    held: Mapping[StackKey, ActualStack],
    quotas: Quotas,
    *,
    cluster: str,
    bucket: str = "",
    alone: bool = False,
) -> tuple[StackPlan, ...]:
    """The plans of all load balancers of these kinds, by their keys. Raises `AwsError`.

    `held` is what AWS has (`read_all`), `bucket` that of trust stores. `alone`: the objects are not all that the
    cluster has. Then what they say nothing of is left out, names that depend on what the cluster knows are those that
    AWS has, and so are the targets.
    """
    desired = {stack.key: stack for side in sides.values() for stack in side.stacks.values()}
    blocked = {
        StackKey(cluster, kind, str(key)): told for kind, side in sides.items() for key, told in side.blocked.items()
    }
    # Some of what a load balancer has costs a call of its own, and is read only where it is asked for.
    again = sorted(desired.keys() & held.keys())
    reads = (read(aws, key, desired=desired[key], known=held[key], bucket=bucket) for key in again)
    found = await asyncio.gather(*reads)
    actual = {key: each for key, each in held.items() if key.kind in sides} | dict(zip(again, found, strict=True))
    plans = []
    for key in sorted(desired.keys() | blocked.keys() | (set() if alone else actual.keys())):
        account = counted(each for other, each in held.items() if other != key)
        there = actual.get(key) or ActualStack(key)
        plans.append(_planned(desired.get(key), there, blocked.get(key, ()), quotas, account, alone=alone))
    return tuple(plans)


def _planned(
    stack: Stack | None,
    actual: ActualStack,
    blocked: tuple[str, ...],
    quotas: Quotas,
    account: Mapping[str, int],
    *,
    alone: bool,
) -> StackPlan:
    if stack is None:
        return StackPlan(actual.key, None, actual, None if blocked else plan(None, actual), blocked)
    standing = {port.port for each in actual.load_balancers.values() for port in each.listeners.values()}
    over = check(stack, quotas, account=account, standing=standing)
    stack = fitting(stack, over)
    if alone:
        stack = as_held(stack, actual)
    if BACKEND_GROUP in stack.load_balancer.security_groups and not actual.backend_group:
        actual = structs.replace(actual, backend_group=AFTER)  # made before, with the access to the targets
    return StackPlan(actual.key, stack, actual, plan(stack, actual, most_rules=quotas.rules), (), over)


def fitting(stack: Stack, over: Iterable[QuotaProblem]) -> Stack:
    """A stack without the rules and listeners that go over a quota."""
    left_out = {id(rule) for problem in over for rule in problem.rules}
    closed = {problem.resource for problem in over if problem.quota == VERIFYING_LISTENERS}
    return structs.replace(
        stack,
        listeners=tuple(
            structs.replace(listener, rules=tuple(rule for rule in listener.rules if id(rule) not in left_out))
            for listener in stack.listeners
            if str(listener.port) not in closed
        ),
    )


def as_held(stack: Stack, actual: ActualStack) -> Stack:
    """A stack with the names and the targets that AWS has of it: nobody knows others who doesn't know the cluster."""
    balancers = [each.load_balancer for each in actual.load_balancers.values()]
    balancer = stack.load_balancer
    if len(balancers) == 1 and (balancers[0].type, balancers[0].scheme) == (balancer.type, balancer.scheme):
        balancer = structs.replace(balancer, name=balancers[0].name)
    tag = actual.key.resource_tag
    targets = {each.tags.get(tag, ""): each.targets or frozenset() for each in actual.target_groups.values()}
    groups = {each.tags.get(tag, ""): each.name for each in actual.security_groups.values()}

    def held(group: DesiredTargetGroup) -> DesiredTargetGroup:
        return structs.replace(group, targets=targets.get(group.resource, frozenset()))

    return structs.replace(
        stack,
        load_balancer=balancer,
        target_groups=tuple(map(held, stack.target_groups)),
        security_groups=tuple(
            structs.replace(group, name=groups.get(group.resource, group.name)) for group in stack.security_groups
        ),
    )


async def preview_access(
    aws: Aws, sides: Mapping[Kind, LoadBalancers], *, cluster: str, alone: bool = False
) -> tuple[Operation, ...]:
    """What is to be done so that the targets' security groups let the load balancers in. Raises `AwsError`.

    `alone`, as for `preview`: then only what has to be let in besides.
    """
    wanted = shared_access(cluster, [piece for side in sides.values() for piece in side.access.values()])
    known = not alone and not any(side.blocked for side in sides.values())
    wanted = structs.replace(wanted, complete=wanted.complete and known)
    return plan_access(wanted, await read_access(aws, cluster)).operations


def _rule(field: str) -> int | None:
    """The number of a route's rule in a field such as `spec.rules[3].matches[0]`."""
    digits = field.partition("rules[")[2].partition("]")[0]
    return int(digits) if digits.isdigit() else None
